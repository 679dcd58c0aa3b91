/// What image.control hands to image.generate and image.sample: pictures for control networks, with how strongly and when
/// each acts.
///
/// As a value: port type "image.control", f32 [controls, height, width, 3] in 0..1, with the attributes
/// {"controls": [{"network": "edges", "strength": 1.0, "start": 0.0, "end": 1.0}]}. Ownership: views of the value that they
/// were read from. Thread safety: plain data.
#ifndef WEFT_PLUGINS_IMAGE_CONTROL_H
#define WEFT_PLUGINS_IMAGE_CONTROL_H

#include <weft/sdk/plugin.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "plugins/image/diffusion_model.h"

namespace weft::image {

inline constexpr const char* kControlType = "image.control";
inline constexpr int64_t kControlChannels = 3;
/// More are refused.
inline constexpr int64_t kMaxControls = 16;

/// One picture's way to one network. start, end: fractions of the sampling, 0 <= start <= end <= 1.
struct Control {
  std::string network;
  double strength = 1, start = 0, end = 1;
};

struct Controls {
  std::vector<Control> list;
  std::span<const float> pictures;  // [list, height, width, kControlChannels]
  int64_t height = 0, width = 0;    // in pixels

  bool empty() const { return list.empty(); }
  std::span<const float> picture(size_t i) const {
    const size_t one = pictures.size() / list.size();
    return pictures.subspan(i * one, one);
  }
};

/// Errors: kInvalidShape for a tensor or attributes that image.control does not make.
Result<Controls> controls_of(const sdk::Value& value);
std::string control_attributes(const std::vector<Control>& list);

/// The input of image.generate and image.sample.
inline constexpr weft_port kControlPort = sdk::optional_port(
    "control", kControlType, "From image.control: pictures that steer through control networks.");
/// Most controls that may come in; 0 if nothing is connected.
int64_t control_bound(const weft_spec& input);
/// Those at an input; none if nothing is connected or its producer was skipped. They refer to the request's value.
Result<Controls> input_controls(const sdk::Request& request, size_t port);

/// The network that a control names; an empty name means the model's only one. Errors: kNotFound, with the names there are.
Result<const NamedControl*> control_network(const DiffusionModel& model, const std::string& name);

}  // namespace weft::image
#endif
