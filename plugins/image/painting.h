/// Requests that paint together: each has a slot of memory and goes through the UNet's calls with the others; one leaves when
/// its pictures are done, and another one takes its slot.
///
/// Whatever goes wrong with a request concerns no other one. Ownership: requests are the host's; slots are the node's.
/// Thread safety: one thread.
///
///   paint_together(requests, execution, compute, slots, [&](sdk::Request& request, size_t slot) {
///     return std::make_unique<Job>(*this, request, kept[slot], compute);
///   });
#ifndef WEFT_PLUGINS_IMAGE_PAINTING_H
#define WEFT_PLUGINS_IMAGE_PAINTING_H

#include <weft/sdk/plugin.h>

#include <functional>
#include <memory>
#include <span>

#include "plugins/image/denoising.h"

namespace weft::image {

/// Requests at a time: so many that further ones make calls no cheaper, and not more than there can be. max_requests: of the
/// node's configuration.
int64_t slots_for(const DenoisingShape& shape, uint32_t max_requests);

/// A request on its way to its pictures: what is done between the calls of the UNet.
class Painting {
 public:
  virtual ~Painting() = default;
  /// Called first, and again when the denoising that it gave has finished without an error: the next one, which lives as long
  /// as the painting, or null if the request's outputs are set. May use all of the model's networks.
  virtual Result<Denoising*> next() = 0;
};

using BeginPainting = std::function<std::unique_ptr<Painting>(sdk::Request& request, size_t slot)>;

/// Completes all requests, and those that join. slots: requests at a time, numbered from 0.
void paint_together(std::span<sdk::Request> requests, const sdk::Execution& execution, ModelCompute& compute,
                    size_t slots, const BeginPainting& begin);

}  // namespace weft::image
#endif
