/// Reads the text of one module; lives for that long. Private to this folder.
#ifndef WEFT_KERNELS_SIMT_PTX_PARSER_H
#define WEFT_KERNELS_SIMT_PTX_PARSER_H

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/simt/ptx/module.h"

namespace weft::simt::ptx {

class Parser {
 public:
  Parser(const std::string& text, std::string name);
  Result<Module> module();

 private:
  struct Place {  // a .loc: where it is, and where it was inlined
    int file = 0, line = 0, column = 0;
    auto operator<=>(const Place&) const = default;
  };

  // The text.
  std::string_view until(const char* ends);  // trimmed; stands behind the end
  void skip_blanks();
  bool starts(std::string_view word) const { return text_.substr(at_).starts_with(word); }
  int line_number() const;
  Status error(const std::string& what) const;

  // The module.
  void read_file_names();
  Status variable(std::string_view declaration);
  Status kernel(std::string_view head);
  Status body(Kernel& kernel);
  Status statement(std::string_view text, Kernel& kernel);
  Status declaration(std::string_view text, Kernel& kernel);
  void declare_registers(std::string_view text, Kernel& kernel);
  void location(std::string_view text);
  Status instruction(std::string_view text, Kernel& kernel);
  Status opcode(std::string_view text, Instruction* made);
  Status operands(std::string_view text, Instruction* made);
  Status operand(std::string_view text, Operand* made);
  Status resolve_branches(Kernel& kernel);
  int find_register(std::string_view name) const;

  const std::string source_;
  const std::string_view text_;
  const std::string name_;
  size_t at_ = 0, statement_at_ = 0;
  Module module_;
  std::map<int, std::string> file_names_;
  std::map<std::string, uint64_t, std::less<>>
      symbols_;  // parameters, shared and local variables: their offsets
  std::vector<std::map<std::string, uint32_t, std::less<>>> scopes_;  // registers by name, innermost last
  std::map<std::string, uint32_t, std::less<>> labels_;
  std::vector<std::pair<size_t, std::string>> branches_;  // instruction, label
  std::map<Place, Place> inlined_at_;
  const char* file_ = "";
  int line_ = 0;
};

}  // namespace weft::simt::ptx
#endif
