#include "plugins/science/protein_bert_model.h"

#include <algorithm>
#include <utility>

#include "kernels/layers/model_weights.h"
#include "kernels/networks/bert/bert_checkpoint.h"

namespace weft::science {
namespace {

constexpr std::string_view kResidues = "ACDEFGHIKLMNPQRSTVWY";
constexpr weft_parameter kParameters[] = {sdk::parameter(
    {.name = "precision",
     .type = "choice",
     .default_json = "\"f32\"",
     .choices = kPrecisions,
     .help = "What the network computes in. auto: bf16 where the processor multiplies it faster than f32."})};

}  // namespace

std::span<const weft_parameter> ProteinBertModel::parameters() { return kParameters; }

Result<std::unique_ptr<ProteinBertModel>> ProteinBertModel::open(const sdk::ModelSource& source) {
  Result<WeightFile> file = WeightFile::open(std::string(source.path()));
  if (!file.ok()) return file.status();
  std::unique_ptr<ProteinBertModel> model(new ProteinBertModel(source.host(), *std::move(file)));
  Result<BertConfig> config = read_bert_config(model->file_.metadata());
  if (!config.ok()) return config.status();
  config->head = BertHead::kWords;
  Result<Bert> network = Bert::open(bert_source(model->file_, config->head), *config,
                                    compute_type(source.parameters().get_text("precision")));
  if (!network.ok()) return network.status();
  model->network_.emplace(*std::move(network));
  if (Status read = model->read_vocabulary(); !read.ok()) return read;
  Result<std::string> key = note_model_files(source, model_files(model->file_));
  if (!key.ok()) return key.status();
  model->weights_key_ = *std::move(key);
  return model;
}

Status ProteinBertModel::read_vocabulary() {
  const std::string folder = file_.folder().string();
  const Result<Tokenizer> words = Tokenizer::from_folder(folder);
  if (!words.ok()) return words.status();
  const int64_t rows = network_->config().vocabulary;
  if (words->vocabulary_size() > rows)
    return Status(StatusCode::kCorruptData, "the vocabulary has more tokens than the model")
        .at(folder)
        .expected("at most " + std::to_string(rows))
        .got(std::to_string(words->vocabulary_size()));
  for (char letter = 'A'; letter <= 'Z'; ++letter)
    by_letter_[letter - 'A'] = words->find_piece(std::string_view(&letter, 1)).value_or(-1);
  for (const char letter : kResidues) {
    const TokenId token = by_letter_[letter - 'A'];
    if (token < 0)
      return Status(StatusCode::kUnsupported, "the vocabulary is not one of residues")
          .at(folder)
          .expected("a token for each of " + std::string(kResidues))
          .got("none for " + std::string(1, letter));
    residues_.push_back(token);
  }
  const SpecialTokens& special = words->special();
  if (!special.cls || !special.separator || !special.unknown || !special.mask)
    return Status(StatusCode::kUnsupported, "the vocabulary lacks one of BERT's own tokens")
        .at(folder)
        .expected("[CLS], [SEP], [UNK] and [MASK]");
  begin_ = *special.cls;
  end_ = *special.separator;
  mask_ = *special.mask;
  if (TokenId& x = by_letter_['X' - 'A']; x < 0) x = *special.unknown;
  return {};
}

Result<weft_model_estimate> ProteinBertModel::estimate() const {
  return sdk::model_estimate(static_cast<uint64_t>(network_->packed_weights_bytes()),
                             static_cast<uint64_t>(network_->mapped_bytes()));
}

Status ProteinBertModel::load(weft_stream* /*stream*/) {
  store_ = packed_weight_store(host_, weights_key_);
  if (Status loaded = network_->load(*store_, weights_key_ + ".words", host_.executor()); !loaded.ok())
    return std::move(loaded).at(file_.path().string());
  file_.drop_all_pages();  // packed; rows of embeddings are read as they are wanted
  return {};
}

void ProteinBertModel::evict() {
  network_->unload();
  store_.reset();
}

Result<std::vector<TokenId>> ProteinBertModel::tokens_of(std::string_view sequence) const {
  const auto most = static_cast<size_t>(network_->config().longest_text() - 2);
  if (sequence.empty()) return Status(StatusCode::kInvalidArgument, "a sequence without residues");
  if (sequence.size() > most)
    return Status(StatusCode::kOutOfRange, "the sequence is longer than the model reads")
        .expected("at most " + std::to_string(most) + " residues")
        .got(std::to_string(sequence.size()));
  std::vector<TokenId> tokens = {begin_};
  for (size_t i = 0; i < sequence.size(); ++i) {
    const char letter = sequence[i];
    const char capital = letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 'a' + 'A') : letter;
    const bool is_letter = capital >= 'A' && capital <= 'Z';
    const TokenId token = letter == '_' ? mask_ : is_letter ? by_letter_[capital - 'A'] : -1;
    if (token < 0) {
      Status status =
          Status(StatusCode::kInvalidArgument,
                 "residue " + std::to_string(i + 1) + " is none that the model knows")
              .expected(std::string(kResidues) + ", X, or _ for one to be guessed")
              .got(letter >= ' ' && letter <= '~' ? "'" + std::string(1, letter) + "'"
                                                  : "byte " + std::to_string(static_cast<uint8_t>(letter)));
      return letter == '/' ? std::move(status).hint("give each chain as a sequence of its own") : status;
    }
    tokens.push_back(token);
  }
  tokens.push_back(end_);
  return tokens;
}

}  // namespace weft::science
