#include "plugins/text/sentence_encoder.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "kernels/networks/bert/bert_checkpoint.h"
#include "modalities/weights/json_file.h"

namespace weft::text {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

Result<Json> read_json(const fs::path& path) {
  Result<std::string> text = read_small_file(path, kMaxConfigBytes);
  if (!text.ok()) return text.status();
  Json json = Json::parse(*text, nullptr, false);
  if (json.is_discarded()) return Status(StatusCode::kCorruptData, "not a JSON file").at(path.string());
  return json;
}

Status unsupported(const fs::path& path, const char* what, std::string expected, std::string got) {
  return Status(StatusCode::kUnsupported, what)
      .at(path.string())
      .expected(std::move(expected))
      .got("'" + got.substr(0, 200) + "'");
}

// "mean" of pooling_mode_mean_tokens, or of pooling_mode itself.
Result<Pooling> read_pooling(const fs::path& path) {
  const Result<Json> config = read_json(path);
  if (!config.ok()) return config.status();
  constexpr std::pair<const char*, Pooling> kKnown[] = {{"cls", Pooling::kFirst},
                                                        {"mean", Pooling::kMean},
                                                        {"max", Pooling::kMax},
                                                        {"lasttoken", Pooling::kLast}};
  std::vector<std::string> modes;
  if (config->is_object())
    for (const auto& [key, value] : config->items()) {
      constexpr std::string_view kPrefix = "pooling_mode_";
      if (key == "pooling_mode" && value.is_string()) modes.push_back(value.get<std::string>());
      if (!key.starts_with(kPrefix) || value != true) continue;
      std::string mode = key.substr(kPrefix.size());
      for (const char* ending : {"_tokens", "_token"})
        if (mode.ends_with(ending)) mode.resize(mode.size() - std::string_view(ending).size());
      modes.push_back(std::move(mode));
    }
  if (modes.size() == 1)
    for (const auto& [name, pooling] : kKnown)
      if (modes[0] == name) return pooling;
  std::string got;
  for (const std::string& mode : modes) got += (got.empty() ? "" : ", ") + mode;
  return unsupported(path, "unknown pooling", "one of cls, mean, max and lasttoken", got);
}

// The module's place below the folder; it must stay there.
Result<fs::path> place_of(const Json& module, const fs::path& modules, const fs::path& folder) {
  const std::string path = module.value("path", "");
  const fs::path below(path);
  if (below.is_absolute() || std::find(below.begin(), below.end(), "..") != below.end())
    return Status(StatusCode::kCorruptData, "a module lies outside of the model's folder")
        .at(modules.string())
        .got("'" + path + "'");
  return folder / below;
}

Status read_modules(const fs::path& folder, SentenceModules& out) {
  const fs::path path = folder / "modules.json";
  if (!is_there(path)) return {};
  const Result<Json> list = read_json(path);
  if (!list.ok()) return list.status();
  const auto is_module = [](const Json& module) {
    return module.is_object() && module.contains("type") && module["type"].is_string() &&
           (!module.contains("path") || module["path"].is_string());
  };
  if (!list->is_array() || !std::all_of(list->begin(), list->end(), is_module))
    return Status(StatusCode::kCorruptData, "not a list of modules with a type and a path").at(path.string());
  out.normalizes = false;
  size_t next = 0;  // what comes must come in this order
  constexpr std::string_view kOrder[] = {"Transformer", "Pooling", "Normalize"};
  for (const Json& module : *list) {
    const std::string type = module["type"].get<std::string>();
    const std::string_view name = std::string_view(type).substr(type.rfind('.') + 1);
    while (next < std::size(kOrder) && kOrder[next] != name) ++next;
    if (next == std::size(kOrder))
      return unsupported(path, "a module that is not known, or not in this place",
                         "Transformer, Pooling, and Normalize if wanted", type);
    const Result<fs::path> place = place_of(module, path, folder);
    if (!place.ok()) return place.status();
    if (name == "Transformer" && module.value("path", "") != "")
      return unsupported(path, "the transformer is not in the model's own folder", "path \"\"",
                         module.value("path", ""));
    out.normalizes = out.normalizes || name == "Normalize";
    if (name != "Pooling") continue;
    const Result<Pooling> pooling = read_pooling(*place / "config.json");
    if (!pooling.ok()) return pooling.status();
    out.pooling = *pooling;
    out.files.push_back(*place / "config.json");
  }
  return {};
}

Status read_transformer(const fs::path& folder, SentenceModules& out) {
  for (const char* file :
       {"sentence_bert_config.json", "sentence_roberta_config.json", "tokenizer_config.json"}) {
    const fs::path path = folder / file;
    if (!is_there(path)) continue;
    const Result<Json> config = read_json(path);
    if (!config.ok()) return config.status();
    const bool of_tokenizer = file == std::string_view("tokenizer_config.json");
    const char* key = of_tokenizer ? "model_max_length" : "max_seq_length";
    // Tokenizers without a limit have an absurd one.
    if (!out.max_tokens && config->is_object() && config->contains(key) &&
        (*config)[key].is_number_unsigned())
      out.max_tokens = (*config)[key].get<int64_t>();
    if (!of_tokenizer && config->is_object() && config->value("do_lower_case", Json(false)) == true)
      return unsupported(path, "texts that are made lower case before the tokenizer reads them",
                         "\"do_lower_case\": false", "true");
  }
  return {};
}

Status read_prompt(const fs::path& folder, SentenceModules& out) {
  const fs::path path = folder / "config_sentence_transformers.json";
  if (!is_there(path)) return {};
  const Result<Json> config = read_json(path);
  if (!config.ok()) return config.status();
  if (!config->is_object()) return {};
  const Json name = config->value("default_prompt_name", Json());
  if (!name.is_string()) return {};
  const Json prompts = config->value("prompts", Json());
  const std::string key = name.get<std::string>();
  if (!prompts.is_object() || !prompts.contains(key) || !prompts[key].is_string())
    return Status(StatusCode::kCorruptData, "the default prompt is not there")
        .at(path.string())
        .got("'" + key + "'");
  out.prompt = prompts[key].get<std::string>();
  return {};
}

}  // namespace

Result<SentenceModules> SentenceModules::read(const fs::path& folder) {
  SentenceModules modules;
  for (const auto step : {read_modules, read_transformer, read_prompt})
    if (Status status = step(folder, modules); !status.ok()) return status;
  return modules;
}

Result<SentenceEncoder> SentenceEncoder::open(const WeightFile& file, DType compute) {
  Result<BertConfig> config = read_bert_config(file.metadata());
  if (!config.ok()) return config.status();
  Result<Bert> network = Bert::open(bert_source(file), *config, compute);
  if (!network.ok()) return network.status();
  Result<SentenceModules> modules = SentenceModules::read(file.folder());
  if (!modules.ok()) return modules.status();
  const int64_t longest = config->longest_text();
  const int64_t max_tokens = std::clamp<int64_t>(modules->max_tokens.value_or(longest), 1, longest);
  return SentenceEncoder{*std::move(network), *std::move(modules), max_tokens};
}

}  // namespace weft::text
