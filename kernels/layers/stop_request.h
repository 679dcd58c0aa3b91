/// A question that a long computation asks now and then: shall it stop?
#ifndef WEFT_KERNELS_LAYERS_STOP_REQUEST_H
#define WEFT_KERNELS_LAYERS_STOP_REQUEST_H

namespace weft {

/// Asked about once a layer, or tensor that is loaded, by one thread; true stops the computation.
struct StopRequest {
  bool (*requested)(void* context) = nullptr;  // null: never
  void* context = nullptr;
};

}  // namespace weft
#endif
