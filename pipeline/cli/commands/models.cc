/// weft models: the models on the search path, with sizes, kinds and hashes.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "modalities/weights/model_summary.h"
#include "pipeline/cli/byte_size.h"
#include "pipeline/cli/commands/commands.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/report.h"
#include "pipeline/files/content_hash.h"
#include "pipeline/files/folders.h"

namespace weft::cli {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

struct Options {
  bool as_json = false, no_hash = false;
};

struct FoundModel {
  std::string name;  // as a pipeline names it
  fs::path path;
  Result<ModelSummary> summary;
  std::string sha256;  // empty: not asked for, or not readable
};

/// Weight files, and folders that hold a model: what a pipeline can name.
bool looks_like_model(const fs::directory_entry& entry) {
  std::error_code error;
  const fs::path& path = entry.path();
  if (path.filename().string().front() == '.') return false;
  if (entry.is_regular_file(error))
    return path.extension() == ".gguf" || path.extension() == ".safetensors" || path.extension() == ".pt" ||
           path.extension() == ".onnx";
  return entry.is_directory(error) &&
         (fs::exists(path / "config.json", error) || fs::exists(path / "model.safetensors", error) ||
          fs::exists(path / "model_index.json", error));
}

std::vector<fs::directory_entry> entries_of(const fs::path& folder) {
  std::vector<fs::directory_entry> entries;
  std::error_code error;
  for (auto it = fs::directory_iterator(folder, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    entries.push_back(*it);
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

/// What lies directly in `folder`, and one level down ("emoji/clip"), but for the files and parts of another model.
std::vector<fs::path> models_below(const fs::path& folder) {
  std::vector<fs::path> names;
  for (const fs::directory_entry& outer : entries_of(folder)) {
    const bool is_model = looks_like_model(outer);
    const fs::path name = outer.path().filename();
    if (is_model) names.push_back(name);
    const std::vector<std::string> parts = model_parts(outer.path());
    for (const fs::directory_entry& inner : entries_of(outer.path())) {
      std::error_code error;
      const bool is_part = std::binary_search(parts.begin(), parts.end(), inner.path().filename().string()) ||
                           (is_model && !inner.is_directory(error));
      if (!is_part && looks_like_model(inner)) names.push_back(name / inner.path().filename());
    }
  }
  return names;
}

std::vector<FoundModel> find_models(const Options& options) {
  const FileHashCache hashes(cache_folder().empty() ? fs::path() : cache_folder() / "hashes");
  std::vector<FoundModel> models;
  for (const fs::path& folder : model_folders()) {
    for (const fs::path& relative : models_below(folder)) {
      const std::string name = relative.generic_string();
      const fs::path path = folder / relative;
      const bool hidden =
          std::any_of(models.begin(), models.end(), [&](const FoundModel& m) { return m.name == name; });
      if (hidden) continue;  // an earlier folder has one of that name
      FoundModel model{name, path, summarize_model(path), {}};
      if (!options.no_hash) {
        const Result<std::string> hash = hashes.sha256_of_tree(path);
        if (hash.ok()) model.sha256 = *hash;
      }
      models.push_back(std::move(model));
    }
  }
  return models;
}

std::string in_millions(uint64_t count) {
  char text[32];
  std::snprintf(text, sizeof text, count < 1'000'000'000 ? "%.0f M" : "%.2f B",
                static_cast<double>(count) / (count < 1'000'000'000 ? 1e6 : 1e9));
  return text;
}

void print_text(const std::vector<FoundModel>& models) {
  for (const FoundModel& model : models) {
    print(model.name + "\n");
    if (!model.summary.ok()) {
      print_wrapped("  cannot be read: " + to_string(model.summary.error()), 4);
      continue;
    }
    const ModelSummary& summary = *model.summary;
    std::string facts = "  " + summary.kind;
    if (!summary.architecture.empty()) facts += ", " + summary.architecture;
    facts += ", " + in_millions(summary.parameters) + " parameters, " + summary.container + " " +
             summary.format + ", " + format_byte_size(summary.size_bytes);
    if (summary.context_length > 0)
      facts += ", context " + std::to_string(summary.context_length) + " tokens";
    print_wrapped(facts, 4);
    print("  " + model.path.string() + "\n");
    if (!model.sha256.empty()) print("  sha256 " + model.sha256 + "\n");
  }
  if (models.empty()) {
    print("No models found in:\n");
    for (const fs::path& folder : model_folders()) print("  " + folder.string() + "\n");
    print_wrapped("In a clone of the project, scripts/fetch_models fetches small ones.", 2);
  }
}

void print_json(const std::vector<FoundModel>& models) {
  Json json = Json::array();
  for (const FoundModel& model : models) {
    Json entry{{"name", model.name}, {"path", model.path.string()}};
    if (model.summary.ok()) {
      const ModelSummary& s = *model.summary;
      entry.update({{"kind", s.kind},
                    {"architecture", s.architecture},
                    {"title", s.name},
                    {"container", s.container},
                    {"format", s.format},
                    {"parameters", s.parameters},
                    {"size_bytes", s.size_bytes},
                    {"context_length", s.context_length},
                    {"files", s.files}});
    } else {
      entry["error"] = to_string(model.summary.error());
    }
    if (!model.sha256.empty()) entry["sha256"] = model.sha256;
    json.push_back(std::move(entry));
  }
  print(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

std::function<int()> declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.flag("--json", options->as_json, "Print a JSON array");
  arguments.flag("--no-hash", options->no_hash,
                 "Leave the hashes out; the first one of a large model takes a while");
  return [options] {
    const std::vector<FoundModel> models = find_models(*options);
    if (options->as_json) {
      print_json(models);
    } else {
      print_text(models);
    }
    return kSuccess;
  };
}

}  // namespace

const Command kModelsCommand = {
    "models", "the models found, with sizes, kinds and hashes",
    "Looks in the folders of WEFT_MODELS, separated by ':', then in "
    "${XDG_DATA_HOME:-~/.local/share}/weft/models, then among those that ship with Weft.",
    "weft models\nweft models --json --no-hash", declare};

}  // namespace weft::cli
