#include "plugins/text/rank_node.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

namespace weft::text {
namespace {

enum Input : size_t { kQuery, kEmbeddings, kTexts };
constexpr weft_port kInputs[] = {
    sdk::port("query", "tensor", "f32 [width]: what the texts are compared with, from text.embed."),
    sdk::port("embeddings", "tensor", "f32 [texts, width]: the texts' vectors, from text.embed."),
    sdk::port("texts", "list<text>", "The texts, in the same order.")};
enum Output : size_t { kRanked, kScores, kIndices, kBest };
constexpr weft_port kOutputs[] = {
    sdk::port("texts", "list<text>", "The nearest texts, nearest first."),
    sdk::port("scores", "list<float>", "Their cosine similarity to the query, -1 to 1."),
    sdk::port("indices", "list<int>", "Their places in the list, from 0."),
    sdk::port("best", "text", "The nearest text.")};
constexpr weft_parameter kParameters[] = {sdk::parameter({.name = "top",
                                                          .type = "int",
                                                          .default_json = "10",
                                                          .minimum = 1,
                                                          .maximum = 1 << 30,
                                                          .help = "How many texts, at most."})};

double length(const float* vector, int64_t width) {
  double square = 0;
  for (int64_t i = 0; i < width; ++i) square += double{vector[i]} * vector[i];
  return std::sqrt(square);
}

// 0 for a vector without a direction.
double cosine(const float* a, const float* b, int64_t width) {
  double product = 0;
  for (int64_t i = 0; i < width; ++i) product += double{a[i]} * b[i];
  const double lengths = length(a, width) * length(b, width);
  return lengths > 0 ? product / lengths : 0;
}

std::string shape_of(const weft_tensor& tensor) {
  std::string text = "[";
  for (int32_t i = 0; i < tensor.rank; ++i) text += (i > 0 ? ", " : "") + std::to_string(tensor.shape[i]);
  return text + "]";
}

Status check(const weft_tensor& query, const weft_tensor& vectors, size_t n_texts) {
  for (const auto& [tensor, port] : {std::pair(&query, "query"), std::pair(&vectors, "embeddings")})
    if (tensor->dtype != WEFT_DTYPE_F32 || !sdk::is_contiguous(*tensor) ||
        tensor->device.kind != WEFT_DEVICE_CPU)
      return Status(StatusCode::kUnsupported, "text.rank compares f32 vectors in a CPU's memory")
          .at("port '" + std::string(port) + "'");
  if (query.rank != 1)
    return Status(StatusCode::kInvalidShape, "the query is one vector")
        .at("port 'query'")
        .expected("[width]")
        .got(shape_of(query));
  if (vectors.rank != 2 || vectors.shape[0] != static_cast<int64_t>(n_texts) ||
      vectors.shape[1] != query.shape[0])
    return Status(StatusCode::kInvalidShape, "there is to be one vector a text, as long as the query's")
        .at("port 'embeddings'")
        .expected("[" + std::to_string(n_texts) + ", " + std::to_string(query.shape[0]) + "]")
        .got(shape_of(vectors));
  if (n_texts == 0)
    return Status(StatusCode::kInvalidArgument, "there are no texts to rank").at("port 'texts'");
  return {};
}

template <typename Make>
Status set_list(sdk::Request& request, size_t port, const char* type, size_t count, const Make& make) {
  std::vector<sdk::Value> items;
  for (size_t i = 0; i < count; ++i) {
    Result<sdk::Value> item = make(i);
    if (!item.ok()) return item.status();
    items.push_back(*std::move(item));
  }
  return request.set_output(port, request.host().make_list(items, type));
}

}  // namespace

Status RankNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  const weft_spec& texts = inputs[kTexts];
  const int64_t count = texts.max_count == WEFT_UNBOUNDED ? most_ : std::min(most_, texts.max_count);
  plan.set_output(kRanked, sdk::list_spec(count, texts.max_bytes));
  plan.set_output(kScores, sdk::list_spec(count, WEFT_UNBOUNDED));
  plan.set_output(kIndices, sdk::list_spec(count, WEFT_UNBOUNDED));
  plan.set_output(kBest, sdk::bytes_spec(texts.max_bytes));
  return {};
}

Status RankNode::run(sdk::Request& request, const sdk::Execution&) {
  const sdk::Value query_value = request.input(kQuery), vectors_value = request.input(kEmbeddings),
                   texts = request.input(kTexts);
  const weft_tensor query = query_value.as_tensor(), vectors = vectors_value.as_tensor();
  if (Status valid = check(query, vectors, texts.size()); !valid.ok()) return valid;
  const int64_t width = query.shape[0];
  std::vector<double> scores(texts.size());
  for (size_t i = 0; i < scores.size(); ++i) {
    if (i % 4096 == 0 && request.cancelled()) return sdk::Request::cancelled_status();
    scores[i] = cosine(static_cast<const float*>(query.data),
                       static_cast<const float*>(vectors.data) + static_cast<int64_t>(i) * width, width);
  }
  std::vector<size_t> order(texts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  const size_t count = std::min(order.size(), static_cast<size_t>(most_));
  const sdk::Host& host = request.host();
  Status status = set_list(request, kRanked, "text", count,
                           [&](size_t i) -> Result<sdk::Value> { return texts.item(order[i]); });
  if (status.ok())
    status = set_list(request, kScores, "float", count,
                      [&](size_t i) { return host.make_float(scores[order[i]]); });
  if (status.ok())
    status = set_list(request, kIndices, "int", count,
                      [&](size_t i) { return host.make_int(static_cast<int64_t>(order[i])); });
  if (!status.ok()) return status;
  return request.set_output(kBest, texts.item(order[0]));
}

constexpr weft_node_type kRankNode =
    sdk::node<RankNode>({.name = "text.rank",
                         .help = "Orders texts by how near their vectors lie to another one.",
                         .flags = WEFT_NODE_PURE,
                         .inputs = kInputs,
                         .outputs = kOutputs,
                         .parameters = kParameters});

}  // namespace weft::text
