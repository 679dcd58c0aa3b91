#include "kernels/networks/vae/vae.h"

#include "kernels/networks/vae/vae_state.h"

namespace weft {
namespace {

Status invalid(std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); }

// What the forward passes rely on, whatever a configuration says.
Status check(const VaeConfig& c, DType compute) {
  constexpr int64_t kMostChannels = 1 << 16;
  if (compute != DType::kF32 && compute != DType::kBF16) return invalid("a VAE computes in f32 or bf16");
  if (c.channels.empty() || c.channels.size() > 8)
    return invalid("a VAE has 1 to 8 levels").got(std::to_string(c.channels.size()));
  if (c.image_channels < 1 || c.image_channels > kMostChannels || c.latent_channels < 1 ||
      c.latent_channels > kMostChannels)
    return invalid("a VAE's image or latent channels are out of range").expected("1 to 65536");
  if (c.n_resnets < 1 || c.n_resnets > 16) return invalid("a VAE's layers per level are out of range");
  if (c.groups < 1) return invalid("a VAE's group norm is out of range");
  for (int64_t channels : c.channels)
    if (channels < 1 || channels > kMostChannels || channels % c.groups != 0)
      return invalid("a level's channels must be a multiple of the groups of its norms")
          .expected("1 to 65536, in groups of " + std::to_string(c.groups))
          .got(std::to_string(channels));
  if (c.mid_attention && c.channels.back() > kMaxDenseHeadDim)
    return invalid("the attention in the middle of a VAE is too wide")
        .expected("at most " + std::to_string(kMaxDenseHeadDim))
        .got(std::to_string(c.channels.back()));
  if (!c.has_encoder && !c.has_decoder) return invalid("a VAE without encoder and decoder");
  return Status();
}

}  // namespace

Vae::Vae(std::unique_ptr<State> state) : state_(std::move(state)) {}
Vae::Vae(Vae&&) noexcept = default;
Vae& Vae::operator=(Vae&&) noexcept = default;
Vae::~Vae() = default;

Result<Vae> Vae::open(WeightSource source, const VaeConfig& config, DType compute) {
  if (Status valid = check(config, compute); !valid.ok()) return valid;
  auto state = std::make_unique<State>();
  state->config = config;
  state->compute = state->inner = compute;
  state->stored = DType::kF32;  // rounded at every block, a picture would be further off than 2e-2
  state->source = std::move(source);
  state->plan.emplace(state->source, compute);
  plan_vae(*state);
  if (Status fits = state->plan->check("VAE"); !fits.ok()) return fits;
  return Vae(std::move(state));
}

const VaeConfig& Vae::config() const { return state_->config; }
DType Vae::compute() const { return state_->compute; }
int64_t Vae::packed_weights_bytes() const { return state_->plan->packed_bytes(); }
int64_t Vae::parameters() const { return state_->plan->parameters(); }
bool Vae::loaded() const { return state_->weights.loaded(); }
void Vae::unload() { state_->weights.unload(); }
int64_t Vae::device_weights_bytes() const { return state_->plan->device_bytes(); }

Status Vae::load(PackedWeightStore& store, std::string_view source_key, Executor executor,
                 const StopRequest& stop) {
  return state_->weights.load(*state_->plan, store, source_key, executor, stop);
}

Status Vae::load_on(const DeviceStream& stream, Executor executor, const StopRequest& stop,
                    DeviceBuffer memory) {
  return state_->weights.load_on(*state_->plan, stream, executor, stop, std::move(memory));
}

}  // namespace weft
