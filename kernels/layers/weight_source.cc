#include "kernels/layers/weight_source.h"

#include "kernels/quant/dequantize.h"

namespace weft {
namespace {

void read_plain(const SourceTensor& source, float* values) {
  const int64_t count = source.count();
  if (!source.transposed) {
    dequantize(source.tensor->format, source.data(), count, values);
    return;
  }
  const int64_t rows = source.tensor->extents[0], columns = source.tensor->extents[1];
  std::vector<float> row(static_cast<size_t>(columns));
  const int64_t row_bytes = weights_bytes(source.tensor->format, columns);
  for (int64_t r = 0; r < rows; ++r) {
    dequantize(source.tensor->format, source.tensor->data + r * row_bytes, columns, row.data());
    for (int64_t c = 0; c < columns; ++c) values[c * rows + r] = row[static_cast<size_t>(c)];
  }
}

void add_product(const LowRankDelta& delta, int64_t count, float* values) {
  const int64_t rows = delta.up.shape()[0], rank = delta.down.shape()[0], columns = count / rows;
  std::vector<float> up(static_cast<size_t>(rows * rank)), down(static_cast<size_t>(rank * columns));
  read_plain(delta.up, up.data());
  read_plain(delta.down, down.data());
  std::vector<double> sum(static_cast<size_t>(columns));
  for (int64_t r = 0; r < rows; ++r) {
    sum.assign(sum.size(), 0);
    for (int64_t i = 0; i < rank; ++i) {
      const double factor = double{delta.scale} * up[static_cast<size_t>(r * rank + i)];
      const float* from = down.data() + i * columns;
      for (int64_t c = 0; c < columns; ++c) sum[static_cast<size_t>(c)] += factor * from[c];
    }
    for (int64_t c = 0; c < columns; ++c) {
      float& value = values[r * columns + c];
      value = static_cast<float>(value + sum[static_cast<size_t>(c)]);
    }
  }
}

}  // namespace

std::vector<int64_t> SourceTensor::shape() const {
  std::vector<int64_t> extents(tensor->shape().begin(), tensor->shape().end());
  if (n_rows >= 0 && !extents.empty()) extents[0] = n_rows;
  if (transposed && extents.size() == 2) std::swap(extents[0], extents[1]);
  return extents;
}

int64_t SourceTensor::count() const {
  int64_t n = 1;
  for (int64_t extent : shape()) n *= extent;
  return n;
}

const std::byte* SourceTensor::data() const {
  const int64_t row = tensor->rank > 0 && tensor->extents[0] > 0 ? tensor->count() / tensor->extents[0] : 1;
  return tensor->data + weights_bytes(tensor->format, first_row * row);
}

WeightSource WeightSource::all_of(const WeightFile& file, std::string_view prefix) {
  WeightSource source;
  for (const WeightTensor& tensor : file.tensors())
    if (std::string_view(tensor.name).starts_with(prefix))
      source.tensors_.insert_or_assign(tensor.name.substr(prefix.size()), SourceTensor{&file, &tensor});
  return source;
}

void WeightSource::add(std::string name, SourceTensor tensor) {
  tensors_.insert_or_assign(std::move(name), tensor);
}

void WeightSource::add_delta(const std::string& name, LowRankDelta delta) { deltas_.emplace(name, delta); }

const SourceTensor* WeightSource::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

void WeightSource::read(std::string_view name, float* values) const {
  const SourceTensor& source = *find(name);
  read_plain(source, values);
  const auto [first, last] = deltas_.equal_range(name);
  for (auto delta = first; delta != last; ++delta) add_product(delta->second, source.count(), values);
}

std::string WeightSource::where(std::string_view name) const {
  const SourceTensor* source = find(name);
  return source ? source->file->where(*source->tensor) : std::string(name);
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (int64_t extent : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  return text + "]";
}

}  // namespace weft
