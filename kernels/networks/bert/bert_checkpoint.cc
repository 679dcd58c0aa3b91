#include "kernels/networks/bert/bert_checkpoint.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "kernels/layers/activation_name.h"
#include "modalities/weights/metadata_reader.h"

namespace weft {
namespace {

constexpr std::string_view kTypes[] = {"bert", "roberta"};

std::string model_type(const Metadata& metadata) {
  const Result<std::string_view> type = metadata.string_or("model_type", "");
  return type.ok() ? std::string(*type) : std::string();
}

std::string todays_name(std::string name) {
  for (const auto& [old, now] : {std::pair{".gamma", ".weight"}, {".beta", ".bias"}})
    if (name.ends_with(old))
      return name.replace(name.size() - std::string_view(old).size(), std::string::npos, now);
  return name;
}

// The transform, and the decoder with its bias under one name; tied to the table of tokens, it may be left out of the file.
void add_word_head(const WeightSource& all, WeightSource& encoder) {
  const std::string transform = "cls.predictions.transform.", decoder = "cls.predictions.decoder";
  for (const auto& [name, tensor] : all.tensors())
    if (name.starts_with(transform)) encoder.add(todays_name(name), tensor);
  const auto first_of = [&](const std::string& own, const SourceTensor* of_file, const SourceTensor* other) {
    if (of_file || other) encoder.add(own, of_file ? *of_file : *other);
  };
  first_of(decoder + ".weight", all.find(decoder + ".weight"),
           encoder.find("embeddings.word_embeddings.weight"));
  first_of(decoder + ".bias", all.find(decoder + ".bias"), all.find("cls.predictions.bias"));
}

}  // namespace

bool is_bert(const Metadata& metadata) {
  return std::ranges::find(kTypes, model_type(metadata)) != std::end(kTypes);
}

Result<BertConfig> read_bert_config(const Metadata& metadata) {
  MetadataReader reader(metadata);
  const std::string type = reader.text_or("model_type", "");
  if (!is_bert(metadata)) reader.unsupported("model_type", type, "bert or roberta");
  BertConfig c;
  c.vocabulary = reader.size("vocab_size");
  c.width = reader.size("hidden_size");
  c.n_layers = reader.size("num_hidden_layers");
  c.n_heads = reader.size("num_attention_heads");
  c.mlp_width = reader.size("intermediate_size");
  c.n_positions = reader.size("max_position_embeddings");
  c.n_types = reader.size_or("type_vocab_size", 2);
  c.activation = read_activation(reader, "hidden_act", "gelu");
  c.epsilon = static_cast<float>(reader.positive_or("layer_norm_eps", 1e-12));
  if (type == "roberta")
    c.first_position = (reader.has("pad_token_id") ? reader.size("pad_token_id") : 1) + 1;
  const std::string positions = reader.text_or("position_embedding_type", "absolute");
  if (positions != "absolute") reader.unsupported("position_embedding_type", positions, "absolute");
  for (const char* key : {"is_decoder", "add_cross_attention"})
    if (reader.flag_or(key, false)) reader.unsupported(key, "true", "false");
  if (!reader.status().ok()) return reader.status();
  return c;
}

WeightSource bert_source(const WeightFile& file, BertHead head) {
  const WeightSource all = WeightSource::all_of(file);
  WeightSource encoder;
  std::string prefix;
  for (const std::string_view type : kTypes)
    if (all.contains(std::string(type) + ".embeddings.word_embeddings.weight"))
      prefix = std::string(type) + ".";
  for (const auto& [name, tensor] : all.tensors()) {
    if (!name.starts_with(prefix)) continue;
    std::string own = name.substr(prefix.size());
    const bool is_encoders = own.starts_with("embeddings.") || own.starts_with("encoder.");
    if (is_encoders) encoder.add(todays_name(std::move(own)), tensor);
  }
  if (head == BertHead::kWords) add_word_head(all, encoder);
  return encoder;
}

}  // namespace weft
