#include "kernels/simt/source_lines.h"

#include <dlfcn.h>
#include <link.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>

namespace weft::simt {
namespace {

/// One run of addr2line over addresses of one file.
void look_up(const std::string& file, const std::map<uintptr_t, uintptr_t>& address_of_offset,
             std::map<uintptr_t, SourceLine>* known) {
  std::string command = "addr2line -a -i -e '" + file + "'";
  char text[4096];
  for (const auto& [offset, address] : address_of_offset) {
    std::snprintf(text, sizeof text, " %#lx", static_cast<unsigned long>(offset));
    command += text;
  }
  FILE* output = popen((command + " 2>/dev/null").c_str(), "r");
  if (output == nullptr) return;
  SourceLine* current = nullptr;
  while (std::fgets(text, sizeof text, output)) {
    std::string line = text;
    if (line.starts_with("0x")) {
      const auto at = address_of_offset.find(std::strtoull(line.c_str(), nullptr, 16));
      current = at == address_of_offset.end() ? nullptr : &(*known)[at->second];
      continue;
    }
    const size_t colon = line.rfind(':');
    if (current == nullptr || colon == std::string::npos || line.starts_with("??")) continue;
    const bool settled =
        !current->file.empty() && current->file != "target.h" && current->file != "language.h";
    if (!settled) *current = {file_name(line.substr(0, colon)), std::atoi(line.c_str() + colon + 1)};
  }
  pclose(output);
}

struct Location {
  std::string file;
  uintptr_t offset = 0;
};

/// Where an address lies in the files of this process; no file if nowhere.
Location location_of(uintptr_t address) {
  Dl_info info;
  link_map* map = nullptr;
  if (!dladdr1(reinterpret_cast<void*>(address), &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP))
    return {};
  const bool program = map->l_name[0] == '\0';
  return {program ? "/proc/" + std::to_string(getpid()) + "/exe" : std::string(map->l_name),
          address - map->l_addr};
}

}  // namespace

std::string symbol_name(const void* function) {
  static std::mutex mutex;
  static std::map<const void*, std::string> known;
  const std::lock_guard lock(mutex);
  if (const auto found = known.find(function); found != known.end()) return found->second;
  const Location location = location_of(reinterpret_cast<uintptr_t>(function));
  char text[4096];
  std::snprintf(text, sizeof text, "addr2line -f -e '%s' %#lx 2>/dev/null", location.file.c_str(),
                static_cast<unsigned long>(location.offset));
  std::string& name = known[function];
  FILE* output = popen(text, "r");
  if (output == nullptr) return name;
  if (std::fgets(text, sizeof text, output) && !std::string(text).starts_with("??")) name = text;
  pclose(output);
  while (!name.empty() && name.back() == '\n') name.pop_back();
  return name;
}

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::vector<SourceLine> source_lines(const std::vector<uintptr_t>& return_addresses) {
  static std::mutex mutex;
  static std::map<uintptr_t, SourceLine> known;
  const std::lock_guard lock(mutex);
  std::map<std::string, std::map<uintptr_t, uintptr_t>> wanted;  // file -> offset in it -> address
  for (const uintptr_t address : return_addresses) {
    if (known.contains(address)) continue;
    known[address] = {};
    const Location location = location_of(address - 1);
    if (!location.file.empty()) wanted[location.file][location.offset] = address;
  }
  for (const auto& [file, offsets] : wanted) look_up(file, offsets, &known);
  std::vector<SourceLine> lines;
  for (const uintptr_t address : return_addresses) lines.push_back(known[address]);
  return lines;
}

}  // namespace weft::simt
