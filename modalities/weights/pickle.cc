#include "modalities/weights/pickle.h"

#include <algorithm>
#include <bit>
#include <unordered_map>

#include "modalities/weights/byte_reader.h"

namespace weft {
namespace {

using Kind = PickleValue::Kind;

constexpr uint32_t kMark = UINT32_MAX;  // on the stack: where a tuple or the items of a dict begin

// The instructions that are understood: pickletools' names and codes.
enum Op : uint8_t {
  kOpMark = '(',
  kOpStop = '.',
  kOpBinFloat = 'G',
  kOpBinInt = 'J',
  kOpBinInt1 = 'K',
  kOpBinInt2 = 'M',
  kOpNone = 'N',
  kOpBinPersistentId = 'Q',
  kOpReduce = 'R',
  kOpBinUnicode = 'X',
  kOpEmptyList = ']',
  kOpAppend = 'a',
  kOpBuild = 'b',
  kOpGlobal = 'c',
  kOpAppends = 'e',
  kOpBinGet = 'h',
  kOpLongBinGet = 'j',
  kOpBinPut = 'q',
  kOpLongBinPut = 'r',
  kOpSetItem = 's',
  kOpTuple = 't',
  kOpSetItems = 'u',
  kOpEmptyDict = '}',
  kOpEmptyTuple = ')',
  kOpProtocol = 0x80,
  kOpTuple1 = 0x85,
  kOpTuple2 = 0x86,
  kOpTuple3 = 0x87,
  kOpTrue = 0x88,
  kOpFalse = 0x89,
  kOpLong1 = 0x8a,
};

class Machine {
 public:
  Machine(std::span<const std::byte> bytes, std::span<const std::string_view> globals,
          const std::string& where)
      : bytes_(bytes), in_(bytes), globals_(globals), where_(where) {}

  Result<Pickle> run() {
    for (uint8_t op = 0; op != kOpStop;) {
      at_ = in_.offset();
      if (!in_.read(op)) return corrupt("the pickle ends without its STOP");
      if (Status status = step(op); !status.ok()) return status;
    }
    if (stack_.size() != 1 || stack_[0] == kMark)
      return corrupt("the pickle does not end with one value")
          .got(std::to_string(stack_.size()) + " on the stack");
    pickle_.root = stack_[0];
    return std::move(pickle_);
  }

 private:
  Status step(uint8_t op) {
    switch (op) {
      case kOpProtocol: return protocol();
      case kOpStop: return {};
      case kOpMark: stack_.push_back(kMark); return {};
      case kOpNone: return push({.kind = Kind::kNone});
      case kOpTrue: return push({.kind = Kind::kBool, .integer = 1});
      case kOpFalse: return push({.kind = Kind::kBool});
      case kOpBinInt: return number<int32_t>();
      case kOpBinInt1: return number<uint8_t>();
      case kOpBinInt2: return number<uint16_t>();
      case kOpLong1: return long_number();
      case kOpBinFloat: return real();
      case kOpBinUnicode: return text();
      case kOpEmptyTuple: return push({.kind = Kind::kTuple});
      case kOpEmptyList: return push({.kind = Kind::kList});
      case kOpEmptyDict: return push({.kind = Kind::kDict});
      case kOpTuple1: return tuple(1);
      case kOpTuple2: return tuple(2);
      case kOpTuple3: return tuple(3);
      case kOpTuple: return tuple_to_mark();
      case kOpBinPut: return put<uint8_t>();
      case kOpLongBinPut: return put<uint32_t>();
      case kOpBinGet: return get<uint8_t>();
      case kOpLongBinGet: return get<uint32_t>();
      case kOpAppend: return add(1, Kind::kList);
      case kOpSetItem: return add(2, Kind::kDict);
      case kOpAppends: return add_to_mark(1, Kind::kList);
      case kOpSetItems: return add_to_mark(2, Kind::kDict);
      case kOpGlobal: return global();
      case kOpReduce: return reduce();
      case kOpBinPersistentId: return persistent();
      case kOpBuild: return build();
      default:
        return Status(StatusCode::kUnsupported, "the pickle has an instruction that is not one of plain data")
            .at(place())
            .got("code " + std::to_string(op))
            .hint("it may run code when Python loads it; save the model as safetensors");
    }
  }

  std::string place() const { return where_ + ", offset " + std::to_string(at_); }
  Status corrupt(std::string message) const {
    return Status(StatusCode::kCorruptData, std::move(message)).at(place());
  }
  Status cut_off() const { return corrupt("the pickle is cut off"); }

  Status push(PickleValue value) {
    if (pickle_.values.size() >= kPickleMaxValues)
      return Status(StatusCode::kUnsupported, "the pickle has too many values")
          .at(place())
          .expected("at most " + std::to_string(kPickleMaxValues));
    value.offset = at_;
    stack_.push_back(static_cast<uint32_t>(pickle_.values.size()));
    pickle_.values.push_back(std::move(value));
    return {};
  }

  Status protocol() {
    uint8_t version = 0;
    if (!in_.read(version)) return cut_off();
    if (version == 2 || version == 3) return {};
    return Status(StatusCode::kUnsupported, "a pickle of another protocol")
        .at(place())
        .expected("2 or 3, as torch.save() writes")
        .got(std::to_string(version));
  }

  template <typename T>
  Status number() {
    T value = 0;
    if (!in_.read(value)) return cut_off();
    return push({.kind = Kind::kInteger, .integer = static_cast<int64_t>(value)});
  }
  Status long_number() {
    uint8_t size = 0;
    if (!in_.read(size)) return cut_off();
    if (size > 8)
      return Status(StatusCode::kUnsupported, "the pickle has a number beyond 64 bits").at(place());
    uint64_t value = 0;
    uint8_t byte = 0;
    for (uint8_t i = 0; i < size; ++i) {
      if (!in_.read(byte)) return cut_off();
      value |= uint64_t{byte} << (8 * i);
    }
    if (size > 0 && size < 8 && byte >= 0x80) value |= ~uint64_t{0} << (8 * size);  // two's complement
    return push({.kind = Kind::kInteger, .integer = static_cast<int64_t>(value)});
  }
  Status real() {
    uint64_t bits = 0;  // big-endian
    if (!in_.read(bits)) return cut_off();
    return push({.kind = Kind::kReal, .real = std::bit_cast<double>(__builtin_bswap64(bits))});
  }
  Status text() {
    uint32_t size = 0;
    if (!in_.read(size) || in_.remaining() < size) return cut_off();
    const std::string_view content(reinterpret_cast<const char*>(bytes_.data()) + in_.offset(), size);
    if (!in_.skip(size)) return cut_off();
    return push({.kind = Kind::kText, .text = content});
  }

  // The topmost `count` values, off the stack, as items of a new one.
  Status gather(Kind kind, size_t count) {
    const size_t begin = stack_.size() - count;
    PickleValue value{.kind = kind};
    value.items.assign(stack_.begin() + static_cast<std::ptrdiff_t>(begin), stack_.end());
    stack_.resize(begin);
    return push(std::move(value));
  }
  // Whether `count` values lie above the topmost mark.
  bool has(size_t count) const {
    return stack_.size() >= count &&
           std::none_of(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end(),
                        [](uint32_t index) { return index == kMark; });
  }
  Status underflow() const { return corrupt("an instruction of the pickle finds too little on the stack"); }

  Status tuple(size_t count) { return has(count) ? gather(Kind::kTuple, count) : underflow(); }

  // How many values lie above the topmost mark, or an error if there is none.
  Result<size_t> above_mark() const {
    const auto mark = std::find(stack_.rbegin(), stack_.rend(), kMark);
    if (mark == stack_.rend()) return underflow();
    return static_cast<size_t>(mark - stack_.rbegin());
  }
  Status tuple_to_mark() {
    const Result<size_t> count = above_mark();
    if (!count.ok()) return count.status();
    stack_.erase(stack_.end() - static_cast<std::ptrdiff_t>(*count) - 1);
    return gather(Kind::kTuple, *count);
  }

  template <typename T>
  Status put() {
    T slot = 0;
    if (!in_.read(slot)) return cut_off();
    if (!has(1)) return underflow();
    memo_[slot] = stack_.back();
    return {};
  }
  template <typename T>
  Status get() {
    T slot = 0;
    if (!in_.read(slot)) return cut_off();
    const auto kept = memo_.find(slot);
    if (kept == memo_.end())
      return corrupt("the pickle refers to a value that it has not kept").got(std::to_string(slot));
    stack_.push_back(kept->second);
    return {};
  }

  // Moves the topmost `count` values into the list or dict below them. What a call returned is taken as a dict: torch's is one.
  Status add(size_t count, Kind kind) {
    if (!has(count + 1) || (kind == Kind::kDict && count % 2 != 0)) return underflow();
    const auto first = stack_.end() - static_cast<std::ptrdiff_t>(count);
    PickleValue& target = pickle_.values[*(first - 1)];
    if (target.kind != kind && !(kind == Kind::kDict && target.kind == Kind::kCall))
      return corrupt("an instruction of the pickle adds items to a value that has none");
    target.items.insert(target.items.end(), first, stack_.end());
    stack_.erase(first, stack_.end());
    return {};
  }
  Status add_to_mark(size_t each, Kind kind) {
    const Result<size_t> count = above_mark();
    if (!count.ok()) return count.status();
    if (*count % each != 0) return underflow();
    stack_.erase(stack_.end() - static_cast<std::ptrdiff_t>(*count) - 1);
    return add(*count, kind);
  }

  Result<std::string_view> line() {
    const uint64_t begin = in_.offset();
    for (char c = 0; in_.read(c);)
      if (c == '\n')
        return std::string_view(reinterpret_cast<const char*>(bytes_.data()) + begin,
                                in_.offset() - begin - 1);
    return cut_off();
  }
  Status global() {
    const Result<std::string_view> module = line();
    if (!module.ok()) return module.status();
    const Result<std::string_view> name = line();
    if (!name.ok()) return name.status();
    const std::string full = std::string(*module) + "." + std::string(*name);
    const auto known = std::find(globals_.begin(), globals_.end(), full);
    if (known == globals_.end())
      return Status(StatusCode::kUnsupported,
                    "the pickle asks for '" + full.substr(0, 100) + "', which is not data")
          .at(place())
          .hint("Weft runs no code from model files; save the tensors alone, best as safetensors");
    return push({.kind = Kind::kGlobal, .text = *known});
  }
  Status reduce() {
    if (!has(2)) return underflow();
    if (pickle_.at(stack_.end()[-2]).kind != Kind::kGlobal || pickle_.at(stack_.back()).kind != Kind::kTuple)
      return corrupt("the pickle calls something that is no name, or without arguments");
    return gather(Kind::kCall, 2);
  }
  Status persistent() { return has(1) ? gather(Kind::kPersistent, 1) : underflow(); }
  // Attributes of an object, which plain data has not: dropped.
  Status build() {
    if (!has(2)) return underflow();
    stack_.pop_back();
    return {};
  }

  std::span<const std::byte> bytes_;
  ByteReader in_;
  std::span<const std::string_view> globals_;
  const std::string& where_;
  uint64_t at_ = 0;  // of the current instruction
  Pickle pickle_;
  std::vector<uint32_t> stack_;
  std::unordered_map<uint32_t, uint32_t> memo_;
};

}  // namespace

Result<Pickle> read_pickle(std::span<const std::byte> bytes, std::span<const std::string_view> globals,
                           const std::string& where) {
  if (bytes.size() > kPickleMaxBytes)
    return Status(StatusCode::kUnsupported, "the pickle is too large")
        .at(where)
        .expected("at most " + std::to_string(kPickleMaxBytes) + " bytes")
        .got(std::to_string(bytes.size()));
  return Machine(bytes, globals, where).run();
}

}  // namespace weft
