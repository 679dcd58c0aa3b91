#include "pipeline/queue/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/queue/queue_address.h"

namespace weft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

TEST(QueueMessages, SetupComesBackAsItWas) {
  QueueSetup setup;
  setup.pipeline = "/data/a \"b\".json";
  setup.identity = {{"pipeline b.json", "12ab"}, {"isa level", "avx2"}};
  setup.facts = {{"seed", "9223372036854775807"}};
  setup.probe_inputs = R"({"topic":"the sea"})";
  setup.tries = 5;
  setup.silence_ms = 1500;
  const Result<QueueSetup> back = parse_setup(to_json(setup));
  ASSERT_TRUE(back.ok()) << to_string(back.error());
  EXPECT_EQ(back->pipeline, setup.pipeline);
  EXPECT_EQ(back->identity, setup.identity);
  EXPECT_EQ(back->facts, setup.facts);
  EXPECT_EQ(back->probe_inputs, setup.probe_inputs);
  EXPECT_EQ(back->tries, 5u);
  EXPECT_EQ(back->silence_ms, 1500u);
}

TEST(QueueMessages, ItemComesBackAsItWas) {
  QueuedItem item;
  item.item = {0, "ink/000017", R"({"n":3,"x":0.1})", "items.jsonl:17"};
  item.position = 17;
  item.read = {{"/data/a.png", 12, "ab"}};
  const Result<QueuedItem> back = parse_item(to_json(item));
  ASSERT_TRUE(back.ok()) << to_string(back.error());
  EXPECT_EQ(back->item.name, "ink/000017");
  EXPECT_EQ(back->item.inputs_json, R"({"n":3,"x":0.1})");
  EXPECT_EQ(back->item.place, "items.jsonl:17");
  EXPECT_EQ(back->position, 17u);
  ASSERT_EQ(back->read.size(), 1u);
  EXPECT_EQ(back->read[0].path, "/data/a.png");
  EXPECT_EQ(back->read[0].size_bytes, 12u);
  EXPECT_EQ(back->read[0].sha256, "ab");
  EXPECT_FALSE(back->error);
}

TEST(QueueMessages, AnItemThatIsWrongKeepsItsReason) {
  QueuedItem item;
  item.item.name = "invalid-000001";
  item.error =
      Status(StatusCode::kInvalidArgument, "no input 'topc'").at("items.jsonl:1").hint("topic?").error();
  const Result<QueuedItem> back = parse_item(to_json(item));
  ASSERT_TRUE(back.ok()) << to_string(back.error());
  ASSERT_TRUE(back->error);
  EXPECT_EQ(to_string(*back->error), to_string(*item.error));
  EXPECT_EQ(back->error->code, StatusCode::kInvalidArgument);
}

TEST(QueueMessages, RecordComesBackAsItWas) {
  QueueRecord record;
  record.name = "sea";
  record.worker = "host-1-ab";
  record.attempt = 7;
  record.tries = 2;
  record.outcome.outputs_json = {{"text", "\"a\\u0001b\""}, {"n", "7"}};
  record.outcome.files = {{"a/b.txt", 6, "cd"}};
  record.outcome.seeds = {{"paint", "seed", 7}};
  NodeTiming timing;
  timing.node = "paint";
  timing.seconds = 0.25;
  record.outcome.timings = {timing};
  record.outcome.seconds = 1.5;
  const Result<QueueRecord> back = parse_record(to_json(record));
  ASSERT_TRUE(back.ok()) << to_string(back.error());
  EXPECT_EQ(back->name, "sea");
  EXPECT_EQ(back->worker, "host-1-ab");
  EXPECT_EQ(back->attempt, 7u);
  EXPECT_EQ(back->tries, 2u);
  EXPECT_EQ(back->outcome.state, ItemOutcome::State::kDone);
  EXPECT_THAT(back->outcome.outputs_json, ElementsAre(Pair("n", "7"), Pair("text", "\"a\\u0001b\"")));
  ASSERT_EQ(back->outcome.files.size(), 1u);
  EXPECT_EQ(back->outcome.files[0].path, "a/b.txt");
  ASSERT_EQ(back->outcome.seeds.size(), 1u);
  EXPECT_EQ(back->outcome.seeds[0].value, 7);
  ASSERT_EQ(back->outcome.timings.size(), 1u);
  EXPECT_DOUBLE_EQ(back->outcome.timings[0].seconds, 0.25);
  EXPECT_DOUBLE_EQ(back->outcome.seconds, 1.5);
}

TEST(QueueMessages, WhatIsNoMessageIsRefused) {
  for (const char* text :
       {"", "[]", "{", "{\"weft_queue\":\"1\"}", "{\"weft_queue\":1}", "{\"weft_queue\":-1}",
        R"({"weft_queue":1,"name":3,"place":"","position":1,"inputs":{},"read":{}})",
        R"({"weft_queue":1,"name":"a","place":"","position":1,"inputs":{},"read":{"f":3}})"}) {
    EXPECT_EQ(parse_item(text).code(), StatusCode::kCorruptData) << text;
  }
  EXPECT_EQ(parse_record(R"({"weft_queue":2})").code(), StatusCode::kVersionMismatch);
}

TEST(QueueMessages, ContentsAreLimited) {
  EXPECT_TRUE(check_content_size(std::string(kMaxContentBytes, 'x'), "the inputs of the item").ok());
  const Status status = check_content_size(std::string(kMaxContentBytes + 1, 'x'), "the inputs of the item");
  EXPECT_EQ(status.code(), StatusCode::kOutOfRange);
  EXPECT_THAT(to_string(status.error()),
              HasSubstr("the inputs of the item are too large for a queue (expected at most "
                        "262144 bytes, got 262145); keep them in a file"));
}

TEST(QueueAddress, NamesAServerAndAQueue) {
  const Result<QueueAddress> plain = parse_queue_address("nats://host:4222/night-run_2");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->server, "nats://host:4222");
  EXPECT_EQ(plain->name, "night-run_2");
  const Result<QueueAddress> secret = parse_queue_address("tls://me:pass@host/q");
  ASSERT_TRUE(secret.ok());
  EXPECT_EQ(secret->server, "tls://me:pass@host");
  EXPECT_EQ(secret->shown, "tls://host/q") << "a password stays out of messages";
}

TEST(QueueAddress, RefusesWhatNamesNone) {
  for (const char* text : {"", "host:4222/q", "http://host/q", "nats://host", "nats:///q", "nats://host/",
                           "nats://host/a.b", "nats://host/a/b", "nats://host/a b", "nats://me:pass@host"}) {
    const Result<QueueAddress> address = parse_queue_address(text);
    EXPECT_EQ(address.code(), StatusCode::kInvalidArgument) << text;
    ASSERT_FALSE(address.ok());
    EXPECT_EQ(to_string(address.error()).find("pass"), std::string::npos);
  }
}

}  // namespace
}  // namespace weft
