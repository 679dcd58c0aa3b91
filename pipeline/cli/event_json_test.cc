#include "pipeline/cli/event_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace weft::cli {
namespace {

using Json = nlohmann::json;

TEST(EventLine, IsOneLineOfJsonForEveryEvent) {
  const Error error{StatusCode::kIoError, "disk\nfull", "node 'a'", {}, {}, "free some"};
  const Event events[] = {NodeStarted{"a", 3},
                          NodeFinished{"a", 0.5, NodeFinished::Origin::kCached},
                          NodeSkipped{"a", "why"},
                          NodeFailed{"a", error},
                          TextPart{"a", "text", 1, "two\nlines"},
                          PartsDiscarded{"a", 0, 1, error},
                          Progress{"a", 0, 1, 2, "tokens"},
                          FileWritten{"a", "x.txt", 7}};
  for (const Event& event : events) {
    const std::string line = event_line(event);
    ASSERT_EQ(line.find('\n'), line.size() - 1) << line;
    const Json json = Json::parse(line);
    EXPECT_EQ(json.at("node"), "a");
    EXPECT_TRUE(json.at("event").is_string());
  }
}

TEST(EventLine, SurvivesInvalidUtf8) {
  EXPECT_EQ(Json::parse(event_line(NodeSkipped{"a", "\xff"})).at("reason"), "\uFFFD");
}

TEST(FinishedLine, CarriesOutputsWholeAndOnOneLine) {
  RunResult result;
  result.outputs_json = {
      {"text", "\"a \\n b\""}, {"scores", "{\"logprobs\": [null, -1.25e-7]}"}, {"pretty", "{\n \"x\": 1\n}"}};
  result.files = {"poem.txt"};
  const std::string line = finished_line(result);
  EXPECT_EQ(line.find('\n'), line.size() - 1) << line;
  const Json json = Json::parse(line);
  EXPECT_EQ(json["event"], "finished");
  EXPECT_EQ(json["outputs"]["text"], "a \n b");
  EXPECT_EQ(json["outputs"]["scores"]["logprobs"][1], -1.25e-7);
  EXPECT_EQ(json["outputs"]["pretty"]["x"], 1);
  EXPECT_EQ(json["files"][0], "poem.txt");
}

TEST(FinishedLine, OfARunWithoutOutputsIsStillAnObject) {
  EXPECT_TRUE(Json::parse(finished_line(RunResult{})).at("outputs").is_object());
}

TEST(FailedLine, SaysWhatAndWithWhichExitCode) {
  const Json json = Json::parse(failed_line(Error{StatusCode::kNotFound, "no model", {}, {}, {}, {}}, 4));
  EXPECT_EQ(json["event"], "failed");
  EXPECT_EQ(json["error"]["code"], "not found");
  EXPECT_EQ(json["exit_code"], 4);
}

}  // namespace
}  // namespace weft::cli
