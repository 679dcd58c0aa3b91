// Weights in the order and type in which a device's ops read them.
#include <cstring>

#include "kernels/layers/weight_plan.h"
#include "kernels/quant/dequantize.h"

namespace weft {
namespace {

int64_t aligned(int64_t bytes) {
  constexpr auto kAlignment = static_cast<int64_t>(kDeviceAlignment);
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

int64_t table_bytes(const EmbeddingTable& table) {
  return aligned(table.rows * weights_bytes(table.format, table.width));
}

}  // namespace

/// What a step becomes: rows of taps of `depth` elements, of which `given` are the file's.
struct WeightPlan::DeviceShape {
  int64_t rows = 1, taps = 1, given = 1, depth = 1;
  DType dtype = DType::kF32;
  int64_t bytes() const { return aligned(rows * taps * depth * size_bytes(dtype)); }
};

WeightPlan::DeviceShape WeightPlan::device_shape(const Step& step) {
  if (step.dense || step.quantized) {
    const GemmShape& s = step.dense ? step.dense->shape : step.quantized->w.shape;
    return {s.n, 1, s.k, device_depth(s.compute, s.k), s.compute};
  }
  if (step.convolution) {
    const ConvolutionShape& s = step.convolution->shape;
    return {s.out_channels, s.kernel_h * s.kernel_w, s.in_channels, device_depth(s.compute, s.in_channels),
            s.compute};
  }
  return {step.count * static_cast<int64_t>(step.names.size())};
}

int64_t WeightPlan::device_bytes() const {
  int64_t bytes = 0;
  for (const Step& step : steps_) bytes += device_shape(step).bytes();
  for (const auto& table : tables_) bytes += table_bytes(table.second->on_device);
  return bytes;
}

Status WeightPlan::fill_for_device(const Step& step, std::byte* destination, Executor executor) const {
  const DeviceShape s = device_shape(step);
  std::vector<float> values(static_cast<size_t>(step.count) * step.names.size());
  for (size_t i = 0; i < step.names.size(); ++i)
    if (Status read =
            source_.read(step.names[i], values.data() + i * static_cast<size_t>(step.count), executor);
        !read.ok())
      return read;
  const WeightFormat format = s.dtype == DType::kF32   ? WeightFormat::kF32
                              : s.dtype == DType::kF16 ? WeightFormat::kF16
                                                       : WeightFormat::kBF16;
  const int64_t row_bytes = s.taps * s.depth * size_bytes(s.dtype), half = s.rows / 2;
  executor.run([&](Team team) {
    std::vector<float> row(static_cast<size_t>(s.taps * s.depth));
    const int64_t thread = team.thread(), n = team.n_threads();
    for (int64_t r = s.rows * thread / n; r < s.rows * (thread + 1) / n; ++r) {
      const float* from = values.data() + r * s.taps * s.given;
      for (int64_t tap = 0; tap < s.taps; ++tap)
        for (int64_t c = 0; c < s.given; ++c)
          row[static_cast<size_t>(tap * s.depth + c)] = from[c * s.taps + tap];
      const int64_t to = !step.paired ? r : r < half ? 2 * r : 2 * (r - half) + 1;
      quantize(format, row.data(), s.taps * s.depth, destination + to * row_bytes);
    }
  });
  return {};
}

// As its file has it, where the device reads that.
Status WeightPlan::load_table_on(const DeviceStream& stream, const std::string& name, TableLayer& table,
                                 std::byte* at, Executor executor) const {
  const SourceTensor& source = *table.in_file;
  const bool as_it_is = reads_as_it_is(name, table);
  std::vector<float> values;
  if (!as_it_is) {
    values.resize(static_cast<size_t>(source.count()));
    if (Status read = source_.read(name, values.data(), executor); !read.ok()) return read;
  }
  const void* from = as_it_is ? static_cast<const void*>(source.data()) : values.data();
  const int64_t bytes = table.on_device.rows * weights_bytes(table.on_device.format, table.on_device.width);
  Status copied = stream.copy_to_device(at, from, static_cast<uint64_t>(bytes));
  if (Status passed = stream.synchronize(); copied.ok()) copied = std::move(passed);
  if (!copied.ok()) return copied;
  if (source.n_rows < 0) source.file->drop_pages(*source.tensor);
  table.on_device.data = at;
  return {};
}

Result<DeviceBuffer> WeightPlan::load_on(const DeviceStream& stream, Executor executor,
                                         const StopRequest& stop, DeviceBuffer given) const {
  auto memory = DeviceBuffer::given_or_allocate(std::move(given), stream,
                                                static_cast<uint64_t>(device_bytes()), "weights");
  if (!memory.ok()) return memory.status();
  std::byte* at = memory->data();
  std::vector<std::byte> made;
  for (const Step& step : steps_) {
    if (stop.requested && stop.requested(stop.context))
      return Status(StatusCode::kCancelled, "stopped while weights were loaded");
    const auto bytes = static_cast<size_t>(device_shape(step).bytes());
    made.assign(bytes, std::byte{0});
    if (Status filled = fill_for_device(step, made.data(), executor); !filled.ok()) return filled;
    for (const std::string& name : step.names) {
      const SourceTensor& source = *source_.find(name);
      if (source.n_rows < 0) source.file->drop_pages(*source.tensor);  // else its other rows come soon
    }
    Status copied = stream.copy_to_device(at, made.data(), bytes);
    if (Status passed = stream.synchronize(); copied.ok()) copied = std::move(passed);
    if (!copied.ok()) return copied;
    if (step.dense) step.dense->data = at;
    else if (step.quantized) step.quantized->w.data = at;
    else if (step.convolution) step.convolution->data = at;
    else *step.values = reinterpret_cast<const float*>(at);
    at += bytes;
  }
  for (const auto& [name, table] : tables_) {
    if (Status loaded = load_table_on(stream, name, *table, at, executor); !loaded.ok()) return loaded;
    at += table_bytes(table->on_device);
  }
  return *std::move(memory);
}

}  // namespace weft
