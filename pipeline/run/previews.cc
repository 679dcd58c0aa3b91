#include "pipeline/run/previews.h"

#include <weft/sdk/error.h>

#include <algorithm>
#include <string>
#include <system_error>

#include "pipeline/files/durable_file.h"
#include "pipeline/run/request.h"

namespace weft {
namespace {

std::string file_name(const weft_request& request) {
  std::string name = *request.node;
  std::replace(name.begin(), name.end(), '/', '.');
  for (const uint32_t element : request.place) name += "." + std::to_string(element);
  return name + ".png";
}

}  // namespace

Previews::Previews(const std::filesystem::path& folder, TemporaryFiles& temporaries, const LogHandler& log)
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
    std::error_code error;
    std::filesystem::create_directories(folder_, error);
    if (error) return io_error("creating the folder", folder_, error.value());
    Result<DurableFile> target = DurableFile::create(temporaries_, folder_ / file_name(request));
    if (!target.ok()) return target.status();
    if (Status status = target->write(file); !status.ok()) return status;
    return target->commit(Sync::kNo);  // after a power failure nobody looks
  });
  if (!written.ok() && written.code() != StatusCode::kCancelled) warn_once(written);
}

void Previews::warn_once(const Status& status) {
  if (warned_.exchange(true) || !log_) return;
  log_(WEFT_LOG_WARNING, "previews are not shown: " + to_string(status.error()));
}

}  // namespace weft
