#include "plugins/image/control_networks.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace weft::image {
namespace {

Status refuse(std::string got) {
  return Status(StatusCode::kInvalidArgument, "the control networks cannot be read")
      .at("model parameter 'control'")
      .expected("a list of objects with \"name\" and \"path\", each name once")
      .got(std::move(got));
}

// "320 x2, 640 x2": channels and residual blocks of each level.
std::string levels_text(const UNetConfig& config) {
  std::string text;
  for (const UNetLevel& level : config.levels) {
    text +=
        (text.empty() ? "" : ", ") + std::to_string(level.channels) + " x" + std::to_string(level.n_resnets);
  }
  return text;
}

std::string description(int64_t latent_channels, const UNetConfig& config, int64_t factor) {
  return std::to_string(latent_channels) + " channels, levels of " + levels_text(config) +
         ", text of width " + std::to_string(config.context_width) + ", " + std::to_string(factor) +
         " pixels a latent";
}

// A control network has the UNet's own way down, over latents alone.
Status check_belongs(const ControlNetConfig& control, const UNetConfig& unet, int64_t latent_channels,
                     int64_t factor, const std::filesystem::path& path) {
  const std::string wanted = description(latent_channels, unet, factor);
  const std::string found = description(control.unet.in_channels, control.unet, control.factor());
  if (wanted == found) return {};
  return Status(StatusCode::kCorruptData, "control network and UNet do not belong together")
      .at(path.string())
      .expected(wanted)
      .got(found);
}

}  // namespace

Result<std::vector<NamedControl>> open_control_networks(std::string_view json,
                                                        const std::filesystem::path& folder,
                                                        const UNetConfig& unet, int64_t latent_channels,
                                                        int64_t factor, DType compute) {
  const nlohmann::json list = nlohmann::json::parse(json, nullptr, false);
  if (!list.is_array()) return refuse(std::string(json));
  std::vector<NamedControl> controls;
  for (const nlohmann::json& item : list) {
    const auto text = [&](const char* key) {
      return item.is_object() && item.contains(key) && item[key].is_string() ? item[key].get<std::string>()
                                                                             : std::string();
    };
    const std::string name = text("name");
    const bool is_new = std::none_of(controls.begin(), controls.end(),
                                     [&](const NamedControl& other) { return other.name == name; });
    if (name.empty() || text("path").empty() || item.size() != 2 || !is_new) return refuse(item.dump());
    const std::filesystem::path path = folder / text("path");
    Result<ControlCheckpoint> checkpoint = ControlCheckpoint::open(path);
    if (!checkpoint.ok()) return checkpoint.status();
    if (Status status = check_belongs(checkpoint->config(), unet, latent_channels, factor, path);
        !status.ok())
      return status;
    Result<ControlNet> network = ControlNet::open(checkpoint->source(), checkpoint->config(), compute);
    if (!network.ok()) return network.status();
    controls.push_back({name, *std::move(checkpoint), *std::move(network)});
  }
  return controls;
}

}  // namespace weft::image
