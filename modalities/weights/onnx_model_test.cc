#include "modalities/weights/onnx_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>

#include "modalities/weights/testing/model_file_writer.h"
#include "modalities/weights/testing/protobuf_writer.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ProtobufWriter;

Result<OnnxModel> read(const std::string& bytes) {
  return read_onnx_model(std::as_bytes(std::span(bytes)), "m.onnx");
}

/// Dimensions as texts: "3", or a symbol.
ProtobufWriter port(std::string_view name, uint64_t type, std::initializer_list<const char*> dimensions) {
  ProtobufWriter shape;
  for (const std::string_view one : dimensions) {
    const bool is_number = !one.empty() && one.front() >= '0' && one.front() <= '9';
    ProtobufWriter dimension;
    if (is_number) dimension.integer(1, std::stoull(std::string(one)));
    else if (!one.empty()) dimension.text(2, one);
    shape.message(1, dimension);
  }
  const ProtobufWriter tensor = ProtobufWriter().integer(1, type).message(2, shape);
  return ProtobufWriter().text(1, name).message(2, ProtobufWriter().message(1, tensor));
}

ProtobufWriter tensor(std::string_view name, uint64_t type, std::initializer_list<uint64_t> dims) {
  return ProtobufWriter().packed(1, dims).integer(2, type).text(8, name);
}

ProtobufWriter entry(std::string_view key, std::string_view value) {
  return ProtobufWriter().text(1, key).text(2, value);
}

/// A tensor whose data is in another file.
ProtobufWriter outside(std::string_view location, std::string_view offset = {},
                       std::string_view length = {}) {
  ProtobufWriter made = tensor("w", 1, {2, 3}).message(13, entry("location", location));
  if (!offset.empty()) made.message(13, entry("offset", offset));
  if (!length.empty()) made.message(13, entry("length", length));
  return made.integer(14, 1);
}

std::string model(const ProtobufWriter& graph) {
  return ProtobufWriter()
      .integer(1, 8)
      .text(2, "pytorch")
      .text(3, "2.4")
      .message(8, ProtobufWriter().text(1, "").integer(2, 17))
      .message(7, graph)
      .bytes();
}

TEST(OnnxModel, SaysWhatGoesInAndOut) {
  const Result<OnnxModel> got = read(model(ProtobufWriter()
                                               .text(2, "net")
                                               .message(1, ProtobufWriter().text(4, "MatMul"))
                                               .message(11, port("x", 1, {"batch", "3"}))
                                               .message(11, port("w", 10, {"3", "5"}))
                                               .message(5, tensor("w", 10, {3, 5}))
                                               .message(12, port("y", 1, {"", "5"}))));
  ASSERT_TRUE(got.ok()) << to_string(got.error());
  EXPECT_EQ(got->ir_version, 8);
  EXPECT_EQ(got->producer, "pytorch 2.4");
  EXPECT_EQ(got->name, "net");
  EXPECT_EQ(got->n_nodes, 1u);
  EXPECT_THAT(got->operator_sets, ElementsAre(std::pair<std::string, int64_t>("", 17)));
  ASSERT_EQ(got->inputs.size(), 1u) << "an input that an initializer gives a value needs none";
  EXPECT_EQ(got->inputs[0].name, "x");
  ASSERT_TRUE(got->inputs[0].dimensions);
  EXPECT_EQ((*got->inputs[0].dimensions)[0].symbol, "batch");
  EXPECT_EQ((*got->inputs[0].dimensions)[0].extent, -1);
  EXPECT_EQ((*got->inputs[0].dimensions)[1].extent, 3);
  EXPECT_EQ(onnx_dtype(got->inputs[0].element_type), WEFT_DTYPE_F32);
  EXPECT_EQ((*got->outputs.at(0).dimensions)[0].extent, -1);
  EXPECT_EQ(got->parameters, 15u);
  EXPECT_EQ(got->weight_bytes, 30u);
  EXPECT_EQ(got->widened_bytes, 60u);
  EXPECT_EQ(onnx_type_name(got->weight_type), "f16");
}

TEST(OnnxModel, KnowsNoShapeWhereTheFileHasNone) {
  const ProtobufWriter type = ProtobufWriter().message(1, ProtobufWriter().integer(1, 7));
  const ProtobufWriter sequence = ProtobufWriter().message(4, ProtobufWriter());
  const Result<OnnxModel> got =
      read(model(ProtobufWriter()
                     .message(11, ProtobufWriter().text(1, "a").message(2, type))
                     .message(11, port("b", 1, {}))
                     .message(12, ProtobufWriter().text(1, "c").message(2, sequence))));
  ASSERT_TRUE(got.ok()) << to_string(got.error());
  EXPECT_FALSE(got->inputs[0].dimensions);
  EXPECT_EQ(got->inputs[0].element_type, 7);
  EXPECT_TRUE(got->inputs[1].dimensions && got->inputs[1].dimensions->empty());
  EXPECT_EQ(got->outputs[0].kind, "sequence");
}

// Wherever the format has a tensor, its data may be in another file.
TEST(OnnxModel, FindsEveryReferenceToAnotherFile) {
  const auto node = [](uint32_t attribute_field, const ProtobufWriter& content) {
    return ProtobufWriter().message(5, ProtobufWriter().message(attribute_field, content));
  };
  const ProtobufWriter sparse = ProtobufWriter().message(1, outside("sparse"));
  const ProtobufWriter graph =
      ProtobufWriter()
          .message(5, outside("initializer", "4096", "24"))
          .message(15, sparse)
          .message(1, node(5, outside("attribute")))
          .message(1, node(10, outside("attributes")))
          .message(1, node(22, sparse))
          .message(1, node(6, ProtobufWriter().message(5, outside("subgraph"))))
          .message(1, node(11, ProtobufWriter().message(
                                   1, node(6, ProtobufWriter().message(5, outside("subgraphs"))))));
  const std::string bytes =
      model(graph) +
      ProtobufWriter()
          .message(25, ProtobufWriter().message(7, node(5, outside("function"))))
          .message(20, ProtobufWriter().message(2, ProtobufWriter().message(5, outside("training"))))
          .bytes();
  const Result<OnnxModel> got = read(bytes);
  ASSERT_TRUE(got.ok()) << to_string(got.error());
  std::vector<std::string> locations;
  for (const OnnxExternalData& data : got->external) locations.push_back(data.location);
  EXPECT_THAT(locations, ElementsAre("initializer", "sparse", "attribute", "attributes", "sparse", "subgraph",
                                     "subgraphs", "function", "training"));
  EXPECT_EQ(got->external[0].offset, 4096u);
  EXPECT_EQ(got->external[0].length, 24u);
  EXPECT_FALSE(got->external[1].length);
}

// A message that stands twice is merged by protocol buffers: neither half must hide what the other says.
TEST(OnnxModel, TakesALocationSeriouslyWhateverElseATensorSays) {
  const ProtobufWriter first = ProtobufWriter().message(13, entry("location", "../secret"));
  const ProtobufWriter second = ProtobufWriter().integer(14, 1);
  const ProtobufWriter node =
      ProtobufWriter().message(5, ProtobufWriter().message(5, first).message(5, second));
  const Result<OnnxModel> got = read(model(ProtobufWriter().message(1, node)));
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->external.at(0).location, "../secret");
  const Result<OnnxModel> twice =
      read(model(ProtobufWriter().message(5, outside("a").message(13, entry("location", "b")))));
  ASSERT_EQ(twice.code(), StatusCode::kCorruptData);
  EXPECT_THAT(to_string(twice.error()), HasSubstr("two places"));
}

TEST(OnnxModel, RefusesWhatEndsEarly) {
  const std::string whole = model(ProtobufWriter()
                                      .message(1, ProtobufWriter().text(4, "Relu").message(
                                                      5, ProtobufWriter().message(5, outside("w.bin"))))
                                      .message(11, port("x", 1, {"batch", "3"}))
                                      .message(12, port("y", 1, {"batch", "3"})));
  ASSERT_TRUE(read(whole).ok());
  for (size_t size = 0; size < whole.size(); ++size) {
    const Result<OnnxModel> got = read(whole.substr(0, size));
    ASSERT_EQ(got.code(), StatusCode::kCorruptData) << size;
    EXPECT_THAT(to_string(got.error()), HasSubstr("m.onnx"));
  }
}

struct Broken {
  const char* what;
  std::string bytes;
  const char* expected;
};

TEST(OnnxModel, RefusesWhatIsNoModel) {
  std::string deep;
  for (int i = 0; i < 40; ++i)
    deep = ProtobufWriter()
               .text(1, ProtobufWriter().text(5, ProtobufWriter().text(6, deep).bytes()).bytes())
               .bytes();
  ProtobufWriter dims;
  for (int i = 0; i < 70; ++i) dims.integer(1, 1);
  const Broken kBroken[] = {
      {"text", "This is not a model at all.", "m.onnx"},
      {"nothing", "", "no graph"},
      {"a picture", "\x89PNG\r\n\x1a\n", "m.onnx, offset"},
      {"no graph", ProtobufWriter().integer(1, 8).bytes(), "no graph"},
      {"no version", ProtobufWriter().message(7, ProtobufWriter()).bytes(), "no graph or no version"},
      {"nesting", ProtobufWriter().integer(1, 8).text(7, deep).bytes(), "nested too deeply"},
      {"dimensions", model(ProtobufWriter().message(5, dims)), "too many dimensions"},
      {"an offset", model(ProtobufWriter().message(5, outside("w", "-1"))), "is no number"},
      {"a length", model(ProtobufWriter().message(5, outside("w", "0", "18446744073709551616"))),
       "is no number"},
  };
  for (const Broken& broken : kBroken) {
    const Result<OnnxModel> got = read(broken.bytes);
    ASSERT_EQ(got.code(), StatusCode::kCorruptData) << broken.what;
    EXPECT_THAT(to_string(got.error()), HasSubstr(broken.expected)) << broken.what;
  }
}

TEST(OnnxModel, CountsNoMoreThanThereIs) {
  const Result<OnnxModel> got = read(model(ProtobufWriter()
                                               .message(5, tensor("w", 1, {1ull << 40, 1ull << 40}))
                                               .message(5, tensor("v", 200, {3}))));
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->weight_bytes, 0u);
}

class ExternalData : public ::testing::Test {
 protected:
  Result<std::vector<fs::path>> check(const ProtobufWriter& tensor) {
    const Result<OnnxModel> got = read(model(ProtobufWriter().message(5, tensor)));
    if (!got.ok()) return got.status();
    return check_external_data(*got, folder_ / "m.onnx");
  }
  const fs::path folder_ = testing::fresh_folder("onnx_external_data");
};

TEST_F(ExternalData, IsReadFromBesideTheModelAndBelow) {
  testing::write_file(folder_ / "w.bin", std::string(100, 'w'));
  fs::create_directory(folder_ / "parts");
  testing::write_file(folder_ / "parts/v.bin", "v");
  for (const char* location : {"w.bin", "./w.bin", ".//w.bin"}) {
    const auto files = check(outside(location, "76", "24"));
    ASSERT_TRUE(files.ok()) << to_string(files.error());
    EXPECT_THAT(*files, ElementsAre(folder_ / "w.bin"));
  }
  EXPECT_THAT(*check(outside("parts/v.bin")), ElementsAre(folder_ / "parts/v.bin"));
  EXPECT_THAT(*check(tensor("w", 1, {2})), ElementsAre());
}

TEST_F(ExternalData, IsRefusedFromAnywhereElse) {
  testing::write_file(folder_ / "w.bin", "w");
  fs::create_directory(folder_ / "inner");
  fs::create_symlink("w.bin", folder_ / "link.bin");
  fs::create_directory_symlink("inner", folder_ / "link");
  testing::write_file(folder_ / "inner/v.bin", "v");
  // A place that runtimes read as a memory address exists as a file here.
  fs::create_directories(folder_ / "*/_ORT_MEM_ADDR_");
  testing::write_file(folder_ / "*/_ORT_MEM_ADDR_/*", "x");
  const std::string absolute = fs::absolute(folder_ / "w.bin").string();
  for (const std::string& location :
       {std::string("../w.bin"), std::string("inner/../w.bin"), std::string("inner/../../m.onnx"),
        std::string(".."), std::string(""), absolute, std::string("/etc/passwd"), std::string("link.bin"),
        std::string("link/v.bin"), std::string("inner"), std::string("."), std::string("*/_ORT_MEM_ADDR_/*"),
        std::string("inner\\v.bin"), std::string("w.bin\0x", 7), std::string("file:w.bin")}) {
    const auto files = check(outside(location));
    ASSERT_EQ(files.code(), StatusCode::kPermissionDenied) << location;
    EXPECT_THAT(to_string(files.error()), AllOf(HasSubstr("m.onnx, offset "), HasSubstr("tensor 'w'")))
        << location;
  }
}

TEST_F(ExternalData, MustBeThereAndLongEnough) {
  testing::write_file(folder_ / "w.bin", std::string(10, 'w'));
  const auto absent = check(outside("v.bin"));
  ASSERT_EQ(absent.code(), StatusCode::kNotFound);
  EXPECT_THAT(to_string(absent.error()),
              AllOf(HasSubstr("'v.bin' beside the model"), HasSubstr("tensor 'w'")));
  EXPECT_EQ(check(outside("w.bin/x")).code(), StatusCode::kNotFound);
  for (const auto& [offset, length] : {std::pair("11", ""), std::pair("10", "1"), std::pair("0", "11"),
                                       std::pair("1", "18446744073709551615")}) {
    const auto files = check(outside("w.bin", offset, length));
    ASSERT_EQ(files.code(), StatusCode::kCorruptData) << offset << " " << length;
    EXPECT_THAT(to_string(files.error()), HasSubstr("beyond the end of 'w.bin'"));
  }
  EXPECT_TRUE(check(outside("w.bin", "10", "0")).ok());
}

}  // namespace
}  // namespace weft
