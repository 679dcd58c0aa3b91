#include "kernels/layers/weight_source.h"

#include <cstdlib>
#include <memory>

#include "kernels/ops/gemm/gemm.h"
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

// values [rows, columns] += scale * up * down, by ops/gemm: its weights are the columns of `down`.
Status add_product(const LowRankDelta& delta, int64_t count, float* values, Executor executor) {
  const int64_t rows = delta.up.shape()[0], rank = delta.down.shape()[0], columns = count / rows;
  std::vector<float> up(static_cast<size_t>(rows * rank)), down(static_cast<size_t>(rank * columns)),
      turned(down.size());
  read_plain(delta.up, up.data());
  read_plain(delta.down, down.data());
  for (float& value : up) value *= delta.scale;
  for (int64_t i = 0; i < rank; ++i)
    for (int64_t c = 0; c < columns; ++c)
      turned[static_cast<size_t>(c * rank + i)] = down[static_cast<size_t>(i * columns + c)];
  const GemmShape shape = {.n = columns, .k = rank, .compute = DType::kF32};
  Result<int64_t> bytes = gemm_packed_bytes(shape);
  if (!bytes.ok()) return bytes.status();
  const int64_t scratch_bytes = gemm_scratch_bytes(executor.max_threads());
  const auto aligned = [](int64_t size) {
    const int64_t whole = (size + kGemmAlignment - 1) / kGemmAlignment * kGemmAlignment;
    return std::unique_ptr<void, void (*)(void*)>(
        std::aligned_alloc(static_cast<size_t>(kGemmAlignment), static_cast<size_t>(whole)), &std::free);
  };
  const auto packed = aligned(*bytes), scratch = aligned(scratch_bytes);
  if (!packed || !scratch) return Status(StatusCode::kOutOfMemory, "no memory to merge an adapter");
  Status done = pack_gemm_weights(shape, WeightFormat::kF32, turned.data(), packed.get(), executor);
  if (!done.ok()) return done;
  Gemm g;
  g.a = TensorView::contiguous(up.data(), DType::kF32, {rows, rank});
  g.w = {shape, packed.get()};
  g.c = TensorView::contiguous(values, DType::kF32, {rows, columns});
  g.residual = g.c;
  g.scratch = scratch.get();
  return gemm(g, executor);
}

Status scale_rows(const SourceTensor& source, const SourceTensor& scale, float* values) {
  const int64_t count = source.count(), rows = source.shape().empty() ? 1 : source.shape()[0];
  if (scale.count() != rows)
    return Status(StatusCode::kInvalidShape, "a scale has another length than what it scales has rows")
        .at(scale.file->where(*scale.tensor))
        .expected(std::to_string(rows))
        .got(std::to_string(scale.count()));
  std::vector<float> factors(static_cast<size_t>(rows));
  read_plain(scale, factors.data());
  for (int64_t i = 0; i < count; ++i) values[i] *= factors[static_cast<size_t>(i / (count / rows))];
  return Status();
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

void WeightSource::add_row_scale(const std::string& name, SourceTensor scale) {
  row_scales_.insert_or_assign(name, scale);
}

const SourceTensor* WeightSource::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

void WeightSource::read_stored(std::string_view name, float* values) const {
  read_plain(*find(name), values);
}

Status WeightSource::read(std::string_view name, float* values, Executor executor) const {
  const SourceTensor& source = *find(name);
  read_plain(source, values);
  const auto [first, last] = deltas_.equal_range(name);
  for (auto delta = first; delta != last; ++delta)
    if (Status added = add_product(delta->second, source.count(), values, executor); !added.ok())
      return added;
  const auto scale = row_scales_.find(name);
  return scale == row_scales_.end() ? Status() : scale_rows(source, scale->second, values);
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
