// Blocks between two processes, whose streams are held up at random: what the exporter wrote is what the importer reads.
#include <gtest/gtest.h>

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "kernels/device/host_driver.h"

namespace weft {
namespace {

constexpr uint64_t kBytes = 5000;
constexpr int kBlocks = 60;

struct Message {
  SharedBlock block;
  uint8_t value = 0;  // of all its bytes
};

/// One end of what the two processes talk by.
struct Channel {
  int socket = -1;

  void send(const void* data, size_t size) const {
    ASSERT_EQ(::send(socket, data, size, MSG_NOSIGNAL), ssize_t(size));
  }
  bool receive(void* data, size_t size) const {
    return ::recv(socket, data, size, MSG_WAITALL) == ssize_t(size);
  }
  void send_descriptor(int descriptor) const {
    char byte = 0;
    iovec bytes{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptor)] = {};
    msghdr message{nullptr, 0, &bytes, 1, control, sizeof control, 0};
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS,
    header->cmsg_len = CMSG_LEN(sizeof descriptor);
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    ASSERT_EQ(::sendmsg(socket, &message, MSG_NOSIGNAL), 1);
  }
  int receive_descriptor() const {
    char byte = 0;
    iovec bytes{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{nullptr, 0, &bytes, 1, control, sizeof control, 0};
    int descriptor = -1;
    if (::recvmsg(socket, &message, MSG_CMSG_CLOEXEC) == 1)
      std::memcpy(&descriptor, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof descriptor);
    return descriptor;
  }
};

/// Runs `child` in a process of its own, which ends with what it returns, and `parent` here. Returns the child's exit status.
int with_child(const std::function<int(Channel)>& child, const std::function<void(Channel)>& parent) {
  int sockets[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
  const pid_t process = ::fork();
  if (process == 0) {
    ::close(sockets[0]);
    ::_exit(child({sockets[1]}));
  }
  ::close(sockets[1]);
  parent({sockets[0]});
  ::close(sockets[0]);
  int status = -1;
  EXPECT_EQ(::waitpid(process, &status, 0), process);
  return status;
}

struct Device {
  explicit Device(uint32_t seed, uint64_t memory_bytes = 1 << 20)
      : driver(*HostDriver::create({"simt:0", memory_bytes, seed, 0})) {
    for (NativeStream& stream : streams) stream = *driver->create_stream();
  }
  bool synchronize() {
    return std::ranges::all_of(streams,
                               [&](NativeStream stream) { return driver->synchronize(stream).ok(); });
  }
  std::unique_ptr<HostDriver> driver;
  NativeStream streams[2] = {};
};

/// Reads every block that comes, and says that it has closed it while the copy is only queued. 0: all were what they should be.
int import_blocks(Channel channel, uint32_t seed) {
  Device device(seed);
  DeviceDriver& driver = *device.driver;
  const int descriptor = channel.receive_descriptor();
  const auto pool = driver.open_pool(descriptor);
  if (!pool.ok()) return 1;
  ::close(descriptor);
  std::mt19937 random(seed);
  std::deque<std::vector<uint8_t>> read;
  std::vector<uint8_t> expected;
  for (Message message; channel.receive(&message, sizeof message);) {
    const auto block = driver.open_block(*pool, message.block);
    if (!block.ok()) return 2;
    const NativeStream stream = device.streams[random() % 2];
    read.emplace_back(kBytes);
    expected.push_back(message.value);
    if (!driver.wait(stream, block->ready).ok()) return 3;
    if (!driver.copy_to_host(read.back().data(), block->data, kBytes, stream).ok()) return 4;
    if (!driver.close_block(*block, stream).ok()) return 5;
    channel.send("c", 1);
  }
  if (!device.synchronize()) return 6;
  driver.close_pool(*pool);
  for (size_t i = 0; i < read.size(); ++i) {
    if (std::ranges::count(read[i], expected[i]) != static_cast<int64_t>(kBytes)) return 7;
  }
  return read.size() == kBlocks ? 0 : 8;
}

struct Exported {
  void* data;
  NativeEvent ready, returned;
};

/// A block that a stream fills, exported while that is only queued.
Exported export_filled(Device& device, NativeStream stream, Channel channel, uint8_t value) {
  DeviceDriver& driver = *device.driver;
  auto data = driver.allocate_shared(kBytes, stream, "exported");
  if (!data.ok()) {  // blocks that were given back at places which no stream has passed
    EXPECT_TRUE(device.synchronize());
    data = driver.allocate_shared(kBytes, stream, "exported");
  }
  const auto ready = driver.create_shared_event(), returned = driver.create_shared_event();
  EXPECT_TRUE(data.ok() && ready.ok() && returned.ok());
  EXPECT_TRUE(driver.fill(*data, value, kBytes, stream).ok());
  EXPECT_TRUE(driver.record(*ready, stream).ok());
  const auto block = driver.export_block(*data, kBytes, *ready, *returned);
  EXPECT_TRUE(block.ok());
  const Message message{*block, value};
  channel.send(&message, sizeof message);
  return {*data, *ready, *returned};
}

/// After the importer has said that it has closed the block.
void give_back(Device& device, NativeStream stream, const Exported& one) {
  DeviceDriver& driver = *device.driver;
  ASSERT_TRUE(driver.wait(stream, one.returned).ok());
  ASSERT_TRUE(driver.release(one.data, stream).ok());
}

/// For longer than a process has to live.
void keep_busy(Device& device, NativeStream stream) {
  const auto large = device.driver->allocate(32 << 20, stream, "large");
  for (int i = 0; i < 1000; ++i) (void)device.driver->fill(*large, 1, 32 << 20, stream);
}

TEST(SharedBlocks, AreReadInAnotherProcessAndGoBackBehindItsReads) {
  for (uint32_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(seed);
    const int status = with_child([seed](Channel channel) { return import_blocks(channel, seed + 100); },
                                  [seed](Channel channel) {
                                    Device device(seed, 64 << 10);  // so that blocks come again
                                    std::mt19937 random(seed);
                                    const auto descriptor = device.driver->export_pool();
                                    ASSERT_TRUE(descriptor.ok());
                                    channel.send_descriptor(*descriptor);
                                    ::close(*descriptor);
                                    std::deque<Exported> out;
                                    std::vector<Exported> all;
                                    char closed = 0;
                                    for (int step = 0; step < kBlocks; ++step) {
                                      if (out.size() == 4) {
                                        ASSERT_TRUE(channel.receive(&closed, 1));
                                        give_back(device, device.streams[random() % 2], out.front());
                                        out.pop_front();
                                      }
                                      out.push_back(export_filled(device, device.streams[random() % 2],
                                                                  channel, static_cast<uint8_t>(step + 1)));
                                      all.push_back(out.back());
                                    }
                                    for (; !out.empty(); out.pop_front()) {
                                      ASSERT_TRUE(channel.receive(&closed, 1));
                                      give_back(device, device.streams[0], out.front());
                                    }
                                    ASSERT_EQ(::shutdown(channel.socket, SHUT_WR), 0);  // there are no more
                                    EXPECT_TRUE(device.synchronize());
                                    for (const Exported& one : all) {
                                      device.driver->destroy_event(one.ready);
                                      device.driver->destroy_event(one.returned);
                                    }
                                    EXPECT_EQ(device.driver->pool_statistics().used_bytes, 0u);
                                  });
    EXPECT_EQ(status, 0) << "exit code " << WEXITSTATUS(status);
  }
}

TEST(SharedBlocks, AnExporterThatEndsBeforeItsContentsAreCompleteLosesTheImportersDevice) {
  with_child(
      [](Channel channel) {
        Device device(0, 64 << 20);
        const auto descriptor = device.driver->export_pool();
        channel.send_descriptor(*descriptor);
        keep_busy(device, device.streams[0]);
        export_filled(device, device.streams[0], channel, 1);
        ::_exit(0);
        return 0;
      },
      [](Channel channel) {
        Device device(0);
        DeviceDriver& driver = *device.driver;
        const int descriptor = channel.receive_descriptor();
        const auto pool = driver.open_pool(descriptor);
        ASSERT_TRUE(pool.ok());
        ::close(descriptor);
        Message message;
        ASSERT_TRUE(channel.receive(&message, sizeof message));
        const auto block = driver.open_block(*pool, message.block);
        ASSERT_TRUE(block.ok());
        std::vector<uint8_t> read(kBytes);
        ASSERT_TRUE(driver.wait(device.streams[0], block->ready).ok());
        ASSERT_TRUE(driver.copy_to_host(read.data(), block->data, kBytes, device.streams[0]).ok());
        const Status lost = driver.synchronize(device.streams[0]);
        ASSERT_EQ(lost.code(), StatusCode::kDeviceLost);
        EXPECT_NE(to_string(lost.error()).find("waits for a process that has ended"), std::string::npos)
            << to_string(lost.error());
        EXPECT_EQ(driver.close_block(*block, device.streams[0]).code(), StatusCode::kDeviceLost);
        driver.close_pool(*pool);
      });
}

TEST(SharedBlocks, AnImporterThatEndsHasClosedThem) {
  for (const bool says_so : {false, true}) {
    SCOPED_TRACE(says_so);
    with_child(
        [says_so](Channel channel) {
          Device device(0, 64 << 20);
          const NativeStream stream = device.streams[0];
          const auto pool = device.driver->open_pool(channel.receive_descriptor());
          Message message;
          if (!channel.receive(&message, sizeof message)) return 1;
          const auto block = device.driver->open_block(*pool, message.block);
          keep_busy(device, stream);
          if (says_so && device.driver->close_block(*block, stream).ok()) channel.send("c", 1);
          ::_exit(0);
          return 0;
        },
        [says_so](Channel channel) {
          Device device(0);
          const auto descriptor = device.driver->export_pool();
          channel.send_descriptor(*descriptor);
          ::close(*descriptor);
          const Exported one = export_filled(device, device.streams[0], channel, 1);
          char closed = 0;
          EXPECT_EQ(channel.receive(&closed, 1), says_so);
          give_back(device, device.streams[1], one);
          EXPECT_TRUE(device.synchronize());
          EXPECT_EQ(device.driver->pool_statistics().used_bytes, 0u);
          device.driver->destroy_event(one.ready);
          device.driver->destroy_event(one.returned);
        });
  }
}

TEST(SharedBlocks, AreUsedOnlyWhileTheyAreOpen) {
  Device exporter(0), importer(0);
  const auto descriptor = exporter.driver->export_pool();
  const auto pool = importer.driver->open_pool(*descriptor);
  ::close(*descriptor);
  ASSERT_TRUE(pool.ok());
  const auto data = exporter.driver->allocate_shared(kBytes, exporter.streams[0], "exported");
  const auto ready = exporter.driver->create_shared_event(),
             returned = exporter.driver->create_shared_event();
  ASSERT_TRUE(data.ok() && ready.ok() && returned.ok());
  EXPECT_TRUE(*exporter.driver->reached(*ready)) << "it was never recorded";
  ASSERT_TRUE(exporter.driver->record(*ready, exporter.streams[0]).ok());
  const auto block = exporter.driver->export_block(*data, kBytes, *ready, *returned);
  ASSERT_TRUE(block.ok());
  const auto opened = importer.driver->open_block(*pool, *block);
  ASSERT_TRUE(opened.ok());
  EXPECT_NE(opened->data, *data);
  ASSERT_TRUE(importer.driver->wait(importer.streams[0], opened->ready).ok());
  ASSERT_TRUE(importer.driver->fill(opened->data, 7, kBytes, importer.streams[0]).ok());
  ASSERT_TRUE(importer.driver->close_block(*opened, importer.streams[0]).ok());
  std::vector<uint8_t> read(kBytes);
  ASSERT_TRUE(exporter.driver->wait(exporter.streams[0], *returned).ok());
  ASSERT_TRUE(exporter.driver->copy_to_host(read.data(), *data, kBytes, exporter.streams[0]).ok());
  ASSERT_TRUE(exporter.driver->synchronize(exporter.streams[0]).ok());
  EXPECT_EQ(std::ranges::count(read, 7), static_cast<int64_t>(kBytes)) << "an importer may write, too";
  ASSERT_TRUE(importer.driver->fill(opened->data, 8, kBytes, importer.streams[0]).ok());
  EXPECT_EQ(importer.driver->synchronize(importer.streams[0]).code(), StatusCode::kDeviceLost);
  importer.driver->close_pool(*pool);
  exporter.driver->destroy_event(*ready);
  exporter.driver->destroy_event(*returned);
}

TEST(SharedBlocks, ThatAreNoneAreRefused) {
  Device device(0), other(0);
  DeviceDriver& driver = *device.driver;
  const auto data = driver.allocate_shared(kBytes, device.streams[0], "x");
  const auto shared = driver.create_shared_event(), plain = driver.create_event();
  ASSERT_TRUE(data.ok() && shared.ok() && plain.ok());
  EXPECT_EQ(driver.export_block(*data, kBytes, *shared, *plain).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(driver.export_block(*data, 2 << 20, *shared, *shared).code(), StatusCode::kInvalidArgument);
  const int file = ::memfd_create("other", MFD_CLOEXEC);
  EXPECT_EQ(other.driver->open_pool(file).code(), StatusCode::kInvalidArgument);
  ASSERT_EQ(::ftruncate(file, 1 << 20), 0);
  EXPECT_EQ(other.driver->open_pool(file).code(), StatusCode::kInvalidArgument);
  ::close(file);
  const auto descriptor = driver.export_pool();
  const auto pool = other.driver->open_pool(*descriptor);
  ::close(*descriptor);
  SharedBlock block;
  block.size_bytes = 2 << 20;
  EXPECT_EQ(other.driver->open_block(*pool, block).code(), StatusCode::kInvalidArgument);
  block.size_bytes = 1;
  block.ready.fill(std::byte{255});
  EXPECT_EQ(other.driver->open_block(*pool, block).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(driver.allow_peer(1).code(), StatusCode::kUnsupported);
  other.driver->close_pool(*pool);
  driver.destroy_event(*shared);
  driver.destroy_event(*plain);
}

}  // namespace
}  // namespace weft
