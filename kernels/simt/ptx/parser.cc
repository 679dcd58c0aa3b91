#include "kernels/simt/ptx/parser.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>

#include "kernels/simt/ptx/operations.h"
#include "kernels/simt/source_lines.h"

namespace weft::simt::ptx {
namespace {

struct TypeName {
  const char* name;
  Type type;
};
constexpr TypeName kTypes[] = {
    {"pred", Type::kPred}, {"b8", Type::kB8},       {"b16", Type::kB16},      {"b32", Type::kB32},
    {"b64", Type::kB64},   {"u8", Type::kU8},       {"u16", Type::kU16},      {"u32", Type::kU32},
    {"u64", Type::kU64},   {"s8", Type::kS8},       {"s16", Type::kS16},      {"s32", Type::kS32},
    {"s64", Type::kS64},   {"f16", Type::kF16},     {"bf16", Type::kBF16},    {"f32", Type::kF32},
    {"f64", Type::kF64},   {"f16x2", Type::kF16x2}, {"bf16x2", Type::kBF16x2}};

struct ModifierName {
  const char* name;
  uint64_t bits;
};
constexpr ModifierName kModifiers[] = {
    {"lo", kLo},
    {"hi", kHi},
    {"wide", kWide},
    {"ftz", kFtz},
    {"sat", kSat},
    {"rn", kRn},
    {"rz", kRz},
    {"rm", kRm},
    {"rp", kRp},
    {"rni", kRni},
    {"rzi", kRzi},
    {"rmi", kRmi},
    {"rpi", kRpi},
    {"approx", kApprox},
    {"full", kApprox},
    {"NaN", kNaN},
    {"eq", kEq},
    {"ne", kNe},
    {"lt", kLt},
    {"le", kLe},
    {"gt", kGt},
    {"ge", kGe},
    {"equ", kEq | kUnordered},
    {"neu", kNe | kUnordered},
    {"ltu", kLt | kUnordered},
    {"leu", kLe | kUnordered},
    {"gtu", kGt | kUnordered},
    {"geu", kGe | kUnordered},
    {"nan", kNan},
    {"num", kNum},
    {"and", kAnd},
    {"or", kOr},
    {"xor", kXor},
    {"popc", kPopc},
    {"add", kAdd},
    {"min", kMin},
    {"max", kMax},
    {"exch", kExch},
    {"cas", kCas},
    {"global", kGlobal},
    {"shared", kShared},
    {"local", kLocal},
    {"param", kParam},
    {"const", kConst},
    {"to", kTo},
    {"sync", kSync},
    {"idx", kIdx},
    {"bfly", kBfly},
    {"up", kUp},
    {"down", kDown},
    {"ballot", kBallot},
    {"all", kAll},
    {"any", kAny},
    {"red", kRed},
    {"warp", kWarp},
    {"async", kAsync},
    {"commit_group", kCommitGroup},
    {"wait_group", kWaitGroup},
    {"wait_all", kWaitAll},
    {"trans", kTrans},
    {"m16n8k16", kM16N8K16},
    {"m16n8k32", kM16N8K32},
    {"x1", kX1},
    {"x2", kX2},
    {"x4", kX4},
    {"l", kL},
    {"r", kR},
    {"wrap", kWrap},
    {"clamp", kClamp},
    {"aligned", kHint},
    {"volatile", kHint},
    {"relaxed", kHint},
    {"gpu", kHint},
    {"cta", kHint},
    {"sys", kHint},
    {"sc", kHint},
    {"acq_rel", kHint},
    {"uni", kHint},
    {"nc", kHint},
    {"ca", kHint},
    {"cg", kHint},
    {"L1::no_allocate", kHint},
    {"v2", kHint},
    {"v4", kHint},
    {"m8n8", kHint},
    {"row", kHint},
    {"launch_dependents", kHint},
    {"wait", kHint},
    {"col", kHint},
};

constexpr struct {
  const char* name;
  Special special;
} kSpecials[] = {
    {"%tid.x", Special::kTidX},       {"%tid.y", Special::kTidY},       {"%tid.z", Special::kTidZ},
    {"%ntid.x", Special::kBlockDimX}, {"%ntid.y", Special::kBlockDimY}, {"%ntid.z", Special::kBlockDimZ},
    {"%ctaid.x", Special::kBlockX},   {"%ctaid.y", Special::kBlockY},   {"%ctaid.z", Special::kBlockZ},
    {"%nctaid.x", Special::kGridX},   {"%nctaid.y", Special::kGridY},   {"%nctaid.z", Special::kGridZ},
    {"%laneid", Special::kLane}};

constexpr uint32_t kSharedAlignment = 128, kSharedGuard = 256;
constexpr uint64_t kDynamic = ~uint64_t{0};  // in the place of an offset, which is each kernel's own

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

/// The first word, which is taken off.
std::string_view next_word(std::string_view* text) {
  *text = trimmed(*text);
  size_t n = 0;
  while (n < text->size() && !std::isspace(static_cast<unsigned char>((*text)[n]))) ++n;
  const std::string_view word = text->substr(0, n);
  text->remove_prefix(n);
  *text = trimmed(*text);
  return word;
}

/// Splits at commas outside of brackets and braces.
std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  int depth = 0;
  size_t start = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && (text[i] == '{' || text[i] == '[')) ++depth;
    if (i < text.size() && (text[i] == '}' || text[i] == ']')) --depth;
    if (i < text.size() && (text[i] != ',' || depth > 0)) continue;
    if (const std::string_view part = trimmed(text.substr(start, i - start)); !part.empty())
      parts.push_back(part);
    start = i + 1;
  }
  return parts;
}

std::string without_comments(const std::string& text) {
  std::string result = text;
  for (size_t at = 0; (at = result.find("//", at)) != std::string::npos;) {
    for (; at < result.size() && result[at] != '\n'; ++at) result[at] = ' ';
  }
  return result;
}

uint64_t number(std::string_view text) {
  const bool negative = text.starts_with("-");
  if (negative) text.remove_prefix(1);
  const bool hexadecimal = text.starts_with("0x") || text.starts_with("0X");
  if (hexadecimal) text.remove_prefix(2);
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, hexadecimal ? 16 : 10);
  return negative ? -value : value;
}

const Type* find_type(std::string_view name) {
  for (const TypeName& type : kTypes) {
    if (name == type.name) return &type.type;
  }
  return nullptr;
}

uint32_t aligned(uint32_t offset, uint32_t alignment) {
  return (offset + alignment - 1) / alignment * alignment;
}

/// ".align 4 .b8 name[32]", ".b32 name" or ".param .u64 .ptr .align 1 name": the parts of a declaration.
struct Declared {
  uint32_t alignment = 1, size = 0;
  Type type = Type::kB8;
  std::string name;
};
Declared declared(std::string_view text) {
  Declared result;
  bool pointer = false;
  while (!text.empty()) {
    const std::string_view word = next_word(&text);
    if (word == ".align") {
      const uint32_t alignment = static_cast<uint32_t>(number(next_word(&text)));
      if (!pointer) result.alignment = alignment;
    } else if (word == ".ptr") {
      pointer = true;
    } else if (word.starts_with(".")) {
      if (const Type* type = find_type(word.substr(1))) result.type = *type;
    } else {
      const size_t bracket = word.find('[');
      result.name = word.substr(0, bracket);
      const uint32_t element = static_cast<uint32_t>(bytes_of(result.type));
      result.size = element;
      if (bracket != std::string_view::npos)
        result.size = element * static_cast<uint32_t>(number(word.substr(bracket + 1)));
      result.alignment = std::max(result.alignment, element);
    }
  }
  return result;
}

}  // namespace

const Operation* find_operation(std::string_view name) {
  for (const auto& part : {arithmetic_operations(), conversion_operations(), control_operations(),
                           memory_operations(), warp_operations()}) {
    for (const Operation& operation : part) {
      if (name == operation.name) return &operation;
    }
  }
  return nullptr;
}

Parser::Parser(const std::string& text, std::string name)
    : source_(without_comments(text)), text_(source_), name_(std::move(name)) {}

int Parser::line_number() const {
  return 1 + static_cast<int>(std::count(source_.begin(),
                                         source_.begin() + static_cast<std::ptrdiff_t>(statement_at_), '\n'));
}
Status Parser::error(const std::string& what) const {
  return Status(StatusCode::kCorruptData, name_ + ":" + std::to_string(line_number()) + ": " + what);
}

void Parser::skip_blanks() {
  while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
}
std::string_view Parser::until(const char* ends) {
  const size_t end = std::min(text_.find_first_of(ends, at_), text_.size());
  const std::string_view found = text_.substr(at_, end - at_);
  at_ = std::min(end + 1, text_.size());
  return trimmed(found);
}

/// .file 1 "/tree/kernels/simt/target.h": these stand behind the kernels that need them.
void Parser::read_file_names() {
  for (size_t at = 0; (at = text_.find("\n\t.file", at)) != std::string_view::npos; ++at) {
    std::string_view line = text_.substr(at + 1, text_.find('\n', at + 1) - at - 1);
    next_word(&line);
    const int index = static_cast<int>(number(next_word(&line)));
    const size_t quote = line.find('"') + 1;
    file_names_[index] =
        module_.files.emplace_back(file_name(std::string(line.substr(quote, line.find('"', quote) - quote))));
  }
}

Result<Module> Parser::module() {
  read_file_names();
  for (skip_blanks(); at_ < text_.size(); skip_blanks()) {
    statement_at_ = at_;
    if (starts(".section")) break;  // debugging information, to the end
    Status status;
    if (starts(".target")) module_.target = trimmed(until("\n").substr(7));
    else if (starts(".visible .entry") || starts(".entry") || starts(".weak .entry"))
      status = kernel(until("("));
    else if (starts(".version") || starts(".address_size") || starts(".file")) until("\n");
    else if (starts(".extern .shared") || starts(".global") || starts(".const") ||
             starts(".visible .global") || starts(".visible .const"))
      status = variable(until(";"));
    else status = error("expected a kernel or a variable, got '" + std::string(until("\n")) + "'");
    if (!status.ok()) return status;
  }
  return std::move(module_);
}

Status Parser::variable(std::string_view text) {
  if (text.starts_with(".extern .shared")) {
    symbols_[declared(text).name] = kDynamic;
    return {};
  }
  const size_t equals = text.find('=');
  const Declared made = declared(text.substr(0, equals));
  ModuleVariable variable{made.name, std::vector<uint64_t>(made.size / 8 + 1), made.size};
  if (equals != std::string_view::npos) {
    std::string_view values = trimmed(text.substr(equals + 1));
    if (values.starts_with("{")) values = values.substr(1, values.size() - 2);
    unsigned char* to = reinterpret_cast<unsigned char*>(variable.storage.data());
    for (const std::string_view value : split(values)) {
      const uint64_t bits = value.starts_with("0f") || value.starts_with("0F")
                                ? number("0x" + std::string(value.substr(2)))
                                : number(value);
      std::memcpy(to, &bits, static_cast<size_t>(bytes_of(made.type)));
      to += bytes_of(made.type);
    }
  }
  module_.variables.push_back(std::move(variable));
  symbols_[made.name] = reinterpret_cast<uint64_t>(module_.variables.back().storage.data());
  return {};
}

Status Parser::kernel(std::string_view head) {
  Kernel& kernel = module_.kernels.emplace_back();
  kernel.name = trimmed(head.substr(head.find(".entry") + 6));
  for (const std::string_view parameter : split(until(")"))) {
    const Declared made = declared(parameter);
    const uint32_t offset = aligned(kernel.parameter_bytes, made.alignment);
    symbols_[made.name] = offset;
    kernel.parameters.push_back({offset, made.size});
    kernel.parameter_bytes = offset + made.size;
  }
  std::string_view attributes = until("{");
  while (!attributes.empty()) {
    const std::string_view word = next_word(&attributes);
    if (word == ".maxntid" || word == ".reqntid")
      kernel.max_threads = static_cast<uint32_t>(number(attributes.substr(0, attributes.find(','))));
  }
  return body(kernel);
}

Status Parser::body(Kernel& kernel) {
  scopes_.assign(1, {});
  labels_.clear();
  branches_.clear();
  inlined_at_.clear();
  for (;;) {
    skip_blanks();
    statement_at_ = at_;
    if (at_ >= text_.size()) return error("the kernel does not end");
    if (starts("{")) {
      ++at_;
      scopes_.emplace_back();
    } else if (starts("}")) {
      ++at_;
      scopes_.pop_back();
      if (scopes_.empty()) break;
    } else if (starts(".loc ") || starts(".loc\t")) {
      location(until("\n"));
    } else if (starts("$")) {
      labels_[std::string(until(":"))] = static_cast<uint32_t>(kernel.code.size());
    } else if (const Status status = statement(until(";"), kernel); !status.ok()) {
      return status;
    }
  }
  // Dynamic shared memory follows what is static.
  kernel.static_shared_bytes = aligned(kernel.static_shared_bytes, kSharedAlignment);
  return resolve_branches(kernel);
}

Status Parser::resolve_branches(Kernel& kernel) {
  for (const auto& [index, label] : branches_) {
    const auto found = labels_.find(label);
    if (found == labels_.end()) return error("there is no label " + label);
    kernel.code[index].target = found->second;
  }
  return {};
}

Status Parser::statement(std::string_view text, Kernel& kernel) {
  if (text.starts_with(".pragma")) return {};
  if (text.starts_with(".")) return declaration(text, kernel);
  return instruction(text, kernel);
}

Status Parser::declaration(std::string_view text, Kernel& kernel) {
  std::string_view rest = text;
  const std::string_view space = next_word(&rest);
  if (space == ".reg") {
    declare_registers(rest, kernel);
    return {};
  }
  const Declared made = declared(rest);
  if (space == ".shared") {
    // Apart, so that what leaves one does not come to the next.
    const uint32_t offset = aligned(kernel.static_shared_bytes, kSharedAlignment);
    kernel.static_shared_bytes = offset + made.size + kSharedGuard;
    kernel.shared.push_back({made.name, offset, made.size});
    symbols_[made.name] = offset;
  } else if (space == ".local") {
    symbols_[made.name] = aligned(kernel.local_bytes, made.alignment);
    kernel.local_bytes = aligned(kernel.local_bytes, made.alignment) + made.size;
  } else {
    return error("expected .reg, .shared or .local, got '" + std::string(text) + "'");
  }
  return {};
}

/// ".b32 %r<46>" or ".pred p, q".
void Parser::declare_registers(std::string_view text, Kernel& kernel) {
  const Type* type = find_type(next_word(&text).substr(1));
  const uint8_t bits = static_cast<uint8_t>(type ? bits_of(*type) : 64);
  for (const std::string_view name : split(text)) {
    const size_t bracket = name.find('<');
    const uint64_t n = bracket == std::string_view::npos ? 1 : number(name.substr(bracket + 1));
    for (uint64_t i = 0; i < n; ++i) {
      std::string one(name.substr(0, bracket));
      if (bracket != std::string_view::npos) one += std::to_string(i);
      scopes_.back()[one] = static_cast<uint32_t>(kernel.register_bits.size());
      kernel.register_bits.push_back(bits);
    }
  }
}

int Parser::find_register(std::string_view name) const {
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    if (const auto found = scope->find(name); found != scope->end()) return static_cast<int>(found->second);
  }
  return -1;
}

/// ".loc 2 63 3, function_name $L__info_string1, inlined_at 1 67 3": the outermost line that is not in target.h or a header
/// of CUDA's, as for what g++ compiles.
void Parser::location(std::string_view text) {
  next_word(&text);
  const auto place = [](std::string_view from) {
    Place result;
    result.file = static_cast<int>(number(next_word(&from)));
    result.line = static_cast<int>(number(next_word(&from)));
    result.column = static_cast<int>(number(next_word(&from)));
    return result;
  };
  Place here = place(text);
  if (const size_t inlined = text.find("inlined_at"); inlined != std::string_view::npos)
    inlined_at_[here] = place(text.substr(inlined + 10));
  const auto is_library = [&](int file) {
    const std::string& name = file_names_[file];
    return name == "target.h" || name.starts_with("cuda_") || name.starts_with("sm_") ||
           name.ends_with(".hpp");
  };
  for (int depth = 0; depth < 32 && is_library(here.file); ++depth) {
    const auto outer = inlined_at_.find(here);
    if (outer == inlined_at_.end()) break;
    here = outer->second;
  }
  line_ = here.line;
  for (const std::string& file : module_.files) {
    if (file == file_names_[here.file]) file_ = file.c_str();
  }
}

Status Parser::instruction(std::string_view text, Kernel& kernel) {
  Instruction made;
  made.text = text;
  made.file = file_;
  made.line = line_;
  if (text.starts_with("@")) {
    std::string_view guard = next_word(&text).substr(1);
    made.guard_negated = guard.starts_with("!");
    if (made.guard_negated) guard.remove_prefix(1);
    made.guard = find_register(guard);
    if (made.guard < 0) return error("there is no predicate " + std::string(guard));
  }
  const std::string_view code = next_word(&text);
  if (Status status = opcode(code, &made); !status.ok()) return status;
  if (std::string_view(made.operation->name) == "bra") {
    branches_.emplace_back(kernel.code.size(), std::string(text));
  } else if (Status status = operands(text, &made); !status.ok()) {
    return status;
  }
  kernel.code.push_back(std::move(made));
  return {};
}

Status Parser::opcode(std::string_view text, Instruction* made) {
  const size_t first = text.find('.');
  made->operation = find_operation(text.substr(0, first));
  const auto unknown = [&](std::string_view part) {
    return error("'" + std::string(part) + "' of '" + made->text + "' is not known to the interpreter")
        .hint("add it to the tables in kernels/simt/ptx/, with a test");
  };
  if (made->operation == nullptr) return unknown(text.substr(0, first));
  for (size_t at = first; at != std::string_view::npos;) {
    const size_t next = text.find('.', at + 1);
    const std::string_view part = text.substr(at + 1, next == std::string_view::npos ? next : next - at - 1);
    at = next;
    if (const Type* type = find_type(part)) {
      made->types.push_back(*type);
      continue;
    }
    const auto* found = std::find_if(std::begin(kModifiers), std::end(kModifiers),
                                     [&](const ModifierName& m) { return part == m.name; });
    if (found == std::end(kModifiers) || (found->bits & ~(made->operation->modifiers | kHint)) != 0)
      return unknown(part);
    made->modifiers |= found->bits;
  }
  return {};
}

Status Parser::operands(std::string_view text, Instruction* made) {
  for (std::string_view part : split(text)) {
    std::vector<Operand>& list = made->operands.emplace_back();
    const bool address = part.starts_with("[");
    if (address || part.starts_with("{")) part = part.substr(1, part.size() - 2);
    std::vector<std::string_view> members;
    if (const size_t at = part.find(address ? '+' : '|'); at != std::string_view::npos)
      members = {trimmed(part.substr(0, at)), trimmed(part.substr(at + 1))};
    else members = split(part);
    for (const std::string_view member : members) {
      if (Status status = operand(member, &list.emplace_back()); !status.ok()) return status;
    }
    if (address && list.size() == 1) list.emplace_back();
  }
  return {};
}

Status Parser::operand(std::string_view text, Operand* made) {
  if (text == "_") {
    made->kind = Operand::Kind::kSink;
    return {};
  }
  if (text.starts_with("!")) {
    made->negated = true;
    text.remove_prefix(1);
  }
  for (const auto& special : kSpecials) {
    if (text != special.name) continue;
    *made = {Operand::Kind::kSpecial, false, static_cast<uint32_t>(special.special), 0};
    return {};
  }
  if (const int found = find_register(text); found >= 0) {
    made->kind = Operand::Kind::kRegister;
    made->index = static_cast<uint32_t>(found);
    return {};
  }
  if (const auto symbol = symbols_.find(text); symbol != symbols_.end()) {
    made->bits = symbol->second;
    if (symbol->second == kDynamic) made->kind = Operand::Kind::kDynamicShared;
    return {};
  }
  if (text == "WARP_SZ") {
    made->bits = 32;
    return {};
  }
  const bool is_float =
      text.starts_with("0f") || text.starts_with("0F") || text.starts_with("0d") || text.starts_with("0D");
  if (!is_float && !std::isdigit(static_cast<unsigned char>(text.front())) && text.front() != '-')
    return error("there is no register, variable or parameter '" + std::string(text) + "'");
  made->bits = is_float ? number("0x" + std::string(text.substr(2))) : number(text);
  return {};
}

}  // namespace weft::simt::ptx
