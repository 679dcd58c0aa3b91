#include "modalities/weights/testing/torch_archive_writer.h"

#include <bit>

#include "modalities/weights/testing/model_file_writer.h"

namespace weft::testing {
namespace {

void append_u16(std::string& out, uint16_t value) {
  out += static_cast<char>(value & 0xff);
  out += static_cast<char>(value >> 8);
}

}  // namespace

ZipWriter& ZipWriter::add(std::string_view name, std::string_view content, uint32_t misalign) {
  constexpr size_t kLocalBytes = 30;
  const size_t at = entries_.size();
  const size_t padding = (64 - (at + kLocalBytes + name.size()) % 64) % 64 + misalign;
  const auto size = static_cast<uint32_t>(content.size());
  append_u32(entries_, 0x04034b50);
  for (uint16_t value : {uint16_t{0}, flags, method, uint16_t{0}, uint16_t{0}}) append_u16(entries_, value);
  for (uint32_t value : {uint32_t{0}, size, size}) append_u32(entries_, value);
  append_u16(entries_, static_cast<uint16_t>(name.size()));
  append_u16(entries_, static_cast<uint16_t>(padding));
  entries_ += name;
  entries_ += std::string(padding, 'Z');
  entries_ += content;

  append_u32(directory_, 0x02014b50);
  for (uint16_t value : {uint16_t{0}, uint16_t{0}, flags, method, uint16_t{0}, uint16_t{0}})
    append_u16(directory_, value);
  for (uint32_t value : {uint32_t{0}, size + excess_bytes, size + excess_bytes})
    append_u32(directory_, value);
  append_u16(directory_, static_cast<uint16_t>(name.size()));
  for (int i = 0; i < 4; ++i) append_u16(directory_, 0);
  append_u32(directory_, 0);
  append_u32(directory_, static_cast<uint32_t>(at) + offset_error);
  directory_ += name;
  ++n_entries_;
  return *this;
}

std::string ZipWriter::bytes() const {
  std::string out = entries_ + directory_;
  append_u32(out, 0x06054b50);
  append_u32(out, 0);
  for (int i = 0; i < 2; ++i) append_u16(out, static_cast<uint16_t>(n_entries_ + excess_entries));
  append_u32(out, static_cast<uint32_t>(directory_.size()));
  append_u32(out, static_cast<uint32_t>(entries_.size()));
  append_u16(out, 0);
  return out;
}

PickleWriter& PickleWriter::op(std::string_view codes) {
  bytes_ += codes;
  return *this;
}
PickleWriter& PickleWriter::text(std::string_view text) {
  bytes_ += 'X';
  append_u32(bytes_, static_cast<uint32_t>(text.size()));
  return op(text);
}
PickleWriter& PickleWriter::integer(int32_t value) {
  bytes_ += 'J';
  append_u32(bytes_, static_cast<uint32_t>(value));
  return *this;
}
PickleWriter& PickleWriter::real(double value) {
  bytes_ += 'G';
  append_u64(bytes_, __builtin_bswap64(std::bit_cast<uint64_t>(value)));
  return *this;
}
PickleWriter& PickleWriter::global(std::string_view module, std::string_view name) {
  bytes_ += 'c';
  return op(module).op("\n").op(name).op("\n");
}
PickleWriter& PickleWriter::numbers(const std::vector<int32_t>& values) {
  op("(");
  for (int32_t value : values) integer(value);
  return op("t");
}
PickleWriter& PickleWriter::tensor(std::string_view storage, std::string_view key, int32_t n_stored,
                                   int32_t first, const std::vector<int32_t>& extents,
                                   const std::vector<int32_t>& strides) {
  global("torch._utils", "_rebuild_tensor_v2").op("((").text("storage").global("torch", storage).text(key);
  text("cpu").integer(n_stored).op("tQ").integer(first);
  return numbers(extents).numbers(strides).op("\x89").global("collections", "OrderedDict").op(")RtR");
}

}  // namespace weft::testing
