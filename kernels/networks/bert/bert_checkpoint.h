/// BERT and RoBERTa as Hugging Face folders hold them: config.json, and tensors under one set of names.
#ifndef WEFT_KERNELS_NETWORKS_BERT_BERT_CHECKPOINT_H
#define WEFT_KERNELS_NETWORKS_BERT_BERT_CHECKPOINT_H

#include <weft/sdk/status.h>

#include "kernels/layers/weight_source.h"
#include "kernels/networks/bert/bert.h"
#include "modalities/weights/metadata.h"
#include "modalities/weights/weight_file.h"

namespace weft {

/// Whether config.json says that this is such an encoder.
bool is_bert(const Metadata& metadata);

/// Errors: kUnsupported (another model_type, or a switch that is not there), kNotFound, kCorruptData: naming file and key.
Result<BertConfig> read_bert_config(const Metadata& metadata);

/// The encoder's tensors without the model's prefix ("bert.", "roberta."), whatever heads the checkpoint was saved with; old
/// names of norms (gamma, beta) are today's. Left out: poolers, and heads other than the one asked for, which is BERT's
/// "cls.predictions": its decoder is the table of tokens where the file has no other.
WeightSource bert_source(const WeightFile& file, BertHead head = BertHead::kNone);

}  // namespace weft
#endif
