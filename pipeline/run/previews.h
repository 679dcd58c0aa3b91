/// Pictures of what nodes are making, written where somebody looks: the host's side of "weft.previews/1".
///
/// A node's last preview is FOLDER/NODE.png; nodes of subgraphs and elements of for_each have names of their own
/// ("outer.inner.3.png"). Those of an item of a batch are in FOLDER/ITEM/, as long as it is at work: whoever runs it clears
/// them, and a process that has to end at once takes them along. Files appear whole, and a folder that cannot be written
/// costs one warning, not the run.
/// Thread safety: any thread.
#ifndef WEFT_PIPELINE_RUN_PREVIEWS_H
#define WEFT_PIPELINE_RUN_PREVIEWS_H

#include <weft/abi/draft/previews.h>
#include <weft/sdk/status.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>

#include "pipeline/files/durable_file.h"
#include "pipeline/graph/graph.h"
#include "pipeline/run/host.h"

namespace weft {

class Previews {
 public:
  /// folder: empty if nobody looks; created with the first picture. What is given outlives it.
  Previews(const std::filesystem::path& folder, TemporaryFiles& temporaries, const LogHandler& log);
  const weft_previews_api* api() const { return &api_; }
  const std::filesystem::path& folder() const { return folder_; }

  /// Removes the pictures of this item that nodes of the graph have shown, in this process or in one that was killed, and its
  /// folder if that is empty then. Other files stay, whatever the user has named. The item is not at work.
  void clear(const std::string& item, const Graph& graph);

 private:
  Result<DurableFile> create(const std::filesystem::path& file);
  void show(const weft_request& request, std::string_view media_type, std::string_view file);
  void warn_once(const Status& status);

  const std::filesystem::path& folder_;
  TemporaryFiles& temporaries_;
  const LogHandler& log_;
  weft_previews_api api_;
  std::mutex folders_;  // held while one is made and its first file begun, or while it is removed
  std::atomic<bool> warned_{false};
};

}  // namespace weft
#endif
