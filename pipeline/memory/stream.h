/// A queue of work on one device. On the CPU it is only a name: work runs at once, in the calling thread.
#ifndef WEFT_PIPELINE_MEMORY_STREAM_H
#define WEFT_PIPELINE_MEMORY_STREAM_H

#include <weft/abi/memory.h>

/// The handle that plugins see. Thread safety: one thread at a time.
struct weft_stream {
  weft_device device{WEFT_DEVICE_CPU, 0};
  void* native = nullptr;  // cudaStream_t; null on the CPU
};

#endif
