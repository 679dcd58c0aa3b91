#include "pipeline/cli/output_stream.h"

#include <gtest/gtest.h>

namespace weft::cli {
namespace {

struct Recorded {
  std::string text;
  OutputStream::Writer writer() {
    return [this](std::string_view part) { text += part; };
  }
};

TEST(OutputStream, PrintsTheOnlyTextAsItComes) {
  Recorded out;
  OutputStream stream({{"text", "text", "write", "text"}}, OutputStream::Controls::kKept, out.writer());
  stream.part("write", "text", "Hel");
  EXPECT_EQ(out.text, "Hel");
  stream.part("other", "text", "not an output");
  stream.part("write", "text", "lo");
  EXPECT_EQ(out.text, "Hello");
  EXPECT_TRUE(stream.within_line());
  stream.node_finished("write");
  stream.finish({{"text", "\"Hello\""}});
  EXPECT_EQ(out.text, "Hello\n");
}

TEST(OutputStream, KeepsTheOrderOfSeveralOutputs) {
  Recorded out;
  OutputStream stream(
      {{"first", "text", "a", "text"}, {"second", "text", "b", "text"}, {"n", "int", "c", "count"}},
      OutputStream::Controls::kKept, out.writer());
  stream.part("b", "text", "later");
  EXPECT_EQ(out.text, "");
  stream.part("a", "text", "now");
  EXPECT_EQ(out.text, "first:\nnow");
  stream.node_finished("b");
  stream.node_finished("a");
  EXPECT_EQ(out.text, "first:\nnow\nsecond:\nlater\n");
  stream.finish({{"first", "\"now\""}, {"second", "\"later\""}, {"n", "3"}});
  EXPECT_EQ(out.text, "first:\nnow\nsecond:\nlater\nn: 3\n");
}

TEST(OutputStream, PrintsValuesThatWereNotStreamed) {
  Recorded out;
  OutputStream stream(
      {{"cached", "text", "a", "text"}, {"gone", "text", "b", "text"}, {"list", "list<text>", "c", "texts"}},
      OutputStream::Controls::kKept, out.writer());
  stream.node_finished("a");
  stream.finish({{"cached", "\"one\\ntwo\""}, {"list", "[\"x\",\"y\"]"}});
  EXPECT_EQ(out.text, "cached:\none\ntwo\ngone: (skipped)\nlist:\nx\ny\n");
}

TEST(OutputStream, StartsAgainAfterADiscardedAttempt) {
  Recorded out;
  OutputStream stream({{"text", "text", "a", "text"}}, OutputStream::Controls::kKept, out.writer());
  stream.part("a", "text", "wro");
  stream.discard("a");
  stream.part("a", "text", "right");
  stream.node_finished("a");
  EXPECT_EQ(out.text, "wro\n[discarded: trying again]\nright\n");
}

TEST(OutputStream, ShowsControlsOnATerminalOnly) {
  Recorded shown, kept;
  OutputStream on_terminal({{"text", "text", "a", "text"}}, OutputStream::Controls::kShown, shown.writer());
  OutputStream to_file({{"text", "text", "a", "text"}}, OutputStream::Controls::kKept, kept.writer());
  on_terminal.part("a", "text", "\x1b[2J");
  to_file.part("a", "text", "\x1b[2J");
  EXPECT_EQ(shown.text, "^[[2J");
  EXPECT_EQ(kept.text, "\x1b[2J");
}

}  // namespace
}  // namespace weft::cli
