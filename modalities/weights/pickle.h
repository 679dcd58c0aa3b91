/// Reads Python pickles as plain data, and executes nothing.
///
/// A pickle is a program for a stack machine. This reader runs the instructions that build numbers, texts, tuples, lists and
/// dicts; where a pickle would import and call something, it keeps the name and the arguments, and only for names that the
/// caller lists. Everything else is refused at its offset. The number of values and the size are bounded, and memory grows
/// only with the pickle's length. Protocols 2 and 3: what torch.save() writes.
///
/// Values refer to one another by index, and may do so in circles: who walks them bounds the walk. Ownership: a Pickle's texts
/// are views of the bytes, which outlive it. Thread safety: immutable.
/// Source: CPython, Lib/pickletools.py.
///
///   Result<Pickle> pickle = read_pickle(bytes, {names, "model.pt, data.pkl");
///   const PickleValue& root = pickle->values[pickle->root];
#ifndef WEFT_MODALITIES_WEIGHTS_PICKLE_H
#define WEFT_MODALITIES_WEIGHTS_PICKLE_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

inline constexpr uint64_t kPickleMaxBytes = 64'000'000;
inline constexpr uint64_t kPickleMaxValues = 1'000'000;

struct PickleValue {
  enum class Kind : uint8_t {
    kNone,
    kBool,
    kInteger,
    kReal,
    kText,
    kTuple,
    kList,
    kDict,        // items: key, value, key, value
    kGlobal,      // an importable name
    kCall,        // items: a global, a tuple of arguments; then what was put into it as into a dict
    kPersistent,  // items: the id of something outside the pickle
  };
  Kind kind = Kind::kNone;
  int64_t integer = 0;  // kBool, kInteger
  double real = 0;
  std::string_view text = {};        // kText; kGlobal: "module.name", owned by the reader's list
  std::vector<uint32_t> items = {};  // indices of values
  uint64_t offset = 0;               // of the instruction that made it, in the pickle
};

struct Pickle {
  std::vector<PickleValue> values;
  uint32_t root = 0;

  const PickleValue& at(uint32_t index) const { return values[index]; }
};

/// globals: names that may occur, "module.name"; they outlive the result. where: the file and entry, for errors.
/// Errors: kCorruptData, kUnsupported (an instruction that is not of data, a name that is not listed, too many values).
Result<Pickle> read_pickle(std::span<const std::byte> bytes, std::span<const std::string_view> globals,
                           const std::string& where);

}  // namespace weft
#endif
