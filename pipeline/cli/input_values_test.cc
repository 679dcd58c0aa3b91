#include "pipeline/cli/input_values.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace weft::cli {
namespace {

Graph graph_with_inputs() {
  Graph graph;
  graph.inputs.resize(2);
  graph.inputs[0].name = "topic";
  graph.inputs[0].type = "text";
  graph.inputs[0].default_json = "\"a red apple\"";
  graph.inputs[1].name = "file";
  graph.inputs[1].type = "path";
  graph.inputs[1].default_json = "\"x\"";
  return graph;
}

std::string temporary_file(const std::string& text) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("weft_input_" + std::to_string(::getpid()))).string();
  std::ofstream(path) << text;
  return path;
}

TEST(InputValues, TakesTextFilesAndEscapes) {
  const std::string path = temporary_file("from\na file");
  const auto values = read_input_values(graph_with_inputs(), {"topic=first", "topic=a=b"});
  ASSERT_TRUE(values.ok());
  EXPECT_EQ(values->at("topic").text, "a=b");
  EXPECT_EQ(read_input_values(graph_with_inputs(), {"topic=@" + path})->at("topic").text, "from\na file");
  EXPECT_EQ(read_input_values(graph_with_inputs(), {"topic=@@home"})->at("topic").text, "@home");
  EXPECT_EQ(read_input_values(graph_with_inputs(), {"topic="})->at("topic").text, "");
  std::filesystem::remove(path);
}

TEST(InputValues, PathsOfTheCommandLineStartWhereTheUserIs) {
  EXPECT_EQ(read_input_values(graph_with_inputs(), {"file=CMakeLists.txt"})->at("file").text,
            std::filesystem::absolute("CMakeLists.txt").string());
  EXPECT_EQ(read_input_values(graph_with_inputs(), {"file=new/poem.txt"})->at("file").text, "new/poem.txt");
}

TEST(InputValues, NamesTheNearestInput) {
  const auto values = read_input_values(graph_with_inputs(), {"topc=x"});
  ASSERT_FALSE(values.ok());
  EXPECT_EQ(values.error().hint, "did you mean topic?");
  EXPECT_EQ(values.error().expected, "one of: topic, file");
}

TEST(InputValues, RefusesWhatIsNoSetting) {
  for (const char* setting : {"topic", "=x", ""}) {
    EXPECT_EQ(read_input_values(graph_with_inputs(), {setting}).code(), StatusCode::kInvalidArgument)
        << setting;
  }
  EXPECT_EQ(read_input_values(graph_with_inputs(), {"topic=@/does/not/exist"}).code(), StatusCode::kNotFound);
  EXPECT_EQ(read_input_values(graph_with_inputs(), {"topic=@/"}).code(), StatusCode::kIoError);
}

TEST(InputValues, ListsEveryMissingInput) {
  Graph graph = graph_with_inputs();
  graph.inputs[0].default_json.reset();
  graph.inputs[1].default_json.reset();
  const auto values = read_input_values(graph, {});
  ASSERT_FALSE(values.ok());
  EXPECT_EQ(values.error().message, "the pipeline needs a value for 'topic' (text), 'file' (path)");
  EXPECT_EQ(values.error().hint, "add --set topic=... --set file=...");
}

}  // namespace
}  // namespace weft::cli
