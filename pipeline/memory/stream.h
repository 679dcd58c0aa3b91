/// A queue of work on one device. On the CPU it is only a name: work runs at once, in the calling thread.
#ifndef WEFT_PIPELINE_MEMORY_STREAM_H
#define WEFT_PIPELINE_MEMORY_STREAM_H

#include <weft/abi/memory.h>

#include <memory>

struct CUstream_st;
namespace weft {
class DeviceDriver;
}

/// The handle that plugins see. Work is queued by one thread at a time; what releases buffers comes from any.
struct weft_stream {
  weft_stream() = default;
  ~weft_stream();
  weft_stream(const weft_stream&) = delete;
  weft_stream& operator=(const weft_stream&) = delete;

  weft_device device{WEFT_DEVICE_CPU, 0};
  CUstream_st* native = nullptr;               // null on the CPU
  std::shared_ptr<weft::DeviceDriver> driver;  // of the native stream; null on the CPU
};

#endif
