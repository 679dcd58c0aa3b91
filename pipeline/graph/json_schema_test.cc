#include "pipeline/graph/json_schema.h"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "pipeline/graph/json_tree.h"
#include "pipeline/graph/parse.h"
#include "pipeline/graph/testing/example_catalog.h"

namespace weft {
namespace {

constexpr JsonLimits kLimits{1 << 24, 100, 1 << 20, 1 << 20};

JsonId at(const JsonTree& tree, std::initializer_list<const char*> path) {
  JsonId id = 0;
  for (const char* step : path) {
    id = id == kNoJson ? kNoJson : tree.find(id, step);
  }
  return id;
}

TEST(JsonSchema, HoldsTypesRangesDefaultsAndHelpOfEveryNode) {
  const std::string text = json_schema(example_catalog());
  const auto parsed = JsonTree::parse(text, kLimits);
  ASSERT_TRUE(std::holds_alternative<JsonTree>(parsed));
  const auto& tree = std::get<JsonTree>(parsed);
  const JsonId rules = at(tree, {"$defs", "node", "allOf"});
  ASSERT_NE(rules, kNoJson);
  EXPECT_EQ(tree[rules].n_children, example_catalog().node_names().size());
  JsonId generate = kNoJson;
  for (JsonId rule : tree.children(rules)) {
    if (tree.compact(tree.find(rule, "if")).find("\"text.generate\"") != std::string::npos) generate = rule;
  }
  ASSERT_NE(generate, kNoJson);
  const JsonId with = tree.find(tree.find(tree.find(generate, "then"), "properties"), "with");
  EXPECT_EQ(tree.compact(tree.find(with, "required")), "[\"model\"]");
  const JsonId max_tokens = tree.find(tree.find(with, "properties"), "max_tokens");
  EXPECT_EQ(tree.compact(max_tokens),
            R"x({"description":"a parameter (tokens)","default":256,"anyOf":[)x"
            R"x({"type":"integer","minimum":1,"maximum":1048576},{"$ref":"#/$defs/template"}]})x");
  EXPECT_NE(tree.find(tree.find(with, "properties"), "prompt"), kNoJson);  // a port that may be a constant
  EXPECT_NE(at(tree, {"$defs", "model", "properties", "n_ctx"}), kNoJson);
}

TEST(JsonSchema, OfNoPluginsIsStillASchema) {
  const std::string text = json_schema(Catalog());
  EXPECT_TRUE(std::holds_alternative<JsonTree>(JsonTree::parse(text, kLimits)));
}

// Every pipeline of tests/graphs/valid.txt, and some that are wrong in ways that a schema can see.
TEST(JsonSchema, AgreesWithTheParserAsFarAsASchemaCanSee) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::temp_directory_path() / ("weft_schema_test_" + std::to_string(::getpid()));
  fs::create_directories(folder);
  const auto write = [&](const fs::path& name, const std::string& text) {
    std::ofstream(folder / name) << text;
  };
  write("schema.json", json_schema(example_catalog()));
  std::string command = "python3 pipeline/graph/testing/check_schema.py " + (folder / "schema.json").string();
  std::vector<bool> valid;
  const auto add = [&](const std::string& text, bool is_valid) {
    const fs::path name = std::to_string(valid.size()) + ".json";
    write(name, text);
    command += " " + (folder / name).string();
    valid.push_back(is_valid);
  };
  std::ifstream cases("tests/graphs/valid.txt");
  std::string line, current;
  bool reading = false;
  while (std::getline(cases, line)) {
    const bool begins = line.ends_with(".json") && line.starts_with("--- ");
    if (reading && line.starts_with("--- ")) add(std::exchange(current, {}), true);
    if (line.starts_with("--- ")) reading = begins;
    else if (reading) current += line + "\n";
  }
  ASSERT_GT(valid.size(), 10u);
  add(R"({"nodes":{}})", false);
  add(R"({"weft":2,"nodes":{}})", false);
  add(R"({"weft":1,"nodes":{"a":{"uses":"text.lod"}}})", false);
  add(R"({"weft":1,"nodes":{"a":{"uses":"text.load"}}})", false);
  add(R"({"weft":1,"nodes":{"a":{"uses":"text.load","with":{"path":5}}}})", false);
  add(R"({"weft":1,"nodes":{"a":{"uses":"math.scale","with":{"z":5}}}})", false);
  add(R"({"weft":1,"nodes":{"a":{"uses":"math.scale","in":{"x":"b"}}}})", false);
  add(R"({"weft":1,"nodes":{"a b":{"uses":"math.scale"}}})", false);
  std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string output;
  char buffer[4096];
  while (const size_t size = std::fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, size);
  const int status = ::pclose(pipe);
  fs::remove_all(folder);
  if (WIFEXITED(status) && (WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 127)) {
    GTEST_SKIP() << "skipped: needs Python with the package jsonschema";
  }
  ASSERT_EQ(status, 0) << output;
  std::istringstream lines(output);
  for (size_t i = 0; i < valid.size(); ++i) {
    ASSERT_TRUE(std::getline(lines, line));
    EXPECT_EQ(line == "valid", valid[i]) << i << ": " << line;
  }
}

}  // namespace
}  // namespace weft
