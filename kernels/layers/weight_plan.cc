#include "kernels/layers/weight_plan.h"

#include <algorithm>

#include "kernels/quant/dequantize.h"

namespace weft {
namespace {

constexpr int64_t kAlignment = 64;
constexpr size_t kMostListed = 6;

constexpr int64_t aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// Without extents of 1 that say nothing: in front of a table or a vector, and behind a matrix that comes as a 1x1 convolution.
std::vector<int64_t> without_ones(std::vector<int64_t> shape) {
  while (shape.size() > 2 && shape.back() == 1) shape.pop_back();
  while (shape.size() > 1 && shape.front() == 1) shape.erase(shape.begin());
  return shape;
}

std::string list(const std::vector<std::string>& items) {
  std::string text;
  for (size_t i = 0; i < items.size() && i < kMostListed; ++i) text += (i > 0 ? ", " : "") + items[i];
  if (items.size() > kMostListed) text += " and " + std::to_string(items.size() - kMostListed) + " more";
  return text;
}

// What packing reads in place.
bool is_plain(WeightFormat format) {
  return format == WeightFormat::kF32 || format == WeightFormat::kF16 || format == WeightFormat::kBF16;
}

}  // namespace

const SourceTensor* WeightPlan::require(const std::string& name, const std::vector<int64_t>& shape) {
  used_.insert(name);
  const SourceTensor* tensor = source_.find(name);
  if (!tensor) {
    missing_.push_back("'" + name + "' " + shape_text(shape));
    return nullptr;
  }
  if (without_ones(tensor->shape()) != without_ones(shape)) {
    misshapen_.push_back("'" + name + "' is " + shape_text(tensor->shape()) + ", not " + shape_text(shape));
    return nullptr;
  }
  int64_t count = 1;
  for (int64_t extent : shape) count *= extent;
  parameters_ += count;
  return tensor;
}

void WeightPlan::place(Step step, int64_t bytes) {
  step.offset = packed_bytes_;
  packed_bytes_ += aligned(bytes);
  steps_.push_back(std::move(step));
}

bool WeightPlan::stays_quantized(const std::vector<std::string>& names, int64_t k) const {
  if (names.size() > static_cast<size_t>(kMostQuantizedParts)) return false;
  for (const std::string& name : names) {
    const SourceTensor& source = *source_.find(name);
    const WeightFormat format = source.tensor->format;
    if (!rounds_activations(format) || !matmul_serves(format) || k % block_layout(format).elements != 0 ||
        source.transposed || source_.has_delta(name))
      return false;
  }
  return true;
}

// Its parts follow one another.
void WeightPlan::quantized(Step step, int64_t n_each, int64_t k, DenseLayer* out) {
  has_quantized_ = true;
  int64_t bytes = 0;
  for (const std::string& name : step.names) {
    const WeightFormat format = source_.find(name)->tensor->format;
    Result<int64_t> packed = packed_size_bytes(format, n_each, k);
    if (!packed.ok()) {
      unreadable_.push_back("'" + name + "': " + to_string(packed.error()));
      return;
    }
    out->parts[out->n_parts++] = {.format = format, .n = n_each, .k = k, .data = nullptr};
    bytes += aligned(*packed);
  }
  step.quantized = out;
  place(std::move(step), bytes);
}

void WeightPlan::biases(std::initializer_list<std::string> names, int64_t n_each, const float** out,
                        GemmPairing pairing) {
  Step step;
  step.paired = pairing == GemmPairing::kValueGate;
  for (const std::string& name : names) {
    if (!require(name + ".bias", {n_each})) return;
    step.names.push_back(name + ".bias");
  }
  step.values = out;
  step.count = n_each;
  const int64_t n = n_each * static_cast<int64_t>(names.size());
  place(std::move(step), n * 4);
}

void WeightPlan::dense(std::initializer_list<std::string> names, int64_t n_each, int64_t k, BiasTensor bias,
                       DenseLayer* out, GemmPairing pairing) {
  Step step;
  bool complete = true;
  for (const std::string& name : names) {
    complete = require(name + ".weight", {n_each, k}) && complete;
    step.names.push_back(name + ".weight");
  }
  out->w.shape = {
      .n = n_each * static_cast<int64_t>(names.size()), .k = k, .compute = compute_, .pairing = pairing};
  step.count = n_each * k;
  step.paired = pairing == GemmPairing::kValueGate;
  if (complete && stays_quantized(step.names, k)) {
    quantized(std::move(step), n_each, k, out);
  } else if (complete) {
    Result<int64_t> bytes = gemm_packed_bytes(out->w.shape);
    if (bytes.ok()) {
      step.dense = &out->w;
      place(std::move(step), *bytes);
    } else {
      unreadable_.push_back("'" + step.names[0] + "': " + to_string(bytes.error()));
    }
  }
  if (bias == BiasTensor::kRequired) biases(names, n_each, &out->bias, pairing);
}

void WeightPlan::convolution(const std::string& name, int64_t out_channels, int64_t in_channels,
                             int64_t kernel, BiasTensor bias, ConvolutionLayer* out, Upsample upsample) {
  out->w.shape = {.out_channels = out_channels,
                  .in_channels = in_channels,
                  .kernel_h = kernel,
                  .kernel_w = kernel,
                  .compute = compute_,
                  .upsample = upsample};
  if (require(name + ".weight", {out_channels, in_channels, kernel, kernel})) {
    Result<int64_t> bytes = convolution_packed_bytes(out->w.shape);
    if (bytes.ok()) {
      Step step;
      step.names = {name + ".weight"};
      step.convolution = &out->w;
      step.count = out_channels * in_channels * kernel * kernel;
      place(std::move(step), *bytes);
    } else {
      unreadable_.push_back("'" + name + ".weight': " + to_string(bytes.error()));
    }
  }
  if (bias == BiasTensor::kRequired) biases({name}, out_channels, &out->bias);
}

void WeightPlan::stacked_convolution(std::initializer_list<std::string> names, int64_t out_each,
                                     int64_t in_channels, ConvolutionLayer* out) {
  Step step;
  bool complete = true;
  for (const std::string& name : names) {
    complete = require(name + ".weight", {out_each, in_channels}) && complete;
    step.names.push_back(name + ".weight");
  }
  out->w.shape = {.out_channels = out_each * static_cast<int64_t>(names.size()),
                  .in_channels = in_channels,
                  .kernel_h = 1,
                  .kernel_w = 1,
                  .compute = compute_};
  if (complete) {
    Result<int64_t> bytes = convolution_packed_bytes(out->w.shape);
    if (bytes.ok()) {
      step.convolution = &out->w;
      step.count = out_each * in_channels;
      place(std::move(step), *bytes);
    } else {
      unreadable_.push_back("'" + step.names[0] + "': " + to_string(bytes.error()));
    }
  }
  biases(names, out_each, &out->bias);
}

void WeightPlan::values(const std::string& name, std::vector<int64_t> shape, const float** out) {
  const SourceTensor* tensor = require(name, shape);
  if (!tensor) return;
  Step step;
  step.names = {name};
  step.values = out;
  step.count = tensor->count();
  const int64_t bytes = step.count * 4;
  place(std::move(step), bytes);
}

void WeightPlan::group_norm(const std::string& name, int64_t channels, int64_t groups, float epsilon,
                            GroupNormLayer* out) {
  out->groups = groups;
  out->epsilon = epsilon;
  values(name + ".weight", {channels}, &out->weight);
  values(name + ".bias", {channels}, &out->bias);
}

void WeightPlan::layer_norm(const std::string& name, int64_t width, float epsilon, Norm* out) {
  out->kind = NormKind::kLayer;
  out->epsilon = epsilon;
  values(name + ".weight", {width}, &out->weight);
  values(name + ".bias", {width}, &out->bias);
}

void WeightPlan::mapped(const std::string& name, std::vector<int64_t> shape, const SourceTensor** out) {
  *out = require(name, shape);
}

bool WeightPlan::reads_as_it_is(const std::string& name, const TableLayer& table) const {
  return is_plain(table.in_file->tensor->format) && !table.in_file->transposed && !source_.has_delta(name);
}

void WeightPlan::table(const std::string& name, int64_t rows, int64_t width, TableLayer* out) {
  mapped(name, {rows, width}, &out->in_file);
  if (!out->in_file) return;
  const WeightFormat format = reads_as_it_is(name, *out) ? out->in_file->tensor->format : WeightFormat::kF32;
  out->on_device = {.format = format, .data = nullptr, .rows = rows, .width = width};
  tables_.emplace_back(name, out);
}

Status WeightPlan::check(std::string_view network) const {
  std::vector<std::string> unexpected;
  for (const auto& [name, tensor] : source_.tensors())
    if (!used_.contains(name)) unexpected.push_back("'" + name + "' " + shape_text(tensor.shape()));
  if (missing_.empty() && misshapen_.empty() && unreadable_.empty() && unexpected.empty()) return Status();
  std::string message =
      "the tensors do not make the " + std::string(network) + " that its configuration describes";
  const auto add = [&](const char* what, const std::vector<std::string>& items) {
    if (!items.empty()) message += "; " + std::to_string(items.size()) + " " + what + ": " + list(items);
  };
  add("missing", missing_);
  add("of another shape", misshapen_);
  add("unreadable", unreadable_);
  add("unexpected", unexpected);
  const StatusCode code = !misshapen_.empty() ? StatusCode::kInvalidShape
                          : !missing_.empty() ? StatusCode::kNotFound
                                              : StatusCode::kUnsupported;
  Status status(code, std::move(message));
  if (source_.tensors().empty()) return status;
  return std::move(status).at(source_.tensors().begin()->second.file->path().string());
}

int64_t WeightPlan::part_bytes(const PackedMatrix& part) {
  return aligned(*packed_size_bytes(part.format, part.n, part.k));  // which quantized() has asked for
}

Status WeightPlan::fill_parts(const Step& step, std::byte* destination, Executor executor) const {
  const PackedMatrix* part = step.quantized->parts;
  for (const std::string& name : step.names) {
    Status packed =
        pack_matrix(part->format, part->n, part->k, source_.find(name)->data(), destination, executor);
    if (!packed.ok()) return std::move(packed).at(source_.where(name));
    destination += part_bytes(*part++);
  }
  return {};
}

Status WeightPlan::fill(const Step& step, std::byte* destination, Executor executor) const {
  if (step.values) {
    float* at = reinterpret_cast<float*>(destination);
    for (const std::string& name : step.names) {
      if (Status read = source_.read(name, at, executor); !read.ok()) return read;
      at += step.count;
    }
    return Status();
  }
  const SourceTensor& first = *source_.find(step.names[0]);
  if (step.quantized) return fill_parts(step, destination, executor);
  const bool in_place = step.names.size() == 1 && !first.transposed && !source_.has_delta(step.names[0]) &&
                        is_plain(first.tensor->format);
  std::vector<float> copied;
  const void* weights = in_place ? first.data() : nullptr;
  const WeightFormat format = in_place ? first.tensor->format : WeightFormat::kF32;
  if (!in_place) {
    copied.resize(static_cast<size_t>(step.count) * step.names.size());
    for (size_t i = 0; i < step.names.size(); ++i)
      if (Status read =
              source_.read(step.names[i], copied.data() + i * static_cast<size_t>(step.count), executor);
          !read.ok())
        return read;
    weights = copied.data();
  }
  Status packed =
      step.dense ? pack_gemm_weights(step.dense->shape, format, weights, destination, executor)
                 : pack_convolution_weights(step.convolution->shape, format, weights, destination, executor);
  return packed.ok() ? Status() : std::move(packed).at(source_.where(step.names[0]));
}

Status WeightPlan::load(PackedWeightStore& store, std::string_view source_key, Executor executor,
                        const StopRequest& stop) const {
  const std::string key = std::string(source_key) + (compute_ == DType::kBF16 ? ".bf16" : ".f32") +
                          ".layers-" + std::to_string(kGemmLayoutVersion) + "." +
                          std::to_string(kConvolutionLayoutVersion) +
                          (has_quantized_ ? "." + std::to_string(kPackedLayoutVersion) : "");
  Result<const std::byte*> packed = store.get(key, packed_bytes_, [&](std::byte* bytes) {
    for (const Step& step : steps_) {
      if (stop.requested && stop.requested(stop.context))
        return Status(StatusCode::kCancelled, "stopped while weights were packed");
      for (const std::string& name : step.names) {
        const SourceTensor& source = *source_.find(name);
        source.file->will_read(*source.tensor);
      }
      if (Status filled = fill(step, bytes + step.offset, executor); !filled.ok()) return filled;
      for (const std::string& name : step.names) {
        const SourceTensor& source = *source_.find(name);
        if (source.n_rows < 0) source.file->drop_pages(*source.tensor);  // else its other rows come soon
      }
    }
    return Status();
  });
  if (!packed.ok()) return packed.status();
  for (const Step& step : steps_) {
    const std::byte* at = *packed + step.offset;
    if (step.dense) step.dense->data = at;
    else if (step.quantized)
      for (int i = 0; i < step.quantized->n_parts; at += part_bytes(step.quantized->parts[i++]))
        step.quantized->parts[i].data = at;
    else if (step.convolution) step.convolution->data = at;
    else *step.values = reinterpret_cast<const float*>(at);
  }
  return Status();
}

}  // namespace weft
