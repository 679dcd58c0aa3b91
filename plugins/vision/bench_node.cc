#include "plugins/vision/bench_node.h"

#include <weft/sdk/measure.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <vector>

namespace weft::vision {
namespace {

constexpr weft_port kOutputs[] = {
    sdk::port("report", "json", "images_per_s, the median; batch_s: of one batch; load_ms.")};
constexpr weft_parameter kParameters[] = {kModelParameter,
                                          sdk::parameter({.name = "batch",
                                                          .type = "int",
                                                          .default_json = "8",
                                                          .minimum = 1,
                                                          .maximum = 1024,
                                                          .help = "Pictures at once."}),
                                          sdk::repetitions_parameter("5")};

}  // namespace

BenchNode::BenchNode(const sdk::NodeConfig& config)
    : host_(config.host()),
      model_(*config.model<VisionModel>("model")),
      batch_(config.parameters().get_int("batch")),
      repetitions_(config.parameters().get_int("repetitions")) {}

Status BenchNode::prepare(sdk::Specs, sdk::Plan plan) {
  plan.set_output(0, sdk::bytes_spec(4096));
  const bool on_device = model_.device() != nullptr;
  if (on_device) plan.set_device(model_.device()->id);
  plan.set_workspace_bytes(static_cast<uint64_t>(
      on_device ? model_.network().device_workspace_bytes(batch_)
                : model_.network().workspace_bytes(batch_, host_.executor().max_threads())));
  return {};
}

Status BenchNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const VisionTransformerConfig& config = model_.network().config();
  // Of a model that keeps shapes the largest square.
  const int64_t grid_side = config.keeps_shapes()
                                ? static_cast<int64_t>(std::sqrt(static_cast<double>(config.max_patches)))
                                : config.patches_a_side();
  const int64_t side = config.keeps_shapes() ? grid_side * config.patch_size : config.image_size;
  std::vector<float> pixels(static_cast<size_t>(batch_ * side * side * 3));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<float>(i * 7919 % 255) / 127.5f - 1;
  std::vector<float> pooled(static_cast<size_t>(batch_ * config.pooled_width()));
  const TensorView images = TensorView::contiguous(pixels.data(), DType::kF32, {batch_, side, side, 3});
  const std::vector<PatchGrid> grids(static_cast<size_t>(batch_), {grid_side, grid_side});
  std::vector<int64_t> starts = {0};
  for (const PatchGrid& grid : grids) starts.push_back(starts.back() + grid.count());
  const PatchedPictures patched{
      TensorView::contiguous(pixels.data(), DType::kF32, {starts.back(), config.patch_values()}), grids,
      starts};
  const StopRequest stop{[](void* of) { return static_cast<sdk::Request*>(of)->cancelled(); }, &request};
  const VisionTransformerOutputs outputs{.hidden = nullptr, .pooled = pooled.data(), .classes = nullptr};
  const std::span workspace(static_cast<std::byte*>(execution.workspace()), execution.workspace_bytes());
  std::optional<DevicePasses> passes;
  if (model_.device() != nullptr) passes.emplace(model_.device()->stream(host_, execution.stream()));
  const auto seconds = sdk::median_seconds(request, repetitions_, [&] {
    if (config.keeps_shapes())
      return passes ? model_.network().forward_patches_on(*passes, patched, outputs, workspace, stop)
                    : model_.network().forward_patches(patched, outputs, workspace, host_.executor(), stop);
    return passes ? model_.network().forward_on(*passes, images, outputs, workspace, stop)
                  : model_.network().forward(images, outputs, workspace, host_.executor(), stop);
  });
  if (!seconds.ok()) return seconds.status();
  const double batch_s = seconds->front();
  const nlohmann::ordered_json report = {{"images_per_s", static_cast<double>(batch_) / batch_s},
                                         {"batch_s", batch_s},
                                         {"load_ms", model_.load_seconds() * 1e3},
                                         {"batch", batch_},
                                         {"size", side},
                                         {"repetitions", repetitions_}};
  return request.set_output(0, request.host().make_json(report.dump()));
}

constexpr weft_node_type kBenchNode =
    sdk::node<BenchNode>({.name = "vision.bench",
                          .help = "Measures how fast an encoder turns pictures into vectors here.",
                          .flags = WEFT_NODE_NONDETERMINISTIC,
                          .outputs = kOutputs,
                          .parameters = kParameters});

}  // namespace weft::vision
