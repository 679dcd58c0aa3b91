/// What a run leaves on disk: output files, cached results, the manifest, the trace.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidjson/document.h>

#include <chrono>
#include <set>
#include <thread>

#include "pipeline/files/content_hash.h"
#include "pipeline/run/manifest.h"
#include "pipeline/run/result_cache.h"
#include "pipeline/run/testing/run_fixture.h"
#include "pipeline/run/testing/test_plugin.h"

namespace weft::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string writing(const std::string& path, const std::string& then = "ok") {
  return R"("nodes": {"w": {"uses": "test.write", "with": {"text": "hello", "path": ")" + path +
         R"(", "then": ")" + then + R"("}}}, "outputs": {"y": "w.path"})";
}

class OutputFiles : public RunFixture {};

TEST_F(OutputFiles, AreWrittenBelowTheOutputFolder) {
  auto result = run(writing("deep/er/a.txt"));
  ASSERT_TRUE(result.ok()) << to_string(result.error());
  EXPECT_EQ(read(folder() / "out/deep/er/a.txt"), "hello");
  EXPECT_THAT(result->files, ElementsAre("deep/er/a.txt"));
  EXPECT_THAT(events(), Contains("wrote w deep/er/a.txt 5"));
  EXPECT_THAT(files_below(folder() / "out"), ElementsAre("deep/er/a.txt", "manifest.json"));
  EXPECT_EQ(result->outputs_json["y"], "\"" + fs::canonical(folder() / "out/deep/er/a.txt").string() + "\"");
}

class OutputPaths : public RunFixture, public ::testing::WithParamInterface<const char*> {};
TEST_P(OutputPaths, ThatLeaveTheFolderAreRefusedAndNothingIsWritten) {
  fs::create_directories(folder() / "elsewhere");
  fs::create_directories(folder() / "out");
  fs::create_directory_symlink(folder() / "elsewhere", folder() / "out/link");
  const auto result =
      run(R"("inputs": {"p": {"type": "text", "default": ")" + std::string(GetParam()) + R"("}},
      "nodes": {"t": {"uses": "test.text", "with": {"text": "${inputs.p}"}},
                "w": {"uses": "test.write", "with": {"text": "x", "path": "${t.text}"}}}, "outputs": {"y": "w.path"})");
  EXPECT_EQ(result.code(), StatusCode::kPermissionDenied) << GetParam();
  EXPECT_THAT(files_below(folder() / "elsewhere"), IsEmpty());
  EXPECT_THAT(files_below(folder() / "out"), IsEmpty());
}
INSTANTIATE_TEST_SUITE_P(Paths, OutputPaths,
                         ::testing::Values("/tmp/weft-must-not-exist", "../a.txt", "a/../../b.txt",
                                           "link/a.txt", ".."));

TEST_F(OutputFiles, AFailedNodeLeavesNeitherFileNorFolder) {
  for (const char* then : {"fail", "leave"}) {
    const auto result = run(writing("sub/a.txt", then));
    EXPECT_EQ(result.ok(), std::string(then) == "leave");
    EXPECT_FALSE(fs::exists(folder() / "out/sub/a.txt"));
    if (!result.ok()) {
      EXPECT_FALSE(fs::exists(folder() / "out")) << "folders made for nothing go too";
    }
  }
}

TEST_F(OutputFiles, ACancelledNodeLeavesNothing) {
  std::thread canceller([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    cancel().cancel();
  });
  EXPECT_EQ(run(writing("a.txt", "wait")).code(), StatusCode::kCancelled);
  canceller.join();
  EXPECT_FALSE(fs::exists(folder() / "out"));
}

TEST_F(OutputFiles, TwoNodesMayNotWriteOneFile) {
  const auto result = run(R"("nodes": {"a": {"uses": "test.write", "with": {"text": "1", "path": "same"}},
      "b": {"uses": "test.write", "with": {"text": "2", "path": "./same"}}}, "outputs": {"a": "a.path", "b": "b.path"})");
  ASSERT_EQ(result.code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(to_string(result.error()), HasSubstr("give each its own path"));
}

TEST_F(OutputFiles, TwoElementsOfASubgraphMayNotWriteOneFileButARetryMay) {
  write("inner.json", R"({"weft": 1, "name": "inner", "inputs": {"t": {"type": "text"}}, "nodes": {
      "w": {"uses": "test.write", "with": {"text": "${inputs.t}", "path": "same"}},
      "f": {"uses": "test.fails", "in": {"x": "w.path"}}}, "outputs": {"r": "f.text"}})");
  const auto members = [](const char* texts) {
    return std::string(R"("inputs": {"l": {"type": "list<text>", "default": )") + texts +
           R"(}}, "nodes": {"o": {"uses": "pipeline:inner.json", "in": {"t": "inputs.l"}, "for_each": "inputs.l", "retry": 1}},
              "outputs": {"y": "o.r"})";
  };
  EXPECT_EQ(output(members(R"(["one"])")), R"(["try"])");
  EXPECT_EQ(read(folder() / "out/same"), "one");
  EXPECT_EQ(run(members(R"(["one", "two"])")).code(), StatusCode::kAlreadyExists);
}

TEST_F(OutputFiles, AnEarlierRunsFileIsReplaced) {
  ASSERT_TRUE(run(writing("a.txt")).ok());
  write("out/a.txt", "something old and longer");
  ASSERT_TRUE(run(writing("a.txt")).ok());
  EXPECT_EQ(read(folder() / "out/a.txt"), "hello");
}

TEST_F(OutputFiles, AFolderThatCannotBeMadeIsAnError) {
  write("out", "a file");
  const auto result = run(writing("a.txt"));
  ASSERT_EQ(result.code(), StatusCode::kIoError);
  EXPECT_THAT(to_string(result.error()), HasSubstr("output folder"));
}

class Cache : public RunFixture {
 protected:
  Cache() { options().cache = &cache_; }
  int executions(const std::string& members) {
    observations().pure_executions = 0;
    EXPECT_TRUE(run(members).ok());
    return observations().pure_executions;
  }
  FileSystem file_system_;
  TemporaryFiles temporaries_{file_system_};
  ResultCache cache_{folder() / "results", 1 << 20, temporaries_};
  const std::string members_ = R"("nodes": {"a": {"uses": "test.pure", "with": {"add": 2}},
      "b": {"uses": "test.pure", "in": {"x": "a.y"}, "with": {"add": 3}}}, "outputs": {"y": "b.y"})";
};

TEST_F(Cache, PureNodesRunOnceEvenAcrossRestarts) {
  EXPECT_EQ(executions(members_), 2);
  EXPECT_EQ(executions(members_), 0);
  EXPECT_EQ(output(members_), "5");
  EXPECT_THAT(events(), Contains("cached b"));
  ResultCache restarted(folder() / "results", 1 << 20, temporaries_);
  options().cache = &restarted;
  EXPECT_EQ(executions(members_), 0);
  EXPECT_EQ(restarted.statistics().hits, 2u);
}

TEST_F(Cache, EverythingThatAResultDependsOnIsInTheKey) {
  const auto node = [](const std::string& rest) {
    return R"("nodes": {"a": {"uses": "test.pure")" + rest + R"(}}, "outputs": {"y": "a.y"})";
  };
  EXPECT_EQ(executions(node("")), 1);
  EXPECT_EQ(executions(node("")), 0);
  EXPECT_EQ(executions(node(R"(, "with": {"add": 1})")), 1);
  EXPECT_EQ(executions(node(R"(, "with": {"x": 1})")), 1);
  EXPECT_EQ(executions(node(R"(, "with": {"x": 2})")), 1);
  EXPECT_EQ(executions(node(R"(, "with": {"t": "1"})")), 1);
  EXPECT_EQ(executions(node(R"(, "with": {"x": 2})")), 0);
  options().isa_level = "another";
  EXPECT_EQ(executions(node("")), 1);
  options().numerics_profile = "fast";
  EXPECT_EQ(executions(node("")), 1);
}

TEST_F(Cache, FurtherOutputsAreInTheKey) {
  const auto outputs = [](const std::string& references) {
    return R"("nodes": {"a": {"uses": "test.ones"}}, "outputs": )" + references;
  };
  EXPECT_EQ(executions(outputs(R"({"y": "a.ones_2"})")), 1);
  EXPECT_EQ(executions(outputs(R"({"y": "a.ones_2"})")), 0);
  EXPECT_EQ(executions(outputs(R"({"y": "a.ones_3"})")), 1);
  EXPECT_EQ(executions(outputs(R"({"y": "a.ones_2", "z": "a.ones_3"})")), 1);
}

TEST_F(Cache, ADigestTellsFieldsApart) {
  const auto digest = [](auto change) {
    ResultKey key;
    change(key);
    return key.digest();
  };
  std::set<std::string> digests{
      digest([](ResultKey&) {}),
      digest([](ResultKey& k) { k.plugin_sha256 = "a"; }),
      digest([](ResultKey& k) { k.node_type = "a"; }),
      digest([](ResultKey& k) { k.node_version = 1; }),
      digest([](ResultKey& k) { k.isa_level = "a"; }),
      digest([](ResultKey& k) { k.parameters = {"a"}; }),
      digest([](ResultKey& k) {
        k.parameters = {"a", ""};
      }),
      digest([](ResultKey& k) {
        k.parameters = {"", "a"};
      }),
      digest([](ResultKey& k) { k.model_hashes = {"a"}; }),
      digest([](ResultKey& k) { k.inputs = {"a"}; }),
      digest([](ResultKey& k) { k.outputs = {"a"}; }),
  };
  EXPECT_EQ(digests.size(), 11u);
}

TEST_F(Cache, ModelsCountByContent) {
  write("m", "5");
  const std::string members =
      R"("models": {"m": {"path": "m"}}, "nodes": {"a": {"uses": "test.model", "with": {"model": "m"}}},
                                 "outputs": {"y": "a.y"})";
  EXPECT_EQ(output(members), "5");
  EXPECT_EQ(output(members), "5");
  EXPECT_EQ(cache_.statistics().hits, 1u);
  write("m", "66");
  EXPECT_EQ(output(members), "66");
}

TEST_F(Cache, WhatAModelReadsBesideItsFileCountsByContent) {
  write("m", "5");
  write("adapter", "10");
  const std::string members =
      R"("models": {"m": {"path": "m", "plus": "adapter"}},
         "nodes": {"a": {"uses": "test.model", "with": {"model": "m"}}}, "outputs": {"y": "a.y"})";
  EXPECT_EQ(output(members), "15");
  EXPECT_EQ(output(members), "15");
  EXPECT_EQ(cache_.statistics().hits, 1u);
  write("adapter", "20");
  EXPECT_EQ(output(members), "25") << "in the same process, in which the model is open";
  write("adapter", "10");
  EXPECT_EQ(output(members), "15");
  EXPECT_EQ(cache_.statistics().hits, 2u);
}

TEST_F(Cache, ANodeThatAsksForTheDayRunsOnceADay) {
  const std::string members = R"("nodes": {"a": {"uses": "test.today"}}, "outputs": {"y": "a.y"})";
  int64_t day = 20000;
  options().today = [&] { return day * 86400; };
  EXPECT_EQ(executions(members), 1);
  EXPECT_EQ(executions(members), 0);
  ++day;
  EXPECT_EQ(executions(members), 1);
  EXPECT_EQ(output(members), "20001");
  --day;
  EXPECT_EQ(output(members), "20000") << "of the first day";
}

TEST_F(Cache, OnlyTheElementsThatAreNewRun) {
  const auto members = [](const char* list) {
    return std::string(R"("inputs": {"l": {"type": "list<int>", "default": )") + list +
           R"(}}, "nodes": {"a": {"uses": "test.pure", "in": {"x": "inputs.l"}, "for_each": "inputs.l"}},
              "outputs": {"y": "a.y"})";
  };
  EXPECT_EQ(executions(members("[1, 2, 3]")), 3);
  EXPECT_EQ(executions(members("[3, 4, 1]")), 1);
  EXPECT_EQ(output(members("[3, 4, 1]")), "[3,4,1]");
}

TEST_F(Cache, ADamagedEntryIsAMissAndIsReplaced) {
  EXPECT_EQ(executions(members_), 2);
  const auto entries = files_below(folder() / "results");
  ASSERT_EQ(entries.size(), 2u);
  for (const std::string& entry : entries) {
    std::string content = read(folder() / "results" / entry);
    content.back() = static_cast<char>(content.back() ^ 1);
    write("results/" + entry, content);
  }
  EXPECT_EQ(executions(members_), 2);
  EXPECT_EQ(executions(members_), 0);
  for (const std::string& entry : entries) fs::resize_file(folder() / "results" / entry, 10);
  EXPECT_EQ(executions(members_), 2);
  for (const std::string& entry : entries) write("results/" + entry, "");
  EXPECT_EQ(executions(members_), 2);
  EXPECT_EQ(output(members_), "5");
}

TEST_F(Cache, KeepsWithinItsLimit) {
  ResultCache small(folder() / "small", 2000, temporaries_);
  options().cache = &small;
  for (int i = 0; i < 60; ++i) {
    const std::string add = std::to_string(i);
    EXPECT_EQ(executions(R"("nodes": {"a": {"uses": "test.pure", "with": {"add": )" + add +
                         R"(}}}, "outputs": {"y": "a.y"})"),
              1);
  }
  uint64_t total = 0;
  for (const std::string& entry : files_below(folder() / "small"))
    total += fs::file_size(folder() / "small" / entry);
  EXPECT_LE(total, 2000u);
  EXPECT_GT(total, 1000u);
}

TEST_F(Cache, AFolderThatCannotBeWrittenIsNoError) {
  ResultCache broken("/proc/weft/results", 1 << 20, temporaries_);
  options().cache = &broken;
  EXPECT_EQ(executions(members_), 2);
  EXPECT_EQ(executions(members_), 2);
}

TEST_F(Cache, NodesThatReadFilesAreNotKept) {
  write("data.txt", "one");
  const std::string members =
      R"("nodes": {"r": {"uses": "test.read", "with": {"path": "data.txt"}}}, "outputs": {"y": "r.text"})";
  EXPECT_EQ(output(members), "\"one\"");
  write("data.txt", "two");
  EXPECT_EQ(output(members), "\"two\"");
}

class ManifestTest : public RunFixture {
 protected:
  Result<Manifest> manifest() { return read_manifest(folder() / "out/manifest.json"); }
  const std::string members_ =
      R"("inputs": {"t": {"type": "text", "default": "a \"b\""}}, "models": {"m": {"path": "five", "plus": "one"}},
      "nodes": {"s": {"uses": "test.seeded"}, "r": {"uses": "test.read", "with": {"path": "data.txt"}},
                "m": {"uses": "test.model", "with": {"model": "m"}},
                "w": {"uses": "test.write", "with": {"text": "${inputs.t} ${s.y} ${r.text} ${m.y}", "path": "o/a.txt"}}},
      "outputs": {"seed": "s.y", "file": "w.path", "text": "r.text"})";
  void prepare_files() {
    write("five", "4");
    write("one", "1");
    write("data.txt", "data");
  }
};

TEST_F(ManifestTest, RecordsWhatTheResultDependsOn) {
  prepare_files();
  options().draw_seed = [] { return int64_t{77}; };
  auto result = run(members_);
  ASSERT_TRUE(result.ok()) << to_string(result.error());
  EXPECT_EQ(result->manifest_path, folder() / "out/manifest.json");
  auto recorded = manifest();
  ASSERT_TRUE(recorded.ok()) << to_string(recorded.error());
  EXPECT_EQ(recorded->pipeline_name, "test");
  ASSERT_EQ(recorded->pipelines.size(), 1u);
  EXPECT_EQ(recorded->pipelines[0].sha256, *sha256_of_file(folder() / "test.json"));
  ASSERT_EQ(recorded->plugins.size(), 1u);
  EXPECT_EQ(recorded->plugins[0].name, "test");
  ASSERT_EQ(recorded->models.size(), 1u);
  EXPECT_EQ(recorded->models[0].file.sha256, sha256_of_text("4"));
  ASSERT_EQ(recorded->models[0].parts.size(), 1u);
  EXPECT_EQ(recorded->models[0].parts[0].path, (folder() / "one").string());
  EXPECT_EQ(recorded->models[0].parts[0].sha256, sha256_of_text("1"));
  EXPECT_EQ(recorded->inputs_json["t"], R"("a \"b\"")");
  ASSERT_EQ(recorded->input_files.size(), 1u);
  EXPECT_EQ(recorded->input_files[0].sha256, sha256_of_text("data"));
  ASSERT_EQ(recorded->seeds.size(), 1u);
  EXPECT_EQ(recorded->seeds[0].value, 77);
  EXPECT_EQ(recorded->isa_level, "test");
  EXPECT_EQ(recorded->outputs["text"].sha256, sha256_of_text("data"));
  ASSERT_EQ(recorded->output_files.size(), 1u);
  EXPECT_EQ(recorded->output_files[0].path, "o/a.txt");
  EXPECT_EQ(recorded->output_files[0].sha256, sha256_of_text("a \"b\" 77 data 5"));
  EXPECT_EQ(recorded->timings.size(), 4u);
  EXPECT_EQ(to_json(*recorded), read(folder() / "out/manifest.json")) << "reading and writing are inverse";
}

TEST_F(ManifestTest, VerifyFindsEveryChange) {
  prepare_files();
  ASSERT_TRUE(run(members_).ok());
  const auto deviations = [&] {
    std::vector<std::string> found;
    auto verified = verify_manifest(folder() / "out/manifest.json");
    EXPECT_TRUE(verified.ok());
    for (const Deviation& deviation : *verified) {
      // The plugin of this test is the test program itself, whose hash is made up.
      if (deviation.what != "plugin 'test'") found.push_back(deviation.what);
    }
    return found;
  };
  EXPECT_THAT(deviations(), IsEmpty());
  write("out/o/a.txt", "tampered");
  EXPECT_THAT(deviations(), ElementsAre("output file 'o/a.txt'"));
  write("one", "2");
  EXPECT_THAT(deviations(), ElementsAre("part of model 'm'", "output file 'o/a.txt'"));
  write("five", "6");
  write("data.txt", "other");
  EXPECT_THAT(deviations(),
              ElementsAre("model 'm'", "part of model 'm'", "input file", "output file 'o/a.txt'"));
  fs::remove(folder() / "test.json");
  EXPECT_THAT(deviations(), Contains("pipeline"));
}

TEST_F(ManifestTest, ARerunGivesTheSameBitsWhateverTheThreadsAndTheFolder) {
  prepare_files();
  options().inputs["t"].text = "given";
  ASSERT_TRUE(run(members_).ok());
  const Manifest first = *manifest();
  auto again = rerun_options(first, "test", folder() / "again");
  ASSERT_TRUE(again.ok());
  again->threads = 5;
  options() = *again;
  auto result = run(members_);
  ASSERT_TRUE(result.ok());
  const Manifest second = *read_manifest(result->manifest_path);
  EXPECT_THAT(compare_outputs(first, second), IsEmpty());
  options().seeds[0].value += 1;
  ASSERT_TRUE(run(members_).ok());
  const auto deviations = compare_outputs(first, *read_manifest(result->manifest_path));
  ASSERT_EQ(deviations.size(), 2u);
  EXPECT_EQ(deviations[0].what, "output 'seed'");
  EXPECT_EQ(deviations[1].what, "output file 'o/a.txt'");
}

TEST_F(ManifestTest, ARerunOnAnotherDayTakesTheRecordedDay) {
  const std::string members = R"("nodes": {"a": {"uses": "test.today"}}, "outputs": {"y": "a.y"})";
  options().today = [] { return int64_t{20000} * 86400; };
  EXPECT_EQ(output(members), "20000");
  auto again = rerun_options(*manifest(), "test", folder() / "again");
  ASSERT_TRUE(again.ok());
  options() = *again;
  options().today = [] { return int64_t{20001} * 86400; };
  EXPECT_EQ(output(members), "20000");
  options().seeds.clear();
  options().today = {};
  EXPECT_GT(std::stoll(output(members)), 20000) << "the system's clock";
}

TEST_F(ManifestTest, ARerunAtAnotherLevelIsRefused) {
  prepare_files();
  ASSERT_TRUE(run(members_).ok());
  const auto again = rerun_options(*manifest(), "avx2", "x");
  ASSERT_EQ(again.code(), StatusCode::kUnsupported);
  EXPECT_THAT(to_string(again.error()), HasSubstr("WEFT_ISA=test"));
}

TEST_F(ManifestTest, DamagedManifestsAreRefused) {
  prepare_files();
  ASSERT_TRUE(run(members_).ok());
  const std::string good = read(folder() / "out/manifest.json");
  for (size_t size = 0; size + 2 < good.size(); size += 7) {
    write("out/manifest.json", good.substr(0, size));
    EXPECT_EQ(manifest().code(), StatusCode::kCorruptData);
  }
  write("out/manifest.json", "[]");
  EXPECT_EQ(manifest().code(), StatusCode::kCorruptData);
  std::string newer = good;
  newer.replace(newer.find("\"manifest_version\": 1"), 21, "\"manifest_version\": 2");
  write("out/manifest.json", newer);
  EXPECT_EQ(manifest().code(), StatusCode::kVersionMismatch);
  fs::remove(folder() / "out/manifest.json");
  EXPECT_EQ(manifest().code(), StatusCode::kNotFound);
}

class TraceTest : public RunFixture {};

TEST_F(TraceTest, HasARowAWorkerAndCounters) {
  options().trace_path = folder() / "trace.json";
  auto result = run(
      R"("nodes": {"t": {"uses": "test.tensor", "with": {"n": 100}}, "a": {"uses": "test.total", "in": {"t": "t.t"}},
      "b": {"uses": "test.sleep", "with": {"ms": 5}}}, "outputs": {"y": "a.y", "b": "b.y"})");
  ASSERT_TRUE(result.ok());
  rapidjson::Document json;
  json.Parse(read(folder() / "trace.json").c_str());
  ASSERT_FALSE(json.HasParseError());
  std::set<std::string> spans, counters, rows;
  double live = 0, copied = -1;
  for (const auto& event : json["traceEvents"].GetArray()) {
    const std::string phase = event["ph"].GetString(), name = event["name"].GetString();
    if (phase == "X") spans.insert(name);
    if (phase == "M") rows.insert(event["args"]["name"].GetString());
    if (phase == "C") {
      counters.insert(name);
      const double bytes = event["args"]["bytes"].GetDouble();
      (name == "live bytes" ? live : copied) = std::max(name == "live bytes" ? live : copied, bytes);
    }
  }
  EXPECT_THAT(spans, ElementsAre("a", "b", "t"));
  EXPECT_THAT(rows, ElementsAre("worker 0", "worker 1"));
  EXPECT_THAT(counters, ElementsAre("copied bytes", "live bytes"));
  EXPECT_GE(live, 400);
  EXPECT_EQ(copied, 0);
}

TEST_F(TraceTest, IsWrittenForARunThatFailsToo) {
  options().trace_path = folder() / "trace.json";
  EXPECT_EQ(run(R"("nodes": {"f": {"uses": "test.fails"}}, "outputs": {"y": "f.text"})").code(),
            StatusCode::kIoError);
  EXPECT_TRUE(fs::exists(folder() / "trace.json"));
}

}  // namespace
}  // namespace weft::testing
