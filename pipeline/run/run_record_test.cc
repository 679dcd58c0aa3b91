#include "pipeline/run/run_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft {
namespace {

using ::testing::HasSubstr;

RunRecord example() {
  Graph graph;
  graph.folder = "work/pipes";
  const auto input = [&](const char* name, const char* type) {
    PipelineInput declared;
    declared.name = name;
    declared.type = type;
    graph.inputs.push_back(declared);
  };
  input("topic", "text");
  input("photo", "path");
  input("count", "int");
  const std::vector<PipelineSource> sources = {
      {"work/pipes/main.json", "{ \"weft\": 1,\n  \"nodes\": {} }\n"},
      {"work/pipes/parts/part.json", "{\"weft\" : 1}"}};
  const std::vector<Value> inputs = {*Value::text("the \"sea\"\n"),
                                     *Value::bytes("/pictures/cat.png", "path"), Value::integer(3)};
  const std::vector<DrawnSeed> seeds = {{"paint", "seed", 1234567890}};
  return make_run_record(sources, graph, inputs, seeds);
}

TEST(RunRecord, HoldsPipelineInputsAndSeedsButNoPathOfThisMachine) {
  EXPECT_EQ(to_json(example()),
            "{\"weft_record\":1,\"pipeline\":{\"weft\":1,\"nodes\":{}},"
            "\"pipelines\":{\"parts/part.json\":{\"weft\":1}},"
            "\"inputs\":{\"count\":3,\"topic\":\"the \\\"sea\\\"\\n\"},"
            "\"seeds\":[{\"node\":\"paint\",\"parameter\":\"seed\",\"value\":1234567890}]}");
}

TEST(RunRecord, ReadsBackWhatItWrites) {
  const std::string json = to_json(example());
  const Result<RunRecord> again = parse_run_record(json);
  ASSERT_TRUE(again.ok()) << to_string(again.error());
  EXPECT_EQ(to_json(*again), json);
  EXPECT_EQ(again->seeds[0].value, 1234567890);
}

TEST(RunRecord, LeavesOutInputsThatAreTooLarge) {
  Graph graph;
  for (const char* name : {"fits", "large"}) graph.inputs.emplace_back().name = name;
  const std::vector<Value> inputs = {*Value::text(std::string(kMaxRecordedInputBytes, 'a')),
                                     *Value::text(std::string(kMaxRecordedInputBytes + 1, 'a'))};
  const RunRecord record = make_run_record(std::vector<PipelineSource>{{"a.json", "{}"}}, graph, inputs, {});
  EXPECT_EQ(record.inputs_json.count("fits"), 1u);
  EXPECT_EQ(record.inputs_json.count("large"), 0u);
}

TEST(RunRecord, IsEmptyWithoutAPipeline) { EXPECT_EQ(to_json(make_run_record({}, Graph(), {}, {})), ""); }

TEST(RunRecord, RefusesTextsThatAreNone) {
  const std::string deep(100'000, '[');
  for (const std::string& json :
       {std::string(), std::string("[]"), std::string("{}"), std::string("{\"weft_record\":1}"),
        std::string("{\"weft_record\":1,\"pipeline\":{},\"seeds\":[{\"node\":\"a\"}]}"),
        std::string("{\"weft_record\":1,\"pipeline\":{},\"seeds\":[{\"node\":\"a\",\"parameter\":\"b\","
                    "\"value\":1e99}]}"),
        deep}) {
    EXPECT_EQ(parse_run_record(json).code(), StatusCode::kCorruptData) << json.substr(0, 80);
  }
  const Result<RunRecord> newer = parse_run_record("{\"weft_record\":2,\"pipeline\":{}}");
  EXPECT_EQ(newer.code(), StatusCode::kVersionMismatch);
}

TEST(RunRecord, ItsPipelineUsesFilesOfTheRecordOnly) {
  RunRecord record;
  record.pipeline =
      "{\"weft\":1,\"nodes\":{\"a\":{\"uses\":\"pipeline:parts/a.json\"},"
      "\"b\":{\"uses\":\"pipeline:/etc/passwd\"}},\"outputs\":{}}";
  record.pipelines["parts/a.json"] = "{\"weft\":1,\"nodes\":{},\"outputs\":{}}";
  const Catalog catalog({});
  const ParsedPipeline parsed = parse_recorded_pipeline(record, "out/cat.png", catalog);
  std::string messages;
  for (const Diagnostic& diagnostic : parsed.diagnostics) messages += diagnostic.message + "\n";
  EXPECT_THAT(messages, HasSubstr("'/etc/passwd': a pipeline from a picture uses no other pipeline files"));
  EXPECT_THAT(messages, ::testing::Not(HasSubstr("cannot read 'out/parts/a.json'")));
}

}  // namespace
}  // namespace weft
