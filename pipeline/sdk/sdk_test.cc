// The C++ SDK against a host of a few lines: what crosses the C boundary, and what must not.
#include <weft/sdk/measure.h>
#include <weft/sdk/plugin.h>

#include <gmock/gmock.h>

#include <cstring>
#include <map>
#include <stdexcept>

// The handles of this test's host.
struct weft_value {
  int references = 1;
  std::string bytes;
};
struct weft_request {
  std::string input;
  weft_value* output = nullptr;
  int completions = 0;
  weft_status status = WEFT_OK;
  std::string message = {};
  std::vector<int64_t> progress = {};
};

namespace weft::sdk {
namespace {

int live_values = 0;

weft_status make_bytes(const void* data, uint64_t size, const char*, const char*, weft_value** out) {
  *out = new weft_value{1, std::string(static_cast<const char*>(data), size)};
  ++live_values;
  return WEFT_OK;
}
void retain(const weft_value* value) { ++const_cast<weft_value*>(value)->references; }
void release(const weft_value* value) {
  if (--const_cast<weft_value*>(value)->references > 0) return;
  delete value;
  --live_values;
}
weft_kind kind(const weft_value*) { return WEFT_KIND_BYTES; }
const void* get_bytes(const weft_value* value, uint64_t* size, const char**) {
  *size = value->bytes.size();
  return value->bytes.data();
}

const weft_value* input(weft_request*, size_t) { return nullptr; }
weft_status set_output(weft_request* request, size_t, const weft_value* value) {
  retain(value);
  request->output = const_cast<weft_value*>(value);
  return WEFT_OK;
}
void complete(weft_request* request, weft_status status, const weft_error* error) {
  ++request->completions;
  request->status = status;
  if (error != nullptr) request->message = error->message;
}

void progress(weft_request* request, int64_t done, int64_t, const char*) {
  request->progress.push_back(done);
}

struct TestHost {
  weft_value_api values{};
  weft_request_api requests{};
  weft_host host{};
  TestHost() {
    values.struct_size = sizeof values;
    values.make_bytes = make_bytes;
    values.retain = retain;
    values.release = release;
    values.kind = kind;
    values.get_bytes = get_bytes;
    requests.input = input;
    requests.set_output = set_output;
    requests.complete = complete;
    requests.progress = progress;
    host.struct_size = sizeof host;
    host.abi_version = WEFT_ABI_VERSION;
    host.values = &values;
    host.requests = &requests;
  }
};

weft_error empty_error() {
  weft_error error{};
  error.struct_size = sizeof error;
  return error;
}

TEST(ErrorConversion, KeepsEveryField) {
  weft_error error = empty_error();
  const Status status(Error{StatusCode::kCorruptData, "message", "where", "expected", "got", "hint"});
  EXPECT_EQ(to_c(status, &error), WEFT_CORRUPT_DATA);
  EXPECT_EQ(to_string(from_c(error.code, error).error()), to_string(status.error()));
  EXPECT_EQ(to_c(Status(), &error), WEFT_OK);
  EXPECT_EQ(to_c(status, nullptr), WEFT_CORRUPT_DATA);
}

TEST(ErrorConversion, CutsBetweenCharacters) {
  std::string text(1022, 'a');
  text += "ü";  // its second byte would be the 1024th
  weft_error error = empty_error();
  to_c(Status(StatusCode::kInternal, text), &error);
  EXPECT_EQ(std::string(error.message), std::string(1022, 'a'));
}

TEST(ErrorConversion, WritesNoFieldBeyondTheCallersStruct) {
  weft_error error{};
  std::memset(&error, 'x', sizeof error);
  error.struct_size = offsetof(weft_error, where);  // a caller that knows code and message only
  to_c(Status(Error{StatusCode::kNotFound, "gone", "where", "expected", "got", "hint"}), &error);
  EXPECT_STREQ(error.message, "gone");
  EXPECT_EQ(error.where[0], 'x');
  EXPECT_EQ(error.hint[0], 'x');
}

TEST(ErrorConversion, TurnsUnknownCodesIntoInternalErrors) {
  const weft_error error = empty_error();
  EXPECT_EQ(from_c(99, error).code(), StatusCode::kInternal);
  EXPECT_THAT(from_c(99, error).error().message, testing::HasSubstr("99"));
  EXPECT_EQ(from_c(WEFT_NOT_FOUND, error).error().message, "not found");
}

TEST(Barrier, LetsNoExceptionThrough) {
  weft_error error = empty_error();
  EXPECT_EQ(barrier(&error, []() -> Status { throw std::runtime_error("kettle"); }), WEFT_INTERNAL);
  EXPECT_STREQ(error.message, "uncaught exception: kettle");
  EXPECT_EQ(barrier(&error, []() -> Status { throw std::bad_alloc(); }), WEFT_OUT_OF_MEMORY);
  EXPECT_EQ(barrier(&error, []() -> Status { throw 42; }), WEFT_INTERNAL);
  EXPECT_EQ(barrier(&error, [] { return Status(); }), WEFT_OK);
}

TEST(Value, CountsReferences) {
  const TestHost test;
  const Host host(&test.host);
  {
    Result<Value> made = host.make_text("hello");
    ASSERT_TRUE(made.ok());
    Value first = *made;
    Value second = first;
    second = std::move(first);
    EXPECT_EQ(second.as_text(), "hello");
    EXPECT_FALSE(first);
    second = Value();
    EXPECT_EQ(live_values, 1);
  }
  EXPECT_EQ(live_values, 0);
}

TEST(Tensor, IsContiguousInRowMajorOrderOnly) {
  weft_tensor view = contiguous_tensor(nullptr, WEFT_DTYPE_F32, std::vector<int64_t>{2, 3, 4});
  EXPECT_EQ(element_count(view), 24);
  EXPECT_EQ(view.strides[0], 12);
  EXPECT_TRUE(is_contiguous(view));
  std::swap(view.strides[0], view.strides[2]);
  EXPECT_FALSE(is_contiguous(view));
  EXPECT_TRUE(is_contiguous(contiguous_tensor(nullptr, WEFT_DTYPE_F32, {})));
}

TEST(AllocateTensor, RefusesShapesThatOverflow) {
  const TestHost test;
  const Host host(&test.host);
  const std::vector<int64_t> huge = {int64_t{1} << 62, 2};
  EXPECT_EQ(host.allocate_tensor(WEFT_DTYPE_F32, huge, nullptr, "t").code(), StatusCode::kOutOfRange);
  const std::vector<int64_t> negative = {-1};
  EXPECT_EQ(host.allocate_tensor(WEFT_DTYPE_F32, negative, nullptr, "t").code(), StatusCode::kInvalidShape);
  EXPECT_EQ(host.allocate_tensor(99, {}, nullptr, "t").code(), StatusCode::kUnsupported);
}

struct Single {
  explicit Single(const NodeConfig&) {}
  Status prepare(Specs, Plan plan) {
    plan.set_output(0, bytes_spec(5));
    return {};
  }
  Status run(Request& request, const Execution&) {
    if (request.get()->input == "throw") throw std::runtime_error("kettle");
    if (request.get()->input == "fail") return Status(StatusCode::kInvalidArgument, "no");
    return request.set_output(0, request.host().make_text("fine"));
  }
};

struct Batch {
  static Result<std::unique_ptr<Batch>> create(const NodeConfig& config) {
    if (config.name() == "bad") return Status(StatusCode::kUnsupported, "not today");
    return std::make_unique<Batch>();
  }
  Status prepare(Specs, Plan plan) {
    plan.set_max_batch(4);
    return {};
  }
  Status execute(std::span<Request> requests, const Execution&) {
    for (Request& request : requests) {
      if (request.get()->input == "forget") continue;
      if (request.get()->input == "give up") return Status(StatusCode::kInternal, "gave up");
      request.complete({});
    }
    return {};
  }
};

template <typename T>
class Created {
 public:
  explicit Created(const char* name) {
    config_.struct_size = sizeof config_;
    config_.name = name;
    status = NodeFunctions<T>::kApi.create(&test_.host, &config_, &node, &error);
  }
  ~Created() {
    if (node != nullptr) NodeFunctions<T>::kApi.destroy(node);
  }
  /// waiting: those that more() hands out.
  weft_status execute(std::vector<weft_request*> requests, std::vector<weft_request*>* waiting = nullptr) {
    weft_execution execution{};
    execution.struct_size = sizeof execution;
    execution.self = waiting;
    if (waiting != nullptr) {
      execution.more = [](void* self, weft_request** into, size_t capacity) -> size_t {
        auto& left = *static_cast<std::vector<weft_request*>*>(self);
        if (capacity == 0 || left.empty()) return 0;
        into[0] = left.back();
        left.pop_back();
        return 1;
      };
    }
    return NodeFunctions<T>::kApi.execute(node, requests.data(), requests.size(), &execution, &error);
  }
  void* node = nullptr;
  weft_error error = empty_error();
  weft_status status;

 private:
  TestHost test_;
  weft_node_config config_{};
};

TEST(NodeFunctions, AnswerEachRequestOfASingleNodeOnce) {
  Created<Single> node("n");
  weft_request good{"go"}, failing{"fail"}, throwing{"throw"};
  EXPECT_EQ(node.execute({&throwing, &good, &failing}), WEFT_OK);
  EXPECT_EQ(throwing.status, WEFT_INTERNAL);
  EXPECT_THAT(throwing.message, testing::HasSubstr("kettle"));
  EXPECT_EQ(failing.status, WEFT_INVALID_ARGUMENT);
  EXPECT_EQ(good.status, WEFT_OK);
  ASSERT_NE(good.output, nullptr);
  EXPECT_EQ(good.output->bytes, "fine");
  for (const weft_request* request : {&good, &failing, &throwing}) EXPECT_EQ(request->completions, 1);
  release(good.output);
  EXPECT_EQ(live_values, 0);
}

TEST(NodeFunctions, CompleteWhatABatchForgets) {
  Created<Batch> node("n");
  weft_request good{"go"}, forgotten{"forget"};
  EXPECT_EQ(node.execute({&forgotten, &good}), WEFT_OK);
  EXPECT_EQ(forgotten.completions, 1);
  EXPECT_EQ(forgotten.status, WEFT_INTERNAL);
  EXPECT_EQ(good.status, WEFT_OK);
}

/// Answers in twos: one of its own and one that joins.
struct Joining {
  explicit Joining(const NodeConfig&) {}
  Status prepare(Specs, Plan) { return {}; }
  Status execute(std::span<Request> requests, const Execution& execution) {
    EXPECT_EQ(requests.size(), 1u);
    requests[0].complete({});
    for (Request* request : execution.more(1)) {
      if (request->get()->input != "forget") request->complete({});
    }
    return {};
  }
};

TEST(NodeFunctions, CompleteTheRequestsThatJoin) {
  for (const char* input : {"go", "forget"}) {
    Created<Joining> node("n");
    weft_request first{"go"}, later{input};
    std::vector<weft_request*> waiting = {&later};
    EXPECT_EQ(node.execute({&first}, &waiting), WEFT_OK);
    EXPECT_TRUE(waiting.empty());
    EXPECT_EQ(first.completions, 1);
    EXPECT_EQ(later.completions, 1);
    EXPECT_EQ(later.status, later.input == "forget" ? WEFT_INTERNAL : WEFT_OK);
    weft_request alone{"go"};
    EXPECT_EQ(node.execute({&alone}), WEFT_OK);  // where no others will come
    EXPECT_EQ(alone.completions, 1);
  }
}

TEST(NodeFunctions, LeaveOpenRequestsToTheHostWhenTheBatchFails) {
  Created<Batch> node("n");
  weft_request good{"go"}, last{"give up"};
  EXPECT_EQ(node.execute({&good, &last}), WEFT_INTERNAL);
  EXPECT_EQ(good.completions, 1);
  EXPECT_EQ(last.completions, 0);
  EXPECT_STREQ(node.error.message, "gave up");
}

TEST(NodeFunctions, ReportAFailedCreation) {
  const Created<Batch> node("bad");
  EXPECT_EQ(node.status, WEFT_UNSUPPORTED);
  EXPECT_STREQ(node.error.message, "not today");
  EXPECT_EQ(node.node, nullptr);
}

TEST(NodeFunctions, PrepareOneRequestUnlessTheNodeTakesMore) {
  const Created<Single> single("n");
  const Created<Batch> batch("n");
  std::vector<weft_spec> outputs(2);
  for (weft_spec& output : outputs) output.struct_size = sizeof output;
  weft_node_plan plan{};
  plan.struct_size = sizeof plan;
  plan.outputs = outputs.data();
  plan.n_outputs = outputs.size();
  EXPECT_EQ(NodeFunctions<Single>::kApi.prepare(single.node, nullptr, 0, &plan, nullptr), WEFT_OK);
  EXPECT_EQ(plan.max_batch, 1u);
  EXPECT_EQ(outputs[0].max_bytes, 5);
  EXPECT_EQ(outputs[0].struct_size, sizeof(weft_spec));
  EXPECT_EQ(NodeFunctions<Batch>::kApi.prepare(batch.node, nullptr, 0, &plan, nullptr), WEFT_OK);
  EXPECT_EQ(plan.max_batch, 4u);
}

TEST(Specs, StepByTheSizeThatTheHostKnows) {
  struct Longer {  // of a host with a later minor version
    weft_spec spec;
    uint64_t more[3];
  };
  std::vector<Longer> longer(3);
  for (size_t i = 0; i < longer.size(); ++i) {
    longer[i].spec = bytes_spec(static_cast<int64_t>(i));
    longer[i].spec.struct_size = sizeof(Longer);
  }
  const Specs specs(&longer[0].spec, longer.size());
  EXPECT_EQ(specs[2].max_bytes, 2);
}

TEST(TextList, UnescapesWhatTheHostWrites) {
  TextListReader reader(
      R"(["plain", "", "\"\\\/\b\f\n\r\t", "\u0001\u00fc\u20ac\ud83d\ude00", "ü€", ", ]"])");
  std::vector<std::string> texts;
  for (std::string text; reader.next(&text);) texts.push_back(text);
  EXPECT_THAT(texts, ::testing::ElementsAre("plain", "", "\"\\/\b\f\n\r\t", "\x01ü€😀", "ü€", ", ]"));
}

TEST(TextList, EndsWithTheJsonWhateverItIs) {
  for (const char* json : {"", "[]", "null", R"([")", R"(["\)", R"(["\u)", R"(["\u12)", R"(["\ud800\u)",
                           R"(["\ud800\u00")", R"(["\udfff")"}) {
    TextListReader reader(json);
    int count = 0;
    for (std::string text; reader.next(&text);) ++count;
    EXPECT_LE(count, 1) << json;
  }
}

TEST(Measure, TheMedianOfAnEvenNumberIsTheMeanOfTheMiddleTwo) {
  EXPECT_EQ(median({3}), 3);
  EXPECT_EQ(median({4, 1}), 2.5);
  EXPECT_EQ(median({9, 1, 5}), 5);
  EXPECT_EQ(median({7, 1, 9, 3}), 5);
}

TEST(Measure, EachRoundRunsAllWorkInTurnAfterOneThatDoesNotCount) {
  const TestHost host;
  weft_request handle{"go"};
  std::string calls;
  const auto seconds = median_seconds(
      Request(Host(&host.host), &handle), 2,
      [&] {
        calls += 'a';
        return Status();
      },
      [&] {
        calls += 'b';
        return Status();
      });
  ASSERT_TRUE(seconds.ok());
  EXPECT_GE((*seconds)[1], 0);
  EXPECT_EQ(calls, "ababab");
  EXPECT_THAT(handle.progress, ::testing::ElementsAre(0, 1, 2));
}

TEST(Measure, EndsWithTheFirstError) {
  const TestHost host;
  weft_request handle{"go"};
  int calls = 0;
  const auto seconds = median_seconds(Request(Host(&host.host), &handle), 5, [&] {
    return ++calls == 2 ? Status(StatusCode::kCancelled, "cancelled") : Status();
  });
  EXPECT_EQ(seconds.status().code(), StatusCode::kCancelled);
  EXPECT_EQ(calls, 2);
  EXPECT_THAT(handle.progress, ::testing::ElementsAre(0));
}

}  // namespace
}  // namespace weft::sdk
