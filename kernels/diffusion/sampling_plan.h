/// A sampler as a plain state machine: which timesteps to ask the network for, and what to do with its answers.
///
/// Every step of every sampler here is linear in the current sample, the network's output, noise and earlier values, with
/// factors that depend on the schedule alone. A SamplingPlan holds those factors, computed once in double; advance() adds
/// up, in double, one element at a time in a fixed order. So the result of an element depends on no other one, on no
/// thread and on no batch, and the caller owns all memory: the sample and history_slots() buffers of the same size.
///
/// Sample memory may hold one picture's latents or a batch's; noise must come from each picture's own generator.
/// Thread safety: const members from any thread.
///
///   Result<SamplingPlan> plan = SamplingPlan::make(config, 20);
///   plan->start(noise, {}, sample);
///   for (int64_t i = 0; i < plan->n_calls(); ++i) {
///     plan->scale_input(i, sample, input);
///     network(input, plan->timestep(i), output);
///     plan->advance(i, output, {noise_a, noise_b}, history, sample);   // plan->noises(i) of the two are read
///   }
#ifndef WEFT_KERNELS_DIFFUSION_SAMPLING_PLAN_H
#define WEFT_KERNELS_DIFFUSION_SAMPLING_PLAN_H

#include <weft/sdk/status.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/diffusion/sampler_config.h"

namespace weft::diffusion {

/// What a term of a step multiplies. Numbers from kFirstSlot on are history buffers.
inline constexpr int kSampleOperand = 0, kOutputOperand = 1, kNoiseOperand = 2, kSecondNoiseOperand = 3,
                     kFirstSlot = 4;

struct Term {
  int operand = kSampleOperand;
  double factor = 0;
};

/// target = the sum of the terms, clamped to [-clamp, clamp] if clamp > 0. Updates of a call run one after another.
struct Update {
  int target = kSampleOperand;  // kSampleOperand, or a history buffer
  std::vector<Term> terms;
  double clamp = 0;
};

struct ModelCall {
  double timestep = 0;
  double input_scale = 1;
  int noises = 0;  // fresh normal arrays that the updates read: 0 to 2
  std::vector<Update> updates;
};

class SamplingPlan {
 public:
  static constexpr int64_t kMaxSteps = 1000;

  /// strength: 1 starts from noise; less starts from a picture with noise added and leaves out the first steps.
  /// Errors: kInvalidArgument (steps, strength or an option out of range, named), kUnsupported (a combination that the
  /// profile does not have).
  static Result<SamplingPlan> make(const SamplerConfig& config, int64_t steps, double strength = 1);

  /// Evaluations of the network; 2 a step for second-order samplers. 0 if strength leaves no step.
  int64_t n_calls() const { return static_cast<int64_t>(calls_.size()); }
  double timestep(int64_t call) const { return at(call).timestep; }
  int noises(int64_t call) const { return at(call).noises; }
  int64_t history_slots() const { return slots_; }
  const ModelCall& at(int64_t call) const { return calls_[static_cast<size_t>(call)]; }

  // All spans of one call have the same length, history history_slots() times that.

  /// The first sample: noise alone, or, if `picture` is not empty, the picture's latents with the noise that the first
  /// call expects. sample may be either of them.
  void start(std::span<const float> noise, std::span<const float> picture, std::span<float> sample) const;
  /// A picture's latents with the noise that a sample has before call `call` (n_calls(): at the end): for inpainting with
  /// a model that was not made for it.
  void noised_picture(int64_t call, std::span<const float> noise, std::span<const float> picture,
                      std::span<float> out) const;
  /// What the network sees. input may be sample.
  void scale_input(int64_t call, std::span<const float> sample, std::span<float> input) const;
  /// The next sample, in place. `output` is the network's, after guidance. noise: noises(call) arrays are read.
  void advance(int64_t call, std::span<const float> output, std::array<std::span<const float>, 2> noise,
               std::span<float> history, std::span<float> sample) const;

 private:
  friend class PlanBuilder;
  struct Level {
    double picture = 1, noise = 0;
  };
  std::vector<ModelCall> calls_;
  std::vector<Level> levels_;  // [n_calls + 1]
  int64_t slots_ = 0;
  double start_noise_ = 1;
};

}  // namespace weft::diffusion
#endif
