/// The model type "text.language_model": a decoder with its tokenizer and chat template, and with a vision tower where it has one, or an
/// encoder with its tokenizer, shared by every node that names it. Which one it is, the files tell.
///
/// open() maps the files, the adapters' too, and reads headers, vocabulary and template; load() packs the weights, or
/// maps them from the host's packed-weight cache, and packs the adapters; on a device it uploads them all. Ownership: the host's residency owns it; nodes borrow it.
/// Thread safety: const members of a loaded model may be used by several nodes at once.
#ifndef WEFT_PLUGINS_TEXT_LANGUAGE_MODEL_H
#define WEFT_PLUGINS_TEXT_LANGUAGE_MODEL_H

#include <weft/sdk/plugin.h>

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/layers/model_device.h"
#include "kernels/networks/decoder/decoder.h"
#include "kernels/networks/decoder/device_decoder.h"
#include "kernels/networks/decoder/lora.h"
#include "modalities/text/chat_template/chat_template.h"
#include "modalities/text/constraint/constraint.h"
#include "modalities/text/tokenizer/tokenizer.h"
#include "modalities/weights/weight_file.h"
#include "plugins/text/picture_reader.h"
#include "plugins/text/sentence_encoder.h"

namespace weft::text {

/// An adapter as the pipeline's "models" entry names it.
struct AdapterSource {
  std::string path;  // absolute
  float scale = 1;
  std::optional<WeightFile> file;  // from open() on: what was hashed is what is loaded
  uint64_t device_bytes = 0;       // that it takes there, where the model is on a device
};

class LanguageModel {
 public:
  /// Parameters of the "models" entry.
  static std::span<const weft_parameter> parameters();

  static Result<std::unique_ptr<LanguageModel>> open(const sdk::ModelSource& source);
  ~LanguageModel();
  Result<weft_model_estimate> estimate() const;
  Status load(weft_stream* stream);
  void evict();
  Status offload(uint64_t most_bytes);

  const std::string& path() const { return path_; }
  /// Null: on the CPU.
  const ModelDevice* device() const { return device_ ? &*device_ : nullptr; }
  /// Bytes that one pass over the weights reads, without a vision tower's; on a device, of its memory.
  int64_t weights_bytes() const;
  // Precondition of these: encoder() is null.
  const DecoderConfig& config() const { return device_ ? device_decoder_->config() : decoder_->config(); }
  KvLayout kv_layout(KvFormat format) const {
    return {config().n_layers, config().n_kv_heads, config().head_dim, format};
  }
  const Decoder& decoder() const { return *decoder_; }                      // on the CPU
  const DeviceDecoder& device_decoder() const { return *device_decoder_; }  // on a device
  /// Null: the model is a decoder.
  const SentenceEncoder* encoder() const { return encoder_ ? &*encoder_ : nullptr; }
  /// Null: the model sees no pictures.
  const PictureReader* pictures() const { return pictures_ ? &*pictures_ : nullptr; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  /// kNotFound if the model has none; another error if it has one that this language does not cover, which hinders
  /// chat and nothing else.
  const Result<ChatTemplate>& chat_template() const { return chat_template_; }
  /// Whether its chat template asks for the date.
  bool template_tells_date() const {
    return tokenizer_->chat_template().find("strftime_now") != std::string_view::npos;
  }
  std::span<const LoraTerm> adapters() const { return adapter_terms_; }
  /// Ranks of all adapters together, for a pass's workspace.
  int64_t adapter_rank() const { return adapter_rank_; }
  /// How long the last load() took.
  double load_seconds() const { return load_seconds_; }
  /// The vocabulary for constrained output; built at the first call and kept. Any thread.
  Result<std::shared_ptr<const TokenTrie>> token_trie() const;

 private:
  LanguageModel(sdk::Host host, std::string path);
  Status open_network(DType compute);
  Status open_tokenizer();
  Status open_pictures(DType compute);
  Status note_files(const sdk::ModelSource& source);
  Status open_adapters(const sdk::ModelSource& source);
  /// Of the device's memory: first a vision tower and its projector, behind them the decoder or encoder.
  int64_t device_weights_bytes() const { return tower_bytes() + weights_bytes(); }
  int64_t tower_bytes() const { return pictures_ ? pictures_->network.device_weights_bytes() : 0; }
  Status load_on_cpu();
  Status load_on_device(weft_stream* stream);
  void apply(std::vector<LoraAdapter> adapters);

  sdk::Host host_;
  std::string path_;
  std::string weights_key_;  // of what the packed weights depend on; empty where that is not known
  std::vector<AdapterSource> adapter_sources_;
  int64_t adapter_rank_ = 0;
  uint64_t adapter_bytes_ = 0;  // of all of them: on a device exactly, else of the files
  double load_seconds_ = 0;
  std::optional<WeightFile> file_;
  std::optional<ModelDevice> device_;
  std::optional<Decoder> decoder_;  // one of these three; an encoder is on device_, if there is one
  std::optional<DeviceDecoder> device_decoder_;
  std::optional<SentenceEncoder> encoder_;
  std::optional<PictureReader> pictures_;  // of a decoder
  sdk::Buffer device_weights_;             // and adapters behind them
  std::optional<Tokenizer> tokenizer_;
  Result<ChatTemplate> chat_template_ = Status(StatusCode::kNotFound, "this model has no chat template");
  std::unique_ptr<PackedWeightStore> store_;  // of the loaded weights
  std::vector<LoraAdapter> adapters_;
  std::vector<LoraTerm> adapter_terms_;
  mutable std::mutex trie_mutex_;
  mutable std::shared_ptr<const TokenTrie> trie_;
};

}  // namespace weft::text
#endif
