/// Nodes for picture files: image.load, image.save.
#ifndef WEFT_PLUGINS_IMAGE_FILE_NODES_H
#define WEFT_PLUGINS_IMAGE_FILE_NODES_H

#include <weft/sdk/plugin.h>

#include <optional>
#include <span>

#include "modalities/image/files/image_file.h"

namespace weft::image {

/// A PNG, JPEG, WebP or AVIF file as a picture.
class LoadNode {
 public:
  static Result<std::unique_ptr<LoadNode>> create(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  Status decode(sdk::Request& request, const sdk::Execution& execution, std::span<const std::byte> file,
                const ImageHeader& header, const ImageView& picture) const;

  int64_t channels_ = 0;  // 0: those of the file
  weft_dtype dtype_ = WEFT_DTYPE_U8;
  ImageLimits limits_;
  std::optional<ImageShape> planned_;  // of the one file that is read, where it is known before the run
  Rgba background_{};
  bool keeps_profile_ = false;
};

/// Pictures into files below the output folder, with a record of how they were made.
class SaveNode {
 public:
  explicit SaveNode(const sdk::NodeConfig&) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);
};

extern const weft_node_type kLoadNode, kSaveNode;

}  // namespace weft::image
#endif
