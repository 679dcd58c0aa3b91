#include "pipeline/residency/models.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <weft/sdk/error.h>

#include <atomic>
#include <fstream>
#include <thread>

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr weft_device kGpu = {WEFT_DEVICE_CUDA, 0};

/// A model type whose "weights" are as many bytes as the file says, on a device if its name begins with "gpu", and that notices
/// calls that overlap.
struct FakeModel {
  std::string path;
  uint64_t bytes = 0, offloaded = 0;
  std::atomic<int> inside{0};
  std::atomic<bool> loaded{false};
};
std::atomic<int> opened{0}, closed{0}, loads{0}, evictions{0}, overlaps{0};

struct Inside {
  explicit Inside(FakeModel& fake) : model(fake) { overlaps += model.inside.fetch_add(1) != 0; }
  ~Inside() { model.inside.fetch_sub(1); }
  FakeModel& model;
};

weft_status open_fake(const weft_host*, const weft_model_source* source, void** model, weft_error* error) {
  auto fake = std::make_unique<FakeModel>();
  fake->path = source->path;
  std::ifstream(source->path) >> fake->bytes;
  if (fake->bytes == 13) {
    return sdk::to_c(
        Status(StatusCode::kCorruptData, "thirteen").at(std::string(source->path) + ", offset 0"), error);
  }
  ++opened;
  *model = fake.release();
  return WEFT_OK;
}
weft_status estimate_fake(void* model, weft_model_estimate* out, weft_error*) {
  const auto& fake = *static_cast<FakeModel*>(model);
  out->resident_bytes = fake.bytes - fake.offloaded;
  out->offloaded_bytes = fake.offloaded;
  if (fs::path(fake.path).filename().string().starts_with("gpu")) out->device = kGpu;
  return WEFT_OK;
}
const ModelStore* loading_store = nullptr;  // asked by models of 15 bytes until nobody waits for them

weft_status load_fake(void* model, weft_stream*, weft_error* error) {
  auto& fake = *static_cast<FakeModel*>(model);
  const Inside inside(fake);
  if (fake.bytes == 15 && loading_store) {
    while (!loading_store->load_cancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return sdk::to_c(Status(StatusCode::kCancelled, "nobody waits"), error);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  if (fake.bytes == 14) return sdk::to_c(Status(StatusCode::kOutOfMemory, "fourteen"), error);
  overlaps += fake.loaded.exchange(true);
  ++loads;
  return WEFT_OK;
}
void evict_fake(void* model) {
  auto& fake = *static_cast<FakeModel*>(model);
  const Inside inside(fake);
  overlaps += !fake.loaded.exchange(false);
  ++evictions;
}
void close_fake(void* model) {
  ++closed;
  delete static_cast<FakeModel*>(model);
}
/// Half of it at most.
weft_status offload_fake(void* model, uint64_t most_bytes, weft_error* error) {
  auto& fake = *static_cast<FakeModel*>(model);
  const Inside inside(fake);
  overlaps += fake.loaded.load();
  if (most_bytes < fake.bytes / 2) return sdk::to_c(Status(StatusCode::kOutOfMemory, "half at most"), error);
  fake.offloaded = fake.bytes - most_bytes;
  return WEFT_OK;
}
constexpr weft_model_type kFake = {
    sizeof(weft_model_type), 1,         "test.fake", "",         nullptr,     0, open_fake,
    estimate_fake,           load_fake, evict_fake,  close_fake, offload_fake};

class ModelStoreTest : public testing::Test {
 protected:
  ModelStoreTest() {
    std::string pattern = (fs::temp_directory_path() / "weft-models-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    opened = closed = loads = evictions = overlaps = 0;
  }
  ~ModelStoreTest() override {
    EXPECT_EQ(overlaps, 0);
    fs::remove_all(folder_);
  }
  void write(const std::string& name, uint64_t bytes) const {
    std::ofstream(folder_ / name) << bytes << " " << name;
  }
  ModelStore::Options options(uint64_t limit) const {
    ModelStore::Options result;
    result.folders = {folder_};
    result.limit_bytes = limit;
    return result;
  }
  static ModelRequest request(const std::string& path) {
    ModelRequest result;
    result.type = &kFake;
    result.path = path;
    return result;
  }
  fs::path folder_;
};

TEST_F(ModelStoreTest, FindsInTheOrderOfTheSearchPath) {
  fs::create_directories(folder_ / "a");
  fs::create_directories(folder_ / "b");
  write("b/m", 1);
  const std::vector<fs::path> folders{folder_ / "a", folder_ / "b"};
  EXPECT_EQ(*find_model("m", folder_, folders), folder_ / "b/m");
  write("a/m", 1);
  EXPECT_EQ(*find_model("m", folder_, folders), folder_ / "a/m");
  write("m", 1);
  EXPECT_EQ(*find_model("m", folder_, folders), folder_ / "m");
  EXPECT_EQ(*find_model((folder_ / "b/m").string(), folder_, folders), folder_ / "b/m");
  const auto missing = find_model("none", folder_, folders);
  ASSERT_EQ(missing.code(), StatusCode::kNotFound);
  for (const fs::path& place : {folder_ / "none", folder_ / "a/none", folder_ / "b/none"}) {
    EXPECT_NE(to_string(missing.error()).find(place.string()), std::string::npos);
  }
}

TEST_F(ModelStoreTest, ALoadLearnsThatNobodyWaitsForIt) {
  write("m", 15);
  ModelStore store(options(0));
  Model* model = *store.open(request("m"));
  Model* const models[] = {model};
  loading_store = &store;
  int asked = 0;
  const auto cancelled = store.use(models, [&] { return int32_t{++asked == 3}; });
  loading_store = nullptr;
  EXPECT_EQ(cancelled.code(), StatusCode::kCancelled);
  EXPECT_EQ(asked, 3);
  EXPECT_FALSE(store.load_cancelled()) << "outside of a load";
  EXPECT_EQ(store.statistics().resident_bytes, 0u);
  EXPECT_TRUE(store.use(models, [] { return 0; }).ok()) << "loads when it is wanted again";
}

TEST_F(ModelStoreTest, SharesEqualContentAndClosesOnce) {
  write("m", 10);
  fs::copy_file(folder_ / "m", folder_ / "same");
  {
    ModelStore store(options(0));
    Model* first = *store.open(request("m"));
    EXPECT_EQ(*store.open(request("m")), first);
    EXPECT_EQ(*store.open(request("same")), first);
    ModelRequest other = request("m");
    other.parameters_key = "threads=2";
    EXPECT_NE(*store.open(other), first);
    EXPECT_EQ(opened, 2);
    EXPECT_EQ(loads, 0) << "opening loads nothing";
    auto use = store.use(std::vector<Model*>{first}, {});
    ASSERT_TRUE(use.ok());
  }
  EXPECT_EQ(closed, 2);
  EXPECT_EQ(evictions, 1);
}

TEST_F(ModelStoreTest, FilesAreNotedWithinOpenByAbsolutePaths) {
  static const weft_model_source* seen;
  static std::vector<weft_status> codes;
  seen = nullptr;
  codes.clear();
  weft_model_type noting = kFake;
  noting.open = [](const weft_host* host, const weft_model_source* source, void** model, weft_error* error) {
    seen = source;
    char hash[65];
    const std::string part = std::string(source->path) + ".part";
    for (const std::string& path : {part, std::string("m.part"), std::string(source->path) + ".none"}) {
      codes.push_back(source->add_file(source->self, path.c_str(), hash, error));
    }
    return open_fake(host, source, model, error);
  };
  write("m", 10);
  write("m.part", 1);
  ModelStore store(options(0));
  ModelRequest wanted = request("m");
  wanted.type = &noting;
  auto model = store.open(wanted);
  ASSERT_TRUE(model.ok());
  EXPECT_EQ(codes, (std::vector<weft_status>{WEFT_OK, WEFT_INVALID_ARGUMENT, WEFT_NOT_FOUND}));
  ASSERT_EQ((*model)->parts().size(), 1u);
  EXPECT_EQ((*model)->parts()[0].sha256, *sha256_of_file(folder_ / "m.part"));
  EXPECT_EQ(*store.open(wanted), *model);
  write("m.part", 2);
  EXPECT_NE(*store.open(wanted), *model);
  // A copy elsewhere has a part of its own.
  fs::create_directory(folder_ / "other");
  fs::copy_file(folder_ / "m", folder_ / "other/m");
  write("other/m.part", 3);
  ModelRequest copy = wanted;
  copy.path = "other/m";
  const auto copied = store.open(copy);
  ASSERT_TRUE(copied.ok());
  EXPECT_NE(*copied, *store.open(wanted));
  EXPECT_EQ((*copied)->parts()[0].path, folder_ / "other/m.part");
  char hash[65];
  EXPECT_EQ(seen->add_file(seen->self, (folder_ / "m").c_str(), hash, nullptr), WEFT_INVALID_ARGUMENT);
}

TEST_F(ModelStoreTest, RefusesContentThatIsNotPinned) {
  write("m", 10);
  ModelStore store(options(0));
  ModelRequest pinned = request("m");
  pinned.sha256 = std::string(64, 'a');
  const auto refused = store.open(pinned);
  ASSERT_EQ(refused.code(), StatusCode::kCorruptData);
  const std::string hash = *sha256_of_file(folder_ / "m");
  EXPECT_NE(to_string(refused.error()).find(hash), std::string::npos);
  EXPECT_EQ(opened, 0);
  std::string upper = hash;
  for (char& c : upper) c = static_cast<char>(::toupper(c));
  pinned.sha256 = upper;
  EXPECT_TRUE(store.open(pinned).ok());
}

TEST_F(ModelStoreTest, ErrorsOfThePluginNameTheFile) {
  write("bad", 13);
  write("unloadable", 14);
  ModelStore store(options(100));
  const auto bad = store.open(request("bad"));
  ASSERT_EQ(bad.code(), StatusCode::kCorruptData);
  EXPECT_NE(to_string(bad.error()).find("bad, offset 0"), std::string::npos);
  Model* model = *store.open(request("unloadable"));
  const auto use = store.use(std::vector<Model*>{model}, {});
  EXPECT_EQ(use.code(), StatusCode::kOutOfMemory);
  EXPECT_EQ(store.statistics().resident_bytes, 0u);
}

TEST_F(ModelStoreTest, EvictsTheLeastRecentlyUsed) {
  for (const char* name : {"a", "b", "c"}) write(name, 40);
  ModelStore store(options(100));
  Model *a = *store.open(request("a")), *b = *store.open(request("b")), *c = *store.open(request("c"));
  const auto touch = [&](Model* model) { ASSERT_TRUE(store.use(std::vector<Model*>{model}, {}).ok()); };
  touch(a);
  touch(b);
  touch(a);
  EXPECT_EQ(loads, 2);
  touch(c);  // b goes
  EXPECT_EQ(evictions, 1);
  touch(a);
  EXPECT_EQ(loads, 3);
  touch(b);
  EXPECT_EQ(loads, 4);
  EXPECT_LE(store.statistics().peak_resident_bytes, 100u);
  store.evict_idle();
  EXPECT_EQ(store.statistics().resident_bytes, 0u);
  EXPECT_EQ(store.statistics().loaded, 0u);
}

TEST_F(ModelStoreTest, EachDeviceHasALimitOfItsOwn) {
  for (const char* name : {"a", "gpu_a", "gpu_b"}) write(name, 60);
  ModelStore::Options given = options(100);
  std::vector<int> places;
  given.on_device = [&](weft_device device, const std::function<Status(weft_stream*)>& work) {
    places.push_back(device.kind);
    return work(nullptr);
  };
  ModelStore store(given);
  store.set_limit_bytes(kGpu, 100);
  EXPECT_EQ(store.limit_bytes(kGpu), 100u);
  EXPECT_EQ(store.limit_bytes({WEFT_DEVICE_CPU, 0}), 100u);
  Model *a = *store.open(request("a")), *gpu_a = *store.open(request("gpu_a")),
        *gpu_b = *store.open(request("gpu_b"));
  ASSERT_TRUE(store.use(std::vector<Model*>{a, gpu_a}, {}).ok()) << "together more than either limit";
  EXPECT_EQ(evictions, 0);
  EXPECT_EQ(store.statistics().resident_bytes, 120u);
  ASSERT_TRUE(store.use(std::vector<Model*>{gpu_b}, {}).ok());
  EXPECT_EQ(evictions, 1) << "gpu_a goes, a stays";
  ASSERT_TRUE(store.use(std::vector<Model*>{a}, {}).ok());
  EXPECT_EQ(loads, 3);
  EXPECT_EQ(places, (std::vector<int>{WEFT_DEVICE_CPU, WEFT_DEVICE_CUDA, WEFT_DEVICE_CUDA}));
  const auto both = store.use(std::vector<Model*>{gpu_a, gpu_b}, {});
  ASSERT_EQ(both.code(), StatusCode::kOutOfMemory);
  EXPECT_NE(to_string(both.error()).find("100 bytes of weights on cuda:0"), std::string::npos);
}

TEST_F(ModelStoreTest, WhatIsOffloadedCountsOnTheCpu) {
  write("a", 60);
  write("gpu", 60);
  ModelStore::Options given = options(100);
  given.on_device = [](weft_device, const std::function<Status(weft_stream*)>& work) {
    return work(nullptr);
  };
  ModelStore store(given);
  store.set_limit_bytes(kGpu, 40);
  Model *a = *store.open(request("a")), *gpu = *store.open(request("gpu"));
  EXPECT_EQ(store.use(std::vector<Model*>{gpu}, {}).code(), StatusCode::kOutOfMemory);
  const Status refused = store.offload(*gpu, 29);
  EXPECT_EQ(refused.code(), StatusCode::kOutOfMemory);
  EXPECT_EQ(refused.error().where, (folder_ / "gpu").string());
  ASSERT_TRUE(store.offload(*gpu, 40).ok());
  EXPECT_EQ(gpu->estimate().resident_bytes, 40u);
  EXPECT_EQ(gpu->estimate().offloaded_bytes, 20u);
  ASSERT_TRUE(store.use(std::vector<Model*>{a, gpu}, {}).ok())
      << "80 of the CPU's 100, 40 of the device's 40";
  EXPECT_EQ(store.statistics().resident_bytes, 120u);
  {
    const auto use = store.use(std::vector<Model*>{gpu}, {});
    EXPECT_EQ(store.offload(*gpu, 30).code(), StatusCode::kUnsupported) << "in use";
  }
  ASSERT_TRUE(store.offload(*gpu, 30).ok()) << "it is evicted first";
  EXPECT_EQ(evictions, 1);
  write("b", 50);
  ASSERT_TRUE(store.use(std::vector<Model*>{gpu}, {}).ok());
  ASSERT_TRUE(store.use(std::vector<Model*>{*store.open(request("b"))}, {}).ok());
  EXPECT_EQ(evictions, 2) << "a goes: 60, 30 and 50 are more than 100";
}

TEST_F(ModelStoreTest, WhatWasOffloadedComesBackUnlessSomebodyHasPlannedWithoutIt) {
  write("gpu", 60);
  ModelStore::Options given = options(100);
  given.on_device = [](weft_device, const std::function<Status(weft_stream*)>& work) {
    return work(nullptr);
  };
  ModelStore store(given);
  Model* gpu = *store.open(request("gpu"));
  EXPECT_EQ(gpu->whole_bytes(), 60u);
  ASSERT_TRUE(store.offload(*gpu, 40).ok());
  EXPECT_EQ(gpu->whole_bytes(), 60u);
  {
    const auto use = store.use(std::vector<Model*>{gpu}, {});
    EXPECT_EQ(store.bring_back(*gpu).code(), StatusCode::kUnsupported) << "in use";
  }
  std::shared_ptr<const void> planned = gpu->place();
  EXPECT_EQ(store.bring_back(*gpu).code(), StatusCode::kUnsupported);
  EXPECT_EQ(gpu->estimate().offloaded_bytes, 20u);
  planned.reset();
  ASSERT_TRUE(store.bring_back(*gpu).ok());
  EXPECT_EQ(gpu->estimate().resident_bytes, 60u);
  EXPECT_EQ(gpu->estimate().offloaded_bytes, 0u);
  EXPECT_EQ(evictions, 1);
  ASSERT_TRUE(store.use(std::vector<Model*>{gpu}, {}).ok());
  EXPECT_EQ(store.statistics().resident_bytes, 60u);
}

TEST_F(ModelStoreTest, AHostWithoutDevicesLoadsNothingOnOne) {
  write("gpu", 1);
  ModelStore store(options(0));
  const auto use = store.use(std::vector<Model*>{*store.open(request("gpu"))}, {});
  EXPECT_EQ(use.code(), StatusCode::kUnsupported);
  EXPECT_EQ(store.statistics().resident_bytes, 0u);
}

TEST_F(ModelStoreTest, RefusesWhatNeverFits) {
  write("a", 60);
  write("b", 60);
  ModelStore store(options(100));
  const std::vector<Model*> both{*store.open(request("a")), *store.open(request("b"))};
  const auto use = store.use(both, {});
  ASSERT_EQ(use.code(), StatusCode::kOutOfMemory);
  EXPECT_NE(to_string(use.error()).find("120"), std::string::npos);
}

TEST_F(ModelStoreTest, WaitingForMemoryCanBeCancelled) {
  write("a", 60);
  write("b", 60);
  ModelStore store(options(100));
  Model *a = *store.open(request("a")), *b = *store.open(request("b"));
  auto held = store.use(std::vector<Model*>{a}, {});
  std::atomic<int> polls{0};
  const auto use = store.use(std::vector<Model*>{b}, [&] { return ++polls > 2; });
  EXPECT_EQ(use.code(), StatusCode::kCancelled);
}

TEST_F(ModelStoreTest, ManyThreadsShareALimitWithoutOverlapOrDeadlock) {
  for (const char* name : {"a", "b", "c"}) write(name, 40);
  ModelStore store(options(80));
  const std::vector<Model*> all{*store.open(request("a")), *store.open(request("b")),
                                *store.open(request("c"))};
  std::atomic<int> unloaded_uses{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (unsigned i = 0; i < 20; ++i) {
        std::vector<Model*> wanted{all[(t + i) % 3]};
        if (i % 2) wanted.push_back(all[(t + i + 1) % 3]);
        auto use = store.use(wanted, {});
        ASSERT_TRUE(use.ok());
        for (Model* model : wanted) unloaded_uses += !static_cast<FakeModel*>(model->handle())->loaded;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(unloaded_uses, 0);
  EXPECT_LE(store.statistics().peak_resident_bytes, 80u);
}

}  // namespace
}  // namespace weft
