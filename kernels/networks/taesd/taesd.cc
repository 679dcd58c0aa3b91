#include "kernels/networks/taesd/taesd.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "kernels/layers/network_weights.h"
#include "kernels/layers/weight_plan.h"

namespace weft {
namespace {

// relu(x + conv(relu(conv(relu(conv(x))))))
struct Block {
  ConvolutionLayer first, second, third;
};

// A convolution and the blocks behind it; of a decoder: the blocks and the convolution to the next level.
struct Level {
  ConvolutionLayer convolution;
  std::vector<Block> blocks;
};

Status invalid(std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); }

}  // namespace

struct Taesd::State {
  TaesdConfig config;
  DType compute = DType::kF32;
  WeightSource source;
  std::optional<WeightPlan> plan;  // refers to source
  NetworkWeights weights;
  std::vector<Level> encoder, decoder;
  ConvolutionLayer encoder_out, decoder_in;
};

namespace {

void plan_blocks(WeightPlan& plan, const std::string& layers, int64_t channels, int64_t* at, Level* level) {
  for (Block& block : level->blocks) {
    const std::string name = layers + std::to_string((*at)++) + ".conv.";
    plan.convolution(name + "0", channels, channels, 3, BiasTensor::kRequired, &block.first);
    plan.convolution(name + "2", channels, channels, 3, BiasTensor::kRequired, &block.second);
    plan.convolution(name + "4", channels, channels, 3, BiasTensor::kRequired, &block.third);
  }
}

// The layers are numbered through; activations and upsampling have numbers too.
void plan_taesd(Taesd::State& s) {
  WeightPlan& plan = *s.plan;
  const TaesdConfig& c = s.config;
  const std::string down = "encoder.layers.", up = "decoder.layers.";
  int64_t at = 0;
  s.encoder.resize(c.encoder_blocks.size());
  for (size_t i = 0; i < s.encoder.size(); ++i) {
    Level& level = s.encoder[i];
    plan.convolution(down + std::to_string(at++), c.channels, i == 0 ? c.image_channels : c.channels, 3,
                     i == 0 ? BiasTensor::kRequired : BiasTensor::kNone, &level.convolution);
    level.blocks.resize(static_cast<size_t>(c.encoder_blocks[i]));
    plan_blocks(plan, down, c.channels, &at, &level);
  }
  if (c.has_encoder())
    plan.convolution(down + std::to_string(at), c.latent_channels, c.channels, 3, BiasTensor::kRequired,
                     &s.encoder_out);

  plan.convolution(up + "0", c.channels, c.latent_channels, 3, BiasTensor::kRequired, &s.decoder_in);
  at = 2;
  s.decoder.resize(c.decoder_blocks.size());
  for (size_t i = 0; i < s.decoder.size(); ++i) {
    Level& level = s.decoder[i];
    const bool last = i + 1 == s.decoder.size();
    level.blocks.resize(static_cast<size_t>(c.decoder_blocks[i]));
    plan_blocks(plan, up, c.channels, &at, &level);
    if (!last) ++at;  // upsampling
    plan.convolution(up + std::to_string(at++), last ? c.image_channels : c.channels, c.channels, 3,
                     last ? BiasTensor::kRequired : BiasTensor::kNone, &level.convolution);
  }
}

// One thread's way through a pass, or the measure of its memory: then `in` and `out` have shapes and no data.
class Walker {
 public:
  Walker(const Taesd::State& state, LayerPass& pass) : s_(state), pass_(pass) {}

  void encode(const TensorView& pictures, const TensorView& latents) {
    // [-1, 1] to [0, 1] on the way in.
    const TensorView halves = pass_.take(DType::kF32, {pictures.shape[0], pictures.shape[3]});
    pass_.fill(halves, [&](float* to) { std::fill_n(to, halves.count(), 0.5f); });
    const TensorView in = pass_.input(pictures), out = pass_.result(latents);
    TensorView x = like(pictures, 1, s_.config.channels);
    pass_.convolution(
        s_.encoder[0].convolution, in, x,
        {.in_scale = halves.as<float>(), .in_shift = halves.as<float>(), .pad_before = 1, .pad_after = 1});
    pass_.barrier();
    pass_.give_input(in);
    pass_.give(halves);
    for (size_t i = 0; i < s_.encoder.size(); ++i) {
      if (i > 0) {
        const TensorView y =
            pass_.take(DType::kF32, {x.shape[0], x.shape[1] / 2, x.shape[2] / 2, x.shape[3]});
        pass_.convolution(s_.encoder[i].convolution, x, y, {.stride = 2, .pad_before = 1, .pad_after = 1});
        replace(&x, y);
      }
      if (!blocks(s_.encoder[i], x)) return;
    }
    pass_.convolution(s_.encoder_out, x, out, {.pad_before = 1, .pad_after = 1});
    pass_.barrier();
    pass_.give_result(out, latents);
    pass_.give(x);
  }

  void decode(const TensorView& latents, const TensorView& pictures) {
    const TensorView z = like(latents, 1, latents.shape[3]), out = pass_.result(pictures);
    pass_.fill_rows(as_rows(z), [&](int64_t pixel, float* to) {
      const int64_t channels = latents.shape[3];
      std::memcpy(to, latents.as<float>() + pixel * channels, static_cast<size_t>(channels) * 4);
    });
    pass_.soft_cap(3, z);
    TensorView x = like(latents, 1, s_.config.channels);
    pass_.convolution(s_.decoder_in, z, x,
                      {.pad_before = 1, .pad_after = 1, .activation = Activation::kRelu});
    pass_.barrier();
    pass_.give(z);
    for (size_t i = 0; i < s_.decoder.size(); ++i) {
      if (!blocks(s_.decoder[i], x)) return;
      if (i + 1 == s_.decoder.size()) break;
      const TensorView y = like(x, 2, x.shape[3]);
      pass_.convolution(s_.decoder[i].convolution, x, y,
                        {.upsample = Upsample::kNearest2x, .pad_before = 1, .pad_after = 1});
      replace(&x, y);
    }
    pass_.convolution(s_.decoder.back().convolution, x, out, {.pad_before = 1, .pad_after = 1});
    pass_.barrier();
    pass_.affine(2, -1, out);  // [0, 1] to [-1, 1]
    pass_.give_result(out, pictures);
    pass_.give(x);
  }

 private:
  TensorView like(const TensorView& x, int64_t factor, int64_t channels) {
    return pass_.take(DType::kF32, {x.shape[0], x.shape[1] * factor, x.shape[2] * factor, channels});
  }

  void replace(TensorView* x, const TensorView& y) {
    pass_.barrier();
    pass_.give(*x);
    *x = y;
  }

  // x = blocks(x)
  bool blocks(const Level& level, const TensorView& x) {
    const ConvolutionOptions relu = {.pad_before = 1, .pad_after = 1, .activation = Activation::kRelu};
    for (const Block& block : level.blocks) {
      if (pass_.stopped()) return false;
      // What products round anyway is stored so; x is added up in f32.
      const TensorView a = pass_.take(s_.compute, {x.shape[0], x.shape[1], x.shape[2], x.shape[3]});
      const TensorView b = pass_.take(s_.compute, {x.shape[0], x.shape[1], x.shape[2], x.shape[3]});
      pass_.convolution(block.first, x, a, relu);
      pass_.barrier();
      pass_.convolution(block.second, a, b, relu);
      pass_.barrier();
      pass_.convolution(block.third, b, x, {.pad_before = 1, .pad_after = 1, .residual = x});
      pass_.barrier();
      pass_.activation(Activation::kRelu, x);
      pass_.give(b);
      pass_.give(a);
    }
    return true;
  }

  const Taesd::State& s_;
  LayerPass& pass_;
};

TensorView images_of(int64_t images, int64_t height, int64_t width, int64_t channels) {
  return TensorView::contiguous(nullptr, DType::kF32, {images, height, width, channels});
}

Status check_view(const TensorView& view, const char* what, const TensorView& wanted) {
  bool fits = view.dtype == DType::kF32 && view.rank == wanted.rank;
  for (int i = 0; fits && i < view.rank; ++i)
    fits = view.shape[i] == wanted.shape[i] && view.strides[i] == wanted.strides[i] && view.shape[i] >= 1;
  if (!fits)
    return Status(StatusCode::kInvalidShape,
                  std::string("the tiny autoencoder's ") + what + " have another shape")
        .expected("contiguous f32 " + shape_text({wanted.shape, wanted.shape + wanted.rank}))
        .got(shape_text({view.shape, view.shape + view.rank}));
  if (!view.data) return invalid(std::string("the tiny autoencoder's ") + what + " are null");
  return Status();
}

/// What a pass is called with. loaded: on the host or the device, as it wants it.
Status check_pass(const TaesdConfig& c, bool loaded, const TensorView& latents, const TensorView& pictures) {
  if (!loaded) return invalid("the tiny autoencoder's weights are not loaded");
  const int64_t n = latents.shape[0], h = latents.shape[1], w = latents.shape[2], f = c.factor();
  if (Status v = check_view(latents, "latents", images_of(n, h, w, c.latent_channels)); !v.ok()) return v;
  return check_view(pictures, "pictures", images_of(n, h * f, w * f, c.image_channels));
}

// Passes that measure, for latents of height x width.
auto encode_measure(const Taesd::State& s, int64_t images, int64_t height, int64_t width) {
  return [&s, images, height, width](LayerPass& pass) {
    const TaesdConfig& c = s.config;
    Walker(s, pass).encode(images_of(images, height * c.factor(), width * c.factor(), c.image_channels),
                           images_of(images, height, width, c.latent_channels));
  };
}
auto decode_measure(const Taesd::State& s, int64_t images, int64_t height, int64_t width) {
  return [&s, images, height, width](LayerPass& pass) {
    const TaesdConfig& c = s.config;
    Walker(s, pass).decode(images_of(images, height, width, c.latent_channels),
                           images_of(images, height * c.factor(), width * c.factor(), c.image_channels));
  };
}

}  // namespace

Taesd::Taesd(std::unique_ptr<State> state) : state_(std::move(state)) {}
Taesd::Taesd(Taesd&&) noexcept = default;
Taesd& Taesd::operator=(Taesd&&) noexcept = default;
Taesd::~Taesd() = default;

Result<Taesd> Taesd::open(WeightSource source, const TaesdConfig& c, DType compute) {
  constexpr int64_t kMostChannels = 1 << 16;
  if (compute != DType::kF32 && compute != DType::kBF16)
    return invalid("a tiny autoencoder computes in f32 or bf16");
  for (int64_t channels : {c.channels, c.image_channels, c.latent_channels})
    if (channels < 1 || channels > kMostChannels)
      return invalid("a tiny autoencoder's channels are out of range");
  const size_t levels = c.decoder_blocks.size();
  if ((c.has_encoder() && c.encoder_blocks.size() != levels) || levels < 1 || levels > 8)
    return invalid("a tiny autoencoder has 1 to 8 levels, as many down as up");
  for (const std::vector<int64_t>* blocks : {&c.encoder_blocks, &c.decoder_blocks})
    for (int64_t n : *blocks)
      if (n < 0 || n > 64) return invalid("a tiny autoencoder's blocks a level are out of range");
  auto state = std::make_unique<State>();
  state->config = c;
  state->compute = compute;
  state->source = std::move(source);
  state->plan.emplace(state->source, compute);
  plan_taesd(*state);
  if (Status fits = state->plan->check("tiny autoencoder"); !fits.ok()) return fits;
  return Taesd(std::move(state));
}

const TaesdConfig& Taesd::config() const { return state_->config; }
DType Taesd::compute() const { return state_->compute; }
int64_t Taesd::packed_weights_bytes() const { return state_->plan->packed_bytes(); }
int64_t Taesd::parameters() const { return state_->plan->parameters(); }
bool Taesd::loaded() const { return state_->weights.loaded(); }
void Taesd::unload() { state_->weights.unload(); }
int64_t Taesd::device_weights_bytes() const { return state_->plan->device_bytes(); }

int64_t Taesd::encode_workspace_bytes(int64_t images, int64_t height, int64_t width,
                                      uint32_t n_threads) const {
  if (!state_->config.has_encoder()) return 0;
  return LayerPass::measure(n_threads, encode_measure(*state_, images, height, width));
}
int64_t Taesd::decode_workspace_bytes(int64_t images, int64_t height, int64_t width,
                                      uint32_t n_threads) const {
  return LayerPass::measure(n_threads, decode_measure(*state_, images, height, width));
}
int64_t Taesd::device_encode_workspace_bytes(int64_t images, int64_t height, int64_t width) const {
  if (!state_->config.has_encoder()) return 0;
  return LayerPass::measure_on_device(encode_measure(*state_, images, height, width)).workspace_bytes;
}
int64_t Taesd::device_decode_workspace_bytes(int64_t images, int64_t height, int64_t width) const {
  return LayerPass::measure_on_device(decode_measure(*state_, images, height, width)).workspace_bytes;
}

Status Taesd::load(PackedWeightStore& store, std::string_view source_key, Executor executor,
                   const StopRequest& stop) {
  return state_->weights.load(*state_->plan, store, source_key, executor, stop);
}

Status Taesd::load_on(const DeviceStream& stream, Executor executor, const StopRequest& stop,
                      DeviceBuffer memory) {
  return state_->weights.load_on(*state_->plan, stream, executor, stop, std::move(memory));
}

Status Taesd::encode(const TensorView& pictures, const TensorView& latents, std::span<std::byte> workspace,
                     Executor executor, const StopRequest& stop) const {
  const State& s = *state_;
  if (!s.config.has_encoder()) return invalid("this tiny autoencoder has no encoder");
  if (Status valid = check_pass(s.config, s.weights.on_host(), latents, pictures); !valid.ok()) return valid;
  const int64_t needed =
      encode_workspace_bytes(latents.shape[0], latents.shape[1], latents.shape[2], executor.max_threads());
  return LayerPass::run(workspace, needed, "the tiny encoder's", executor, stop, nullptr,
                        [&](LayerPass& pass) { Walker(s, pass).encode(pictures, latents); });
}

Status Taesd::decode(const TensorView& latents, const TensorView& pictures, std::span<std::byte> workspace,
                     Executor executor, const StopRequest& stop) const {
  const State& s = *state_;
  if (Status valid = check_pass(s.config, s.weights.on_host(), latents, pictures); !valid.ok()) return valid;
  const int64_t needed =
      decode_workspace_bytes(latents.shape[0], latents.shape[1], latents.shape[2], executor.max_threads());
  return LayerPass::run(workspace, needed, "the tiny decoder's", executor, stop, nullptr,
                        [&](LayerPass& pass) { Walker(s, pass).decode(latents, pictures); });
}

Status Taesd::encode_on(DevicePasses& passes, const TensorView& pictures, const TensorView& latents,
                        std::span<std::byte> workspace, const StopRequest& stop) const {
  const State& s = *state_;
  if (!s.config.has_encoder()) return invalid("this tiny autoencoder has no encoder");
  if (Status valid = check_pass(s.config, s.weights.on_device(), latents, pictures); !valid.ok())
    return valid;
  return passes.run(
      s.weights.pass_shape("the tiny encoder's", {latents.shape[0], latents.shape[1], latents.shape[2]}),
      workspace, stop, [&](LayerPass& pass) { Walker(s, pass).encode(pictures, latents); });
}

Status Taesd::decode_on(DevicePasses& passes, const TensorView& latents, const TensorView& pictures,
                        std::span<std::byte> workspace, const StopRequest& stop) const {
  const State& s = *state_;
  if (Status valid = check_pass(s.config, s.weights.on_device(), latents, pictures); !valid.ok())
    return valid;
  return passes.run(
      s.weights.pass_shape("the tiny decoder's", {latents.shape[0], latents.shape[1], latents.shape[2]}),
      workspace, stop, [&](LayerPass& pass) { Walker(s, pass).decode(latents, pictures); });
}

}  // namespace weft
