#include "plugins/text/generation_parameters.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>
#include <utility>

namespace weft::text {
namespace {

Status bad_bias(const std::string& key, const std::string& expected, const std::string& got) {
  return Status(StatusCode::kInvalidArgument, "this bias cannot be used")
      .at("parameter 'logit_bias', \"" + key + "\"")
      .expected(expected)
      .got(got);
}

/// The token that a key of logit_bias means: an id, or a text that is exactly one token.
Result<int32_t> bias_token(const std::string& key, const Tokenizer& tokenizer) {
  const bool is_id =
      !key.empty() && key.size() < 9 && std::ranges::all_of(key, [](char c) { return c >= '0' && c <= '9'; });
  if (is_id) {
    const int32_t id = static_cast<int32_t>(std::stol(key));
    if (id < tokenizer.vocabulary_size()) return id;
    return bad_bias(key, "an id below " + std::to_string(tokenizer.vocabulary_size()), key);
  }
  if (const std::optional<TokenId> piece = tokenizer.find_piece(key)) return *piece;
  Result<std::vector<TokenId>> ids = tokenizer.encode(key);
  if (!ids.ok()) return ids.status();
  if (ids->size() == 1) return ids->front();
  return bad_bias(key, "a text that is one token, or a token's id", std::to_string(ids->size()) + " tokens");
}

Result<std::vector<LogitBias>> read_logit_bias(std::string_view json, const Tokenizer& tokenizer) {
  const nlohmann::json object = nlohmann::json::parse(json, nullptr, false);
  if (!object.is_object()) {
    return Status(StatusCode::kInvalidArgument, "logit_bias is not an object").expected("{\"token\": bias}");
  }
  std::vector<LogitBias> biases;
  for (const auto& [key, value] : object.items()) {
    Result<int32_t> token = bias_token(key, tokenizer);
    if (!token.ok()) return token.status();
    if (value == "-inf") {
      biases.push_back({*token, -std::numeric_limits<float>::infinity()});
    } else if (value.is_number()) {
      biases.push_back({*token, value.get<float>()});
    } else {
      return bad_bias(key, "a number or \"-inf\"", value.dump());
    }
  }
  return biases;
}

/// Tokens whose text holds a breaker. A breaker that spans tokens breaks at the token where it ends.
Result<std::vector<int32_t>> breaker_tokens(std::span<const std::string> breakers,
                                            const Tokenizer& tokenizer) {
  std::vector<int32_t> tokens;
  for (TokenId id = 0; id < tokenizer.vocabulary_size(); ++id) {
    const std::string_view bytes = tokenizer.token_bytes(id);
    const bool breaks = std::ranges::any_of(breakers, [&](const std::string& breaker) {
      return !breaker.empty() && bytes.find(breaker) != bytes.npos;
    });
    if (breaks) tokens.push_back(id);
  }
  for (const std::string& breaker : breakers) {
    Result<std::vector<TokenId>> ids = tokenizer.encode(breaker);
    if (!ids.ok()) return ids.status();
    if (!ids->empty()) tokens.push_back(ids->back());
  }
  std::ranges::sort(tokens);
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  return tokens;
}

Result<std::optional<Grammar>> read_grammar(const sdk::Parameters& parameters) {
  constexpr const char* kNames[] = {"json_schema", "regex", "grammar"};
  const char* given = nullptr;
  for (const char* name : kNames) {
    if (!parameters.is_set(name)) continue;
    if (given != nullptr) {
      return Status(StatusCode::kInvalidArgument, "the text can follow one grammar only")
          .expected("one of json_schema, regex and grammar")
          .got(std::string(given) + " and " + name);
    }
    given = name;
  }
  if (given == nullptr) return std::optional<Grammar>();
  const std::string_view source = parameters.get_text(given);
  Result<Grammar> grammar = given == kNames[0]   ? compile_json_schema(source)
                            : given == kNames[1] ? compile_regex(source)
                                                 : compile_gbnf(source);
  if (!grammar.ok()) return grammar.status().at(std::string("parameter '") + given + "'");
  return std::optional<Grammar>(*std::move(grammar));
}

}  // namespace

Result<GenerationParameters> read_generation_parameters(const sdk::Parameters& parameters,
                                                        const Tokenizer& tokenizer) {
  GenerationParameters result;
  SamplingParameters& sampling = result.sampling;
  const auto number = [&](const char* name) { return static_cast<float>(parameters.get_float(name)); };
  const auto integer = [&](const char* name) { return static_cast<int32_t>(parameters.get_int(name)); };
  result.max_tokens = parameters.get_int("max_tokens");
  result.n = integer("n");
  result.stop = sdk::text_list(parameters, "stop");
  result.top_logprobs = parameters.is_set("logprobs") ? integer("logprobs") : -1;
  sampling.temperature = number("temperature");
  sampling.top_k = integer("top_k");
  sampling.top_p = number("top_p");
  sampling.min_p = number("min_p");
  sampling.typical_p = number("typical_p");
  sampling.seed = static_cast<uint64_t>(parameters.get_int("seed"));
  sampling.penalty_last_n = integer("repeat_last_n");
  sampling.repeat_penalty = number("repeat_penalty");
  sampling.presence_penalty = number("presence_penalty");
  sampling.frequency_penalty = number("frequency_penalty");
  sampling.dry_multiplier = number("dry_multiplier");
  sampling.dry_base = number("dry_base");
  sampling.dry_allowed_length = integer("dry_allowed_length");
  sampling.dry_penalty_last_n = integer("dry_last_n");
  if (sampling.dry_multiplier > 0) {
    Result<std::vector<int32_t>> breakers =
        breaker_tokens(sdk::text_list(parameters, "dry_breakers"), tokenizer);
    if (!breakers.ok()) return breakers.status();
    sampling.dry_breakers = *std::move(breakers);
  }
  Result<std::vector<LogitBias>> biases = read_logit_bias(parameters.get_text("logit_bias"), tokenizer);
  if (!biases.ok()) return biases.status();
  sampling.logit_bias = *std::move(biases);
  if (Status status = check(sampling, tokenizer.vocabulary_size()); !status.ok()) return status;
  Result<std::optional<Grammar>> grammar = read_grammar(parameters);
  if (!grammar.ok()) return grammar.status();
  result.grammar = *std::move(grammar);
  return result;
}

}  // namespace weft::text
