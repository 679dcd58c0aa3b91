#include "pipeline/residency/packed_weights.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

namespace weft {
namespace {

namespace fs = std::filesystem;

struct Filler {
  char byte = 'w';
  weft_status status = WEFT_OK;
  std::atomic<int> calls{0};
  uint64_t size_bytes = 10'000;
};
weft_status fill(void* context, void* destination, weft_error*) {
  auto& filler = *static_cast<Filler*>(context);
  ++filler.calls;
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  if (filler.status == WEFT_OK) std::memset(destination, filler.byte, filler.size_bytes);
  return filler.status;
}

class PackedWeightsTest : public testing::Test {
 protected:
  PackedWeightsTest() {
    std::string pattern = (fs::temp_directory_path() / "weft-packed-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~PackedWeightsTest() override { fs::remove_all(folder_); }
  PackedWeights::Options options() {
    PackedWeights::Options result;
    result.folder = folder_ / "packed";
    result.temporaries = &temporaries_;
    result.warning = [this](const std::string& text) { warnings_.push_back(text); };
    return result;
  }
  weft_packed* get(PackedWeights& store, const char* key, Filler& filler) {
    weft_packed* packed = nullptr;
    EXPECT_EQ(store.api()->get(store.api()->self, key, filler.size_bytes, fill, &filler, &packed, nullptr),
              WEFT_OK);
    if (packed) {
      const auto* data = static_cast<const char*>(store.api()->data(packed));
      EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % 64, 0u);
      EXPECT_EQ(std::string_view(data, filler.size_bytes), std::string(filler.size_bytes, filler.byte));
    }
    return packed;
  }
  fs::path only_entry() const { return fs::directory_iterator(folder_ / "packed")->path(); }
  size_t entries() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_ / "packed"), {}));
  }

  /// Parts of files of this folder that are in the memory of the process.
  size_t mapped_files() const {
    std::ifstream maps("/proc/self/maps");
    size_t count = 0;
    for (std::string line; std::getline(maps, line);)
      count += line.find(folder_.string()) != std::string::npos;
    return count;
  }

  fs::path folder_;
  FileSystem file_system_;
  TemporaryFiles temporaries_{file_system_};
  std::vector<std::string> warnings_;
};

TEST_F(PackedWeightsTest, FillsOnceAndMapsOnTheNextStart) {
  Filler filler;
  {
    PackedWeights store(options());
    weft_packed* first = get(store, "k.1", filler);
    EXPECT_EQ(get(store, "k.1", filler), first) << "one mapping, two references";
    store.api()->release(first);
    store.api()->release(first);
  }
  PackedWeights store(options());
  store.api()->release(get(store, "k.1", filler));
  store.api()->release(nullptr);
  EXPECT_EQ(filler.calls, 1);
  EXPECT_EQ(store.statistics().hits, 1u);
  EXPECT_EQ(store.statistics().live_entries, 0u);
  EXPECT_TRUE(warnings_.empty());
  EXPECT_EQ(temporaries_.count(), 0u);
}

TEST_F(PackedWeightsTest, ADamagedEntryIsMadeAgain) {
  const auto damage = [&](const std::function<void(const fs::path&)>& how) {
    fs::remove_all(folder_ / "packed");
    Filler filler;
    {
      PackedWeights store(options());
      store.api()->release(get(store, "k", filler));
    }
    how(only_entry());
    PackedWeights store(options());
    store.api()->release(get(store, "k", filler));
    return filler.calls.load();
  };
  const auto overwrite = [](std::streamoff offset) {
    return [offset](const fs::path& path) {
      std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(offset);
      file.put('X');
    };
  };
  EXPECT_EQ(damage([](const fs::path&) {}), 1);
  EXPECT_EQ(damage(overwrite(0)), 2);
  EXPECT_EQ(damage(overwrite(8)), 2);
  EXPECT_EQ(damage(overwrite(40)), 2);
  EXPECT_EQ(damage(overwrite(4096 + 9'999)), 2);
  EXPECT_EQ(damage([](const fs::path& path) { fs::resize_file(path, 4096 + 5'000); }), 2);
  EXPECT_EQ(damage([](const fs::path& path) { fs::resize_file(path, 0); }), 2);
}

TEST_F(PackedWeightsTest, AFailedFillIsReportedAndLeavesNothing) {
  PackedWeights store(options());
  Filler filler;
  filler.status = WEFT_CORRUPT_DATA;
  weft_packed* packed = nullptr;
  EXPECT_EQ(store.api()->get(store.api()->self, "k", 100, fill, &filler, &packed, nullptr),
            WEFT_CORRUPT_DATA);
  EXPECT_EQ(packed, nullptr);
  EXPECT_EQ(entries(), 0u);
  filler.status = WEFT_OK;
  store.api()->release(get(store, "k", filler));
}

TEST_F(PackedWeightsTest, ACancelledEntryLeavesNothing) {
  Filler filler;
  fs::create_directories(folder_ / "packed");
  for (int looks = 0;; ++looks) {  // cancelled at each look in turn: reserving, hashing, syncing
    PackedWeights::Options cancelling = options();
    int left = looks;
    cancelling.cancelled = [&left] { return left-- == 0; };
    PackedWeights store(cancelling);
    weft_packed* packed = nullptr;
    const weft_status status =
        store.api()->get(store.api()->self, "k", filler.size_bytes, fill, &filler, &packed, nullptr);
    if (status == WEFT_OK) {
      store.api()->release(packed);
      EXPECT_GE(looks, 3);
      break;
    }
    EXPECT_EQ(status, WEFT_CANCELLED);
    EXPECT_EQ(entries(), 0u) << looks;
    EXPECT_EQ(temporaries_.count(), 0u) << looks;
    EXPECT_EQ(mapped_files(), 0u) << looks;
  }
  // And when it is mapped again.
  PackedWeights::Options cancelling = options();
  cancelling.cancelled = [] { return true; };
  PackedWeights store(cancelling);
  weft_packed* packed = nullptr;
  EXPECT_EQ(store.api()->get(store.api()->self, "k", filler.size_bytes, fill, &filler, &packed, nullptr),
            WEFT_CANCELLED);
  EXPECT_EQ(entries(), 1u) << "a valid entry stays";
}

TEST_F(PackedWeightsTest, ThreadsShareOneFill) {
  PackedWeights store(options());
  Filler filler;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] { store.api()->release(get(store, "k", filler)); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(filler.calls, 1);
}

TEST_F(PackedWeightsTest, ProcessesMayMakeTheSameEntry) {
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      TemporaryFiles temporaries(file_system_);
      PackedWeights::Options mine = options();
      mine.temporaries = &temporaries;
      int bad = 0;
      for (int round = 0; round < 5; ++round) {
        PackedWeights store(mine);
        Filler filler;
        weft_packed* packed = nullptr;
        bad +=
            store.api()->get(store.api()->self, "shared", 10'000, fill, &filler, &packed, nullptr) != WEFT_OK;
        if (packed) bad += static_cast<const char*>(store.api()->data(packed))[9'999] != 'w';
        store.api()->release(packed);
      }
      ::_exit(bad);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  EXPECT_EQ(entries(), 1u);
}

TEST_F(PackedWeightsTest, ServesMemoryWhereTheDiskDoesNot) {
  Filler filler;
  PackedWeights::Options without = options();
  without.folder.clear();
  PackedWeights memory_only(without);
  memory_only.api()->release(get(memory_only, "k", filler));
  EXPECT_TRUE(warnings_.empty()) << "asked for";

  PackedWeights::Options unwritable = options();
  unwritable.folder = "/proc/weft/packed";
  PackedWeights store(unwritable);
  store.api()->release(get(store, "k", filler));
  store.api()->release(get(store, "l", filler));
  EXPECT_EQ(warnings_.size(), 1u) << "one warning is enough";
  EXPECT_EQ(store.statistics().in_memory, 2u);
}

TEST_F(PackedWeightsTest, AFullDiskIsNoError) {
  // A file size limit fails the reservation as a full disk does.
  PackedWeights store(options());
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = before;
  small.rlim_cur = 8192;
  ::setrlimit(RLIMIT_FSIZE, &small);
  Filler filler;
  weft_packed* packed = get(store, "k", filler);
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, SIG_DFL);
  store.api()->release(packed);
  EXPECT_EQ(store.statistics().in_memory, 1u);
  EXPECT_EQ(warnings_.size(), 1u);
  EXPECT_EQ(entries(), 0u);
}

TEST_F(PackedWeightsTest, RemovesTheEntriesUsedLongestAgoBeyondTheLimit) {
  PackedWeights::Options small = options();
  small.limit_bytes = 3 * (4096 + 10'000);
  PackedWeights store(small);
  Filler filler;
  weft_packed* kept_mapping = get(store, "a", filler);
  for (const char* key : {"b", "c"}) store.api()->release(get(store, key, filler));
  // "a" was used last by the clock of the file system; then "b" goes first.
  for (const char* key : {"a", "b", "c"}) {
    const auto age = std::chrono::minutes(*key == 'a' ? 1 : *key == 'b' ? 3 : 2);
    fs::last_write_time(folder_ / "packed" / (std::string(key) + ".weft-packed"),
                        fs::file_time_type::clock::now() - age);
  }
  store.api()->release(get(store, "d", filler));
  EXPECT_EQ(entries(), 3u);
  EXPECT_FALSE(fs::exists(folder_ / "packed/b.weft-packed"));
  store.api()->release(get(store, "e", filler));
  EXPECT_FALSE(fs::exists(folder_ / "packed/c.weft-packed"));
  store.api()->release(get(store, "f", filler));
  EXPECT_FALSE(fs::exists(folder_ / "packed/a.weft-packed"));
  EXPECT_EQ(static_cast<const char*>(store.api()->data(kept_mapping))[5], 'w')
      << "what is mapped stays valid";
  store.api()->release(kept_mapping);
}

TEST_F(PackedWeightsTest, RefusesKeysThatAreNone) {
  PackedWeights store(options());
  Filler filler;
  weft_packed* packed = nullptr;
  const std::string long_key(201, 'k');
  for (const char* key : {"", "a/b", "..", ".hidden", "a b", "\xc3\xa4", long_key.c_str()}) {
    EXPECT_EQ(store.api()->get(store.api()->self, key, 1, fill, &filler, &packed, nullptr),
              WEFT_INVALID_ARGUMENT)
        << key;
  }
  store.api()->release(get(store, std::string(200, 'k').c_str(), filler));
}

}  // namespace
}  // namespace weft
