#include "pipeline/run/input_files.h"

#include <weft/sdk/error.h>

#include <cstring>
#include <system_error>

namespace weft {

namespace fs = std::filesystem;

Result<fs::path> find_input(const std::string& path, const fs::path& folder) {
  if (path.empty()) return Status(StatusCode::kInvalidArgument, "the path of an input file is empty");
  std::error_code failed;
  const fs::path given(path);
  fs::path place = fs::canonical(given.is_absolute() ? given : folder / given, failed);
  if (failed == std::errc::permission_denied) {
    return Status(StatusCode::kPermissionDenied, "the input file may not be read").at(path);
  }
  if (failed) {
    return Status(StatusCode::kNotFound, "the input file is not there")
        .at(path)
        .hint("a relative path starts at the pipeline file's folder");
  }
  const bool wants_folder = path.ends_with('/');
  if (wants_folder && !fs::is_directory(place, failed))
    return Status(StatusCode::kInvalidArgument, "the input path is not a folder").at(path);
  if (!wants_folder && !fs::is_regular_file(place, failed))
    return Status(StatusCode::kInvalidArgument, "the input path is not a file").at(path);
  return place;
}

Status check_readable(const std::optional<std::set<std::string>>& readable, const fs::path& canonical) {
  if (!readable || readable->contains(canonical.string())) return {};
  return Status(StatusCode::kPermissionDenied,
                "a pipeline from a picture reads no files but those given to it")
      .hint("run the pipeline's own file, or give the file to an input of type path with --set");
}

Status copy_path(const fs::path& path, char* to, size_t capacity) {
  const std::string text = path.string();
  if (text.size() + 1 > capacity) return {StatusCode::kOutOfRange, "a path is longer than the node's buffer"};
  std::memcpy(to, text.c_str(), text.size() + 1);
  return {};
}

KnownFiles::KnownFiles() {
  api_.struct_size = sizeof(api_);
  api_.self = this;
  api_.resolve = [](void* self, const char* path, char* resolved, size_t capacity, weft_error* error) {
    return sdk::barrier(error, [&]() -> Status {
      const Result<fs::path> place = static_cast<const KnownFiles*>(self)->resolve(path ? path : "");
      return place.ok() ? copy_path(*place, resolved, capacity) : place.status();
    });
  };
}

Result<fs::path> KnownFiles::resolve(const char* path) const {
  const Scope* scope = nullptr;
  {
    const std::lock_guard lock(mutex_);
    const auto found = scopes_.find(std::this_thread::get_id());
    if (found != scopes_.end()) scope = found->second;  // stays: only this thread would take it away
  }
  if (scope == nullptr)
    return Status(StatusCode::kNotFound, "no run is being prepared on this thread").at(path);
  Result<fs::path> place = find_input(path, scope->folder_);
  if (!place.ok()) return place;
  if (Status refused = check_readable(scope->readable_, *place); !refused.ok())
    return std::move(refused).at(path);
  return place;
}

KnownFiles::Scope::Scope(KnownFiles& files, const fs::path& folder,
                         const std::optional<std::set<std::string>>& readable)
    : files_(files), folder_(folder), readable_(readable) {
  const std::lock_guard lock(files_.mutex_);
  const Scope*& mine = files_.scopes_[std::this_thread::get_id()];
  around_ = mine;
  mine = this;
}

KnownFiles::Scope::~Scope() {
  const std::lock_guard lock(files_.mutex_);
  if (around_ != nullptr) files_.scopes_[std::this_thread::get_id()] = around_;
  else files_.scopes_.erase(std::this_thread::get_id());
}

}  // namespace weft
