#include "kernels/networks/unet/unet.h"

#include "kernels/networks/unet/unet_state.h"

namespace weft {
namespace {

Status invalid(std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); }

}  // namespace

Status check_unet_config(const UNetConfig& c, DType compute) {
  constexpr int64_t kMostChannels = 1 << 16, kMostLevels = 8, kMostResnets = 8, kMostLayers = 64;
  const auto out_of = [](int64_t value, int64_t low, int64_t high) { return value < low || value > high; };
  if (compute != DType::kF32 && compute != DType::kBF16) return invalid("a UNet computes in f32 or bf16");
  if (c.levels.empty() || c.levels.size() > kMostLevels)
    return invalid("a UNet has 1 to 8 levels").got(std::to_string(c.levels.size()));
  if (out_of(c.in_channels, 1, kMostChannels) || out_of(c.out_channels, 1, kMostChannels))
    return invalid("a UNet's channels are out of range").expected("1 to 65536");
  if (c.groups < 1 || !(c.epsilon > 0)) return invalid("a UNet's group norm is out of range");
  for (const UNetLevel& level : c.levels) {
    if (out_of(level.channels, 2, kMostChannels) || level.channels % c.groups != 0 || level.channels % 2 != 0)
      return invalid("a level's channels must be even and a multiple of the groups of its norms")
          .expected("2 to 65536, in groups of " + std::to_string(c.groups))
          .got(std::to_string(level.channels));
    if (out_of(level.n_resnets, 1, kMostResnets))
      return invalid("a level's number of residual blocks is out of range").expected("1 to 8");
    if (out_of(level.down_transformer_layers, 0, kMostLayers) ||
        out_of(level.up_transformer_layers, 0, kMostLayers))
      return invalid("a level's number of layers is out of range").expected("at most 64");
    const bool attends = level.down_transformer_layers + level.up_transformer_layers > 0;
    if (attends && (level.n_heads < 1 || level.channels % level.n_heads != 0 ||
                    level.channels / level.n_heads > kMaxDenseHeadDim))
      return invalid("the number of heads must divide a level's channels")
          .expected("a divisor of " + std::to_string(level.channels))
          .got(std::to_string(level.n_heads));
  }
  if (c.has_mid_block && c.mid_transformer_layers > 0 &&
      (c.mid_heads < 1 || c.levels.back().channels % c.mid_heads != 0 ||
       c.levels.back().channels / c.mid_heads > kMaxDenseHeadDim || c.mid_transformer_layers > kMostLayers))
    return invalid("the middle's heads or layers are out of range");
  if (out_of(c.context_width, 1, kMostChannels)) return invalid("the width of the context is out of range");
  if (out_of(c.guidance_width, 0, kMostChannels) || out_of(c.class_width, 0, kMostChannels) ||
      out_of(c.n_classes, 0, int64_t{1} << 20) || out_of(c.added_width, 0, int64_t{1} << 20) ||
      c.added_time_width < 0 || c.added_time_width % 2 != 0 ||
      (c.added_time_width > 0 && c.added_time_width > c.added_width))
    return invalid("the widths of a UNet's embeddings are out of range");
  return Status();
}

UNet::UNet(std::unique_ptr<State> state) : state_(std::move(state)) {}
UNet::UNet(UNet&&) noexcept = default;
UNet& UNet::operator=(UNet&&) noexcept = default;
UNet::~UNet() = default;

Result<UNet> UNet::open(WeightSource source, const UNetConfig& config, DType compute) {
  if (Status valid = check_unet_config(config, compute); !valid.ok()) return valid;
  auto state = std::make_unique<State>();
  state->config = config;
  state->compute = compute;
  state->stored = state->inner = compute;
  state->source = std::move(source);
  state->plan.emplace(state->source, compute);
  plan_unet(*state);
  if (Status fits = state->plan->check("UNet"); !fits.ok()) return fits;
  return UNet(std::move(state));
}

const UNetConfig& UNet::config() const { return state_->config; }
DType UNet::compute() const { return state_->compute; }
int64_t UNet::packed_weights_bytes() const { return state_->plan->packed_bytes(); }
int64_t UNet::parameters() const { return state_->plan->parameters(); }
bool UNet::loaded() const { return state_->weights.loaded(); }
void UNet::unload() { state_->weights.unload(); }
int64_t UNet::device_weights_bytes() const { return state_->plan->device_bytes(); }

int64_t UNet::n_skips() const {
  int64_t n = 1;
  for (const UNetLevel& level : state_->config.levels) n += level.n_resnets + 1;
  return n - 1;  // the last level is not followed by a downsampling
}

Status UNet::load(PackedWeightStore& store, std::string_view source_key, Executor executor,
                  const StopRequest& stop) {
  return state_->weights.load(*state_->plan, store, source_key, executor, stop);
}

Status UNet::load_on(const DeviceStream& stream, Executor executor, const StopRequest& stop,
                     DeviceBuffer memory) {
  return state_->weights.load_on(*state_->plan, stream, executor, stop, std::move(memory));
}

}  // namespace weft
