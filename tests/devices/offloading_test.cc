/// Models that leave parts of themselves on the CPU for one run, and what becomes of them in the next.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "pipeline/plan/plan.h"
#include "pipeline/run/run.h"
#include "pipeline/run/testing/run_fixture.h"
#include "pipeline/run/testing/test_plugin.h"

namespace weft::testing {
namespace {

/// Runs that leave different room for a model of 1000 bytes on simt:0, which can leave half of them on the CPU.
class Offloading : public RunFixture {
 protected:
  Offloading() {
    write("five", "5");
    host_options().max_memory_bytes = kMostBytes;
  }
  static constexpr int64_t kMostBytes = 128'000;  // whole 64 bytes, as rooms are
  Result<PreparedRun> prepare(int64_t room) {
    graphs_.push_back(parse(R"("models": {"m": {"path": "five", "device": "simt:0"}},
        "nodes": {"a": {"uses": "test.model", "with": {"model": "m", "workspace": )" +
                            std::to_string(kMostBytes - room) + R"(}}}, "outputs": {"y": "a.y"})"));
    return prepare_run(*graphs_.back(), test_provider(), host(), options());
  }
  /// Four elements, of which so many at once leave this room.
  Result<PreparedRun> prepare_elements(int64_t at_once, int64_t room) {
    write("inner.json", R"({"weft": 1, "name": "inner", "inputs": {"t": {"type": "text"}},
        "models": {"m": {"path": "five", "device": "simt:0"}},
        "nodes": {"a": {"uses": "test.model", "with": {"model": "m", "each": )" +
                            std::to_string((kMostBytes - room) / at_once) + R"(}},
                  "b": {"uses": "test.batch", "in": {"text": "inputs.t"}}},
        "outputs": {"y": "a.y", "r": "b.text"}})");
    graphs_.push_back(parse(R"("inputs": {"l": {"type": "list<text>", "default": ["a", "b", "c", "d"]}},
        "nodes": {"o": {"uses": "pipeline:inner.json", "in": {"t": "inputs.l"}, "for_each": "inputs.l"}},
        "outputs": {"y": "o.y", "r": "o.r"})"));
    return prepare_run(*graphs_.back(), test_provider(), host(), options());
  }
  /// What the model of a plan leaves on the CPU; the run has to succeed.
  uint64_t offloaded_bytes(int64_t room) { return offloaded_bytes(prepare(room)); }
  uint64_t offloaded_bytes(Result<PreparedRun> prepared) {
    if (!prepared.ok()) {
      ADD_FAILURE() << to_string(prepared.error());
      return 0;
    }
    const auto result = execute(*prepared, options(), {}, nullptr);
    EXPECT_TRUE(result.ok()) << to_string(result.error());
    return of(*prepared);
  }
  static uint64_t of(const PreparedRun& prepared) {
    return prepared.plan().models.at(0).model.estimate.offloaded_bytes;
  }

 private:
  std::vector<std::shared_ptr<const Graph>> graphs_;
};

TEST_F(Offloading, AModelThatWasOffloadedForOneRunIsWholeInTheNextThatHasRoom) {
  EXPECT_EQ(offloaded_bytes(640), 360u);
  EXPECT_EQ(offloaded_bytes(640), 360u);
  EXPECT_EQ(observations().models_loaded, 1) << "nothing has changed";
  EXPECT_EQ(offloaded_bytes(960), 360u) << "it stays where it is, though less would have to leave";
  EXPECT_EQ(offloaded_bytes(1024), 0u);
  EXPECT_EQ(offloaded_bytes(6400), 0u);
  EXPECT_EQ(observations().models_loaded, 2);
  EXPECT_EQ(offloaded_bytes(512), 488u);
}

TEST_F(Offloading, AModelStaysOffloadedWhileARunIsPreparedThatHasNoRoomForMore) {
  {
    auto narrow = prepare(640);
    ASSERT_TRUE(narrow.ok()) << to_string(narrow.error());
    EXPECT_EQ(offloaded_bytes(6400), 360u);
    const auto result = execute(*narrow, options(), {}, nullptr);
    EXPECT_TRUE(result.ok()) << to_string(result.error());
  }
  EXPECT_EQ(offloaded_bytes(6400), 0u);
}

// Two at once would have room for what is left of it on the device, but not for all of it.
TEST_F(Offloading, FewerElementsAtOnceComeBeforePartsOnTheCpu) {
  EXPECT_EQ(offloaded_bytes(640), 360u);
  EXPECT_EQ(offloaded_bytes(prepare_elements(2, 832)), 0u);
}

}  // namespace
}  // namespace weft::testing
