/// What the nodes of this plugin share: pictures and texts out of requests, the pictures of all requests of an execute encoded
/// together, their texts once where several have the same.
///
/// Ports 0 and 1 of such a node are "image" and "images", 2 and 3 "text" and "texts" where it has them. Ownership: borrows the
/// model. Thread safety: as the node.
///
///   Status execute(std::span<sdk::Request> requests, const sdk::Execution& execution) {
///     return encode(requests, execution, [&](EncodedRequest& request) { return answer(request); });
///   }
#ifndef WEFT_PLUGINS_VISION_ENCODING_NODE_H
#define WEFT_PLUGINS_VISION_ENCODING_NODE_H

#include <weft/sdk/plugin.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "plugins/vision/encoding.h"

namespace weft::vision {

enum PicturePort : size_t { kImage, kImages };
inline constexpr weft_port kImagePort =
    sdk::optional_port("image", "image", "A picture, or several of one size.");
inline constexpr weft_port kImagesPort =
    sdk::optional_port("images", "list<image>", "Many, of any sizes; after the image, if both are there.");
inline constexpr weft_port kTextPort = sdk::optional_port("text", "text", "One text.");
inline constexpr weft_port kTextsPort =
    sdk::optional_port("texts", "list<text>", "Many; after the text, if both are there.");

/// A port that a node does not have.
inline constexpr size_t kNoPort = SIZE_MAX;
/// The texts at two ports, of which the second is a list.
std::vector<std::string> texts_of(const sdk::Request& request, size_t text, size_t texts);

/// A list as an output. make(i): item i, a Result<sdk::Value>.
template <typename Make>
Status set_list(const sdk::Request& request, size_t port, const char* type, size_t count, const Make& make) {
  std::vector<sdk::Value> items;
  for (size_t i = 0; i < count; ++i) {
    Result<sdk::Value> item = make(i);
    if (!item.ok()) return item.status();
    items.push_back(*std::move(item));
  }
  return request.set_output(port, request.host().make_list(items, type));
}

struct EncodedRequest {
  sdk::Request& request;
  Encoder& encoder;
  PictureJob pictures;
  std::vector<float> vectors;  // [pictures, width]
  sdk::NewTensor tensor;       // where a node writes what it gives out, instead of vectors

  const float* vector(int64_t picture, int64_t width) const { return vectors.data() + picture * width; }
};

class EncodingNode {
 protected:
  using Step = std::function<Status(EncodedRequest&)>;

  explicit EncodingNode(const sdk::NodeConfig& config);
  /// Errors: kInvalidArgument without pictures, kUnsupported for a model without a text encoder where one is needed.
  static Status check_pictures(const sdk::NodeConfig& config);
  static Status check_texts(const sdk::NodeConfig& config);

  /// Workspace and batches.
  void plan_encoding(const sdk::Specs& inputs, const sdk::Plan& plan);
  /// How many pictures a request has at most, or WEFT_UNBOUNDED.
  static int64_t pictures_bound(const sdk::Specs& inputs);

  /// begin: says where vectors go (vectors, unless given). answer: sets the outputs. Completes every request.
  Status encode(std::span<sdk::Request> requests, const sdk::Execution& execution, const Step& answer,
                const Step& begin = {}) const;
  /// [texts, width]. Warns of texts that were cut.
  Result<std::vector<float>> encode_texts(Encoder& encoder, const sdk::Request& request,
                                          std::span<const std::string> texts) const;
  /// Of an execute, with the node's limits.
  Result<Encoder> begin_encoding(const sdk::Execution& execution) const {
    return Encoder::begin(model_, limits_, host_, execution);
  }
  int64_t width() const { return model_.width(); }
  /// What the model makes of a cosine. Precondition: it has a text encoder.
  double logit(double cosine) const { return cosine * model_.texts()->scale + model_.texts()->bias; }

  sdk::Host host_;
  std::string name_;
  const VisionModel& model_;
  uint32_t max_requests_;
  EncodingLimits limits_;
};

}  // namespace weft::vision
#endif
