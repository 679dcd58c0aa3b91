#include "kernels/bench/kernel_peer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft {
namespace {

using ::testing::HasSubstr;

// A program in the shell's own language.
Result<KernelPeer> script(const std::string& text) { return KernelPeer::start("sh -c '" + text + "'", 3); }

TEST(KernelPeer, AnswersWorkAfterWork) {
  Result<KernelPeer> peer = script(
      "echo Abacus 1.0; while read op rest; do case $op in add) echo 0.25;; threads) echo $OMP_NUM_THREADS;;"
      " *) echo none;; esac; done");
  ASSERT_TRUE(peer.ok());
  EXPECT_EQ(peer->name(), "Abacus 1.0");
  EXPECT_EQ(*peer->measure("add f32 n=3"), 0.25);
  EXPECT_EQ(*peer->measure("root f32 n=3"), 0);
  EXPECT_EQ(*peer->measure("add f32 n=4"), 0.25);
  EXPECT_EQ(*peer->measure("threads"), 3);
}

TEST(KernelPeer, SaysWhenItIsNoUse) {
  EXPECT_EQ(script("exit 0").code(), StatusCode::kIoError);
  EXPECT_EQ(KernelPeer::start("/no/such/program", 1).code(), StatusCode::kIoError);
  Result<KernelPeer> gone = script("echo short; exit 0");
  ASSERT_TRUE(gone.ok());
  EXPECT_EQ(gone->measure("add").code(), StatusCode::kIoError);
  Result<KernelPeer> wordy = script("echo wordy; while read work; do echo about a second; done");
  ASSERT_TRUE(wordy.ok());
  const Result<double> answer = wordy->measure("add");
  ASSERT_EQ(answer.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(to_string(answer.error()), HasSubstr("about a second"));
}

}  // namespace
}  // namespace weft
