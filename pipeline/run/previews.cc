#include "pipeline/run/previews.h"

#include <unistd.h>
#include <weft/sdk/error.h>

#include <algorithm>
#include <system_error>
#include <utility>
#include <vector>

#include "pipeline/run/request.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

std::string file_name(const weft_request& request) {
  std::string name = *request.node;
  std::replace(name.begin(), name.end(), '/', '.');
  for (const uint32_t element : request.place) name += "." + std::to_string(element);
  return name + ".png";
}

/// Whether file_name() gives this name to a node of the graph, or a DurableFile to what it has not finished of one.
bool is_preview(std::string_view name, const Graph& graph) {
  const bool unfinished = name.starts_with('.') && name.ends_with(".tmp");
  if (unfinished) name.remove_prefix(1);
  if (!unfinished && !name.ends_with(".png")) return false;
  const std::string_view node = name.substr(0, name.find('.'));
  return std::ranges::any_of(graph.nodes, [&](const Node& each) { return each.name == node; });
}

}  // namespace

Previews::Previews(const fs::path& folder, TemporaryFiles& temporaries, const LogHandler& log)
    : folder_(folder),
      temporaries_(temporaries),
      log_(log),
      api_{.struct_size = sizeof(weft_previews_api),
           .reserved = 0,
           .self = this,
           .wanted = [](void* self) { return int32_t{!static_cast<Previews*>(self)->folder_.empty()}; },
           .show =
               [](void* self, const weft_request* request, const char* media_type, const void* bytes,
                  size_t size) {
                 static_cast<Previews*>(self)->show(*request, media_type,
                                                    {static_cast<const char*>(bytes), size});
               }} {}

void Previews::show(const weft_request& request, std::string_view media_type, std::string_view file) {
  if (folder_.empty() || media_type != "image/png") return;
  const Status written = sdk::guarded([&]() -> Status {
    const std::string& item = request.host->item();
    const fs::path path = folder_ / item / file_name(request);
    Result<DurableFile> target = create(path);
    if (!target.ok()) return target.status();
    if (Status status = target->write(file); !status.ok()) return status;
    // After a power failure nobody looks.
    if (Status status = target->commit(Sync::kNo); !status.ok()) return status;
    if (!item.empty()) temporaries_.adopt(path);
    return {};
  });
  if (!written.ok() && written.code() != StatusCode::kCancelled) warn_once(written);
}

Result<DurableFile> Previews::create(const fs::path& file) {
  const std::lock_guard lock(folders_);
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  if (error) return io_error("creating the folder", file.parent_path(), error.value());
  return DurableFile::create(temporaries_, file);
}

void Previews::clear(const std::string& item, const Graph& graph) {
  if (folder_.empty() || item.empty()) return;
  // What cannot be removed stays: nobody's result depends on it.
  (void)sdk::guarded([&]() -> Status {
    const fs::path folder = folder_ / item;
    const std::lock_guard lock(folders_);
    std::error_code ignored;
    std::vector<fs::path> pictures;
    for (fs::directory_iterator entry(folder, ignored), end; entry != end; entry.increment(ignored)) {
      const fs::path name = entry->path().filename();
      if (is_preview(name.native(), graph)) pictures.push_back(folder / name);
    }
    for (const fs::path& picture : pictures) {
      temporaries_.remove(picture);
      (void)temporaries_.file_system().unlink(picture.c_str());  // of another process
    }
    for (fs::path part = item; !part.empty() && ::rmdir((folder_ / part).c_str()) == 0;)
      part = part.parent_path();
    return {};
  });
}

void Previews::warn_once(const Status& status) {
  if (warned_.exchange(true) || !log_) return;
  log_(WEFT_LOG_WARNING, "previews are not shown: " + to_string(status.error()));
}

}  // namespace weft
