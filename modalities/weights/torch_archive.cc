#include "modalities/weights/torch_archive.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "modalities/weights/checked_arithmetic.h"
#include "modalities/weights/pickle.h"
#include "modalities/weights/tensor_layout.h"
#include "modalities/weights/zip_directory.h"

namespace weft {
namespace {

using Kind = PickleValue::Kind;

constexpr std::string_view kOrderedDict = "collections.OrderedDict";
constexpr std::string_view kTensor = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view kParameter = "torch._utils._rebuild_parameter";

struct Storage {
  std::string_view global;
  const char* type;  // as safetensors writes it
  uint64_t element_bytes;
  std::optional<WeightFormat> format;  // nothing: not read by this build
};
constexpr Storage kStorages[] = {{"torch.FloatStorage", "F32", 4, WeightFormat::kF32},
                                 {"torch.HalfStorage", "F16", 2, WeightFormat::kF16},
                                 {"torch.BFloat16Storage", "BF16", 2, WeightFormat::kBF16},
                                 {"torch.DoubleStorage", "F64", 8, WeightFormat::kF64},
                                 {"torch.LongStorage", "I64", 8, WeightFormat::kI64},
                                 {"torch.IntStorage", "I32", 4, WeightFormat::kI32},
                                 {"torch.ShortStorage", "I16", 2, WeightFormat::kI16},
                                 {"torch.CharStorage", "I8", 1, WeightFormat::kI8},
                                 {"torch.ByteStorage", "U8", 1, std::nullopt},
                                 {"torch.BoolStorage", "BOOL", 1, std::nullopt}};

constexpr int kDeepest = 16;               // dicts within dicts
constexpr uint64_t kMostVisits = 100'000;  // a pickle may name one dict in many places
constexpr size_t kLongestName = 1000;      // of a tensor, dots included

std::vector<std::string_view> known_globals() {
  std::vector<std::string_view> names = {kOrderedDict, kTensor, kParameter};
  for (const Storage& storage : kStorages) names.push_back(storage.global);
  return names;
}

// The arguments of a tensor, before any check of its numbers.
struct RawTensor {
  const Storage* storage = nullptr;
  std::string_view key;  // of the storage's entry
  uint64_t n_stored = 0, first = 0;
  std::vector<uint64_t> extents, strides;
};

bool is_row_major(const RawTensor& raw) {
  uint64_t stride = 1;
  for (size_t i = raw.extents.size(); i-- > 0;) {
    if (raw.extents[i] > 1 && raw.strides[i] != stride) return false;
    stride *= std::max<uint64_t>(raw.extents[i], 1);  // set_layout() has found that it does not overflow
  }
  return true;
}

class Reader {
 public:
  Reader(std::span<const std::byte> bytes, const std::string& name, const ZipDirectory& entries,
         std::string prefix, const Pickle& pickle)
      : bytes_(bytes), name_(name), entries_(entries), prefix_(std::move(prefix)), pickle_(pickle) {}

  Result<TorchHeader> read() {
    const PickleValue& root = pickle_.at(pickle_.root);
    if (is_tensor(root) || !holds_items(root))
      return corrupt(root, "the file holds no dict of tensors")
          .hint("save a state_dict: torch.save(model.state_dict(), path)");
    if (Status status = walk(root, "", 0); !status.ok()) return status;
    return std::move(header_);
  }

 private:
  Status corrupt(const PickleValue& value, std::string message) const {
    return Status(StatusCode::kCorruptData, std::move(message))
        .at(name_ + ", data.pkl, offset " + std::to_string(value.offset));
  }

  std::string_view callee(const PickleValue& value) const {
    return value.kind == Kind::kCall ? pickle_.at(value.items[0]).text : std::string_view();
  }
  bool is_tensor(const PickleValue& value) const {
    return callee(value) == kTensor || callee(value) == kParameter;
  }
  bool holds_items(const PickleValue& value) const {
    return value.kind == Kind::kDict || value.kind == Kind::kList || value.kind == Kind::kTuple ||
           callee(value) == kOrderedDict;
  }

  Status walk(const PickleValue& value, const std::string& path, int depth) {
    if (depth > kDeepest || ++visits_ > kMostVisits)
      return Status(StatusCode::kUnsupported, "the file's dicts are too deep or too many")
          .at(name_ + ", data.pkl, offset " + std::to_string(value.offset))
          .expected("at most " + std::to_string(kDeepest) + " levels and " + std::to_string(kMostVisits) +
                    " values");
    if (is_tensor(value)) return tensor(value, path);
    if (holds_items(value)) return walk_items(value, path, depth);
    return scalar(value, path);
  }

  Status walk_items(const PickleValue& value, const std::string& path, int depth) {
    if (value.kind == Kind::kList || value.kind == Kind::kTuple) {
      for (size_t i = 0; i < value.items.size(); ++i)
        if (Status status = walk_item(value.items[i], path, std::to_string(i), depth); !status.ok())
          return status;
      return {};
    }
    const bool is_call = value.kind == Kind::kCall;
    if (is_call && !pickle_.at(value.items[1]).items.empty())
      return corrupt(value, "an ordered dict is made from something, not filled");
    for (size_t i = is_call ? 2 : 0; i + 1 < value.items.size(); i += 2) {
      const PickleValue& key = pickle_.at(value.items[i]);
      if (key.kind != Kind::kText && key.kind != Kind::kInteger)
        return corrupt(key, "a key of the file's dicts is neither text nor a number");
      const std::string text = key.kind == Kind::kText ? std::string(key.text) : std::to_string(key.integer);
      if (Status status = walk_item(value.items[i + 1], path, text, depth); !status.ok()) return status;
    }
    return {};
  }
  Status walk_item(uint32_t item, const std::string& path, const std::string& key, int depth) {
    if (path.size() + key.size() >= kLongestName)
      return corrupt(pickle_.at(item), "a name in the file is too long")
          .expected("fewer than " + std::to_string(kLongestName) + " characters");
    return walk(pickle_.at(item), path.empty() ? key : path + "." + key, depth + 1);
  }

  Status scalar(const PickleValue& value, const std::string& path) {
    switch (value.kind) {
      case Kind::kNone: return {};
      case Kind::kBool: header_.metadata.emplace_back(path, value.integer != 0); return {};
      case Kind::kInteger: header_.metadata.emplace_back(path, value.integer); return {};
      case Kind::kReal: header_.metadata.emplace_back(path, value.real); return {};
      case Kind::kText: header_.metadata.emplace_back(path, std::string(value.text)); return {};
      default: return corrupt(value, "'" + path + "' is neither a tensor nor plain data");
    }
  }

  // values = a tuple of non-negative numbers.
  bool extents_of(const PickleValue& tuple, std::vector<uint64_t>* values) const {
    if (tuple.kind != Kind::kTuple) return false;
    for (uint32_t index : tuple.items) {
      const PickleValue& item = pickle_.at(index);
      if (item.kind != Kind::kInteger || item.integer < 0) return false;
      values->push_back(static_cast<uint64_t>(item.integer));
    }
    return true;
  }

  // ('storage', torch.FloatStorage, '0', 'cpu', 1056)
  bool storage_of(const PickleValue& id, RawTensor* raw) const {
    if (id.kind != Kind::kPersistent) return false;
    const PickleValue& tuple = pickle_.at(id.items[0]);
    if (tuple.kind != Kind::kTuple || tuple.items.size() < 5) return false;
    const PickleValue &word = pickle_.at(tuple.items[0]), &global = pickle_.at(tuple.items[1]),
                      &key = pickle_.at(tuple.items[2]), &count = pickle_.at(tuple.items[4]);
    if (word.kind != Kind::kText || word.text != "storage" || global.kind != Kind::kGlobal ||
        key.kind != Kind::kText || count.kind != Kind::kInteger || count.integer < 0)
      return false;
    for (const Storage& storage : kStorages)
      if (storage.global == global.text) raw->storage = &storage;
    raw->key = key.text;
    raw->n_stored = static_cast<uint64_t>(count.integer);
    return raw->storage != nullptr;
  }

  // _rebuild_tensor_v2(storage, first element, extents, strides, ...), perhaps within _rebuild_parameter(tensor, ...).
  bool tensor_of(const PickleValue& call, RawTensor* raw) const {
    const PickleValue& arguments = pickle_.at(call.items[1]);
    if (callee(call) == kParameter) {
      if (arguments.items.empty()) return false;
      const PickleValue& inner = pickle_.at(arguments.items[0]);
      return callee(inner) == kTensor && tensor_of(inner, raw);
    }
    if (arguments.items.size() < 4) return false;
    const PickleValue& first = pickle_.at(arguments.items[1]);
    if (first.kind != Kind::kInteger || first.integer < 0) return false;
    raw->first = static_cast<uint64_t>(first.integer);
    return storage_of(pickle_.at(arguments.items[0]), raw) &&
           extents_of(pickle_.at(arguments.items[2]), &raw->extents) &&
           extents_of(pickle_.at(arguments.items[3]), &raw->strides) &&
           raw->extents.size() == raw->strides.size();
  }

  Status tensor(const PickleValue& value, const std::string& path) {
    const std::string label = "tensor '" + path + "'";
    RawTensor raw;
    if (!tensor_of(value, &raw)) return corrupt(value, label + " is not described as torch does");
    const auto entry = entries_.find(prefix_ + "data/" + std::string(raw.key));
    if (entry == entries_.end())
      return corrupt(value, "the bytes of " + label + " are missing")
          .expected("an entry '" + prefix_ + "data/" + std::string(raw.key) + "'");
    const auto unreadable = [&](const std::string& type) {
      header_.unreadable.emplace_back(path, UnreadableTensor{type, 0, entry->second.offset});
      return Status();
    };
    if (!raw.storage->format) return unreadable(raw.storage->type);
    WeightTensor tensor;
    tensor.name = path;
    tensor.format = *raw.storage->format;
    if (Status status = set_layout(tensor, raw.extents); !status.ok())
      return std::move(status).at(name_ + ", data.pkl, offset " + std::to_string(value.offset));
    if (!is_row_major(raw)) return unreadable(std::string(raw.storage->type) + ", not row-major");
    if (Status status = place(raw, entry->second, value, &tensor); !status.ok()) return status;
    header_.tensors.push_back(std::move(tensor));
    return {};
  }

  Status place(const RawTensor& raw, const ZipEntry& entry, const PickleValue& value, WeightTensor* tensor) {
    const uint64_t size = raw.storage->element_bytes;
    const std::optional<uint64_t> stored = checked_multiply(raw.n_stored, size),
                                  begin = checked_multiply(raw.first, size),
                                  end = begin ? checked_add(*begin, tensor->size_bytes) : std::nullopt;
    if (!stored || *stored > entry.size_bytes || !end || *end > *stored)
      return corrupt(value, "tensor '" + tensor->name + "' does not fit its bytes")
          .expected("at most " + std::to_string(std::min(entry.size_bytes, stored.value_or(UINT64_MAX))) +
                    " bytes")
          .got(end ? std::to_string(*end) : "more than 2^64")
          .hint("an incomplete download, or a damaged file");
    tensor->offset = entry.offset + *begin;
    tensor->data = bytes_.data() + tensor->offset;
    if (tensor->offset % size != 0)
      return Status(StatusCode::kUnsupported, "tensor '" + tensor->name + "' is not aligned to its elements")
          .at(name_ + ", offset " + std::to_string(tensor->offset))
          .expected("a multiple of " + std::to_string(size))
          .hint("save the file again with torch.save(), which aligns");
    return {};
  }

  std::span<const std::byte> bytes_;
  const std::string& name_;
  const ZipDirectory& entries_;
  const std::string prefix_;  // "archive/"
  const Pickle& pickle_;
  TorchHeader header_;
  uint64_t visits_ = 0;
};

// The one entry that is called so in the archive's folder.
Result<ZipDirectory::const_iterator> find_pickle(const ZipDirectory& entries, const std::string& name) {
  constexpr std::string_view kName = "data.pkl";
  auto found = entries.end();
  for (auto entry = entries.begin(); entry != entries.end(); ++entry) {
    const std::string& path = entry->first;
    if (!path.ends_with(kName) || (path.size() > kName.size() && path[path.size() - kName.size() - 1] != '/'))
      continue;
    if (found != entries.end())
      return Status(StatusCode::kCorruptData, "the archive holds several data.pkl").at(name);
    found = entry;
  }
  if (found == entries.end())
    return Status(StatusCode::kUnsupported, "a zip archive, but not one of torch.save()")
        .at(name)
        .expected("an entry data.pkl");
  return found;
}

}  // namespace

Result<TorchHeader> read_torch_archive(std::span<const std::byte> bytes, const std::string& name) {
  const Result<ZipDirectory> entries = read_zip_directory(bytes, name);
  if (!entries.ok()) return entries.status();
  const auto pickle_entry = find_pickle(*entries, name);
  if (!pickle_entry.ok()) return pickle_entry.status();
  const auto& [path, place] = **pickle_entry;
  const std::string prefix = path.substr(0, path.size() - std::string_view("data.pkl").size());
  if (const auto order = entries->find(prefix + "byteorder"); order != entries->end()) {
    const auto* text = reinterpret_cast<const char*>(bytes.data()) + order->second.offset;
    if (std::string_view(text, order->second.size_bytes) != "little")
      return Status(StatusCode::kUnsupported, "the tensors are not little-endian").at(name);
  }
  const std::vector<std::string_view> globals = known_globals();
  const Result<Pickle> pickle =
      read_pickle(bytes.subspan(place.offset, place.size_bytes), globals, name + ", data.pkl");
  if (!pickle.ok()) return pickle.status();
  return Reader(bytes, name, *entries, prefix, *pickle).read();
}

}  // namespace weft
