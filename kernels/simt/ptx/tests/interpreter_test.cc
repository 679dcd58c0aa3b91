// Single instructions against the host, and mistakes that only the interpreter's own rules find.

#include "kernels/simt/ptx/interpreter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "kernels/simt/ptx/module.h"

namespace weft::simt::ptx {
namespace {

/// Runs `body` in a block of 32 threads; it may use %r0.., %rd0.., %f0.., %p0..; what it puts into %r1 is returned by lane.
/// %r0 is the lane.
struct Ran {
  std::vector<uint32_t> r1;
  std::string report;
};
Ran run_body(const std::string& body, unsigned n_threads = 32) {
  const std::string text =
      ".target sm_80\n.visible .const .align 4 .b8 table[4] = {7, 8, 9, 10};\n.visible .entry k(.param .u64 "
      "k_param_0)\n{\n"
      ".reg .pred %p<8>;\n.reg .b16 %rs<8>;\n.reg .b32 %r<16>;\n.reg .b64 %rd<16>;\n.reg .f32 %f<16>;\n.reg "
      ".f64 %fd<8>;\n"
      ".shared .align 4 .b8 tile[128];\n.local .align 4 .b8 depot[16];\nmov.u32 %r0, %tid.x;\n" +
      body +
      "\n$L_end:\nld.param.u64 %rd14, [k_param_0];\ncvta.to.global.u64 %rd14, %rd14;\nmul.wide.u32 %rd15, "
      "%r0, 4;\n"
      "add.s64 %rd15, %rd14, %rd15;\nst.global.u32 [%rd15], %r1;\nret;\n}\n";
  Result<Module> module = Module::parse(text, "k.ptx");
  if (!module.ok()) return {{}, to_string(module.status().error())};
  Device device({.ptx = &*module});
  Buffer<uint32_t> out(device, "out", std::vector<uint32_t>(n_threads, 12345));
  uint32_t* data = out.data();
  const void* parameters[] = {&data};
  const LaunchShape shape{"k", 1, n_threads, 0, {nullptr, 0, nullptr, nullptr, parameters}};
  Interpreter interpreter(device, shape, *module, module->kernels[0]);
  interpreter.run_block({0, 0, 0});
  std::string report;
  for (const RawFinding& raw : interpreter.findings()) report += raw.finding.text() + "\n";
  return {out.values(), report};
}

struct InstructionCase {
  const char* text;
  uint32_t expected;
};

uint32_t f32_bits(float x) { return std::bit_cast<uint32_t>(x); }

TEST(PtxInterpreter, InstructionsGiveWhatThePtxIsaSays) {
  const InstructionCase cases[] = {
      {"mov.u32 %r2, -7; add.s32 %r1, %r2, 3;", static_cast<uint32_t>(-4)},
      {"mov.u32 %r2, 3000000000; mul.hi.u32 %r1, %r2, 4;", 2},
      {"mov.u32 %r2, -3; mul.hi.s32 %r1, %r2, 4;", 0xffffffff},
      {"mov.u32 %r2, -7; div.s32 %r1, %r2, 2;", static_cast<uint32_t>(-3)},
      {"mov.u32 %r2, -7; rem.s32 %r1, %r2, 4;", static_cast<uint32_t>(-3)},
      {"mov.u32 %r2, -7; rem.u32 %r1, %r2, 4;", 1},
      {"mov.u32 %r2, -8; shr.s32 %r1, %r2, 40;", 0xffffffff},
      {"mov.u32 %r2, -8; shr.u32 %r1, %r2, 32;", 0},
      {"mov.u32 %r2, 1; shl.b32 %r1, %r2, 32;", 0},
      {"mov.u32 %r2, -8; min.s32 %r1, %r2, 3;", static_cast<uint32_t>(-8)},
      {"mov.u32 %r2, -8; min.u32 %r1, %r2, 3;", 3},
      {"mov.u32 %r2, 0x12345678; mov.u32 %r3, 0x9abcdef0; shf.l.wrap.b32 %r1, %r3, %r2, 8;", 0x3456789a},
      {"mov.u32 %r2, 0x12345678; mov.u32 %r3, 0x9abcdef0; prmt.b32 %r1, %r2, %r3, 0x7610;", 0x9abc5678},
      {"mov.u32 %r2, 0x12345678; prmt.b32 %r1, %r2, 0, 0x000b;", 0x78787800},
      {"mov.u32 %r2, 0xf0f0; bfe.s32 %r1, %r2, 12, 4;", 0xffffffff},
      {"mov.u32 %r2, 0xf0f0; bfe.u32 %r1, %r2, 12, 8;", 15},
      {"mov.u32 %r2, 5; mov.u32 %r3, -1; bfi.b32 %r1, %r2, %r3, 4, 4;", 0xffffff5f},
      {"mov.u32 %r2, 0xff; lop3.b32 %r1, %r2, 0x0f, 0x3c, 0x96;", 0xff ^ 0x0f ^ 0x3c},
      {"mov.u32 %r2, 0x01ff0203; dp4a.s32.s32 %r1, %r2, 0x02030405, 10;", 10 + 15 + 8 - 3 + 2},
      {"mov.u32 %r2, 0x01ff0203; dp4a.u32.s32 %r1, %r2, 0x02030405, 10;", 10 + 15 + 8 + 255 * 3 + 2},
      {"mov.u32 %r2, 0x00f0; popc.b32 %r1, %r2;", 4},
      {"mov.u32 %r2, 0x00f0; clz.b32 %r1, %r2;", 24},
      {"mov.f32 %f1, 0f3F800001; mov.f32 %f2, 0f33800000; add.rz.f32 %f3, %f1, %f2; mov.b32 %r1, %f3;",
       0x3f800001},
      {"mov.f32 %f1, 0f3F800001; mov.f32 %f2, 0f33800001; add.rn.f32 %f3, %f1, %f2; mov.b32 %r1, %f3;",
       0x3f800002},
      {"mov.f32 %f1, 0f3F800001; fma.rn.f32 %f3, %f1, %f1, 0fBF800002; mov.b32 %r1, %f3;",
       f32_bits(0x1p-46f)},
      {"mov.f32 %f1, 0f40000000; add.sat.f32 %f3, %f1, %f1; mov.b32 %r1, %f3;", f32_bits(1.0f)},
      {"mov.f32 %f1, 0f7FC00000; max.f32 %f3, %f1, 0f40000000; mov.b32 %r1, %f3;", f32_bits(2.0f)},
      {"mov.f32 %f1, 0f00000001; mul.ftz.f32 %f3, %f1, 0f3F800000; mov.b32 %r1, %f3;", 0},
      {"mov.f32 %f1, 0f7FC00000; setp.lt.f32 %p1, %f1, %f1; selp.u32 %r1, 1, 2, %p1;", 2},
      {"mov.f32 %f1, 0f7FC00000; setp.ltu.f32 %p1, %f1, %f1; selp.u32 %r1, 1, 2, %p1;", 1},
      {"mov.f32 %f1, 0f7FC00000; setp.neu.f32 %p1, %f1, %f1; selp.u32 %r1, 1, 2, %p1;", 1},
      {"mov.u32 %r2, -1; setp.lt.s32 %p1, %r2, 0; selp.u32 %r1, 1, 2, %p1;", 1},
      {"mov.u32 %r2, -1; setp.lt.u32 %p1, %r2, 0; selp.u32 %r1, 1, 2, %p1;", 2},
      {"mov.f32 %f1, 0fC0200000; cvt.rzi.s32.f32 %r1, %f1;", static_cast<uint32_t>(-2)},
      {"mov.f32 %f1, 0f40200000; cvt.rni.s32.f32 %r1, %f1;", 2},
      {"mov.f32 %f1, 0f4F800000; cvt.rzi.s32.f32 %r1, %f1;", 0x7fffffff},
      {"mov.f32 %f1, 0fC0200000; cvt.rzi.u32.f32 %r1, %f1;", 0},
      {"mov.f32 %f1, 0f3F808000; cvt.rn.bf16.f32 %rs1, %f1; cvt.u32.u16 %r1, %rs1;", 0x3f80},
      {"mov.f32 %f1, 0f3F800000; mov.f32 %f2, 0f40000000; cvt.rn.f16x2.f32 %r1, %f1, %f2;", 0x3c004000},
      {"mov.u32 %r2, 200; cvt.s32.s8 %r1, %r2;", static_cast<uint32_t>(-56)},
      {"mov.u32 %r2, 300; cvt.sat.u8.s32 %r1, %r2;", 255},
      {"mov.u32 %r2, 0x12345678; mov.b32 {%rs1, %rs2}, %r2; mov.b32 %r1, {%rs2, %rs1};", 0x56781234},
      {"mov.u64 %rd1, table; ld.const.u8 %r1, [%rd1+2];", 9},
      {"mov.u32 %r2, 77; st.local.u32 [depot+4], %r2; ld.local.u32 %r1, [depot+4];", 77},
      {"mov.b64 %rd1, depot; cvta.local.u64 %rd2, %rd1; st.u32 [%rd2+8], 55; ld.local.u32 %r1, [depot+8];",
       55},
      {"mov.f32 %f1, 0f40400000; ex2.approx.ftz.f32 %f2, %f1; mov.b32 %r1, %f2;", f32_bits(8.0f)},
  };
  for (const InstructionCase& one : cases) {
    const Ran ran = run_body(one.text);
    EXPECT_EQ(ran.report, "") << one.text;
    ASSERT_EQ(ran.r1.size(), 32u) << one.text;
    EXPECT_EQ(ran.r1[0], one.expected) << one.text;
    EXPECT_EQ(ran.r1[31], one.expected) << one.text;
  }
}

TEST(PtxInterpreter, LanesThatDivergeMeetAgain) {
  // Lane l goes round l times; then all of them vote.
  const Ran ran = run_body(
      "mov.u32 %r1, 0;\nmov.u32 %r2, %r0;\n$L_loop:\nsetp.eq.s32 %p1, %r2, 0;\n@%p1 bra $L_out;\nadd.s32 "
      "%r1, %r1, 2;\n"
      "sub.s32 %r2, %r2, 1;\nbra.uni $L_loop;\n$L_out:\nsetp.ne.s32 %p2, %r1, 62;\nvote.sync.ballot.b32 %r3, "
      "%p2, -1;\n"
      "add.s32 %r1, %r1, %r3;");
  EXPECT_EQ(ran.report, "");
  for (uint32_t lane = 0; lane < 32; ++lane) EXPECT_EQ(ran.r1[lane], 2 * lane + 0x7fffffff);
}

TEST(PtxInterpreter, ARegisterThatNobodySetIsNotZero) {
  EXPECT_EQ(run_body("mov.u32 %r1, %r5;").r1[3], 0xffffffffu);
}

TEST(PtxInterpreter, FindsMistakesOfWarpsAndBlocks) {
  EXPECT_THAT(
      run_body("setp.lt.s32 %p1, %r0, 8;\n@%p1 bra $L_end;\nshfl.sync.bfly.b32 %r1, %r0, 1, 31, -1;").report,
      testing::HasSubstr("lane 0 of the mask does not come"));
  EXPECT_THAT(run_body("shfl.sync.bfly.b32 %r1, %r0, 1, 31, 255;").report,
              testing::HasSubstr("not in its own mask"));
  EXPECT_THAT(run_body("setp.lt.s32 %p1, %r0, 8;\n@%p1 ret;\nbar.sync 0;", 64).report,
              testing::HasSubstr("thread 0 has ended"));
  EXPECT_THAT(
      run_body("setp.lt.s32 %p1, %r0, 40;\n@%p1 bra $L_a;\nbar.sync 0;\nbra $L_end;\n$L_a:\nbar.sync 0;", 64)
          .report,
      testing::HasSubstr("divergent barrier"));
  EXPECT_THAT(run_body("ld.shared.u32 %r1, [tile+4];").report, testing::HasSubstr("that nobody wrote"));
  EXPECT_THAT(run_body("st.shared.u32 [tile+128], %r0;").report,
              testing::HasSubstr("0 bytes past the end of tile"));
  EXPECT_THAT(run_body("st.shared.u32 [tile+2], %r0;").report, testing::HasSubstr("misaligned"));
  EXPECT_THAT(run_body("st.shared.u32 [tile], %r0;").report, testing::HasSubstr("wrote, no barrier between"));
}

}  // namespace
}  // namespace weft::simt::ptx
