#include "plugins/vision/text_tower.h"

#include <cmath>
#include <string_view>
#include <utility>

#include "kernels/networks/clip_text/clip_text_checkpoint.h"
#include "kernels/networks/open_clip/open_clip_config.h"
#include "modalities/text/tokenizer/normal_forms.h"
#include "modalities/weights/json_file.h"
#include "modalities/weights/metadata_reader.h"

namespace weft::vision {
namespace {

// A tensor of one value.
Result<double> read_scalar(const WeightFile& file, const std::string& name) {
  const Result<const WeightTensor*> tensor = file.tensor(name);
  if (!tensor.ok()) return tensor.status();
  if ((*tensor)->count() != 1)
    return Status(StatusCode::kInvalidShape, "this tensor is to be one number").at(file.where(**tensor));
  float value = 0;
  WeightSource::all_of(file).read_stored(name, &value);
  return value;
}

// SigLIP's first tokenizer drops punctuation; the second's is Gemma's.
Result<TextTower::Kind> kind_of(const WeightFile& file) {
  const std::string type = MetadataReader(file.metadata()).text_or("model_type", "");
  if (type != "siglip" && type != "siglip2") return TextTower::Kind::kClip;
  const std::filesystem::path path = file.folder() / "tokenizer_config.json";
  const Result<rapidjson::Document> json = read_json_file(path, kMaxConfigBytes);
  if (!json.ok()) return json.status();
  const bool first = json->IsObject() && json->HasMember("tokenizer_class") &&
                     (*json)["tokenizer_class"].IsString() &&
                     std::string_view((*json)["tokenizer_class"].GetString()).starts_with("SiglipTokenizer");
  return first ? TextTower::Kind::kSiglip : TextTower::Kind::kSiglip2;
}

bool is_punctuation(char c) {
  return std::string_view("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~").find(c) != std::string_view::npos;
}

// As SigLIP's texts were written: lower case, without punctuation, and words one space apart.
std::string canonical(std::string_view text, TextTower::Kind kind) {
  std::string lower, out;
  append_lower_case(lower, text);
  if (kind == TextTower::Kind::kSiglip2) return lower;
  bool space = false;
  for (const char c : lower) {
    if (is_punctuation(c)) continue;
    if (std::string_view(" \t\n\r\f\v").find(c) != std::string_view::npos) {
      space = !out.empty();
      continue;
    }
    if (std::exchange(space, false)) out += ' ';
    out += c;
  }
  return out;
}

// OpenCLIP pools a text at its largest id: that has to be the token that ends it.
Status check_end(const Tokenizer& tokenizer, const std::filesystem::path& folder) {
  const SpecialTokens& special = tokenizer.special();
  const bool around = special.add_bos && special.add_eos && special.bos && special.eos;
  if (around && *special.eos == tokenizer.vocabulary_size() - 1) return {};
  return Status(StatusCode::kUnsupported, "the tokenizer is not CLIP's")
      .at(folder.string())
      .expected("tokens around every text, of which the end is the vocabulary's last")
      .got(!around ? "a tokenizer that puts none around it"
                   : "the end " + std::to_string(*special.eos) + " of " +
                         std::to_string(tokenizer.vocabulary_size()) + " tokens")
      .hint(
          "keep CLIP's tokenizer.json beside the weights, or its vocab.json, merges.txt and "
          "tokenizer_config.json");
}

}  // namespace

Result<std::optional<TextTower>> TextTower::open(const WeightFile& file, DType compute) {
  WeightSource tensors = clip_text_source(file);
  if (tensors.tensors().empty()) return std::optional<TextTower>();
  const Result<ClipTextConfig> config = read_clip_text_config(file.metadata());
  if (!config.ok()) return config.status();
  Result<ClipText> network = ClipText::open(std::move(tensors), *config, compute);
  if (!network.ok()) return network.status();
  Result<Tokenizer> tokenizer = Tokenizer::from_weights(file);
  if (!tokenizer.ok()) return tokenizer.status();
  if (tokenizer->vocabulary_size() > config->vocabulary)
    return Status(StatusCode::kCorruptData, "the tokenizer has more tokens than the text encoder")
        .at(file.folder().string())
        .expected("at most " + std::to_string(config->vocabulary))
        .got(std::to_string(tokenizer->vocabulary_size()));
  if (is_open_clip(file.metadata()))
    if (Status status = check_end(*tokenizer, file.folder()); !status.ok()) return status;
  const Result<Kind> kind = kind_of(file);
  if (!kind.ok()) return kind.status();
  if (*kind != Kind::kClip && !tokenizer->special().eos)
    return Status(StatusCode::kCorruptData, "the tokenizer has no end token").at(file.folder().string());
  const Result<double> scale = read_scalar(file, "logit_scale");
  if (!scale.ok()) return scale.status();
  const Result<double> bias = *kind == Kind::kClip ? Result<double>(0.0) : read_scalar(file, "logit_bias");
  if (!bias.ok()) return bias.status();
  return std::optional<TextTower>(
      TextTower{*std::move(network), *std::move(tokenizer), *kind, std::exp(*scale), *bias});
}

Result<std::vector<TokenId>> TextTower::tokens_of(const std::string& text,
                                                  const std::function<bool()>& cancelled,
                                                  int64_t* n_cut) const {
  const auto most = static_cast<size_t>(network.config().n_positions);
  const bool clip = kind == Kind::kClip;
  const auto special = clip ? AddSpecial::kAsModelDeclares : AddSpecial::kNone;
  Result<std::vector<TokenId>> ids =
      tokenizer.encode(clip ? text : canonical(text, kind), {.add_special = special, .stop = cancelled});
  if (!ids.ok()) return ids;
  if (!clip) ids->push_back(*tokenizer.special().eos);
  if (ids->size() > most) {
    ++*n_cut;
    const TokenId last = ids->back();
    ids->resize(most);
    ids->back() = last;
  }
  if (!clip) ids->resize(most, tokenizer.special().padding.value_or(*tokenizer.special().eos));
  return ids;
}

}  // namespace weft::vision
