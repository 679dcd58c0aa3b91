// One step of a UNet for two images (one step with guidance), one picture's decoding, and a text's encoding, of a real
// checkpoint: WEFT_BENCH_DIFFUSION=folder-or-file, WEFT_BENCH_SIZE=pixels along a side (512). Two threads. Counters are
// milliseconds by kind of layer.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "kernels/networks/diffusion_checkpoint/diffusion_checkpoint.h"
#include "kernels/networks/unet/unet.h"
#include "kernels/testing/random.h"
#include "kernels/testing/threads.h"
#include "kernels/testing/workspace.h"

namespace weft {
namespace {

constexpr uint32_t kThreads = 2;
constexpr int64_t kContext = 77;

const char* checkpoint_path() { return std::getenv("WEFT_BENCH_DIFFUSION"); }
int64_t pixels() {
  const char* size = std::getenv("WEFT_BENCH_SIZE");
  return size ? std::atoll(size) : 512;
}

const DiffusionCheckpoint* checkpoint(benchmark::State& state) {
  static std::optional<Result<DiffusionCheckpoint>> opened;
  if (!checkpoint_path()) {
    state.SkipWithError("set WEFT_BENCH_DIFFUSION to a checkpoint");
    return nullptr;
  }
  if (!opened) opened = DiffusionCheckpoint::open(checkpoint_path());
  if (opened->ok()) return &**opened;
  state.SkipWithError(to_string(opened->error()).c_str());
  return nullptr;
}

DType compute_of(const benchmark::State& state) { return state.range(0) ? DType::kBF16 : DType::kF32; }

// Loads a part, runs it over and over, and reports where the time went.
template <typename Network, typename Config, typename Workspace, typename Forward>
void bench(benchmark::State& state, const CheckpointPart<Config>& part, Workspace&& workspace_bytes,
           Forward&& forward) {
  const testing::Threads threads(kThreads);
  Result<Network> network = Network::open(part.source, part.config, compute_of(state));
  if (!network.ok()) return state.SkipWithError(to_string(network.error()).c_str());
  HeapWeightStore store;
  if (Status loaded = network->load(store, "bench", threads.executor()); !loaded.ok())
    return state.SkipWithError(to_string(loaded.error()).c_str());
  const int64_t bytes = workspace_bytes(*network);
  testing::Workspace memory(bytes);
  const std::span<std::byte> workspace = memory.span();
  LayerTimes times;
  for (auto _ : state) {
    if (Status done = forward(*network, workspace, threads.executor(), &times); !done.ok())
      return state.SkipWithError(to_string(done.error()).c_str());
  }
  const double each = 1e3 / static_cast<double>(state.iterations());
  state.counters["conv"] = times.convolution * each;
  state.counters["dense"] = times.dense * each;
  state.counters["attention"] = times.attention * each;
  state.counters["norm"] = times.norm * each;
  state.counters["other"] = times.other * each;
  state.counters["workspace_MB"] = static_cast<double>(bytes) / 1e6;
}

void unet_step(benchmark::State& state) {
  const DiffusionCheckpoint* c = checkpoint(state);
  if (!c) return;
  const UNetConfig& u = c->unet().config;
  const int64_t n = 2, side = pixels() / c->vae().config.factor();
  const std::vector<float> sample = testing::random_normal(n * side * side * u.in_channels, 1),
                           context = testing::random_normal(n * kContext * u.context_width, 2),
                           times = {500, 500}, added = testing::random_normal(n * (u.added_width + 1), 3);
  std::vector<float> noise(static_cast<size_t>(n * side * side * u.out_channels));
  UNetInputs in{
      .sample = TensorView::contiguous(sample.data(), DType::kF32, {n, side, side, u.in_channels}),
      .timesteps = times,
      .context = TensorView::contiguous(context.data(), DType::kF32, {n, kContext, u.context_width})};
  if (u.added_time_width > 0) {
    const int64_t sizes = c->kind() == DiffusionKind::kSdxlRefiner ? 5 : 6;
    in.pooled =
        TensorView::contiguous(added.data(), DType::kF32, {n, u.added_width - sizes * u.added_time_width});
    in.sizes = TensorView::contiguous(added.data(), DType::kF32, {n, sizes});
  }
  bench<UNet>(
      state, c->unet(),
      [&](const UNet& unet) {
        return unet.workspace_bytes({n, side, side, kContext}, kThreads);
      },
      [&](const UNet& unet, std::span<std::byte> workspace, Executor executor, LayerTimes* spent) {
        return unet.forward(
            in, TensorView::contiguous(noise.data(), DType::kF32, {n, side, side, u.out_channels}), workspace,
            executor, {}, spent);
      });
}

void vae_decode(benchmark::State& state) {
  const DiffusionCheckpoint* c = checkpoint(state);
  if (!c) return;
  const VaeConfig& v = c->vae().config;
  const int64_t side = pixels() / v.factor();
  const std::vector<float> z = testing::random_normal(side * side * v.latent_channels, 1);
  std::vector<float> picture(static_cast<size_t>(pixels() * pixels() * v.image_channels));
  bench<Vae>(
      state, c->vae(), [&](const Vae& vae) { return vae.decode_workspace_bytes(1, side, side, kThreads); },
      [&](const Vae& vae, std::span<std::byte> workspace, Executor executor, LayerTimes* spent) {
        return vae.decode(TensorView::contiguous(z.data(), DType::kF32, {1, side, side, v.latent_channels}),
                          TensorView::contiguous(picture.data(), DType::kF32,
                                                 {1, side * v.factor(), side * v.factor(), v.image_channels}),
                          workspace, executor, {}, spent);
      });
}

void text_encode(benchmark::State& state) {
  const DiffusionCheckpoint* c = checkpoint(state);
  if (!c) return;
  const CheckpointPart<ClipTextConfig>& part = c->text_encoders().back();
  const int64_t n_tokens = part.config.n_positions;
  const std::vector<int32_t> tokens(static_cast<size_t>(2 * n_tokens), 1);
  std::vector<float> hidden(static_cast<size_t>(2 * n_tokens * part.config.width));
  bench<ClipText>(
      state, part, [&](const ClipText& text) { return text.workspace_bytes(2, n_tokens, kThreads); },
      [&](const ClipText& text, std::span<std::byte> workspace, Executor executor, LayerTimes* spent) {
        return text.forward({.tokens = tokens, .n_sequences = 2}, {.hidden = hidden.data()}, workspace,
                            executor, {}, spent);
      });
}

BENCHMARK(unet_step)->ArgName("bf16")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(vae_decode)->ArgName("bf16")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(text_encode)->ArgName("bf16")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace weft
