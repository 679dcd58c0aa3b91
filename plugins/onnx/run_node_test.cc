// onnx.run on small models, against ONNX Runtime (scripts/make_golden/onnx_models.py); and what it says of what does not fit.
#include "plugins/onnx/run_node.h"

#include <gmock/gmock.h>
#include <weft/abi/draft/cores.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/quant/half.h"
#include "kernels/testing/tolerance.h"
#include "modalities/weights/testing/model_file_writer.h"
#include "modalities/weights/weight_file.h"
#include "plugins/onnx/testing/onnx_nodes.h"

namespace weft::onnx {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::kModels;

class OnnxRun : public testing::OnnxNodesTest {
 protected:
  const WeightTensor& golden(const std::string& name) {
    const WeightTensor* found = expected_->find(name);
    if (found == nullptr) throw std::runtime_error("no golden tensor " + name);
    return *found;
  }
  static std::vector<int64_t> shape_of_golden(const WeightTensor& tensor) {
    const auto shape = tensor.shape();
    return {shape.begin(), shape.end()};
  }
  Value input(const std::string& name, weft_dtype dtype = WEFT_DTYPE_F32) {
    const WeightTensor& found = golden(name);
    return tensor(dtype, shape_of_golden(found), found.data);
  }
  /// How far an f32 output is from the golden one, relative to its largest element.
  double error(const Value& got, const std::string& name) {
    const WeightTensor& want = golden(name);
    if (shape_of(got) != shape_of_golden(want)) return INFINITY;
    return ::weft::testing::relative_error(elements<float>(got).data(),
                                           reinterpret_cast<const float*>(want.data), want.count());
  }
  template <typename T>
  std::vector<T> golden_elements(const std::string& name) {
    const WeightTensor& found = golden(name);
    const T* data = reinterpret_cast<const T*>(found.data);
    return {data, data + found.count()};
  }
  std::string refusal(const std::map<std::string, Value>& inputs, const std::vector<std::string>& outputs,
                      StatusCode code, std::map<std::string, std::string> parameters = {}) {
    const NodeResult result = run_model(inputs, outputs, std::move(parameters));
    EXPECT_EQ(result.status.code(), code);
    return result.status.ok() ? "" : to_string(result.status.error());
  }

  /// A copy of a model of assets/golden/onnx in which names have become others of the same length.
  static std::string renamed(const std::string& name,
                             const std::vector<std::pair<std::string, std::string>>& names) {
    std::ifstream file(kModels + name + ".onnx", std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(file), {}};
    for (const auto& [from, to] : names) {
      EXPECT_EQ(from.size(), to.size());
      for (size_t at = bytes.find(from); at != std::string::npos; at = bytes.find(from, at + to.size()))
        bytes.replace(at, from.size(), to);
    }
    const fs::path path = fs::absolute(::weft::testing::fresh_folder("onnx_renamed")) / "m.onnx";
    ::weft::testing::write_file(path, bytes);
    return path.string();
  }

  const Result<WeightFile> expected_ = WeightFile::open(kModels + "expected.safetensors");
};

TEST_F(OnnxRun, GivesWhatOnnxRuntimeGives) {
  use_model("mlp");
  const NodeResult result = run_model({{"x", input("mlp.in.x")}}, {"hidden", "logits"});
  ASSERT_TRUE(result.status.ok()) << to_string(result.status.error());
  EXPECT_LT(error(result.outputs[0], "mlp.out.hidden"), 1e-6);
  EXPECT_LT(error(result.outputs[1], "mlp.out.logits"), 1e-6);
}

TEST_F(OnnxRun, ComputesTheOutputsThatAreAskedForInAnyOrder) {
  use_model("mlp");
  const NodeResult one = run_model({{"x", input("mlp.in.x")}}, {"logits"});
  const NodeResult both = run_model({{"x", input("mlp.in.x")}}, {"logits", "hidden"});
  ASSERT_TRUE(one.status.ok() && both.status.ok());
  EXPECT_EQ(elements<float>(one.outputs[0]), elements<float>(both.outputs[0]));
  const NodeResult first = run_model({{"x", input("mlp.in.x")}}, {});
  ASSERT_TRUE(first.status.ok());
  ASSERT_EQ(first.outputs.size(), 1u);
  EXPECT_EQ(elements<float>(first.outputs[0]), elements<float>(one.outputs[0]));
}

TEST_F(OnnxRun, OutputIsTheModelsOwnOfThatNameIfItHasOne) {
  use_model(renamed("mlp", {{"hidden", "output"}}));
  const NodeResult result = run_model({{"x", input("mlp.in.x")}}, {});
  ASSERT_TRUE(result.status.ok()) << to_string(result.status.error());
  EXPECT_LT(error(result.outputs[0], "mlp.out.hidden"), 1e-6);
}

TEST_F(OnnxRun, OutputsHaveNamesThatPipelinesHave) {
  use_model(renamed("mlp", {{"hidden", "0/h.1+"}, {"logits", "l-2:\xC3\xA9"}}));
  const NodeResult result = run_model({{"x", input("mlp.in.x")}}, {"_0_h_1_", "l-2___"});
  ASSERT_TRUE(result.status.ok()) << to_string(result.status.error());
  EXPECT_LT(error(result.outputs[0], "mlp.out.hidden"), 1e-6);
  EXPECT_LT(error(result.outputs[1], "mlp.out.logits"), 1e-6);
}

TEST_F(OnnxRun, NamesThatPipelinesCannotTellApartAreNumbered) {
  use_model(renamed("mlp", {{"logits", "a/b:12"}, {"hidden", "a:b/12"}}));
  const Value x = input("mlp.in.x");
  EXPECT_THAT(refusal({{"x", x}}, {"a_b_12"}, StatusCode::kInvalidArgument),
              AllOf(HasSubstr("output 'a_b_12': several outputs of the model would have this name"),
                    HasSubstr("expected a_b_12_1 for 'a/b:12', a_b_12_2 for 'a:b/12'")));
  const NodeResult result = run_model({{"x", x}}, {"a_b_12_2", "a_b_12_1"});
  ASSERT_TRUE(result.status.ok()) << to_string(result.status.error());
  EXPECT_LT(error(result.outputs[0], "mlp.out.hidden"), 1e-6);
  EXPECT_LT(error(result.outputs[1], "mlp.out.logits"), 1e-6);
}

TEST_F(OnnxRun, TakesAnyExtentThatTheModelLeavesOpen) {
  use_model("mlp");
  for (const int64_t batch : {1, 2, 1000, 0}) {
    const std::vector<float> values(static_cast<size_t>(batch * 4), 0.5f);
    const NodeResult result = run_model({{"x", floats({batch, 4}, values)}}, {"logits"});
    ASSERT_TRUE(result.status.ok()) << batch << " " << to_string(result.status.error());
    EXPECT_THAT(shape_of(result.outputs[0]), ElementsAre(batch, 3));
  }
}

TEST_F(OnnxRun, HandsEveryElementTypeInAndOut) {
  use_model("types");
  const std::vector<std::pair<std::string, weft_dtype>> kTypes = {
      {"bool", WEFT_DTYPE_BOOL}, {"u8", WEFT_DTYPE_U8},   {"i8", WEFT_DTYPE_I8},   {"i16", WEFT_DTYPE_I16},
      {"i32", WEFT_DTYPE_I32},   {"i64", WEFT_DTYPE_I64}, {"f16", WEFT_DTYPE_F16}, {"bf16", WEFT_DTYPE_BF16},
      {"f32", WEFT_DTYPE_F32},   {"f64", WEFT_DTYPE_F64}};
  std::map<std::string, Value> inputs;
  for (const auto& [name, dtype] : kTypes) inputs[name] = input("types.in." + name, dtype);
  for (const auto& [name, dtype] : kTypes) {
    const NodeResult result = run_model(inputs, {name + "_out", name + "_f32"});
    ASSERT_TRUE(result.status.ok()) << to_string(result.status.error());
    const weft_tensor in = view_of(inputs[name]), out = view_of(result.outputs[0]);
    EXPECT_EQ(out.dtype, dtype) << name;
    EXPECT_EQ(std::memcmp(in.data, out.data, static_cast<size_t>(7 * sdk::element_size_bytes(in.dtype))), 0)
        << name;
    EXPECT_EQ(elements<float>(result.outputs[1]), golden_elements<float>("types.out." + name + "_f32"))
        << name;
  }
}

TEST_F(OnnxRun, ComputesHalvesInF32UnlessAskedForLess) {
  use_model("half");
  const NodeResult result = run_model({{"x", input("half.in.x", WEFT_DTYPE_F16)}}, {"logits"});
  ASSERT_TRUE(result.status.ok()) << to_string(result.status.error());
  EXPECT_EQ(view_of(result.outputs[0]).dtype, WEFT_DTYPE_F16);
  const auto as_floats = [](const uint16_t* halves, size_t count) {
    std::vector<float> values;
    for (size_t i = 0; i < count; ++i) values.push_back(f32_from_f16_bits(halves[i]));
    return values;
  };
  const std::vector<uint16_t> got = elements<uint16_t>(result.outputs[0]),
                              want = golden_elements<uint16_t>("half.out.logits");
  ASSERT_EQ(got.size(), want.size());
  const std::vector<float> x = as_floats(got.data(), got.size()), y = as_floats(want.data(), want.size());
  EXPECT_LT(::weft::testing::relative_error(x.data(), y.data(), static_cast<int64_t>(x.size())), 2e-3);
  use_model("half", "bf16");
  EXPECT_TRUE(run_model({{"x", input("half.in.x", WEFT_DTYPE_F16)}}, {"logits"}).status.ok());
}

TEST_F(OnnxRun, LeavesItsInputsAsTheyAre) {
  use_model("mlp");
  const Value x = input("mlp.in.x");
  const std::vector<float> before = elements<float>(x);
  ASSERT_TRUE(run_model({{"x", x}}, {"logits"}).status.ok());
  EXPECT_EQ(elements<float>(x), before);
}

TEST_F(OnnxRun, ReadsATensorWithGaps) {
  use_model("mlp");
  const Value whole = input("mlp.in.x");
  std::vector<float> wide;  // [4, 5]: the transposed rows
  const std::vector<float> rows = elements<float>(whole);
  for (size_t column = 0; column < 4; ++column)
    for (size_t row = 0; row < 5; ++row) wide.push_back(rows[row * 4 + column]);
  auto buffer = allocate_buffer(host_.cpu_pool(), wide.size() * sizeof(float), 0, nullptr, "test");
  std::memcpy(buffer->data(), wide.data(), wide.size() * sizeof(float));
  weft_tensor view = sdk::contiguous_tensor(buffer->data(), WEFT_DTYPE_F32, std::vector<int64_t>{5, 4});
  view.strides[0] = 1;
  view.strides[1] = 5;
  weft_value* transposed = nullptr;
  ASSERT_EQ(value_api()->make_tensor(buffer->get(), &view, "tensor", nullptr, &transposed), WEFT_OK);
  const NodeResult strided = run_model({{"x", Value::adopt(transposed)}}, {"logits"});
  const NodeResult packed = run_model({{"x", whole}}, {"logits"});
  ASSERT_TRUE(strided.status.ok() && packed.status.ok());
  EXPECT_EQ(elements<float>(strided.outputs[0]), elements<float>(packed.outputs[0]));
}

TEST_F(OnnxRun, NamesWhatDoesNotFit) {
  use_model("mlp");
  const Value x = input("mlp.in.x");
  EXPECT_THAT(
      refusal({{"x", floats({5, 3}, std::vector<float>(15))}}, {"logits"}, StatusCode::kInvalidShape),
      AllOf(HasSubstr("input 'x'"), HasSubstr("expected f32 [batch, 4]"), HasSubstr("got f32 [5, 3]")));
  EXPECT_THAT(refusal({{"x", floats({20}, std::vector<float>(20))}}, {"logits"}, StatusCode::kInvalidShape),
              AllOf(HasSubstr("number of dimensions"), HasSubstr("got f32 [20]")));
  EXPECT_THAT(
      refusal({{"x", input("half.in.x", WEFT_DTYPE_F16)}}, {"logits"}, StatusCode::kInvalidArgument),
      AllOf(HasSubstr("input 'x'"), HasSubstr("expected f32 [batch, 4]"), HasSubstr("got f16 [5, 4]")));
  EXPECT_THAT(refusal({{"x", *Value::text("one")}}, {"logits"}, StatusCode::kInvalidArgument),
              HasSubstr("got text"));
  EXPECT_THAT(refusal({{"x", x}, {"y", x}}, {"logits"}, StatusCode::kInvalidArgument),
              AllOf(HasSubstr("'y'"), HasSubstr("no such input"), HasSubstr("expected x")));
  EXPECT_THAT(refusal({}, {"logits"}, StatusCode::kInvalidArgument),
              AllOf(HasSubstr("'x'"), HasSubstr("has no link")));
  EXPECT_THAT(
      refusal({{"x", x}}, {"logit"}, StatusCode::kInvalidArgument),
      AllOf(HasSubstr("output 'logit': the model has no such output"), HasSubstr("expected logits, hidden")));
  EXPECT_THAT(refusal({{"x", x}}, {"logits"}, StatusCode::kInvalidArgument, {{"image_mean", "[1, 2]"}}),
              HasSubstr("1 or 3 numbers"));
}

TEST_F(OnnxRun, AnExtentWithANameIsTheSameEverywhere) {
  use_model("types");
  std::map<std::string, Value> inputs;
  for (const NetworkPort& port : network_->inputs())
    inputs[port.name] = input("types.in." + port.name, port.dtype);
  inputs["f32"] = floats({3}, {1, 2, 3});
  EXPECT_THAT(refusal(inputs, {"f32_out"}, StatusCode::kInvalidShape),
              AllOf(HasSubstr("'n' is "), HasSubstr("input '")));
}

// What adds numbers in another order with other threads would show here.
TEST_F(OnnxRun, GivesTheSameBitsAgainAndWithAnotherLoanOfCores) {
  use_model("gram");
  const NodeResult first = run_model({{"x", input("gram.in.x")}}, {"rows", "sums"});
  ASSERT_TRUE(first.status.ok());
  EXPECT_LT(error(first.outputs[0], "gram.out.rows"), 1e-4);
  EXPECT_LT(error(first.outputs[1], "gram.out.sums"), 1e-5);
  const auto* cores =
      static_cast<const weft_cores_api*>(host_.table()->extension(host_.table()->self, WEFT_CORES_ID));
  const uint32_t taken = cores->borrow(cores->self, 2);
  EXPECT_EQ(taken, 2u);
  const NodeResult alone = run_model({{"x", input("gram.in.x")}}, {"rows", "sums"});
  cores->give_back(cores->self, taken);
  network_->evict();
  ASSERT_TRUE(network_->load(nullptr).ok());
  const NodeResult again = run_model({{"x", input("gram.in.x")}}, {"rows", "sums"});
  for (const size_t port : {size_t{0}, size_t{1}}) {
    EXPECT_EQ(elements<float>(alone.outputs[port]), elements<float>(first.outputs[port]));
    EXPECT_EQ(elements<float>(again.outputs[port]), elements<float>(first.outputs[port]));
  }
}

TEST_F(OnnxRun, SeveralNodesRunOneModelAtOnce) {
  use_model("gram");
  const Value x = input("gram.in.x");
  const std::vector<float> want = elements<float>(run_model({{"x", x}}, {"sums"}).outputs[0]);
  std::atomic<int> equal{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&] {
      for (int k = 0; k < 3; ++k)
        equal += elements<float>(run_model({{"x", x}}, {"sums"}).outputs[0]) == want;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(equal, 9);
}

TEST_F(OnnxRun, StopsWhenItIsCancelled) {
  use_model("slow");
  NodeRunnerOptions options;
  options.parameters_json["model"] = "\"m\"";
  options.models = models_;
  options.extra_inputs = {"x"};
  Result<NodeRunner> runner = NodeRunner::create(host_, kRunNode, std::move(options));
  ASSERT_TRUE(runner.ok()) << to_string(runner.error());
  constexpr int64_t kSide = 1024;  // 150 products take seconds
  const Value x = floats({kSide, kSide}, std::vector<float>(static_cast<size_t>(kSide * kSide), 0.01f));
  std::thread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    runner->cancel();
  });
  const auto results = runner->run({{{x}}});
  canceller.join();
  ASSERT_TRUE(results.ok());
  EXPECT_EQ((*results)[0].status.code(), StatusCode::kCancelled);
}

class OnnxModels : public OnnxRun {
 protected:
  std::string error_of(const std::string& path, StatusCode code) {
    const Result<std::unique_ptr<Network>> network = open(path);
    Status status = network.ok() ? (*network)->load(nullptr) : network.status();
    EXPECT_EQ(status.code(), code) << path;
    return status.ok() ? "" : to_string(status.error());
  }
  static std::string content(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

TEST_F(OnnxModels, SayWhatGoesInAndOutUnderNamesThatPipelinesHave) {
  const Result<std::unique_ptr<Network>> network = open(kModels + "picture.onnx");
  ASSERT_TRUE(network.ok()) << to_string(network.error());
  ASSERT_EQ((*network)->inputs().size(), 1u);
  EXPECT_EQ((*network)->inputs()[0].name, "pixels_1_0");
  EXPECT_EQ(to_string((*network)->inputs()[0]), "f32 [n, 3, h, w]");
  EXPECT_EQ((*network)->outputs()[0].name, "probabilities_0");
  const Result<weft_model_estimate> estimate = (*network)->estimate();
  EXPECT_EQ(estimate->resident_bytes, 5u * 3 * 3 * 3 * 4);
  EXPECT_EQ(estimate->mapped_bytes, fs::file_size(kModels + "picture.onnx"));
}

TEST_F(OnnxModels, ReadTheirDataFromBesideThem) {
  use_model("external");
  const NodeResult result = run_model({{"x", input("mlp.in.x")}}, {"logits"});
  ASSERT_TRUE(result.status.ok()) << to_string(result.status.error());
  EXPECT_LT(error(result.outputs[0], "mlp.out.logits"), 1e-6);
}

TEST_F(OnnxModels, AreRefusedWithoutTheirData) {
  const fs::path folder = ::weft::testing::fresh_folder("onnx_without_data");
  fs::copy_file(kModels + "external.onnx", folder / "m.onnx");
  EXPECT_THAT(error_of(folder / "m.onnx", StatusCode::kNotFound),
              AllOf(HasSubstr("m.onnx"), HasSubstr("'external.bin' beside the model")));
  fs::create_symlink(fs::absolute(kModels + "external.bin"), folder / "external.bin");
  EXPECT_THAT(error_of(folder / "m.onnx", StatusCode::kPermissionDenied), HasSubstr("link"));
  fs::remove(folder / "external.bin");
  ::weft::testing::write_file(folder / "external.bin", std::string(100, 'x'));
  EXPECT_THAT(error_of(folder / "m.onnx", StatusCode::kCorruptData), HasSubstr("beyond the end"));
}

TEST_F(OnnxModels, AreRefusedWhereTheyAreDamaged) {
  const fs::path folder = ::weft::testing::fresh_folder("onnx_damaged");
  const std::string whole = content(kModels + "mlp.onnx");
  const auto write = [&](const std::string& bytes) {
    ::weft::testing::write_file(folder / "m.onnx", bytes);
    return (folder / "m.onnx").string();
  };
  EXPECT_THAT(error_of(write(whole.substr(0, whole.size() / 2)), StatusCode::kCorruptData),
              HasSubstr("m.onnx, offset"));
  EXPECT_THAT(error_of(write("GGUF and so on"), StatusCode::kCorruptData), HasSubstr("m.onnx"));
  EXPECT_THAT(error_of(write(""), StatusCode::kCorruptData), HasSubstr("no ONNX model"));
  EXPECT_THAT(error_of((folder / "none.onnx").string(), StatusCode::kNotFound), HasSubstr("none.onnx"));
  // Right as a protocol buffer, wrong as a model: an operator that nobody has; a node whose input nobody makes.
  std::string unknown = whole, loose = whole;
  unknown.replace(unknown.find("MatMul"), 6, "MatFul");
  EXPECT_THAT(error_of(write(unknown), StatusCode::kCorruptData),
              AllOf(HasSubstr("OpenVINO"), HasSubstr("m.onnx"), HasSubstr("MatFul")));
  const size_t hidden = loose.find("hidden");  // where it is made
  loose.replace(hidden, 6, "hidder");
  EXPECT_THAT(error_of(write(loose), StatusCode::kCorruptData),
              HasSubstr("reads 'hidden', which nothing makes"));
}

}  // namespace
}  // namespace weft::onnx
