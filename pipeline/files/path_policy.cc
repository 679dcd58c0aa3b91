#include "pipeline/files/path_policy.h"

#include <string>
#include <system_error>

#include "pipeline/files/durable_file.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

Status refused(std::string_view path, const std::string& why) {
  return Status(StatusCode::kPermissionDenied, "an output file may not be written there: " + why)
      .at("path '" + std::string(path) + "'")
      .expected("a relative path below the output folder");
}

bool has_control_character(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return true;
  }
  return false;
}

bool is_below(const fs::path& path, const fs::path& folder) {
  auto part = path.begin();
  for (const fs::path& expected : folder) {
    if (part == path.end() || *part != expected) return false;
    ++part;
  }
  return true;
}

}  // namespace

Result<fs::path> place_below(const fs::path& folder, std::string_view relative,
                             std::vector<fs::path>& created) {
  if (relative.empty()) return Status(StatusCode::kInvalidArgument, "the path of an output file is empty");
  if (has_control_character(relative)) return refused("", "it holds a control character");
  const fs::path path{std::string(relative)};
  if (path.is_absolute()) return refused(relative, "it is absolute");
  if (!path.has_filename() || path.filename() == ".") return refused(relative, "it names a folder");
  for (const fs::path& part : path) {
    if (part == "..") return refused(relative, "it has a '..' part");
    if (part.native().size() > 255) {
      return Status(StatusCode::kInvalidArgument, "a part of an output path is longer than 255 bytes");
    }
  }
  std::error_code error;
  const fs::path root = fs::canonical(folder, error);
  if (error) return io_error("finding the output folder", folder, error.value());

  fs::path place = root;
  for (const fs::path& part : path.parent_path()) {
    if (part == ".") continue;
    place /= part;
    const fs::file_status status = fs::symlink_status(place, error);
    if (!fs::exists(status)) {
      if (!fs::create_directory(place, error) && error)
        return io_error("creating the folder", place, error.value());
      created.push_back(place);
      continue;
    }
    const fs::path target = fs::canonical(place, error);
    if (error) return io_error("following", place, error.value());
    if (!is_below(target, root)) return refused(relative, "a link on the way leaves the output folder");
    if (!fs::is_directory(target)) return refused(relative, "'" + part.string() + "' is not a folder");
    place = target;
  }
  place /= path.filename();
  const fs::file_status status = fs::symlink_status(place, error);
  if (fs::is_symlink(status)) return refused(relative, "it is a link");
  if (fs::exists(status) && !fs::is_regular_file(status))
    return refused(relative, "something other than a file is there");
  return place;
}

}  // namespace weft
