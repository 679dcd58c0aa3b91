#include "plugins/text/language_model.h"

#include <weft/sdk/measure.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "kernels/layers/model_weights.h"
#include "kernels/networks/bert/bert_checkpoint.h"

namespace weft::text {
namespace {

constexpr weft_parameter kParameters[] = {
    sdk::parameter({.name = "lora",
                    .type = "json",
                    .default_json = "[]",
                    .help = "Adapters (LoRA) to apply: [{\"path\": \"style.gguf\", \"scale\": 1.0}]. GGUF or "
                            "safetensors (PEFT); "
                            "relative paths start at the model's folder."}),
    kDeviceParameter,
    sdk::parameter({.name = "precision",
                    .type = "choice",
                    .default_json = "\"auto\"",
                    .choices = kPrecisions,
                    .help =
                        "What an encoder of texts or pictures computes in. auto: bf16 on devices and where "
                        "the processor multiplies it faster than f32. Decoders compute as their "
                        "weights are stored."})};

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
    AdapterSource adapter;
    adapter.path = (folder / item["path"].get<std::string>()).string();
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

/// What a model file lacks or contradicts makes it a corrupt one: it is the file that was found.
Status corrupt(const WeightFile& file, const Status& status) {
  const bool about_content =
      status.code() == StatusCode::kNotFound || status.code() == StatusCode::kInvalidShape;
  if (file.container() != WeightContainer::kGguf || !about_content) return status;
  Error error = status.error();
  error.code = StatusCode::kCorruptData;
  return error;
}

}  // namespace

std::span<const weft_parameter> LanguageModel::parameters() { return kParameters; }

LanguageModel::LanguageModel(sdk::Host host, std::string path) : host_(host), path_(std::move(path)) {}

LanguageModel::~LanguageModel() = default;

Result<std::unique_ptr<LanguageModel>> LanguageModel::open(const sdk::ModelSource& source) {
  std::unique_ptr<LanguageModel> model(new LanguageModel(source.host(), std::string(source.path())));
  Result<WeightFile> file = WeightFile::open(model->path_);
  if (!file.ok()) return file.status();
  model->file_.emplace(*std::move(file));
  Result<std::optional<ModelDevice>> device = ModelDevice::open(source.parameters());
  if (!device.ok()) return device.status();
  model->device_ = *std::move(device);
  const DType compute = compute_type(source.parameters().get_text("precision"),
                                     model->device_ ? ComputePlace::kDevice : ComputePlace::kHost);
  if (Status status = model->open_network(compute); !status.ok()) return status;
  if (Status status = model->open_tokenizer(); !status.ok()) return status;
  if (Status status = model->open_pictures(compute); !status.ok()) return status;
  if (Status noted = model->note_files(source); !noted.ok()) return noted;
  if (Status opened = model->open_adapters(source); !opened.ok()) return opened;
  return model;
}

Status LanguageModel::open_network(DType compute) {
  if (is_bert(file_->metadata())) {
    Result<SentenceEncoder> encoder = SentenceEncoder::open(*file_, compute);
    if (!encoder.ok()) return encoder.status();
    encoder_.emplace(*std::move(encoder));
    return {};
  }
  if (device_) {
    Result<DeviceDecoder> decoder = DeviceDecoder::open(*file_);
    if (!decoder.ok()) return corrupt(*file_, decoder.status());
    device_decoder_.emplace(*std::move(decoder));
    return {};
  }
  Result<Decoder> decoder = Decoder::open(*file_);
  if (!decoder.ok()) return corrupt(*file_, decoder.status());
  decoder_.emplace(*std::move(decoder));
  return {};
}

Status LanguageModel::open_tokenizer() {
  Result<Tokenizer> tokenizer = Tokenizer::from_weights(*file_);
  if (!tokenizer.ok()) return corrupt(*file_, tokenizer.status());
  tokenizer_.emplace(*std::move(tokenizer));
  const int64_t rows = encoder_ ? encoder_->network.config().vocabulary : config().vocabulary;
  if (tokenizer_->vocabulary_size() > rows) {
    return Status(StatusCode::kCorruptData, "the tokenizer has more tokens than the model")
        .at(path_)
        .expected("at most " + std::to_string(rows))
        .got(std::to_string(tokenizer_->vocabulary_size()));
  }
  if (const std::string_view source_text = tokenizer_->chat_template(); !source_text.empty()) {
    chat_template_ = ChatTemplate::parse(source_text, path_ + ", chat template");
  }
  return {};
}

Status LanguageModel::open_pictures(DType compute) {
  if (encoder_) return {};
  Result<std::optional<PictureReader>> pictures =
      PictureReader::open(*file_, *tokenizer_, config().width, compute);
  if (!pictures.ok()) return pictures.status();
  pictures_ = *std::move(pictures);
  return {};
}

Status LanguageModel::note_files(const sdk::ModelSource& source) {
  std::vector<std::string> files = model_files(*file_);
  if (encoder_)
    for (const std::filesystem::path& file : encoder_->modules.files) files.push_back(file.string());
  Result<std::string> key = note_model_files(source, files);
  if (!key.ok()) return key.status();
  weights_key_ = *std::move(key);
  return {};
}

Status LanguageModel::open_adapters(const sdk::ModelSource& source) {
  Result<std::vector<AdapterSource>> adapters =
      read_adapters(source.parameters().get_text("lora"), file_->folder());
  if (!adapters.ok()) return adapters.status();
  if (encoder_ && !adapters->empty())
    return Status(StatusCode::kUnsupported, "an encoder takes no adapters").at("model parameter 'lora'");
  adapter_sources_ = *std::move(adapters);
  for (AdapterSource& adapter : adapter_sources_) {
    Result<WeightFile> weights = WeightFile::open(adapter.path);
    if (!weights.ok()) return weights.status();
    for (const std::string& path : model_files(*weights)) {
      if (Result<std::string> hash = source.add_file(path); !hash.ok()) return hash.status();
    }
    adapter_rank_ += largest_rank(*weights);
    if (device_) {
      Result<int64_t> bytes = LoraAdapter::device_bytes(*device_decoder_, *weights);
      if (!bytes.ok()) return bytes.status();
      adapter.device_bytes = static_cast<uint64_t>(*bytes);
    }
    adapter_bytes_ += device_ ? adapter.device_bytes : weights->size_bytes();
    adapter.file.emplace(*std::move(weights));
  }
  return {};
}

Result<weft_model_estimate> LanguageModel::estimate() const {
  if (device_)
    return sdk::model_estimate(
        static_cast<uint64_t>(device_weights_bytes()) + adapter_bytes_, 0, device_->id,
        static_cast<uint64_t>(device_decoder_ ? device_decoder_->offloaded_bytes() : 0));
  if (encoder_)
    return sdk::model_estimate(static_cast<uint64_t>(encoder_->network.packed_weights_bytes()),
                               static_cast<uint64_t>(encoder_->network.mapped_bytes()));
  const int64_t of_tower = pictures_ ? pictures_->network.packed_weights_bytes() : 0;
  return sdk::model_estimate(
      static_cast<uint64_t>(decoder_->packed_weights_bytes() + of_tower) + adapter_bytes_,
      static_cast<uint64_t>(decoder_->mapped_bytes()));
}

int64_t LanguageModel::weights_bytes() const {
  if (encoder_)
    return device_ ? encoder_->network.device_weights_bytes() : encoder_->network.packed_weights_bytes();
  return device_ ? device_decoder_->weights_bytes() : decoder_->packed_weights_bytes();
}

Status LanguageModel::load(weft_stream* stream) {
  const sdk::Stopwatch watch;
  Status loaded = device_ ? load_on_device(stream) : load_on_cpu();
  load_seconds_ = watch.seconds();
  return loaded;
}

Status LanguageModel::load_on_device(weft_stream* stream) {
  const auto of_networks = static_cast<uint64_t>(device_weights_bytes());
  Result<sdk::Buffer> memory = host_.allocate(of_networks + adapter_bytes_, stream, "weights", device_->id);
  if (!memory.ok()) return memory.status();
  const DeviceStream own = device_->stream(host_, stream);
  const auto part = [&](uint64_t begin, uint64_t bytes) {
    return DeviceBuffer::borrow(static_cast<std::byte*>(memory->data()) + begin, bytes);
  };
  const auto of_tower = static_cast<uint64_t>(tower_bytes());
  DeviceBuffer weights = part(of_tower, of_networks - of_tower);
  Status loaded = encoder_ ? encoder_->network.load_on(own, host_.executor(), {}, std::move(weights))
                           : device_decoder_->load(own, std::move(weights));
  if (loaded.ok() && pictures_)
    loaded = pictures_->network.load_on(own, host_.executor(), {}, part(0, of_tower));
  std::vector<LoraAdapter> adapters;
  uint64_t at = of_networks;
  for (const AdapterSource& source : adapter_sources_) {
    if (!loaded.ok()) break;
    Result<LoraAdapter> adapter =
        LoraAdapter::load(*device_decoder_, *source.file, own, part(at, source.device_bytes));
    if (adapter.ok()) adapters.push_back(*std::move(adapter));
    loaded = adapter.status();
    at += source.device_bytes;
  }
  if (!loaded.ok()) {
    evict();
    return std::move(loaded).at(path_);
  }
  device_weights_ = *std::move(memory);
  apply(std::move(adapters));
  file_->drop_all_pages();  // uploaded, or read by the tokenizer
  return {};
}

Status LanguageModel::load_on_cpu() {
  const Executor executor = host_.executor();
  if (decoder_ && decoder_->loaded()) {  // evicted since
    Result<Decoder> decoder = Decoder::open(*file_);
    if (!decoder.ok()) return decoder.status();
    decoder_.emplace(*std::move(decoder));
  }
  store_ = packed_weight_store(host_, weights_key_);
  Status loaded = encoder_ ? encoder_->network.load(*store_, weights_key_ + ".bert", executor)
                           : decoder_->load(*store_, weights_key_, executor);
  if (loaded.ok() && pictures_) loaded = pictures_->network.load(*store_, weights_key_, executor);
  if (!loaded.ok()) return std::move(loaded).at(path_);
  file_
      ->drop_all_pages();  // packed, or read by the tokenizer; rows of embeddings are read as they are wanted
  std::vector<LoraAdapter> adapters;
  for (const AdapterSource& source : adapter_sources_) {
    Result<LoraAdapter> adapter = LoraAdapter::load(*decoder_, *source.file, executor);
    if (!adapter.ok()) return adapter.status();
    adapters.push_back(*std::move(adapter));
  }
  apply(std::move(adapters));
  return {};
}

void LanguageModel::apply(std::vector<LoraAdapter> adapters) {
  adapters_ = std::move(adapters);
  adapter_terms_.clear();
  for (size_t i = 0; i < adapters_.size(); ++i)
    adapter_terms_.push_back({&adapters_[i], adapter_sources_[i].scale});
}

Status LanguageModel::offload(uint64_t most_bytes) {
  // A tower and adapters stay on the device.
  const uint64_t beside = static_cast<uint64_t>(tower_bytes()) + adapter_bytes_,
                 of_decoder = most_bytes > beside ? most_bytes - beside : 0;
  if (device_decoder_) return device_decoder_->offload(static_cast<int64_t>(of_decoder));
  return Status(StatusCode::kUnsupported, "only decoders on devices leave layers on the CPU").at(path_);
}

void LanguageModel::evict() {
  if (device_decoder_) device_decoder_->unload();
  device_weights_ = {};
  adapter_terms_.clear();
  adapters_.clear();
  if (encoder_) encoder_->network.unload();
  if (pictures_) pictures_->network.unload();
  if (device_) device_->spare->clear();
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
