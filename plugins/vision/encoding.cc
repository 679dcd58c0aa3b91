#include "plugins/vision/encoding.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <new>
#include <utility>

namespace weft::vision {
namespace {

// Rows that a pass has at most: enough for the products to be as fast as they get.
constexpr int64_t kPassTokens = 4096, kDevicePassTokens = 8192;

int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

// The host's memory of a pass over pictures: what the network reads and writes.
struct PictureParts {
  int64_t pixels, hidden;

  PictureParts(const VisionModel& model, int64_t n) {
    const VisionTransformerConfig& c = model.network().config();
    pixels = aligned(n * c.picture_values() * 4);
    hidden = aligned(n * c.n_tokens() * c.width * 4);
  }
  int64_t bytes() const { return pixels + hidden; }
};

struct Place {
  PictureJob* job;
  const Picture* picture;
  int64_t image;  // of the picture's batch
  int64_t index;  // of the job
};

std::vector<Place> places_of(std::span<PictureJob* const> jobs) {
  std::vector<Place> places;
  for (PictureJob* job : jobs) {
    int64_t index = 0;
    for (const Picture& picture : job->pictures)
      for (int64_t i = 0; i < picture.shape().count; ++i) places.push_back({job, &picture, i, index++});
  }
  return places;
}

}  // namespace

// One pass over pictures of any jobs.
class Encoder::Pass {
 public:
  Pass(Encoder& encoder, std::span<const Place> places)
      : encoder_(encoder), model_(*encoder.model_), places_(places) {
    const auto n = static_cast<int64_t>(places.size());
    pixels_ = reinterpret_cast<float*>(encoder.pictures_.data());
    hidden_ = reinterpret_cast<float*>(encoder.pictures_.data() + PictureParts(model_, n).pixels);
    for (const Place& place : places) {
      grids_.push_back(model_.grid_of(place.picture->shape()));
      starts_.push_back(starts_.back() + model_.network().config().n_class_tokens() + grids_.back().count());
    }
    pooled_.resize(static_cast<size_t>(n * model_.width()));
    classes_.resize(static_cast<size_t>(n * model_.network().config().n_classes));
  }

  Status run() {
    if (Status status = process(); !status.ok()) return status;
    const bool hidden =
        std::any_of(places_.begin(), places_.end(), [](const Place& p) { return p.job->patches; });
    const StopRequest stop{[](void* self) { return !static_cast<Pass*>(self)->wanted(); }, this};
    Status status = forward({.hidden = hidden ? hidden_ : nullptr,
                             .pooled = pooled_.data(),
                             .classes = classes_.empty() ? nullptr : classes_.data()},
                            stop);
    if (status.ok()) hand_out();
    return status;
  }

 private:
  Status forward(const VisionTransformerOutputs& outputs, const StopRequest& stop) const {
    const VisionTransformer& network = model_.network();
    const VisionTransformerConfig& c = network.config();
    if (c.keeps_shapes()) {
      const PatchedPictures pictures{
          TensorView::contiguous(pixels_, DType::kF32, {starts_.back(), c.patch_values()}), grids_, starts_};
      return encoder_.passes_
                 ? network.forward_patches_on(*encoder_.passes_, pictures, outputs, encoder_.workspace_, stop)
                 : network.forward_patches(pictures, outputs, encoder_.workspace_, encoder_.executor_, stop);
    }
    const TensorView pictures = TensorView::contiguous(
        pixels_, DType::kF32, {static_cast<int64_t>(places_.size()), c.image_size, c.image_size, 3});
    return encoder_.passes_
               ? network.forward_on(*encoder_.passes_, pictures, outputs, encoder_.workspace_, stop)
               : network.forward(pictures, outputs, encoder_.workspace_, encoder_.executor_, stop);
  }

  bool wanted() const {
    return std::any_of(places_.begin(), places_.end(), [](const Place& p) { return !p.job->cancelled(); });
  }

  Status process() {
    const VisionTransformerConfig& c = model_.network().config();
    const auto pixels_of = [&](size_t i) {
      return pixels_ + (c.keeps_shapes() ? starts_[i] * c.patch_values()
                                         : static_cast<int64_t>(i) * c.picture_values());
    };
    std::atomic<bool> no_memory{false};
    encoder_.executor_.parallel_for(static_cast<int64_t>(places_.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const Place& place = places_[static_cast<size_t>(i)];
        try {
          model_.processor().run(*place.picture, place.image, pixels_of(static_cast<size_t>(i)),
                                 place.job->cancelled);
        } catch (const std::bad_alloc&) {  // nothing may leave a body of the executor
          no_memory = true;
        }
      }
    });
    return no_memory ? Status(StatusCode::kOutOfMemory, "out of memory") : Status();
  }

  void hand_out() {
    const VisionTransformerConfig& c = model_.network().config();
    const int64_t width = model_.width();
    for (size_t i = 0; i < places_.size(); ++i) {
      const Place& place = places_[i];
      if (place.job->pooled)
        std::copy_n(pooled_.data() + static_cast<int64_t>(i) * width, width,
                    place.job->pooled + place.index * width);
      if (place.job->classes)
        std::copy_n(classes_.data() + static_cast<int64_t>(i) * c.n_classes, c.n_classes,
                    place.job->classes + place.index * c.n_classes);
      if (place.job->patches) {
        const int64_t values = grids_[i].count() * c.width;
        std::copy_n(hidden_ + (starts_[i] + c.n_class_tokens()) * c.width, values,
                    place.job->patches + place.index * values);
      }
    }
  }

  Encoder& encoder_;
  const VisionModel& model_;
  std::span<const Place> places_;
  std::vector<PatchGrid> grids_;       // of each picture
  std::vector<int64_t> starts_ = {0};  // [pictures + 1]: a picture's first token
  float *pixels_, *hidden_;
  std::vector<float> pooled_, classes_;
};

EncodingLimits EncodingLimits::of(const VisionModel& model, int64_t n_pictures) {
  const int64_t rows = model.device() != nullptr ? kDevicePassTokens : kPassTokens;
  EncodingLimits limits;
  limits.pictures = std::clamp<int64_t>(rows / model.network().config().n_tokens(), 1, 64);
  if (n_pictures >= 0) limits.pictures = std::clamp<int64_t>(n_pictures, 1, limits.pictures);
  if (model.texts()) limits.texts = std::max<int64_t>(1, rows / model.texts()->network.config().n_positions);
  return limits;
}

void Encoder::plan(const VisionModel& model, const EncodingLimits& limits, const sdk::Host& host,
                   const sdk::Plan& plan) {
  const VisionTransformer& network = model.network();
  const TextTower* tower = model.texts();
  const uint32_t n_threads = host.executor().max_threads();
  int64_t of_pictures, of_texts = 0;
  if (model.device() != nullptr) {
    plan.set_device(model.device()->id);
    of_pictures = network.device_workspace_bytes(limits.pictures);
    if (tower)
      of_texts = tower->network.device_workspace_bytes(limits.texts, tower->network.config().n_positions);
  } else {
    of_pictures =
        PictureParts(model, limits.pictures).bytes() + network.workspace_bytes(limits.pictures, n_threads);
    if (tower)
      of_texts = tower->network.workspace_bytes(limits.texts, tower->network.config().n_positions, n_threads);
  }
  plan.set_workspace_bytes(static_cast<uint64_t>(std::max(of_pictures, of_texts)));
}

Result<Encoder> Encoder::begin(const VisionModel& model, const EncodingLimits& limits, const sdk::Host& host,
                               const sdk::Execution& execution) {
  Encoder encoder(model, limits, host.executor());
  encoder.text_workspace_ = {static_cast<std::byte*>(execution.workspace()), execution.workspace_bytes()};
  const auto own = static_cast<size_t>(PictureParts(model, limits.pictures).bytes());
  if (model.device() == nullptr) {
    encoder.pictures_ = encoder.text_workspace_.first(own);
    encoder.workspace_ = encoder.text_workspace_.subspan(own);
    return encoder;
  }
  Result<sdk::Buffer> memory = host.allocate(own, execution.stream(), "host workspace");
  if (!memory.ok()) return memory.status();
  encoder.pictures_ = {static_cast<std::byte*>(memory->data()), own};
  encoder.workspace_ = encoder.text_workspace_;
  encoder.host_memory_ = *std::move(memory);
  encoder.passes_ = model.device()->passes(host, execution.stream());
  return encoder;
}

int64_t PictureJob::count() const {
  int64_t count = 0;
  for (const Picture& picture : pictures) count += picture.shape().count;
  return count;
}

Status Encoder::encode_pictures(std::span<PictureJob* const> jobs) {
  const std::vector<Place> places = places_of(jobs);
  std::vector<Place> pass;
  for (size_t next = 0; next < places.size();) {
    pass.clear();
    for (; next < places.size() && static_cast<int64_t>(pass.size()) < limits_.pictures; ++next) {
      PictureJob& job = *places[next].job;
      if (job.status.ok() && job.cancelled()) job.status = Status(StatusCode::kCancelled, "cancelled");
      if (job.status.ok()) pass.push_back(places[next]);
    }
    if (pass.empty()) break;
    Status status = Pass(*this, pass).run();
    if (!status.ok() && status.code() != StatusCode::kCancelled) return status;
    for (const Place& place : pass) {
      PictureJob& job = *place.job;
      if (job.status.ok() && job.cancelled()) job.status = Status(StatusCode::kCancelled, "cancelled");
      if (job.on_progress && job.status.ok()) job.on_progress(place.index + 1, job.count());
    }
  }
  return {};
}

Status Encoder::encode(const ClipTextInputs& inputs, const ClipTextOutputs& outputs,
                       const StopRequest& stop) {
  const ClipText& network = model_->texts()->network;
  return passes_ ? network.forward_on(*passes_, inputs, outputs, text_workspace_, stop)
                 : network.forward(inputs, outputs, text_workspace_, executor_, stop);
}

Result<TextVectors> Encoder::encode_texts(std::span<const std::string> texts,
                                          const std::function<bool()>& cancelled) {
  const TextTower& tower = *model_->texts();
  const int64_t width = model_->width();
  TextVectors out;
  out.values.resize(texts.size() * static_cast<size_t>(width));
  // Texts of one length go together: nothing is padded.
  std::map<size_t, std::vector<std::pair<size_t, std::vector<TokenId>>>> by_length;
  for (size_t i = 0; i < texts.size(); ++i) {
    Result<std::vector<TokenId>> ids = tower.tokens_of(texts[i], cancelled, &out.n_cut);
    if (!ids.ok()) return ids.status();
    by_length[ids->size()].emplace_back(i, *std::move(ids));
  }
  const auto is_cancelled = [](void* function) {
    return (*static_cast<const std::function<bool()>*>(function))();
  };
  const StopRequest stop{is_cancelled, const_cast<void*>(static_cast<const void*>(&cancelled))};
  for (const auto& [length, group] : by_length)
    for (size_t begin = 0; begin < group.size(); begin += static_cast<size_t>(limits_.texts)) {
      const size_t n = std::min(group.size() - begin, static_cast<size_t>(limits_.texts));
      std::vector<TokenId> tokens;
      for (size_t i = begin; i < begin + n; ++i)
        tokens.insert(tokens.end(), group[i].second.begin(), group[i].second.end());
      std::vector<float> pooled(n * static_cast<size_t>(width));
      Status status = encode({.tokens = tokens, .n_sequences = static_cast<int64_t>(n)},
                             {.hidden = nullptr, .pooled = pooled.data()}, stop);
      if (!status.ok()) return status;
      for (size_t i = 0; i < n; ++i)
        std::copy_n(pooled.data() + i * static_cast<size_t>(width), width,
                    out.values.data() + group[begin + i].first * static_cast<size_t>(width));
    }
  return out;
}

double cosine(const float* a, const float* b, int64_t width) {
  double product = 0, square_a = 0, square_b = 0;
  for (int64_t i = 0; i < width; ++i) {
    product += double{a[i]} * b[i];
    square_a += double{a[i]} * a[i];
    square_b += double{b[i]} * b[i];
  }
  const double lengths = std::sqrt(square_a) * std::sqrt(square_b);
  return lengths > 0 ? product / lengths : 0;
}

void normalize(float* vector, int64_t width) {
  double square = 0;
  for (int64_t i = 0; i < width; ++i) square += double{vector[i]} * vector[i];
  const double scale = square > 0 ? 1 / std::sqrt(square) : 0;
  for (int64_t i = 0; i < width; ++i) vector[i] = static_cast<float>(vector[i] * scale);
}

}  // namespace weft::vision
