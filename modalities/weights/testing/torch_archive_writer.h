/// Writes small zip archives and pickles for tests, right ones and, by their escape hatches, wrong ones.
///
///   PickleWriter pickle;
///   pickle.op("}").text("w").tensor("FloatStorage", "0", 6, 0, {2, 3}, {3, 1}).op("s");
///   ZipWriter zip;
///   zip.add("archive/data.pkl", pickle.bytes()).add("archive/data/0", std::string(24, 'x'));
///   write_file(folder / "tiny.pt", zip.bytes());
#ifndef WEFT_MODALITIES_WEIGHTS_TESTING_TORCH_ARCHIVE_WRITER_H
#define WEFT_MODALITIES_WEIGHTS_TESTING_TORCH_ARCHIVE_WRITER_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft::testing {

class ZipWriter {
 public:
  uint16_t method = 0;          ///< of the entries that follow
  uint16_t flags = 0;           ///< of the entries that follow
  uint32_t excess_bytes = 0;    ///< by which the directory overstates the content of the entries that follow
  uint32_t offset_error = 0;    ///< by which the directory misplaces the entries that follow
  uint16_t excess_entries = 0;  ///< by which the end overstates the entries

  /// Content is aligned to 64 bytes, as torch.save() does, and moved by `misalign`.
  ZipWriter& add(std::string_view name, std::string_view content, uint32_t misalign = 0);
  std::string bytes() const;

 private:
  std::string entries_, directory_;
  uint16_t n_entries_ = 0;
};

/// A pickle of protocol 2.
class PickleWriter {
 public:
  /// Instructions as they are.
  PickleWriter& op(std::string_view codes);
  PickleWriter& text(std::string_view text);
  PickleWriter& integer(int32_t value);
  PickleWriter& real(double value);
  PickleWriter& global(std::string_view module, std::string_view name);
  /// A torch tensor over a storage of n_stored elements.
  PickleWriter& tensor(std::string_view storage, std::string_view key, int32_t n_stored, int32_t first,
                       const std::vector<int32_t>& extents, const std::vector<int32_t>& strides);
  /// With the STOP behind it.
  std::string bytes() const { return bytes_ + "."; }

 private:
  PickleWriter& numbers(const std::vector<int32_t>& values);
  std::string bytes_ = "\x80\x02";
};

}  // namespace weft::testing
#endif
