/// The tokens that a device is to draw of a batch's logits: what sampling_cuda() wants of SamplingParameters, in one piece of
/// memory that is made on the host and copied.
///
///   DeviceDraws draws(vocabulary);
///   if (!draws.add(row, parameters, input)) { ... }     // sample() draws it, of the logits
///   draws.write(host);                                 // draws.size_bytes(), to be copied to `there`
///   Status drawn = device.ops().sampling(draws.at(there, logits, tokens), stream);
///
/// Ownership: values; histories and masks are read by add(). Thread safety: one thread at a time.
#ifndef WEFT_KERNELS_OPS_SAMPLING_DEVICE_DRAWS_H
#define WEFT_KERNELS_OPS_SAMPLING_DEVICE_DRAWS_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/ops/sampling/sampling_cuda.h"

namespace weft {

/// Changes of a row's logits that a device is told of.
inline constexpr int64_t kMostDeviceChanges = 1024;

class DeviceDraws {
 public:
  explicit DeviceDraws(int64_t vocabulary) : vocabulary_(vocabulary) {}

  /// Adds the draw of a row of the logits; input.logits is not looked at. Precondition: check() is ok. False, and nothing is added:
  /// a device does not draw it, because typical_p would be of more than kMostTypicalCuda tokens, because biases, penalties and DRY
  /// change the logits of more than kMostDeviceChanges, or because the vocabulary is larger than kMostSamplingCols.
  bool add(int32_t row, const SamplingParameters& parameters, const SamplingInput& input);
  void clear();

  int64_t count() const { return static_cast<int64_t>(rows_.size()); }
  bool draws(int32_t row) const;
  int64_t size_bytes() const;
  /// The most of `count` draws.
  static int64_t most_bytes(int64_t count, int64_t vocabulary);
  /// to: size_bytes() of the host's memory.
  void write(std::byte* to) const;
  /// The call whose operands lie as write() has them, copied to `there`. tokens: [count()] in the order of add().
  SamplingCuda at(const std::byte* there, float* logits, int32_t* tokens) const;

 private:
  int64_t vocabulary_;
  std::vector<SamplingRow> rows_;
  std::vector<uint64_t> masks_;
  std::vector<LogitChange> changes_;
  // Of one add().
  std::vector<int32_t> recent_;
  std::vector<Repetition> repetitions_;
  std::vector<LogitChange> of_history_, of_row_;
};

}  // namespace weft
#endif
