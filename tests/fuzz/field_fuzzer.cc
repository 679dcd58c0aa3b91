// Any bytes as a file of fields that needs no trust (npy, npz, classic NetCDF): an error with a message, or fields within the
// limits that are read, written and read again.
#include <cstdlib>
#include <vector>

#include "modalities/field/files/field_file.h"

namespace {

using namespace weft;

void check(const Status& status) {
  if (!status.ok() && status.error().message.empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
  FieldFileOptions options;
  options.max_bytes = 1 << 20;
  if (size % 2 == 1) options.dimensions = {"lat", "lon"};
  const Result<std::unique_ptr<FieldFile>> opened = open_field_file(file, options);
  check(opened.status());
  if (!opened.ok()) return 0;
  for (const FieldType& type : (*opened)->fields()) {
    const Result<size_t> index = (*opened)->find(type.name);
    check(index.status());
    if (!index.ok()) continue;
    const FieldType& found = (*opened)->fields()[*index];
    std::vector<double> values(static_cast<size_t>(found.elements()));  // large enough for f32 too
    const Status status = (*opened)->read(*index, values.data());
    check(status);
    if (!status.ok()) continue;
    const Result<std::string> again = encode_field(found, values.data(), FieldFormat::kNpz);
    if (!again.ok()) continue;
    options.dimensions.clear();
    const auto reopened = open_field_file(std::as_bytes(std::span(*again)), options);
    if (!reopened.ok() || (*reopened)->fields()[0].shape() != found.shape()) std::abort();
  }
  return 0;
}
