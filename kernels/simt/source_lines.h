/// The source line of an instruction of this process, by addr2line and the program's debugging information.
/// Private to this folder. Thread safety: any thread.
#ifndef WEFT_KERNELS_SIMT_SOURCE_LINES_H
#define WEFT_KERNELS_SIMT_SOURCE_LINES_H

#include <cstdint>
#include <string>
#include <vector>

namespace weft::simt {

struct SourceLine {
  std::string file;  // without folders; empty if unknown
  int line = 0;
};

/// The lines of return addresses, in their order. Of functions that were inlined, the innermost that is not in target.h or
/// language.h. What was looked up once is kept: starting addr2line takes a tenth of a second.
std::vector<SourceLine> source_lines(const std::vector<uintptr_t>& return_addresses);

/// The mangled name of a function of this process, by its debugging information; empty if unknown.
std::string symbol_name(const void* function);

/// A path without its folders.
std::string file_name(const std::string& path);

}  // namespace weft::simt
#endif
