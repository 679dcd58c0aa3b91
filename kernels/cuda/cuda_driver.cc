#include "kernels/cuda/cuda_driver.h"

#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "kernels/cuda/vendor/cublaslt_gemm.h"
#include "kernels/cuda/vendor/vendor_convolution.h"
#include "kernels/device/cuda_error.h"

namespace weft {
namespace {

std::string device_name(int index) { return "cuda:" + std::to_string(index); }

/// A pool on the device whose blocks go to streams that are ordered behind them, or when they are passed; no stream waits for
/// memory. handles: what processes share it by.
cudaError_t make_pool(int index, cudaMemAllocationHandleType handles, cudaMemPool_t& pool) {
  cudaMemPoolProps properties{};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.handleTypes = handles;
  properties.location = {cudaMemLocationTypeDevice, index};
  cudaError_t error = cudaMemPoolCreate(&pool, &properties);
  int on = 1, off = 0;
  uint64_t keep = UINT64_MAX;
  const auto set = [&](cudaMemPoolAttr attribute, void* value) {
    if (error == cudaSuccess) error = cudaMemPoolSetAttribute(pool, attribute, value);
  };
  set(cudaMemPoolReuseFollowEventDependencies, &on);
  set(cudaMemPoolReuseAllowOpportunistic, &on);
  set(cudaMemPoolReuseAllowInternalDependencies, &off);
  set(cudaMemPoolAttrReleaseThreshold, &keep);
  return error;
}

template <typename Handle, size_t N>
void put(std::array<std::byte, N>& bytes, const Handle& handle) {
  static_assert(sizeof handle <= N);
  std::memcpy(bytes.data(), &handle, sizeof handle);
}
template <typename Handle, size_t N>
Handle get(const std::array<std::byte, N>& bytes) {
  Handle handle;
  std::memcpy(&handle, bytes.data(), sizeof handle);
  return handle;
}

/// What a vendor's library returned; or, since its own codes do not tell a lost device, what CUDA says of the stream.
Status done_by_library(Status done, NativeStream stream, const char* what) {
  if (done.code() != StatusCode::kInternal) return done;
  const cudaError_t state = cudaStreamQuery(stream);
  return loses_device(state) ? cuda_status(state, what) : done;
}

}  // namespace

Result<std::vector<DeviceFacts>> cuda_devices() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess || count == 0)
    return Status(StatusCode::kNotFound, "no CUDA device can be used")
        .got(error == cudaSuccess
                 ? "a driver that shows no device"
                 : std::string(cudaGetErrorString(error)) + " (CUDA error " + std::to_string(error) + ")");
  std::vector<DeviceFacts> devices;
  for (int index = 0; index < count; ++index) {
    cudaDeviceProp properties{};
    if (const cudaError_t failed = cudaGetDeviceProperties(&properties, index); failed != cudaSuccess)
      return cuda_status(failed, "asking for its properties").at(device_name(index));
    int clock_khz = 0;
    cudaDeviceGetAttribute(&clock_khz, cudaDevAttrClockRate, index);
    devices.push_back({device_name(index), properties.name, properties.totalGlobalMem, properties.major,
                       properties.minor, properties.multiProcessorCount, 1e3 * clock_khz});
  }
  return devices;
}

CudaDriver::CudaDriver(int index, DeviceFacts facts) : index_(index), facts_(std::move(facts)) {
  const auto library = std::make_shared<CublasLtGemm>(load_cublaslt, ops_);
  const auto gemm = [index, library](const GemmCuda& g, NativeStream stream) {
    if (goes_to_library(g)) cudaSetDevice(index);  // its handle belongs to the device that is current
    return done_by_library(library->run(g, stream), stream, "a dense product by cuBLASLt");
  };
  const auto convolution = [index, by = vendor_convolution(ops_)](const ConvolutionCuda& c,
                                                                  NativeStream stream) {
    if (goes_to_library(c)) cudaSetDevice(index);
    return done_by_library(by(c, stream), stream, "a convolution by cuDNN");
  };
  ops_.convolution.set([gemm, convolution](const ConvolutionCuda& c, NativeStream stream) {
    const auto product = c.image_bias ? std::nullopt : as_product(c);
    return product && goes_to_library(*product) ? gemm(*product, stream) : convolution(c, stream);
  });
  ops_.gemm.set(gemm);
}

template <typename Call>
Status CudaDriver::on_device(const char* what, const Call& call) const {
  cudaError_t error = cudaSetDevice(index_);
  if (error == cudaSuccess) error = call();
  return cuda_status(error, what).at(facts_.name);
}

Result<std::shared_ptr<DeviceDriver>> CudaDriver::open(int index) {
  auto devices = cuda_devices();
  if (!devices.ok()) return devices.status();
  if (index < 0 || index >= static_cast<int>(devices->size()))
    return Status(StatusCode::kNotFound, "there is no such device")
        .expected(device_name(0) + " to " + device_name(static_cast<int>(devices->size()) - 1))
        .got(device_name(index));
  std::shared_ptr<CudaDriver> driver(new CudaDriver(index, (*devices)[static_cast<size_t>(index)]));
  Status made = driver->on_device("making a memory pool",
                                  [&] { return make_pool(index, cudaMemHandleTypeNone, driver->pool_); });
  if (!made.ok()) return made;
  return std::shared_ptr<DeviceDriver>(std::move(driver));
}

CudaDriver::~CudaDriver() {
  for (const cudaMemPool_t pool : {pool_, shared_pool_}) {
    if (pool) cudaMemPoolDestroy(pool);
  }
}

Result<NativeStream> CudaDriver::create_stream() {
  cudaStream_t stream = nullptr;
  Status made =
      on_device("making a stream", [&] { return cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking); });
  if (!made.ok()) return made;
  return stream;
}

void CudaDriver::destroy_stream(NativeStream stream) noexcept { cudaStreamDestroy(stream); }

Result<NativeEvent> CudaDriver::create_event() {
  cudaEvent_t event = nullptr;
  Status made =
      on_device("making an event", [&] { return cudaEventCreateWithFlags(&event, cudaEventDisableTiming); });
  if (!made.ok()) return made;
  return event;
}

void CudaDriver::destroy_event(NativeEvent event) noexcept { cudaEventDestroy(event); }

Status CudaDriver::record(NativeEvent event, NativeStream stream) {
  return on_device("recording an event", [&] { return cudaEventRecord(event, stream); });
}

Status CudaDriver::wait(NativeStream stream, NativeEvent event) {
  return on_device("waiting for an event", [&] { return cudaStreamWaitEvent(stream, event, 0); });
}

Result<bool> CudaDriver::reached(NativeEvent event) {
  bool reached = false;
  Status asked = on_device("asking for an event", [&] {
    const cudaError_t error = cudaEventQuery(event);
    reached = error == cudaSuccess;
    return error == cudaErrorNotReady ? cudaSuccess : error;
  });
  if (!asked.ok()) return asked;
  return reached;
}

Status CudaDriver::synchronize(NativeStream stream) {
  return on_device("the work of a stream", [&] { return cudaStreamSynchronize(stream); });
}

Result<void*> CudaDriver::allocate_from(cudaMemPool_t pool, uint64_t size_bytes, NativeStream stream,
                                        const char* tag) {
  void* data = nullptr;
  const std::string what = "allocating " + std::to_string(size_bytes) + " bytes";
  Status made = on_device(what.c_str(), [&] {
    return cudaMallocFromPoolAsync(&data, size_bytes > 0 ? size_bytes : 1, pool, stream);
  });
  if (made.ok()) return data;
  cudaGetLastError();  // an allocation that failed is not the next launch's error
  if (tag) return std::move(made).at(std::string("buffer '") + tag + "'");
  return made;
}

Result<void*> CudaDriver::allocate(uint64_t size_bytes, NativeStream stream, const char* tag) {
  return allocate_from(pool_, size_bytes, stream, tag);
}

Status CudaDriver::release(void* data, NativeStream stream) {
  return on_device("giving memory back", [&] { return data ? cudaFreeAsync(data, stream) : cudaSuccess; });
}

DevicePoolStatistics CudaDriver::pool_statistics() const {
  DevicePoolStatistics statistics;
  cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrUsedMemCurrent, &statistics.used_bytes);
  cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrUsedMemHigh, &statistics.peak_used_bytes);
  cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrReservedMemCurrent, &statistics.reserved_bytes);
  return statistics;
}

Status CudaDriver::trim(uint64_t keep_bytes) {
  return on_device("trimming the memory pool", [&] { return cudaMemPoolTrimTo(pool_, keep_bytes); });
}

Status CudaDriver::set_release_threshold(uint64_t keep_bytes) {
  return on_device("setting the memory pool's release threshold", [&] {
    return cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &keep_bytes);
  });
}

Result<void*> CudaDriver::allocate_pinned(uint64_t size_bytes) {
  void* data = nullptr;
  const std::string what = "allocating " + std::to_string(size_bytes) + " pinned bytes";
  Status made =
      on_device(what.c_str(), [&] { return cudaMallocHost(&data, size_bytes > 0 ? size_bytes : 1); });
  if (made.ok()) return data;
  cudaGetLastError();
  return made;
}

void CudaDriver::release_pinned(void* data) noexcept { cudaFreeHost(data); }

Status CudaDriver::copy_to_device(void* to, const void* from, uint64_t size_bytes, NativeStream stream) {
  copies_.count({.to_device_bytes = size_bytes}, stream);
  return on_device("a copy to the device",
                   [&] { return cudaMemcpyAsync(to, from, size_bytes, cudaMemcpyHostToDevice, stream); });
}

Status CudaDriver::copy_to_host(void* to, const void* from, uint64_t size_bytes, NativeStream stream) {
  copies_.count({.to_host_bytes = size_bytes}, stream);
  return on_device("a copy from the device",
                   [&] { return cudaMemcpyAsync(to, from, size_bytes, cudaMemcpyDeviceToHost, stream); });
}

Status CudaDriver::copy_within(void* to, const void* from, uint64_t size_bytes, NativeStream stream) {
  copies_.count({.within_bytes = size_bytes}, stream);
  return on_device("a copy on the device",
                   [&] { return cudaMemcpyAsync(to, from, size_bytes, cudaMemcpyDeviceToDevice, stream); });
}

Status CudaDriver::fill(void* to, uint8_t value, uint64_t size_bytes, NativeStream stream) {
  return on_device("a fill", [&] { return cudaMemsetAsync(to, value, size_bytes, stream); });
}

Status CudaDriver::begin_capture(NativeStream stream) {
  // Other threads go on as they like: nothing here depends on them.
  Status begun = on_device("capturing a stream",
                           [&] { return cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal); });
  if (begun.ok()) copies_.begin_capture(stream);
  return begun;
}

Result<NativeGraph> CudaDriver::end_capture(NativeStream stream) {
  NativeGraph made = nullptr;
  Status ended = on_device("making a graph", [&] {
    cudaGraph_t graph = nullptr;
    cudaError_t error = cudaStreamEndCapture(stream, &graph);
    if (error == cudaSuccess) error = cudaGraphInstantiate(&made, graph, 0);
    if (graph) cudaGraphDestroy(graph);
    return error;
  });
  copies_.end_capture(stream, ended.ok() ? made : nullptr);
  if (ended.ok()) return made;
  cudaGetLastError();
  return ended;
}

Status CudaDriver::launch(NativeGraph graph, NativeStream stream) {
  copies_.launch(graph);
  return on_device("launching a graph", [&] { return cudaGraphLaunch(graph, stream); });
}

void CudaDriver::destroy_graph(NativeGraph graph) noexcept {
  copies_.destroy(graph);
  cudaGraphExecDestroy(graph);
}

Result<cudaMemPool_t> CudaDriver::shared_pool() {
  const std::lock_guard lock(shared_pool_mutex_);
  if (shared_pool_) return shared_pool_;
  int handles = 0;
  Status made = on_device("making a memory pool that processes share", [&] {
    const cudaError_t error =
        cudaDeviceGetAttribute(&handles, cudaDevAttrMemoryPoolSupportedHandleTypes, index_);
    if (error != cudaSuccess || (handles & cudaMemHandleTypePosixFileDescriptor) == 0) return error;
    return make_pool(index_, cudaMemHandleTypePosixFileDescriptor, shared_pool_);
  });
  if (!made.ok()) return made;
  if (shared_pool_) return shared_pool_;
  return Status(StatusCode::kUnsupported, "the device has no memory that processes share").at(facts_.name);
}

Result<void*> CudaDriver::allocate_shared(uint64_t size_bytes, NativeStream stream, const char* tag) {
  const auto pool = shared_pool();
  return pool.ok() ? allocate_from(*pool, size_bytes, stream, tag) : pool.status();
}

Result<int> CudaDriver::export_pool() {
  const auto pool = shared_pool();
  if (!pool.ok()) return pool.status();
  int descriptor = -1;
  Status made = on_device("exporting a memory pool", [&] {
    return cudaMemPoolExportToShareableHandle(&descriptor, *pool, cudaMemHandleTypePosixFileDescriptor, 0);
  });
  if (!made.ok()) return made;
  return descriptor;
}

Result<NativeEvent> CudaDriver::create_shared_event() {
  cudaEvent_t event = nullptr;
  Status made = on_device("making an event", [&] {
    return cudaEventCreateWithFlags(&event, cudaEventDisableTiming | cudaEventInterprocess);
  });
  if (!made.ok()) return made;
  return event;
}

Result<SharedBlock> CudaDriver::export_block(void* data, uint64_t size_bytes, NativeEvent ready,
                                             NativeEvent returned) {
  cudaMemPoolPtrExportData memory{};
  cudaIpcEventHandle_t is_ready{}, is_returned{};
  Status made = on_device("exporting memory", [&] {
    cudaError_t error = cudaMemPoolExportPointer(&memory, data);
    if (error == cudaSuccess) error = cudaIpcGetEventHandle(&is_ready, ready);
    if (error == cudaSuccess) error = cudaIpcGetEventHandle(&is_returned, returned);
    return error;
  });
  if (!made.ok()) return made;
  SharedBlock block;
  block.size_bytes = size_bytes;
  put(block.memory, memory), put(block.ready, is_ready), put(block.returned, is_returned);
  return block;
}

Result<NativePool> CudaDriver::open_pool(int descriptor) {
  cudaMemPool_t pool = nullptr;
  void* const handle = reinterpret_cast<void*>(static_cast<intptr_t>(descriptor));
  Status made = on_device("opening another process's memory pool", [&] {
    return cudaMemPoolImportFromShareableHandle(&pool, handle, cudaMemHandleTypePosixFileDescriptor, 0);
  });
  if (!made.ok()) return made;
  return pool;
}

void CudaDriver::close_pool(NativePool pool) noexcept { cudaMemPoolDestroy(pool); }

Result<OpenedBlock> CudaDriver::open_block(NativePool pool, const SharedBlock& block) {
  auto memory = get<cudaMemPoolPtrExportData>(block.memory);
  OpenedBlock opened;
  Status made = on_device("opening another process's memory", [&] {
    cudaError_t error = cudaIpcOpenEventHandle(&opened.ready, get<cudaIpcEventHandle_t>(block.ready));
    if (error == cudaSuccess)
      error = cudaIpcOpenEventHandle(&opened.returned, get<cudaIpcEventHandle_t>(block.returned));
    if (error == cudaSuccess) error = cudaMemPoolImportPointer(&opened.data, pool, &memory);
    return error;
  });
  if (made.ok()) return opened;
  for (const NativeEvent event : {opened.ready, opened.returned}) {
    if (event) cudaEventDestroy(event);
  }
  return made;
}

Status CudaDriver::close_block(const OpenedBlock& block, NativeStream last_use) {
  // The event comes behind the release: it has to be over here before the exporter releases the block.
  Status closed = on_device("closing another process's memory", [&] {
    const cudaError_t error = cudaFreeAsync(block.data, last_use);
    return error == cudaSuccess ? cudaEventRecord(block.returned, last_use) : error;
  });
  for (const NativeEvent event : {block.ready, block.returned}) cudaEventDestroy(event);
  return closed;
}

Status CudaDriver::allow_peer(int index) {
  int able = 0;
  Status allowed = on_device("giving another device access to memory", [&] {
    cudaError_t error = cudaDeviceCanAccessPeer(&able, index, index_);
    cudaMemAccessDesc access{};
    access.location = {cudaMemLocationTypeDevice, index};
    access.flags = cudaMemAccessFlagsProtReadWrite;
    if (error == cudaSuccess && able) error = cudaMemPoolSetAccess(pool_, &access, 1);
    return error;
  });
  if (!allowed.ok() || able) return allowed;
  return Status(StatusCode::kUnsupported, "the devices do not reach each other's memory")
      .at(facts_.name)
      .got(device_name(index));
}

}  // namespace weft
