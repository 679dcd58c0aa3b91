/// The parameters that text.generate and text.chat share: how long, how random, where to stop, within which grammar.
/// generation_parameter_table.h declares them.
///
/// Thread safety: pure functions.
#ifndef WEFT_PLUGINS_TEXT_GENERATION_PARAMETERS_H
#define WEFT_PLUGINS_TEXT_GENERATION_PARAMETERS_H

#include <weft/sdk/plugin.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/ops/sampling/sampling.h"
#include "modalities/text/constraint/constraint.h"
#include "modalities/text/tokenizer/tokenizer.h"

namespace weft::text {

struct GenerationParameters {
  SamplingParameters sampling;
  int64_t max_tokens = 0;  // at least 1
  int32_t n = 1;           // texts per request; text i has the seed `sampling.seed + i`
  std::vector<std::string> stop;
  int32_t top_logprobs = -1;  // as Job::top_logprobs
  std::optional<Grammar> grammar;
};

/// Reads a request's values. Errors, naming the parameter: kInvalidArgument (ranges that depend on the vocabulary, more
/// than one of json_schema, regex and grammar, malformed logit_bias), and those of the grammar compilers.
Result<GenerationParameters> read_generation_parameters(const sdk::Parameters& parameters,
                                                        const Tokenizer& tokenizer);

}  // namespace weft::text
#endif
