// Tensors of a device between Weft and another library, both with streams of their own that are held up at random.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <random>
#include <thread>
#include <vector>

#include "kernels/device/host_driver.h"
#include "pipeline/memory/dlpack.h"
#include "pipeline/memory/tensor_layout.h"

namespace weft {
namespace {

constexpr weft_device kDevice = {WEFT_DEVICE_SIMT, 0};
constexpr uint64_t kBytes = 3000;

/// A device with Weft's pool and streams, and streams of another library.
struct TwoLibraries {
  explicit TwoLibraries(uint32_t seed, uint64_t memory_bytes = 1 << 20)
      : device(ComputeDevice::over(
            std::shared_ptr<DeviceDriver>(*HostDriver::create({"simt:0", memory_bytes, seed, 0})))),
        pool(*DevicePool::create(device, kDevice)),
        memory({pool.get()}) {
    for (int i = 0; i < 3; ++i) streams.push_back(*pool->create_stream());
    for (int i = 0; i < 2; ++i) theirs.push_back(*DeviceStream::create(device));
  }
  ~TwoLibraries() {
    if (pool) pool->finish();
  }
  DeviceDriver& driver() { return device->driver(); }
  const weft_memory_api& api() { return *memory.api(); }
  /// A buffer whose bytes a node on that stream sets.
  Buffer filled(uint8_t value, weft_stream* stream) {
    auto buffer = allocate_buffer(*pool, kBytes, 0, stream, "made");
    EXPECT_TRUE(buffer.ok());
    EXPECT_TRUE(driver().fill(buffer->data(), value, kBytes, stream->native).ok());
    EXPECT_EQ(api().ready(buffer->get(), stream), WEFT_OK);
    return *std::move(buffer);
  }
  void synchronize() {
    for (const auto& stream : streams) ASSERT_TRUE(driver().synchronize(stream->native).ok());
    for (const DeviceStream& stream : theirs) ASSERT_TRUE(stream.synchronize().ok());
  }

  std::shared_ptr<ComputeDevice> device;
  std::unique_ptr<DevicePool> pool;
  MemoryService memory;
  std::vector<std::unique_ptr<weft_stream>> streams;  // before the pool goes
  std::vector<DeviceStream> theirs;
};

weft_tensor bytes_at(void* data) {
  weft_tensor view = row_major(data, WEFT_DTYPE_U8, std::vector<int64_t>{int64_t{kBytes}});
  view.device = kDevice;
  return view;
}

/// What a stream copies out later, and what it should be.
struct Reads {
  uint8_t* next(uint8_t value) {
    expected.push_back(value);
    return got.emplace_back(kBytes).data();
  }
  void check() const {
    for (size_t i = 0; i < got.size(); ++i)
      EXPECT_EQ(std::count(got[i].begin(), got[i].end(), expected[i]), static_cast<int64_t>(kBytes)) << i;
  }
  std::deque<std::vector<uint8_t>> got;
  std::vector<uint8_t> expected;
};

TEST(DlpackOnDevices, AConsumerWaitsForTheContentsAndTheMemoryForTheConsumer) {
  for (uint32_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(seed);
    TwoLibraries two(seed, 64 << 10);  // so that blocks come again
    std::mt19937 random(seed);
    Reads reads;
    for (int step = 0; step < 60; ++step) {
      const auto value = static_cast<uint8_t>(step + 1);
      weft_stream* stream = two.streams[random() % 3].get();
      Buffer made = two.filled(value, stream);
      for (uint32_t lent = random() % 3; lent > 0; --lent) {
        const DeviceStream& theirs = two.theirs[random() % 2];
        auto tensor = to_dlpack(made, bytes_at(made.data()), theirs.native());
        ASSERT_TRUE(tensor.ok()) << to_string(tensor.error());
        ASSERT_TRUE(theirs.copy_to_host(reads.next(value), (*tensor)->dl_tensor.data, kBytes).ok());
        (*tensor)->deleter(*tensor);  // the copy is only queued
      }
      if (random() % 2 == 0) {  // a node writes into it in place, behind all readers
        ASSERT_EQ(two.api().acquire(made.get(), stream, 1), WEFT_OK);
        ASSERT_TRUE(two.driver().fill(made.data(), 0, kBytes, stream->native).ok());
      }
    }
    two.synchronize();
    reads.check();
    EXPECT_EQ(two.pool->statistics().used_bytes, 0u);
  }
}

TEST(DlpackOnDevices, ADeleterMayBeCalledByAnyThread) {
  TwoLibraries two(3);
  Reads reads;
  for (uint8_t value = 1; value <= 40; ++value) {
    Buffer made = two.filled(value, two.streams[value % 3].get());
    auto tensor = to_dlpack(made, bytes_at(made.data()), two.theirs[0].native());
    ASSERT_TRUE(tensor.ok());
    uint8_t* to = reads.next(value);
    std::thread consumer([&, owned = *tensor] {
      EXPECT_TRUE(two.theirs[0].copy_to_host(to, owned->dl_tensor.data, kBytes).ok());
      owned->deleter(owned);
    });
    two.api().release(made.release(), two.streams[value % 3].get());
    consumer.join();
  }
  two.synchronize();
  reads.check();
}

/// Memory of the other library, which it takes back when the deleter is called, and writes into at once.
struct Lent {
  TwoLibraries& two;
  const DeviceStream& stream;
  std::atomic<int>& deleted;
  void* data;
  int64_t shape[1] = {int64_t{kBytes}};
  DLManagedTensorVersioned tensor{};

  /// As `__dlpack__(stream=consumer)` does.
  static DLManagedTensorVersioned* make(TwoLibraries& two, const DeviceStream& stream, uint8_t value,
                                        NativeStream consumer, std::atomic<int>& deleted) {
    auto data = two.driver().allocate(kBytes, stream.native(), "theirs");
    EXPECT_TRUE(data.ok());
    EXPECT_TRUE(two.driver().fill(*data, value, kBytes, stream.native()).ok());
    auto written = DeviceEvent::create(two.device);
    EXPECT_TRUE(stream.record(*written).ok());
    EXPECT_TRUE(two.driver().wait(consumer, written->native()).ok());
    auto* lent = new Lent{two, stream, deleted, *data};
    lent->tensor.version = {1, 0};
    lent->tensor.manager_ctx = lent;
    lent->tensor.deleter = [](DLManagedTensorVersioned* self) {
      const std::unique_ptr<Lent> owned(static_cast<Lent*>(self->manager_ctx));
      ++owned->deleted;
      (void)owned->two.driver().fill(owned->data, 0, kBytes, owned->stream.native());
      (void)owned->two.driver().release(owned->data, owned->stream.native());
    };
    lent->tensor.dl_tensor = {*data, {kDevice.kind, kDevice.index}, 1, {1, 8, 1}, lent->shape, nullptr, 0};
    return &lent->tensor;
  }
};

TEST(DlpackOnDevices, WhoUsesAnImportedTensorWaitsForItsProducerAndIsWaitedFor) {
  for (uint32_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(seed);
    std::atomic<int> deleted = 0;
    Reads reads;
    {
      TwoLibraries two(seed);
      std::mt19937 random(seed);
      for (int step = 0; step < 60; ++step) {
        const auto value = static_cast<uint8_t>(step + 1);
        weft_stream* consumer = two.streams[random() % 3].get();
        auto imported = from_dlpack(
            Lent::make(two, two.theirs[random() % 2], value, consumer->native, deleted), *two.pool, consumer);
        ASSERT_TRUE(imported.ok()) << to_string(imported.error());
        EXPECT_EQ(imported->view.device.kind, kDevice.kind);
        weft_buffer* buffer = imported->buffer.release();
        for (uint32_t uses = random() % 3; uses > 0; --uses) {
          weft_stream* stream = two.streams[random() % 3].get();
          two.api().retain(buffer);
          ASSERT_EQ(two.api().acquire(buffer, stream, 0), WEFT_OK);
          ASSERT_TRUE(
              two.driver().copy_to_host(reads.next(value), buffer->data, kBytes, stream->native).ok());
          two.api().release(buffer, stream);
        }
        weft_stream* last = two.streams[random() % 3].get();
        if (random() % 2 == 0) {  // the last user
          ASSERT_EQ(two.api().acquire(buffer, last, 0), WEFT_OK);
          ASSERT_TRUE(two.driver().copy_to_host(reads.next(value), buffer->data, kBytes, last->native).ok());
          two.api().release(buffer, last);
        } else {
          two.api().release(buffer, nullptr);
        }
      }
      two.synchronize();
      reads.check();
      two.pool->finish();
      EXPECT_EQ(deleted, 60);
    }
  }
}

TEST(DlpackOnDevices, AnImportedTensorGoesBackWithoutWaitingAndWithoutAnEnd) {
  TwoLibraries two(0);
  std::atomic<int> deleted = 0;
  weft_stream* stream = two.streams[0].get();
  auto imported = from_dlpack(Lent::make(two, two.theirs[0], 1, stream->native, deleted), *two.pool, stream);
  ASSERT_TRUE(imported.ok());
  imported->buffer = Buffer();
  two.synchronize();
  for (int calls = 0; deleted == 0; ++calls) {  // the pool's own stream comes to it
    ASSERT_LT(calls, 10'000);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    two.filled(1, stream);
  }
  EXPECT_EQ(deleted, 1);
}

TEST(DlpackOnDevices, WhatIsExportedCanComeBack) {
  TwoLibraries two(5);
  Reads reads;
  weft_stream *first = two.streams[0].get(), *second = two.streams[1].get(), *third = two.streams[2].get();
  Buffer made = two.filled(7, first);
  auto imported = from_dlpack(*to_dlpack(made, bytes_at(made.data()), second->native), *two.pool, second);
  ASSERT_TRUE(imported.ok());
  made = Buffer();
  ASSERT_EQ(two.api().acquire(imported->buffer.get(), third, 0), WEFT_OK);
  ASSERT_TRUE(two.driver().copy_to_host(reads.next(7), imported->buffer.data(), kBytes, third->native).ok());
  two.api().release(imported->buffer.release(), third);
  two.synchronize();
  reads.check();
}

TEST(DlpackOnDevices, ASharedBufferKeepsTheOrderOfItsMemory) {
  TwoLibraries two(9);
  Reads reads;
  weft_stream *first = two.streams[0].get(), *second = two.streams[1].get();
  auto owner = std::make_shared<int>(0);
  for (uint8_t value = 1; value <= 40; ++value) {
    auto shared = share_memory(two.filled(value, first), owner);
    ASSERT_TRUE(shared.ok());
    ASSERT_EQ(two.api().acquire(shared->get(), second, 0), WEFT_OK);
    ASSERT_TRUE(two.driver().copy_to_host(reads.next(value), shared->data(), kBytes, second->native).ok());
    two.api().release(shared->release(), second);
  }
  two.synchronize();
  reads.check();
  EXPECT_EQ(owner.use_count(), 1);
}

TEST(DlpackOnDevices, ALostDeviceGivesTensorsBackAllTheSame) {
  std::atomic<int> deleted = 0;
  TwoLibraries two(0);
  weft_stream* stream = two.streams[0].get();
  Buffer made = two.filled(1, stream);
  auto imported = from_dlpack(Lent::make(two, two.theirs[0], 1, stream->native, deleted), *two.pool, stream);
  ASSERT_TRUE(imported.ok());
  std::vector<uint8_t> host(2 * kBytes);
  ASSERT_TRUE(two.driver().copy_to_host(host.data(), made.data(), 2 * kBytes, stream->native).ok());
  ASSERT_EQ(two.driver().synchronize(stream->native).code(), StatusCode::kDeviceLost);
  EXPECT_EQ(to_dlpack(made, bytes_at(made.data()), two.theirs[0].native()).code(), StatusCode::kDeviceLost);
  const auto late = from_dlpack(*to_dlpack(made, bytes_at(made.data())), *two.pool, stream);
  EXPECT_EQ(late.code(), StatusCode::kDeviceLost);
  imported->buffer = Buffer();
  EXPECT_EQ(deleted, 1);
}

TEST(DlpackOnDevices, ThatAreNotTheTensorsAreRefused) {
  TwoLibraries two(0);
  std::atomic<int> deleted = 0;
  weft_stream* stream = two.streams[0].get();
  Buffer made = two.filled(1, stream);
  const auto unknown = to_dlpack(made, bytes_at(made.data()), reinterpret_cast<NativeStream>(4096));
  ASSERT_EQ(unknown.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(to_string(unknown.error()), "simt:0: this is no stream of the device");
  const auto to_cpu = from_dlpack(Lent::make(two, two.theirs[0], 1, stream->native, deleted));
  ASSERT_EQ(to_cpu.code(), StatusCode::kUnsupported);
  EXPECT_EQ(to_string(to_cpu.error()),
            "a DLPack tensor is on another device (expected cpu, got device type 12, number 0)");
  EXPECT_EQ(deleted, 1);
  CpuPool cpu;
  auto plain = allocate_buffer(cpu, kBytes, 0, nullptr, "t");
  weft_tensor view = bytes_at(plain->data());
  view.device = {WEFT_DEVICE_CPU, 0};
  EXPECT_EQ(to_dlpack(*plain, view, stream->native).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(from_dlpack(*to_dlpack(*plain, view), *two.pool, stream).code(), StatusCode::kUnsupported);
}

TEST(DlpackOnDevices, StreamsAreNumberedAsPythonDoes) {
  constexpr weft_device kCpu = {WEFT_DEVICE_CPU, 0}, kCuda = {WEFT_DEVICE_CUDA, 0};
  const auto handle = [](int64_t number) { return ConsumerStream(reinterpret_cast<NativeStream>(number)); };
  EXPECT_EQ(*consumer_stream(kCpu, {}), ConsumerStream());
  EXPECT_EQ(*consumer_stream(kCuda, {}), handle(1));
  for (const int64_t number : {int64_t{1}, int64_t{2}, int64_t{1} << 40})
    EXPECT_EQ(*consumer_stream(kCuda, number), handle(number));
  for (const weft_device device : {kCuda, kDevice}) EXPECT_EQ(*consumer_stream(device, -1), ConsumerStream());
  for (const int64_t number : {int64_t{0}, int64_t{-2}})
    EXPECT_EQ(consumer_stream(kCuda, number).code(), StatusCode::kInvalidArgument) << number;
  EXPECT_EQ(consumer_stream(kCpu, 1).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(consumer_stream(kDevice, {}).code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace weft
