/// The entries of a zip archive that are stored as they are: what torch.save() writes.
///
/// Reads the central directory and each entry's own header, from memory; every size and offset is checked against the bytes
/// before it is used. Compressed, encrypted and zip64 archives are refused. Checksums are not verified: that would read all of
/// a model's weights. Source: PKWARE, .ZIP File Format Specification (APPNOTE.TXT) 6.3.
#ifndef WEFT_MODALITIES_WEIGHTS_ZIP_DIRECTORY_H
#define WEFT_MODALITIES_WEIGHTS_ZIP_DIRECTORY_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>

namespace weft {

/// Where an entry's content lies.
struct ZipEntry {
  uint64_t offset = 0;
  uint64_t size_bytes = 0;
};

using ZipDirectory = std::map<std::string, ZipEntry, std::less<>>;

/// True if the bytes can be an archive that begins with an entry.
bool is_zip(std::span<const std::byte> bytes);

/// `name` is the file's, for errors. Errors: kCorruptData, kUnsupported; both name file and offset.
Result<ZipDirectory> read_zip_directory(std::span<const std::byte> bytes, const std::string& name);

}  // namespace weft
#endif
