/// What a new architecture has to say, and nothing more: how its metadata fills a DecoderConfig and what a file
/// calls its tensors. One small file each in architectures/; architecture.cc lists them.
///
/// To add one: write architectures/<name>.cc with a `const Architecture k<Name>`, add it to the list, add a reduced
/// random model to scripts/make_golden/decoder.py. If the forward pass lacks a switch, add it to DecoderConfig and
/// to forward.cc, for all.
#ifndef WEFT_KERNELS_NETWORKS_DECODER_ARCHITECTURE_H
#define WEFT_KERNELS_NETWORKS_DECODER_ARCHITECTURE_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/networks/decoder/decoder_config.h"
#include "modalities/weights/metadata_reader.h"
#include "modalities/weights/weight_file.h"

namespace weft {

/// The tensors of a decoder; those from kAttentionNorm on exist once a layer.
enum class Part : uint8_t {
  kTokenEmbedding,
  kPositionEmbedding,
  kRopeDivisors,
  kOutputNorm,
  kOutput,
  kAttentionNorm,
  kMlpNorm,
  kPostAttentionNorm,
  kPostMlpNorm,
  kQueryNorm,
  kKeyNorm,
  kQkv,  // query, key and value in one matrix; a file has this or the three
  kQuery,
  kKey,
  kValue,
  kAttentionOutput,
  kGate,
  kUp,
  kDown,
};

inline constexpr int kPartCount = static_cast<int>(Part::kDown) + 1;
constexpr uint32_t bit(Part part) { return uint32_t{1} << static_cast<int>(part); }

/// "layers.{}.mlp.up_proj": {} stands for the layer; ".weight" and ".bias" follow. Where a part is listed more than
/// once, the first name that a file has is taken.
struct PartName {
  Part part;
  std::string_view name;
};

/// More layers than this are a damaged file.
inline constexpr int64_t kMaxLayers = 4096;

enum class MatrixOrder : uint8_t { kOutIn, kInOut };
/// The rows of kQkv: all queries, all keys, all values; or for each KV head its queries, its key, its value.
enum class QkvOrder : uint8_t { kConcatenated, kGrouped };

/// How files of one kind store an architecture.
struct FileLayout {
  /// Empty: the names that GGUF gives every architecture, or those that llama introduced to Hugging Face.
  std::span<const PartName> names = {};
  RopeLayout rope = RopeLayout::kHalves;    // the order of components in query and key rows
  MatrixOrder order = MatrixOrder::kOutIn;  // of the linear layers, embeddings and output excepted
  QkvOrder qkv = QkvOrder::kConcatenated;
  float norm_offset = 0;  // added to every norm's weight
  uint32_t biases = 0;    // bit() of the parts that must have one; others may
};

struct Architecture {
  /// As GGUF's general.architecture and config.json's model_type spell it.
  std::span<const std::string_view> names;
  FileLayout gguf, hugging_face;
  /// Fills everything but `architecture`, `vocabulary` and rope.layout, which open() sets. Reads keys behind the prefix of their
  /// place: "llama." in GGUF; in a config.json none, or "text_config." of a model that has more than its decoder.
  Status (*configure)(MetadataReader& reader, WeightContainer container, DecoderConfig& config);

  /// The layout of one kind of file, with its names.
  FileLayout layout(WeightContainer container) const;
};

/// Errors: kUnsupported, naming the known ones.
Result<const Architecture*> find_architecture(std::string_view name);

/// Where a model that has more than its decoder says what that is.
inline constexpr std::string_view kTextModelType = "text_config.model_type";

/// The values that transformers' config class of an architecture leaves out of a text_config.
struct UnsaidShapes {
  int64_t width = 0, n_layers = 0, n_heads = 0, mlp_width = 0, context_length = 0;
  int64_t n_kv_heads = 0, head_dim = 0;  // 0: as many as heads; the width's share of a head
  double norm_epsilon = 0;
};

/// The keys that all architectures share in GGUF: shapes, norm epsilon, rotation with its scaling, window.
/// `reader` has the prefix "<architecture>.".
void read_gguf_shapes(MetadataReader& reader, DecoderConfig& config);
/// The same of a config.json in llama's spelling. unsaid: what a text_config means that leaves keys out; a config.json of its own,
/// and one whose `unsaid` is 0, must have them.
void read_hugging_face_shapes(MetadataReader& reader, DecoderConfig& config, const UnsaidShapes& unsaid = {});
/// config.json's rotation: base and scaling under "rope_parameters" or "rope_scaling", or for one kind of layer
/// under "rope_parameters.<kind>".
void read_hugging_face_rope(MetadataReader& reader, std::string_view kind, int64_t n_rotated, double base,
                            RopeConfig& rope);
}  // namespace weft
#endif
