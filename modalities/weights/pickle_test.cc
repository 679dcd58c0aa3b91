#include "modalities/weights/pickle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "modalities/weights/testing/torch_archive_writer.h"

namespace weft {
namespace {

using ::testing::HasSubstr;
using testing::PickleWriter;
using Kind = PickleValue::Kind;

constexpr std::string_view kKnown[] = {"collections.OrderedDict"};

Result<Pickle> read(const std::string& bytes) {
  return read_pickle(std::as_bytes(std::span(bytes)), kKnown, "t.pkl");
}

const PickleValue& item(const Pickle& pickle, const PickleValue& value, size_t i) {
  return pickle.at(value.items.at(i));
}

TEST(Pickle, ReadsPlainData) {
  // {'a': (1, -2, 300, 70000), 'b': [1.5, None, True, False], 'c': -2 ** 40}
  PickleWriter writer;
  writer.op("}(").text("a").op("(K\x01").integer(-2).op("M\x2c\x01").integer(70000).op("t");
  writer.text("b").op("](").real(1.5).op("N\x88\x89").op("e");
  writer.text("c").op(std::string_view("\x8a\x06\0\0\0\0\0\xff", 8)).op("u");
  const std::string bytes = writer.bytes();
  const Result<Pickle> pickle = read(bytes);
  ASSERT_TRUE(pickle.ok()) << to_string(pickle.error());
  const PickleValue& root = pickle->at(pickle->root);
  ASSERT_EQ(root.kind, Kind::kDict);
  ASSERT_EQ(root.items.size(), 6u);
  EXPECT_EQ(item(*pickle, root, 0).text, "a");
  const PickleValue &tuple = item(*pickle, root, 1), &list = item(*pickle, root, 3);
  ASSERT_EQ(tuple.kind, Kind::kTuple);
  const int64_t numbers[] = {1, -2, 300, 70000};
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(item(*pickle, tuple, i).integer, numbers[i]);
  ASSERT_EQ(list.kind, Kind::kList);
  EXPECT_EQ(item(*pickle, list, 0).real, 1.5);
  EXPECT_EQ(item(*pickle, list, 1).kind, Kind::kNone);
  EXPECT_EQ(item(*pickle, list, 2).integer, 1);
  EXPECT_EQ(item(*pickle, list, 3).kind, Kind::kBool);
  EXPECT_EQ(item(*pickle, root, 5).integer, -(int64_t{1} << 40));
}

TEST(Pickle, KeepsCallsOfListedNamesAsTheyAre) {
  const std::string bytes =
      PickleWriter().global("collections", "OrderedDict").op(")R").text("k").op("K\x07s}b").bytes();
  const Result<Pickle> pickle = read(bytes);
  ASSERT_TRUE(pickle.ok()) << to_string(pickle.error());
  const PickleValue& call = pickle->at(pickle->root);
  ASSERT_EQ(call.kind, Kind::kCall);
  ASSERT_EQ(call.items.size(), 4u);
  EXPECT_EQ(item(*pickle, call, 0).text, "collections.OrderedDict");
  EXPECT_EQ(item(*pickle, call, 3).integer, 7);
}

TEST(Pickle, RefusesNamesThatAreNotListed) {
  for (const auto& [module, name] : {std::pair{"os", "system"}, std::pair{"builtins", "eval"},
                                     std::pair{"collections", "OrderedDict2"}, std::pair{"", ""}}) {
    const Result<Pickle> pickle =
        read(PickleWriter().global(module, name).op("(").text("rm -rf /").op("tR").bytes());
    ASSERT_FALSE(pickle.ok());
    EXPECT_EQ(pickle.code(), StatusCode::kUnsupported);
    EXPECT_THAT(pickle.error().message, HasSubstr(std::string(module) + "." + name));
    EXPECT_THAT(pickle.error().where, HasSubstr("t.pkl, offset 2"));
  }
}

TEST(Pickle, RefusesInstructionsThatAreNotOfData) {
  // INST, OBJ, NEWOBJ, EXT1, STACK_GLOBAL, NEXT_BUFFER, DUP, POP, STRING, FRAME
  for (char op : {'i', 'o', '\x81', '\x82', '\x93', '\x97', '2', '0', 'S', '\x95'}) {
    const Result<Pickle> pickle = read(PickleWriter().op("NN").op(std::string(1, op)).bytes());
    EXPECT_EQ(pickle.code(), StatusCode::kUnsupported) << static_cast<int>(op);
  }
  EXPECT_EQ(read("\x80\x05N.").code(), StatusCode::kUnsupported) << "protocol 5";
}

TEST(Pickle, RefusesWhatUnderflowsItsStack) {
  for (const char* codes :
       {"",     "N(", "\x85", "\x86",  "N\x86", "(\x85", "t",  "s",      "Ns", "NNs", "}Ns",
        "}(Ns", "u",  "}(Nu", "](NNu", "}(Ne",  "a",     "]a", "R",      "NR", "NNR", ")NR",
        "b",    "Nb", "Q",    "(Q",    "e",     "NN",    "qa", "(q\x01", "hz"}) {
    const Result<Pickle> pickle = read(PickleWriter().op(codes).bytes());
    EXPECT_EQ(pickle.code(), StatusCode::kCorruptData) << codes;
  }
}

TEST(Pickle, EveryTruncationIsAnErrorThatNamesTheOffset) {
  const std::string bytes = PickleWriter().op("}(").text("k").tensor("x", "0", 1, 0, {}, {}).op("u").bytes();
  constexpr std::string_view kTorch[] = {"collections.OrderedDict", "torch._utils._rebuild_tensor_v2",
                                         "torch.x"};
  ASSERT_TRUE(read_pickle(std::as_bytes(std::span(bytes)), kTorch, "t.pkl").ok());
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::string part = bytes.substr(0, size);
    const Result<Pickle> pickle = read_pickle(std::as_bytes(std::span(part)), kTorch, "t.pkl");
    ASSERT_FALSE(pickle.ok()) << size;
    EXPECT_THAT(pickle.error().where, HasSubstr("t.pkl, offset ")) << size;
  }
}

TEST(Pickle, BoundsTheNumberOfValuesAndOfBytes) {
  EXPECT_EQ(read(PickleWriter().op(std::string(kPickleMaxValues + 1, 'N')).bytes()).code(),
            StatusCode::kUnsupported);
  EXPECT_EQ(read(std::string(kPickleMaxBytes + 1, 'N')).code(), StatusCode::kUnsupported);
  EXPECT_EQ(read(PickleWriter().op("\x8a\x09").op("123456789").bytes()).code(), StatusCode::kUnsupported)
      << "a number of 72 bits";
}

TEST(Pickle, LetsValuesContainThemselves) {
  const Result<Pickle> pickle = read(PickleWriter().op("]q\x01h\x01").op("a").bytes());
  ASSERT_TRUE(pickle.ok()) << to_string(pickle.error());
  EXPECT_EQ(pickle->at(pickle->root).items.at(0), pickle->root);
}

}  // namespace
}  // namespace weft
