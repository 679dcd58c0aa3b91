/// Normal random numbers that other programs draw too, so that a seed means the same picture there.
///
/// kTorchCpu: torch.randn(n, generator=torch.Generator('cpu').manual_seed(seed)) of PyTorch 2.15 in float32, bit by bit,
/// on processors with AVX2 (with AVX-512 PyTorch runs its AVX2 code here). From 16 numbers on PyTorch fills the array with
/// uniforms and turns them into normals in blocks of 16, with single-precision logarithm, sine and cosine of its own; fewer
/// come one after another in double precision, of which the generator keeps every second one for the next call.
/// kPhilox: what CUDA users get, and stable-diffusion-webui's "NV" source: Philox4x32-10 with the seed as key, the number
/// of the call and the element's index as counter. Equal to CUDA's up to the last bits of its logarithm and sine, for arrays
/// of at most as many elements as the GPU runs threads (about 270,000 on an H100).
///
/// Arrays are in PyTorch's order: latents are channels, rows, columns. Not thread-safe; one a picture.
///
///   NoiseGenerator generator(NoiseSource::kTorchCpu, 7);
///   generator.fill(latents);   // the initial noise
///   generator.fill(more);      // what the first step of an ancestral sampler draws
#ifndef WEFT_KERNELS_DIFFUSION_NOISE_NOISE_H
#define WEFT_KERNELS_DIFFUSION_NOISE_NOISE_H

#include <cstdint>
#include <optional>
#include <random>
#include <span>

namespace weft::diffusion {

enum class NoiseSource : uint8_t { kTorchCpu, kPhilox };

class NoiseGenerator {
 public:
  /// kTorchCpu uses the low 32 bits of the seed, as PyTorch does.
  NoiseGenerator(NoiseSource source, uint64_t seed);
  /// The next `out.size()` normal numbers of mean 0 and deviation 1: one call of torch.randn.
  void fill(std::span<float> out);

 private:
  void fill_like_torch(std::span<float> out);
  void fill_like_cuda(std::span<float> out);
  float next_uniform();
  double next_uniform_double();

  NoiseSource source_;
  uint64_t seed_;
  uint64_t calls_ = 0;                 // kPhilox
  std::mt19937 engine_;                // kTorchCpu
  std::optional<double> kept_normal_;  // kTorchCpu: the second of a pair
};

}  // namespace weft::diffusion
#endif
