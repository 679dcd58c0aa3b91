/// Pictures of what nodes are making, written where somebody looks: the host's side of "weft.previews/1".
///
/// A node's last preview is FOLDER/NODE.png; nodes of subgraphs and elements of for_each have names of their own
/// ("outer.inner.3.png"). Files appear whole, and a folder that cannot be written costs one warning, not the run.
/// Thread safety: any thread.
#ifndef WEFT_PIPELINE_RUN_PREVIEWS_H
#define WEFT_PIPELINE_RUN_PREVIEWS_H

#include <weft/abi/draft/previews.h>
#include <weft/sdk/status.h>

#include <atomic>
#include <filesystem>
#include <string_view>

#include "pipeline/run/host.h"

namespace weft {

class Previews {
 public:
  /// folder: empty if nobody looks; created with the first picture. What is given outlives it.
  Previews(const std::filesystem::path& folder, TemporaryFiles& temporaries, const LogHandler& log);
  const weft_previews_api* api() const { return &api_; }

 private:
  void show(const weft_request& request, std::string_view media_type, std::string_view file);
  void warn_once(const Status& status);

  const std::filesystem::path& folder_;
  TemporaryFiles& temporaries_;
  const LogHandler& log_;
  weft_previews_api api_;
  std::atomic<bool> warned_{false};
};

}  // namespace weft
#endif
