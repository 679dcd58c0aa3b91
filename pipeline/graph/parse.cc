#include "pipeline/graph/parse.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <tuple>

#include <sys/stat.h>

#include "pipeline/graph/file_parser.h"

namespace weft {
namespace {

constexpr JsonLimits kLimits{kMaxPipelineBytes, kMaxPipelineDepth, kMaxPipelineStringBytes,
                             kMaxPipelineValues};

// The files of one parse: each is read once, and none may contain itself.
class Session {
 public:
  Session(const Catalog& catalog, const PipelineReader& read) : catalog_(catalog), read_(read) {}

  std::shared_ptr<const Graph> parse(std::string_view text, const std::string& file);
  std::vector<Diagnostic> take_diagnostics();
  std::vector<PipelineSource> take_sources() { return std::move(sources_); }

 private:
  SubgraphResult load(const std::string& folder, const std::string& path);
  void check_size(const Graph& graph, FileReport& report);

  const Catalog& catalog_;
  const PipelineReader& read_;
  DiagnosticList diagnostics_;
  std::vector<PipelineSource> sources_;                       // in the order in which they were met
  std::vector<std::string> open_;                             // files being parsed, the outermost first
  std::map<std::string, std::shared_ptr<const Graph>> done_;  // null: has errors
  std::map<const Graph*, size_t> n_nodes_;                    // with subgraphs expanded
};

std::string normal(const std::filesystem::path& path) { return path.lexically_normal().string(); }

std::shared_ptr<const Graph> Session::parse(std::string_view text, const std::string& file) {
  sources_.push_back({file, std::string(text)});
  const LineIndex lines(text);
  const auto parsed = JsonTree::parse(text, kLimits);
  if (const auto* broken = std::get_if<JsonError>(&parsed)) {
    FileReport report(diagnostics_, file, lines, nullptr);
    report.error_at(kNoJson, broken->offset, {broken->message, broken->expected, {}, broken->hint});
    return nullptr;
  }
  const auto& tree = std::get<JsonTree>(parsed);
  FileReport report(diagnostics_, file, lines, &tree);
  const std::string folder = std::filesystem::path(file).parent_path().string();
  open_.push_back(normal(file));
  FileParser parser(tree, catalog_, report, lines,
                    [&](const std::string& path) { return load(folder, path); });
  std::shared_ptr<const Graph> graph = parser.parse(folder);
  open_.pop_back();
  if (graph) check_size(*graph, report);
  return graph;
}

SubgraphResult Session::load(const std::string& folder, const std::string& path) {
  if (path.empty()) return {nullptr, Mistake{"no file name", "\"pipeline:other.json\"", {}, {}}};
  const std::string file = normal(std::filesystem::path(folder) / path);
  if (const auto again = std::find(open_.begin(), open_.end(), file); again != open_.end()) {
    std::string chain;
    for (auto step = again; step != open_.end(); ++step) chain += *step + " -> ";
    return {nullptr, Mistake{"a pipeline that contains itself: " + chain + file, {}, {}, {}}};
  }
  if (open_.size() > kMaxSubgraphDepth) {
    return {nullptr,
            Mistake{"pipelines nested deeper than " + std::to_string(kMaxSubgraphDepth), {}, {}, {}}};
  }
  if (const auto known = done_.find(file); known != done_.end()) return {known->second, std::nullopt};
  if (done_.size() + open_.size() > kMaxSubgraphFiles) {
    return {nullptr,
            Mistake{"more than " + std::to_string(kMaxSubgraphFiles) + " pipeline files", {}, {}, {}}};
  }
  const Result<std::string> text = read_(file);
  if (!text.ok()) {
    done_[file] = nullptr;
    return {nullptr,
            Mistake{"cannot read '" + file + "': " + text.error().message, {}, {}, text.error().hint}};
  }
  std::shared_ptr<const Graph> graph = parse(*text, file);
  done_[file] = graph;
  return {graph, std::nullopt};
}

void Session::check_size(const Graph& graph, FileReport& report) {
  size_t count = 0;  // each addend is at most the limit + 1, and there are at most as many: no overflow
  for (const Node& node : graph.nodes) count += 1 + (node.subgraph ? n_nodes_[node.subgraph.get()] : 0);
  n_nodes_[&graph] = std::min(count, kMaxPipelineNodes + 1);
  if (count > kMaxPipelineNodes) {
    report.error(0, {"more nodes than allowed, with all pipelines that it uses",
                     "at most " + std::to_string(kMaxPipelineNodes),
                     {},
                     {}});
  }
}

std::vector<Diagnostic> Session::take_diagnostics() {
  std::vector<Diagnostic> result = std::move(diagnostics_.kept);
  const auto place = [](const Diagnostic& d) { return std::tie(d.file, d.position.line, d.position.column); };
  std::stable_sort(result.begin(), result.end(),
                   [&](const Diagnostic& a, const Diagnostic& b) { return place(a) < place(b); });
  if (diagnostics_.errors > kMaxDiagnostics) {
    Diagnostic rest;
    rest.file = result.back().file;
    rest.message = std::to_string(diagnostics_.errors - kMaxDiagnostics) + " more errors";
    result.push_back(std::move(rest));
  }
  return result;
}

}  // namespace

Result<std::string> read_pipeline_file(const std::string& path) {
  const auto failure = [&](int code) {
    const StatusCode status = code == ENOENT                    ? StatusCode::kNotFound
                              : code == EACCES || code == EPERM ? StatusCode::kPermissionDenied
                                                                : StatusCode::kIoError;
    return Status(status, std::strerror(code)).at(path);
  };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  if (!file) return failure(errno);
  struct stat info {};
  if (fstat(fileno(file.get()), &info) != 0) return failure(errno);
  if (S_ISDIR(info.st_mode)) return failure(EISDIR);
  std::string text;
  char buffer[1 << 16];
  while (const size_t size = std::fread(buffer, 1, sizeof buffer, file.get())) {
    text.append(buffer, size);
    if (text.size() > kMaxPipelineBytes) {
      return Status(StatusCode::kOutOfRange, "larger than " + std::to_string(kMaxPipelineBytes) + " bytes")
          .at(path);
    }
  }
  if (std::ferror(file.get()) != 0) return failure(errno);
  return text;
}

ParsedPipeline parse_pipeline(std::string_view text, const std::string& file, const Catalog& catalog,
                              const PipelineReader& read) {
  Session session(catalog, read);
  ParsedPipeline parsed;
  parsed.graph = session.parse(text, file);
  parsed.diagnostics = session.take_diagnostics();
  parsed.sources = session.take_sources();
  if (has_errors(parsed.diagnostics)) parsed.graph = nullptr;
  return parsed;
}

ParsedPipeline parse_pipeline_file(const std::string& file, const Catalog& catalog) {
  const Result<std::string> text = read_pipeline_file(file);
  if (text.ok()) return parse_pipeline(*text, file, catalog, read_pipeline_file);
  Diagnostic diagnostic;
  diagnostic.file = file;
  diagnostic.message = "cannot read the pipeline: " + text.error().message;
  return {nullptr, {diagnostic}, {}};
}

}  // namespace weft
