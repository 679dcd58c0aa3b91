/// What the model types of plugins share: the precision of their networks, and which packed weights belong to which files.
///
///   const DType compute = compute_type(parameters.get_text("precision"));
///   Result<std::string> key = note_model_files(source, model_files(file));
///   std::unique_ptr<PackedWeightStore> store = packed_weight_store(host, *key);
///   Status loaded = network.load(*store, *key + ".vision", host.executor());
#ifndef WEFT_KERNELS_LAYERS_MODEL_WEIGHTS_H
#define WEFT_KERNELS_LAYERS_MODEL_WEIGHTS_H

#include <weft/sdk/model.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/layers/packed_weight_store.h"
#include "kernels/tensor.h"
#include "modalities/weights/weight_file.h"

namespace weft {

/// Choices of a model's parameter "precision".
inline constexpr const char* kPrecisions[] = {"auto", "f32", "bf16", nullptr};
enum class ComputePlace : uint8_t { kHost, kDevice };
/// auto: bf16 on a device and where the processor multiplies it faster than f32.
DType compute_type(std::string_view precision, ComputePlace place = ComputePlace::kHost);

/// Every file that a model in `file` is read from: the weights, and beside safetensors the small files that hold
/// configuration, vocabulary and template.
std::vector<std::string> model_files(const WeightFile& file);

/// Notes files that results depend on, and gives what their packed weights are known by: the hash of one file, or a digest of
/// several; empty under a host that keeps nothing. Errors: those of ModelSource::add_file().
Result<std::string> note_model_files(const sdk::ModelSource& source, std::span<const std::string> paths);
/// A digest of hashes, in hexadecimal.
std::string digest_of(std::string_view content);

/// The host's cache, or this process's memory where there is none or the key is empty: without a hash an entry could belong to
/// other weights.
std::unique_ptr<PackedWeightStore> packed_weight_store(const sdk::Host& host, std::string_view key);

}  // namespace weft
#endif
