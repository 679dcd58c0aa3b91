#include "plugins/text/text_embedder.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "kernels/networks/bert/bert_batch.h"

namespace weft::text {
namespace {

constexpr int64_t kPassTexts = 256;
constexpr int64_t kTokensAround = 2;
// Enough rows for a device's products.
constexpr int64_t kUsefulDeviceTokens = 8192;

void scale_to_length_one(float* vector, int64_t width) {
  double square = 0;
  for (int64_t i = 0; i < width; ++i) square += double{vector[i]} * vector[i];
  const double scale = 1 / std::max(std::sqrt(square), 1e-12);
  for (int64_t i = 0; i < width; ++i) vector[i] = static_cast<float>(vector[i] * scale);
}

}  // namespace

/// Texts that go through the network together.
class TextEmbedder::Pass {
 public:
  bool has_room(const EmbeddingLimits& limits, size_t n_tokens) const {
    return reads_.size() < static_cast<size_t>(limits.texts) &&
           n_tokens_ + n_tokens <= static_cast<size_t>(limits.tokens);
  }
  void add(Read read) {
    n_tokens_ += read.tokens.size();
    reads_.push_back(std::move(read));
  }
  std::span<Read> reads() { return reads_; }
  /// Texts of one length side by side: a device attends to them at once.
  BertInputs inputs() {
    std::stable_sort(reads_.begin(), reads_.end(),
                     [](const Read& a, const Read& b) { return a.tokens.size() < b.tokens.size(); });
    batch_.clear();
    for (const Read& read : reads_) batch_.add(read.tokens);
    return batch_.inputs();
  }
  bool wanted() const {
    return std::any_of(reads_.begin(), reads_.end(), [](const Read& read) { return !read.job->cancelled(); });
  }

 private:
  std::vector<Read> reads_;
  size_t n_tokens_ = 0;
  BertBatch batch_;
};

EmbeddingLimits EmbeddingLimits::of(const LanguageModel& model, int64_t n, int64_t max_bytes) {
  const SentenceEncoder& encoder = *model.encoder();
  const int64_t around = kTokensAround + static_cast<int64_t>(encoder.modules.prompt.size());
  // A token is at least one byte.
  const int64_t longest =
      max_bytes < 0 ? encoder.max_tokens : std::min(encoder.max_tokens, max_bytes + around);
  return of_tokens(model, n < 0 ? kPassTexts : n, longest);
}

EmbeddingLimits EmbeddingLimits::of_tokens(const LanguageModel& model, int64_t n, int64_t tokens) {
  const int64_t useful = model.device() != nullptr ? kUsefulDeviceTokens : kUsefulBertTokens;
  EmbeddingLimits limits;
  limits.texts = std::clamp<int64_t>(n, 1, kPassTexts);
  limits.tokens = std::max(tokens, std::min(useful, tokens * limits.texts));
  return limits;
}

void plan_embedding(const LanguageModel& model, const EmbeddingLimits& limits, const sdk::Host& host,
                    const sdk::Plan& plan) {
  const Bert& network = model.encoder()->network;
  if (model.device() != nullptr) plan.set_device(model.device()->id);
  const int64_t bytes = model.device() != nullptr
                            ? network.device_workspace_bytes(limits.tokens, limits.texts)
                            : network.workspace_bytes(limits.tokens, host.executor().max_threads());
  plan.set_workspace_bytes(static_cast<uint64_t>(bytes));
}

TextEmbedder::TextEmbedder(const LanguageModel& model, const EmbeddingOptions& options,
                           const EmbeddingLimits& limits, const sdk::Host& host,
                           const sdk::Execution& execution)
    : encoder_(*model.encoder()),
      tokenizer_(model.tokenizer()),
      options_(options),
      limits_(limits),
      workspace_(static_cast<std::byte*>(execution.workspace()), execution.workspace_bytes()),
      executor_(host.executor()),
      pooled_(static_cast<size_t>(limits.texts * model.encoder()->network.config().width)) {
  if (model.device() != nullptr) passes_ = model.device()->passes(host, execution.stream());
}

Result<std::vector<TokenId>> TextEmbedder::tokens_of(const EmbeddingJob& job, size_t index) {
  if (!job.tokens.empty()) return job.tokens[index];
  std::string_view text = job.texts[index];
  std::string prompted;
  if (!encoder_.modules.prompt.empty()) text = prompted = encoder_.modules.prompt + std::string(text);
  Result<std::vector<TokenId>> ids = tokenizer_.encode(
      text, {.add_special = job.add_special, .control_text = job.control_text, .stop = job.cancelled});
  if (!ids.ok()) return ids;
  if (ids->empty()) return Status(StatusCode::kInvalidArgument, "an empty text has no embedding");
  const auto most =
      static_cast<size_t>(limits_.tokens < encoder_.max_tokens ? limits_.tokens : encoder_.max_tokens);
  if (ids->size() <= most) return ids;
  ++n_cut_;
  const SpecialTokens& special = tokenizer_.special();
  const bool ends = job.add_special == AddSpecial::kAsModelDeclares && special.add_eos && special.eos;
  ids->resize(most);
  if (ends) ids->back() = *special.eos;
  return ids;
}

// The next text of the first job that has one.
std::optional<TextEmbedder::Read> TextEmbedder::read_next() {
  while (!jobs_.empty()) {
    EmbeddingJob& job = *jobs_.front();
    if (job.next < job.size()) {
      const size_t index = job.next++;
      Result<std::vector<TokenId>> tokens = tokens_of(job, index);
      if (tokens.ok()) return Read{&job, index, *std::move(tokens)};
      job.failure = tokens.status();
    }
    jobs_.pop_front();
  }
  return std::nullopt;
}

void TextEmbedder::fill(Pass& pass) {
  while (true) {
    std::optional<Read> read = left_over_ ? std::exchange(left_over_, std::nullopt) : read_next();
    if (!read) return;
    if (!pass.has_room(limits_, read->tokens.size())) {
      left_over_ = std::move(read);
      return;
    }
    pass.add(*std::move(read));
  }
}

Status TextEmbedder::encode(Pass& pass) {
  const StopRequest stop{[](void* self) { return !static_cast<Pass*>(self)->wanted(); }, &pass};
  const BertInputs inputs = pass.inputs();
  const BertOutputs outputs{.hidden = nullptr, .pooled = pooled_.data(), .pooling = options_.pooling};
  Status status = passes_ ? encoder_.network.forward_on(*passes_, inputs, outputs, workspace_, stop)
                          : encoder_.network.forward(inputs, outputs, workspace_, executor_, stop);
  if (!status.ok()) return status;
  const int64_t width = encoder_.network.config().width;
  const float* pooled = pooled_.data();
  for (Read& read : pass.reads()) {
    float* vector = read.job->vectors + static_cast<int64_t>(read.index) * width;
    std::copy_n(pooled, width, vector);
    if (options_.normalizes) scale_to_length_one(vector, width);
    pooled += width;
    ++read.job->done;
  }
  return {};
}

void TextEmbedder::finish(EmbeddingJob& job, const Status& status) {
  std::erase(open_, &job);
  std::erase(jobs_, &job);
  if (left_over_ && left_over_->job == &job) left_over_.reset();
  job.on_finished(status);
}

// Between two passes: ends the jobs that are over.
void TextEmbedder::settle() {
  for (EmbeddingJob* job : std::vector(open_)) {
    const bool whole = job->done == static_cast<int64_t>(job->size());
    if (!job->failure.ok()) finish(*job, job->failure);
    else if (whole) finish(*job, {});
    else if (job->cancelled()) finish(*job, Status(StatusCode::kCancelled, "cancelled"));
    else if (job->done > 0 && job->on_progress) job->on_progress(job->done);
  }
}

Status TextEmbedder::run(std::vector<EmbeddingJob*> jobs, const MoreJobs& more) {
  while (true) {
    jobs_.insert(jobs_.end(), jobs.begin(), jobs.end());
    open_.insert(open_.end(), jobs.begin(), jobs.end());
    Pass pass;
    fill(pass);
    const Status status = pass.reads().empty() ? Status() : encode(pass);
    settle();  // a pass that was stopped had cancelled jobs alone
    if (!status.ok() && status.code() != StatusCode::kCancelled) {
      for (EmbeddingJob* job : std::vector(open_)) finish(*job, status);
      return status;
    }
    jobs = more ? more() : std::vector<EmbeddingJob*>();
    if (jobs.empty() && open_.empty()) return {};
  }
}

}  // namespace weft::text
