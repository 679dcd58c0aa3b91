/// The model type "science.protein_bert": a BERT whose words are residues, with its head for masked ones, such as AntiBERTy.
///
/// A Hugging Face folder: config.json, weights (pytorch_model.bin or safetensors), and vocab.txt, where residues are capital
/// letters. open() reads headers; load() packs. Ownership: the host's residency owns it; nodes borrow it. Thread safety: const
/// members of a loaded model may be used by several nodes at once.
/// Source: Ruffolo et al. 2021, arXiv:2112.07782; Elnaggar et al. 2020, arXiv:2007.06225 (ProtBert has the same layout).
#ifndef WEFT_PLUGINS_SCIENCE_PROTEIN_BERT_MODEL_H
#define WEFT_PLUGINS_SCIENCE_PROTEIN_BERT_MODEL_H

#include <weft/sdk/plugin.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/layers/packed_weight_store.h"
#include "kernels/networks/bert/bert.h"
#include "modalities/text/tokenizer/tokenizer.h"
#include "modalities/weights/weight_file.h"

namespace weft::science {

class ProteinBertModel {
 public:
  static std::span<const weft_parameter> parameters();
  static Result<std::unique_ptr<ProteinBertModel>> open(const sdk::ModelSource& source);
  Result<weft_model_estimate> estimate() const;
  Status load(weft_stream* stream);
  void evict();

  const Bert& network() const { return *network_; }
  /// A sequence as the network reads it, with a token before and one behind. Small letters are capitals; X is the token for what
  /// is not known unless it has one of its own, '_' the mask. Errors: kInvalidArgument (a letter that is no residue, with its
  /// place; nothing), kOutOfRange (more residues than the network has places).
  Result<std::vector<TokenId>> tokens_of(std::string_view sequence) const;
  /// The 20 residues' tokens, which likelihoods are among.
  const std::vector<TokenId>& residues() const { return residues_; }
  TokenId mask() const { return mask_; }

 private:
  ProteinBertModel(sdk::Host host, WeightFile file) : host_(host), file_(std::move(file)) {}
  Status read_vocabulary();

  sdk::Host host_;
  WeightFile file_;
  std::optional<Bert> network_;  // refers to file_
  std::string weights_key_;      // what packed weights are known by; empty where that is not known
  std::unique_ptr<PackedWeightStore> store_;
  std::vector<TokenId> residues_;
  TokenId by_letter_[26];  // of 'A' to 'Z'; -1: none
  TokenId begin_ = 0, end_ = 0, mask_ = 0;
};

inline constexpr const char* kProteinBertModels[] = {"science.protein_bert", nullptr};
inline constexpr weft_parameter kProteinBertParameter =
    sdk::parameter({.name = "model",
                    .type = "model",
                    .choices = kProteinBertModels,
                    .help = "A BERT of proteins, such as AntiBERTy's folder."});

}  // namespace weft::science
#endif
