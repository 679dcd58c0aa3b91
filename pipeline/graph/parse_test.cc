// Runs tests/graphs/*.txt: pipelines, and the graph or the diagnostics that they give with example_catalog().
//
// A file holds cases: "=== name", then "--- file.json" sections (the first one is parsed, the others are there for
// "pipeline:..."), then "--- expect". With WEFT_UPDATE_GRAPHS=1 the expectations are written anew: read the difference.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "pipeline/graph/parse.h"
#include "pipeline/graph/testing/describe_graph.h"
#include "pipeline/graph/testing/example_catalog.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
const fs::path kFolder = "tests/graphs";

struct Case {
  std::string name, first_file, expected;
  std::map<std::string, std::string> files;
};

std::vector<Case> read_cases(const fs::path& path) {
  std::ifstream in(path);
  std::vector<Case> cases;
  std::string line;
  std::string* section = nullptr;
  while (std::getline(in, line)) {
    if (line.rfind("=== ", 0) == 0) {
      cases.push_back({line.substr(4), {}, {}, {}});
      section = nullptr;
    } else if (line.rfind("--- ", 0) == 0 && !cases.empty()) {
      const std::string name = line.substr(4);
      Case& current = cases.back();
      if (name != "expect" && current.first_file.empty()) current.first_file = name;
      section = name == "expect" ? &current.expected : &current.files[name];
    } else if (section != nullptr) {
      *section += line + "\n";
    }
  }
  return cases;
}

std::string outcome(const Case& test) {
  static const Catalog catalog = example_catalog();
  const PipelineReader read = [&](const std::string& path) -> Result<std::string> {
    const auto found = test.files.find(path);
    if (found == test.files.end()) return Status(StatusCode::kNotFound, "No such file or directory");
    return found->second;
  };
  const ParsedPipeline parsed =
      parse_pipeline(test.files.at(test.first_file), test.first_file, catalog, read);
  std::string text;
  for (const Diagnostic& diagnostic : parsed.diagnostics) {
    text += to_text(diagnostic, Excerpt::kHide) + "  at " + diagnostic.pointer + "\n";
  }
  if (parsed.graph) text += describe_graph(*parsed.graph);
  return text;
}

void write_cases(const fs::path& path, const std::vector<Case>& cases) {
  std::ofstream out(path);
  for (const Case& test : cases) {
    out << "=== " << test.name << "\n--- " << test.first_file << "\n" << test.files.at(test.first_file);
    for (const auto& [name, text] : test.files) {
      if (name != test.first_file) out << "--- " << name << "\n" << text;
    }
    out << "--- expect\n" << outcome(test);
  }
}

class PipelineFiles : public testing::TestWithParam<std::string> {};

TEST_P(PipelineFiles, GiveTheExpectedGraphsAndDiagnostics) {
  const fs::path path = kFolder / GetParam();
  const std::vector<Case> cases = read_cases(path);
  ASSERT_FALSE(cases.empty()) << path;
  if (std::getenv("WEFT_UPDATE_GRAPHS") != nullptr) write_cases(path, cases);
  for (const Case& test : cases) {
    if (std::getenv("WEFT_UPDATE_GRAPHS") == nullptr) {
      EXPECT_EQ(outcome(test), test.expected) << path << ": " << test.name;
    }
  }
}

std::vector<std::string> file_names() {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".txt") names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Graphs, PipelineFiles, testing::ValuesIn(file_names()),
                         [](const auto& param) { return param.param.substr(0, param.param.find('.')); });

std::string chain_of(size_t n_nodes) {
  std::ostringstream text;
  text << "{\"weft\":1,\"nodes\":{\"n0\":{\"uses\":\"math.scale\",\"with\":{\"x\":1}}";
  for (size_t i = 1; i < n_nodes; ++i) {
    text << ",\n\"n" << i << "\":{\"uses\":\"math.scale\",\"in\":{\"x\":\"n" << i - 1 << ".y\",\"by\":\"n"
         << i / 2 << ".y\"}}";
  }
  text << "},\"outputs\":{\"y\":\"n" << n_nodes - 1 << ".y\"}}";
  return text.str();
}

TEST(ParsePipeline, TakesTenThousandNodes) {
  const Catalog catalog = example_catalog();
  const ParsedPipeline parsed = parse_pipeline(chain_of(10'000), "chain.json", catalog);
  ASSERT_TRUE(parsed.graph) << to_text(parsed.diagnostics.at(0), Excerpt::kShow);
  EXPECT_EQ(parsed.graph->nodes.size(), 10'000u);
  EXPECT_EQ(parsed.graph->nodes[9'999].depends_on, (std::vector<uint32_t>{4'999, 9'998}));
}

TEST(ParsePipeline, CountsErrorsBeyondTheLimitInsteadOfListingThem) {
  std::string text = "{\"weft\":1,\"nodes\":{";
  for (int i = 0; i < 10'000; ++i)
    text += (i ? ",\"n" : "\"n") + std::to_string(i) + "\":{\"uses\":\"text.lod\"}";
  const ParsedPipeline parsed = parse_pipeline(text + "}}", "wrong.json", example_catalog());
  EXPECT_FALSE(parsed.graph);
  ASSERT_EQ(parsed.diagnostics.size(), kMaxDiagnostics + 1);
  EXPECT_EQ(parsed.diagnostics.back().message, "9900 more errors");
}

TEST(ParsePipeline, RefusesWhatIsTooLarge) {
  const Catalog catalog = example_catalog();
  const auto first_message = [&](const std::string& text) {
    const ParsedPipeline parsed = parse_pipeline(text, "big.json", catalog);
    return parsed.diagnostics.empty() ? "" : parsed.diagnostics[0].message;
  };
  EXPECT_EQ(first_message(std::string(kMaxPipelineBytes + 1, ' ')), "a file of 16777217 bytes");
  EXPECT_EQ(first_message(std::string(100'000, '[')), "arrays and objects nested deeper than 64");
  EXPECT_EQ(first_message("\"" + std::string(kMaxPipelineStringBytes + 1, 'x') + "\""),
            "a text of 1048577 bytes");
  std::string values = "[0";
  for (size_t i = 0; i < kMaxPipelineValues; ++i) values += ",0";
  EXPECT_EQ(first_message(values + "]"), "more than 2000000 values");
  std::string nodes = "{\"weft\":1,\"nodes\":{\"a\":{}";
  for (size_t i = 0; i < kMaxPipelineNodes; ++i) nodes += ",\"n" + std::to_string(i) + "\":{}";
  EXPECT_EQ(first_message(nodes + "}}"), "32769 nodes");
}

TEST(ParsePipeline, RefusesSubgraphsThatMultiply) {
  // Each file uses the next one twice: 2^16 nodes from a few lines.
  const PipelineReader read = [](const std::string& path) -> Result<std::string> {
    const int level = std::stoi(path);
    if (level == 15) {
      return std::string(
          "{\"weft\":1,\"nodes\":{\"a\":{\"uses\":\"math.scale\",\"with\":{\"x\":1}},"
          "\"b\":{\"uses\":\"math.scale\",\"with\":{\"x\":1}},\"c\":{\"uses\":\"math.scale\",\"with\":{\"x\":"
          "1}}}}");
    }
    const std::string uses = "{\"uses\":\"pipeline:" + std::to_string(level + 1) + "\"}";
    return "{\"weft\":1,\"nodes\":{\"a\":" + uses + ",\"b\":" + uses + "}}";
  };
  const Catalog catalog = example_catalog();
  const ParsedPipeline parsed = parse_pipeline(*read("0"), "0", catalog, read);
  EXPECT_FALSE(parsed.graph);
  EXPECT_EQ(parsed.diagnostics.at(0).message, "more nodes than allowed, with all pipelines that it uses");
}

TEST(ParsePipeline, ReportsAFileThatCannotBeRead) {
  const ParsedPipeline parsed = parse_pipeline_file("no/such/file.json", Catalog());
  EXPECT_FALSE(parsed.graph);
  ASSERT_EQ(parsed.diagnostics.size(), 1u);
  EXPECT_EQ(to_text(parsed.diagnostics[0], Excerpt::kShow),
            "no/such/file.json: error: cannot read the pipeline: No such file or directory\n");
  EXPECT_EQ(read_pipeline_file("tests").code(), StatusCode::kIoError);
}

}  // namespace
}  // namespace weft
