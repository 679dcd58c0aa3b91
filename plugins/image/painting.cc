#include "plugins/image/painting.h"

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

namespace weft::image {
namespace {

// A call with so many latent pixels is not made faster, a pixel, by more of them. Of the emoji model on two cores.
constexpr int64_t kUsefulPixels = 4096;
constexpr int64_t kMostSlots = 8;

class Session {
 public:
  Session(const sdk::Execution& execution, ModelCompute& compute, size_t slots, const BeginPainting& begin)
      : execution_(execution),
        takes_turns_(compute.model().networks_take_turns()),
        calls_(compute),
        slots_(slots),
        begin_(begin) {}

  void run(std::span<sdk::Request> requests) {
    for (sdk::Request& request : requests) waiting_.push_back(&request);
    for (;;) {
      fill_slots();
      if (open_ == 0) return;
      std::vector<Denoising*> denoisings;
      for (const Slot& slot : slots_) {
        if (slot.denoising != nullptr) denoisings.push_back(slot.denoising);
      }
      calls_.advance(denoisings);
      const bool all_finished =
          std::ranges::all_of(denoisings, [](const Denoising* denoising) { return denoising->finished(); });
      if (takes_turns_ && !all_finished) continue;
      for (Slot& slot : slots_) {
        if (slot.denoising != nullptr && slot.denoising->finished()) go_on(slot);
      }
    }
  }

 private:
  struct Slot {
    sdk::Request* request = nullptr;
    std::unique_ptr<Painting> painting;
    Denoising* denoising = nullptr;  // null: the slot is free
  };

  void fill_slots() {
    if (takes_turns_ && open_ > 0) return;
    for (size_t i = 0; i < slots_.size(); ++i) {
      while (slots_[i].denoising == nullptr) {
        sdk::Request* request = next_request();
        if (request == nullptr) return;
        Status status = sdk::guarded([&] {
          slots_[i].painting = begin_(*request, i);
          return Status();
        });
        slots_[i].request = request;
        ++open_;
        if (status.ok()) go_on(slots_[i]);
        else finish(slots_[i], status);
      }
    }
  }

  sdk::Request* next_request() {
    if (waiting_.empty()) {
      const std::vector<sdk::Request*> joining = execution_.more(slots_.size() - open_);
      waiting_.assign(joining.begin(), joining.end());
    }
    if (waiting_.empty()) return nullptr;
    sdk::Request* request = waiting_.front();
    waiting_.pop_front();
    return request;
  }

  /// To the painting's next denoising, or its end.
  void go_on(Slot& slot) {
    Status status = slot.denoising != nullptr ? slot.denoising->status() : Status();
    slot.denoising = nullptr;
    if (status.ok()) {
      calls_.leave();
      status = sdk::guarded([&] {
        Result<Denoising*> next = slot.painting->next();
        if (next.ok()) slot.denoising = *next;
        return next.status();
      });
    }
    if (slot.denoising == nullptr) finish(slot, status);
  }

  void finish(Slot& slot, const Status& status) {
    slot.painting.reset();
    std::exchange(slot.request, nullptr)->complete(status);
    --open_;
  }

  const sdk::Execution& execution_;
  const bool
      takes_turns_;  // in memory: then requests begin and end together, or networks would be fetched for each anew
  UNetCalls calls_;
  std::vector<Slot> slots_;
  const BeginPainting& begin_;
  std::deque<sdk::Request*> waiting_;
  size_t open_ = 0;
};

}  // namespace

int64_t slots_for(const DenoisingShape& shape, uint32_t max_requests) {
  if (shape.controls > 0) return 1;  // control pictures are not shared, nor is the call that they act on
  const int64_t pixels = 2 * shape.images * shape.height * shape.width;
  const int64_t useful = std::clamp<int64_t>(kUsefulPixels / pixels, 1, kMostSlots);
  return max_requests == 0 ? useful : std::min<int64_t>(useful, max_requests);
}

void paint_together(std::span<sdk::Request> requests, const sdk::Execution& execution, ModelCompute& compute,
                    size_t slots, const BeginPainting& begin) {
  Session(execution, compute, slots, begin).run(requests);
}

}  // namespace weft::image
