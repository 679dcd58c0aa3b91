#include "pipeline/cli/conversation.h"

#include <gtest/gtest.h>

namespace weft::cli {
namespace {

TEST(Conversation, IsAListOfRolesAndContents) {
  Conversation conversation;
  EXPECT_EQ(conversation.to_json(), "[]");
  conversation.set_system("Be brief.");
  conversation.add_user("Hi \"there\"\n");
  conversation.add_answer("Hello.");
  EXPECT_EQ(conversation.to_json(),
            R"([{"role":"system","content":"Be brief."},{"role":"user","content":"Hi \"there\"\n"},)"
            R"({"role":"assistant","content":"Hello."}])");
}

TEST(Conversation, AnEmptyAnswerTakesTheTurnBack) {
  Conversation conversation;
  conversation.add_user("first");
  conversation.add_answer("kept");
  conversation.add_user("second");
  conversation.add_answer("");
  EXPECT_EQ(conversation.size(), 2u);
}

TEST(Conversation, ClearKeepsTheSystemMessage) {
  Conversation conversation;
  conversation.set_system("S");
  conversation.add_user("x");
  conversation.clear();
  EXPECT_EQ(conversation.to_json(), R"([{"role":"system","content":"S"}])");
}

TEST(Conversation, ShowsPicturesBeforeItsFirstTurn) {
  Conversation conversation;
  conversation.set_pictures(2);
  EXPECT_EQ(conversation.to_json(), "[]");
  conversation.set_system("S");
  conversation.add_user("x");
  conversation.add_answer("y");
  conversation.add_user("z");
  EXPECT_EQ(
      conversation.to_json(),
      R"([{"role":"system","content":"S"},{"role":"user","content":[{"type":"image"},{"type":"image"},)"
      R"({"type":"text","text":"x"}]},{"role":"assistant","content":"y"},{"role":"user","content":"z"}])");
  conversation.clear();
  conversation.add_user("w");
  EXPECT_NE(conversation.to_json().find("image"), std::string::npos);
}

TEST(Conversation, SurvivesInvalidUtf8) {
  Conversation conversation;
  conversation.add_user("\xff");
  EXPECT_EQ(conversation.to_json(), "[{\"role\":\"user\",\"content\":\"\uFFFD\"}]");
}

}  // namespace
}  // namespace weft::cli
