#include "pipeline/new_plugin/new_plugin.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>
#include <utility>

#include "pipeline/loader/port_type.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTemplateName = "template";
constexpr const char* kFiles[] = {"template.cc", "CMakeLists.txt"};

std::string renamed(std::string text, const std::string& name) {
  const std::string from = kTemplateName;
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + name.size())) {
    text.replace(at, from.size(), name);
  }
  return text;
}

std::optional<std::string> read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  return std::string{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

Status write_file(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file)
    return Status(StatusCode::kIoError, std::string("cannot write: ") + std::strerror(errno))
        .at(path.string());
  return {};
}

fs::path installation_prefix() {
  std::error_code failure;
  const fs::path program = fs::read_symlink("/proc/self/exe", failure);
  return failure ? fs::path() : program.parent_path().parent_path();
}

std::vector<std::string> steps(const std::string& name, const fs::path& folder, const fs::path& prefix) {
  const auto quoted = [](const fs::path& path) { return "'" + path.string() + "'"; };
  const fs::path build = folder / "build";
  return {"cmake -S " + quoted(folder) + " -B " + quoted(build) + " -DCMAKE_PREFIX_PATH=" + quoted(prefix),
          "cmake --build " + quoted(build), "weft check " + quoted(build / (name + ".so"))};
}

Result<std::vector<fs::path>> write_files(const std::string& name, const fs::path& folder,
                                          const fs::path& from) {
  std::vector<fs::path> written;
  for (const char* file : kFiles) {
    const std::optional<std::string> text = read_file(from / file);
    if (!text) {
      return Status(StatusCode::kNotFound, "a file of the plugin template is missing")
          .at((from / file).string())
          .hint("the installation of Weft is incomplete");
    }
    const fs::path to = folder / renamed(file, name);
    if (Status status = write_file(to, renamed(*text, name)); !status.ok()) return status;
    written.push_back(to);
  }
  return written;
}

}  // namespace

fs::path default_template_folder() { return installation_prefix() / "share/weft/template"; }

Result<NewPlugin> new_plugin(const std::string& name, const fs::path& parent,
                             const fs::path& template_folder) {
  if (!is_identifier(name)) {
    return Status(StatusCode::kInvalidArgument, "this cannot be the name of a plugin")
        .expected("lower-case letters, digits and '_', a letter first")
        .got("'" + name + "'");
  }
  NewPlugin plugin;
  plugin.folder = parent / name;
  std::error_code failure;
  fs::create_directories(parent, failure);
  if (!fs::create_directory(plugin.folder, failure)) {
    if (failure)
      return Status(StatusCode::kIoError, "cannot make the folder: " + failure.message())
          .at(plugin.folder.string());
    return Status(StatusCode::kAlreadyExists, "the folder exists already").at(plugin.folder.string());
  }
  Result<std::vector<fs::path>> files = write_files(name, plugin.folder, template_folder);
  if (!files.ok()) {
    fs::remove_all(plugin.folder, failure);  // made a moment ago, by this function
    return files.status();
  }
  plugin.files = *std::move(files);
  plugin.next_steps = steps(name, plugin.folder, installation_prefix());
  return plugin;
}

}  // namespace weft
