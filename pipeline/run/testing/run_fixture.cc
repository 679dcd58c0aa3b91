#include "pipeline/run/testing/run_fixture.h"

#include <stdlib.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "pipeline/graph/diagnostic.h"
#include "pipeline/graph/parse.h"
#include "pipeline/run/testing/test_plugin.h"

namespace weft::testing {

namespace fs = std::filesystem;

RunFixture::RunFixture() {
  std::string pattern = (fs::temp_directory_path() / "weft-run-XXXXXX").string();
  folder_ = ::mkdtemp(pattern.data());
  host_options_.threads = 2;
  host_options_.model_folders = {folder_};
  options_.out_folder = folder_ / "out";
  options_.isa_level = "test";
  observations().clear();
}

RunFixture::~RunFixture() {
  host_.reset();
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

Host& RunFixture::host() {
  if (!host_) host_ = std::make_unique<Host>(host_options_);
  return *host_;
}

std::shared_ptr<const Graph> RunFixture::parse(const std::string& members) {
  const std::string text = R"({"weft": 1, "name": "test", )" + members + "}";
  write("test.json", text);
  ParsedPipeline parsed = parse_pipeline_file((folder_ / "test.json").string(), test_catalog());
  if (parsed.graph) return parsed.graph;
  for (const Diagnostic& diagnostic : parsed.diagnostics)
    ADD_FAILURE() << to_text(diagnostic, Excerpt::kShow);
  return std::make_shared<Graph>();
}

Result<RunResult> RunFixture::run(const std::string& members) {
  const std::shared_ptr<const Graph> graph = parse(members);
  auto prepared = prepare_run(*graph, test_provider(), host(), options_);
  if (!prepared.ok()) return prepared.status();
  events_.clear();
  auto result = execute(
      *prepared, options_, [this](const Event& event) { events_.push_back(describe(event)); }, &cancel_);
  EXPECT_EQ(host().temporaries().count(), 0u) << "a temporary is left";
  return result;
}

std::string RunFixture::output(const std::string& members, const std::string& name) {
  auto result = run(members);
  if (!result.ok()) {
    ADD_FAILURE() << to_string(result.error());
    return "";
  }
  const auto found = result->outputs_json.find(name);
  return found == result->outputs_json.end() ? "absent" : found->second;
}

void RunFixture::write(const std::string& name, const std::string& content) const {
  std::ofstream(folder_ / name, std::ios::binary) << content;
}

std::string RunFixture::read(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::vector<std::string> RunFixture::files_below(const fs::path& path) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::recursive_directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    if (it->is_regular_file()) files.push_back(it->path().lexically_relative(path).generic_string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// "2", or "0.2" within element 0 of a for_each further out.
static std::string place(const std::vector<uint32_t>& outer, uint32_t element) {
  std::string text;
  for (const uint32_t one : outer) text += std::to_string(one) + ".";
  return text + std::to_string(element);
}

std::string describe(const Event& event) {
  struct Line {
    std::string operator()(const NodeStarted& e) const { return "started " + std::string(e.node); }
    std::string operator()(const NodeFinished& e) const {
      return (e.origin == NodeFinished::Origin::kCached ? "cached " : "finished ") + std::string(e.node);
    }
    std::string operator()(const NodeSkipped& e) const {
      return "skipped " + std::string(e.node) + ": " + e.reason;
    }
    std::string operator()(const NodeFailed& e) const { return "failed " + std::string(e.node); }
    std::string operator()(const TextPart& e) const {
      return "part " + std::string(e.node) + "." + std::string(e.port) + " " + place(e.outer, e.element) +
             " '" + e.text + "'";
    }
    std::string operator()(const PartsDiscarded& e) const {
      return "discarded " + std::string(e.node) + " " + place(e.outer, e.element) + " attempt " +
             std::to_string(e.attempt);
    }
    std::string operator()(const Progress& e) const {
      return "progress " + std::string(e.node) + " " + std::to_string(e.done) + "/" +
             std::to_string(e.total) + " " + e.unit;
    }
    std::string operator()(const FileWritten& e) const {
      return "wrote " + std::string(e.node) + " " + e.path + " " + std::to_string(e.size_bytes);
    }
  };
  return std::visit(Line{}, event);
}

}  // namespace weft::testing
