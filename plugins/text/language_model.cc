#include "plugins/text/language_model.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <utility>

#include "plugins/text/host_weight_store.h"

namespace weft::text {
namespace {

constexpr weft_parameter kParameters[] = {
    sdk::parameter({.name = "lora",
                    .type = "json",
                    .default_json = "[]",
                    .help = "Adapters (LoRA) to apply: [{\"path\": \"style.gguf\", \"scale\": 1.0}]. GGUF or "
                            "safetensors (PEFT); "
                            "relative paths start at the model's folder."})};

Result<std::vector<AdapterSource>> read_adapters(std::string_view json, const std::filesystem::path& folder) {
  constexpr const char* kExpected = "a list of objects with \"path\" and, if wanted, \"scale\"";
  const auto refuse = [&](const std::string& got) {
    return Status(StatusCode::kInvalidArgument, "the adapters cannot be read")
        .at("model parameter 'lora'")
        .expected(kExpected)
        .got(got);
  };
  const nlohmann::json list = nlohmann::json::parse(json, nullptr, false);
  if (!list.is_array()) return refuse(std::string(json));
  std::vector<AdapterSource> adapters;
  for (const nlohmann::json& item : list) {
    if (!item.is_object() || !item.contains("path") || !item["path"].is_string()) return refuse(item.dump());
    AdapterSource adapter{(folder / item["path"].get<std::string>()).string(), 1};
    for (const auto& [key, value] : item.items()) {
      if (key == "path") continue;
      if (key != "scale" || !value.is_number()) return refuse(item.dump());
      adapter.scale = value.get<float>();
    }
    adapters.push_back(std::move(adapter));
  }
  return adapters;
}

/// The largest rank of an adapter file's layers, from its headers.
int64_t largest_rank(const WeightFile& file) {
  int64_t rank = 0;
  for (const WeightTensor& tensor : file.tensors()) {
    const bool is_a =
        tensor.name.find("lora_a") != std::string::npos || tensor.name.find("lora_A") != std::string::npos;
    if (is_a && tensor.rank == 2) rank = std::max(rank, tensor.extents[0]);
  }
  return rank;
}

}  // namespace

std::span<const weft_parameter> LanguageModel::parameters() { return kParameters; }

LanguageModel::LanguageModel(sdk::Host host, std::string path, std::string sha256)
    : host_(host), path_(std::move(path)), sha256_(std::move(sha256)) {}

LanguageModel::~LanguageModel() = default;

Result<std::unique_ptr<LanguageModel>> LanguageModel::open(const sdk::ModelSource& source) {
  std::unique_ptr<LanguageModel> model(
      new LanguageModel(source.host(), std::string(source.path()), std::string(source.sha256())));
  Result<WeightFile> file = WeightFile::open(model->path_);
  if (!file.ok()) return file.status();
  model->file_.emplace(*std::move(file));
  Result<Decoder> decoder = Decoder::open(*model->file_);
  if (!decoder.ok()) return decoder.status();
  model->decoder_.emplace(*std::move(decoder));
  Result<Tokenizer> tokenizer = Tokenizer::from_weights(*model->file_);
  if (!tokenizer.ok()) return tokenizer.status();
  model->tokenizer_.emplace(*std::move(tokenizer));
  const int64_t rows = model->decoder_->config().vocabulary;
  if (model->tokenizer_->vocabulary_size() > rows) {
    return Status(StatusCode::kCorruptData, "the tokenizer has more tokens than the model")
        .at(model->path_)
        .expected("at most " + std::to_string(rows))
        .got(std::to_string(model->tokenizer_->vocabulary_size()));
  }
  if (const std::string_view source_text = model->tokenizer_->chat_template(); !source_text.empty()) {
    model->chat_template_ = ChatTemplate::parse(source_text, model->path_ + ", chat template");
  }
  Result<std::vector<AdapterSource>> adapters =
      read_adapters(source.parameters().get_text("lora"), model->file_->folder());
  if (!adapters.ok()) return adapters.status();
  model->adapter_sources_ = *std::move(adapters);
  for (const AdapterSource& adapter : model->adapter_sources_) {
    Result<WeightFile> weights = WeightFile::open(adapter.path);
    if (!weights.ok()) return weights.status();
    model->adapter_rank_ += largest_rank(*weights);
    model->adapter_bytes_ += weights->size_bytes();
  }
  return model;
}

Result<weft_model_estimate> LanguageModel::estimate() const {
  return sdk::model_estimate(static_cast<uint64_t>(decoder_->packed_weights_bytes()) + adapter_bytes_,
                             static_cast<uint64_t>(decoder_->mapped_bytes()));
}

Status LanguageModel::load(weft_stream* /*stream*/) {
  const auto start = std::chrono::steady_clock::now();
  const Executor executor = host_.executor();
  if (decoder_->loaded()) {  // evicted since
    Result<Decoder> decoder = Decoder::open(*file_);
    if (!decoder.ok()) return decoder.status();
    decoder_.emplace(*std::move(decoder));
  }
  // A folder has no hash of its own, and without one a cached entry could belong to other weights.
  const auto* packed =
      sha256_.empty() ? nullptr : host_.extension<weft_packed_weights_api>(WEFT_PACKED_WEIGHTS_ID);
  if (packed != nullptr) {
    store_ = std::make_unique<HostWeightStore>(packed);
  } else {
    store_ = std::make_unique<HeapWeightStore>();
  }
  if (Status status = decoder_->load(*store_, sha256_, executor); !status.ok())
    return std::move(status).at(path_);
  for (const AdapterSource& source : adapter_sources_) {
    Result<WeightFile> file = WeightFile::open(source.path);
    if (!file.ok()) return file.status();
    Result<LoraAdapter> adapter = LoraAdapter::load(*decoder_, *file, executor);
    if (!adapter.ok()) return adapter.status();
    adapters_.push_back(*std::move(adapter));
  }
  for (size_t i = 0; i < adapters_.size(); ++i) {
    adapter_terms_.push_back({&adapters_[i], adapter_sources_[i].scale});
  }
  load_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return {};
}

void LanguageModel::evict() {
  adapter_terms_.clear();
  adapters_.clear();
  store_.reset();  // load() makes a new decoder: this one still points into the store
}

Result<std::shared_ptr<const TokenTrie>> LanguageModel::token_trie() const {
  const std::lock_guard lock(trie_mutex_);
  if (trie_) return trie_;
  std::vector<std::string_view> tokens(tokenizer_->vocabulary_size());
  for (size_t id = 0; id < tokens.size(); ++id) {
    const auto token = static_cast<TokenId>(id);
    const TokenType type = tokenizer_->token_type(token);
    const bool is_text =
        type != TokenType::kControl && type != TokenType::kUnused && type != TokenType::kUnknown;
    if (is_text) tokens[id] = tokenizer_->token_bytes(token);
  }
  Result<std::shared_ptr<const TokenTrie>> trie =
      TokenTrie::build(tokens, tokenizer_->special().end_of_generation);
  if (!trie.ok()) return trie.status();
  trie_ = *std::move(trie);
  return trie_;
}

}  // namespace weft::text
