// What the parser refuses, with line and name; and names of kernels across compilers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/simt/ptx/module.h"

namespace weft::simt::ptx {
namespace {

using testing::HasSubstr;

/// A kernel with one parameter around some statements.
std::string kernel(const std::string& body) {
  return ".version 9.0\n.target sm_80\n.address_size 64\n.visible .entry k(\n.param .u64 k_param_0\n)\n{\n"
         ".reg .pred %p<4>;\n.reg .b32 %r<8>;\n.reg .b64 %rd<8>;\n" +
         body + "\n}\n";
}

std::string refusal(const std::string& body) {
  const Result<Module> module = Module::parse(kernel(body), "k.ptx");
  return module.ok() ? "" : to_string(module.status().error());
}

TEST(PtxParser, RefusesWhatItDoesNotKnowByNameAndLine) {
  EXPECT_THAT(refusal("add.s32 %r1, %r2, %r3;\nwgmma.fence.sync.aligned;"),
              HasSubstr("k.ptx:12: 'wgmma' of 'wgmma.fence"));
  EXPECT_THAT(refusal("add.cc.s32 %r1, %r2, %r3;"), HasSubstr("'cc' of 'add.cc.s32"));
  EXPECT_THAT(refusal("mul.trans.s32 %r1, %r2, %r3;"), HasSubstr("'trans'"));
  EXPECT_THAT(refusal("mov.u32 %r1, %clock;"), HasSubstr("no register, variable or parameter '%clock'"));
  EXPECT_THAT(refusal("@%q1 bra $L;"), HasSubstr("no predicate %q1"));
  EXPECT_THAT(refusal("bra $L__BB0_1;"), HasSubstr("no label $L__BB0_1"));
  EXPECT_THAT(refusal("mov.u32 %r1, 1"), HasSubstr("the kernel does not end"));
  EXPECT_EQ(refusal("mov.u32 %r1, 1;"), "");
  EXPECT_EQ(refusal("griddepcontrol.launch_dependents;\ngriddepcontrol.wait;"), "");
}

TEST(PtxParser, RefusesAFileThatIsNotPtx) {
  const Result<Module> module = Module::parse("int main() {}", "x.ptx");
  ASSERT_FALSE(module.ok());
  EXPECT_THAT(module.status().error().message,
              HasSubstr("x.ptx:1: expected a kernel or a variable, got 'int main() {}'"));
  EXPECT_EQ(Module::load("no such file").status().code(), StatusCode::kNotFound);
}

TEST(PtxParser, ScopesHideRegistersOfTheSameName) {
  const Result<Module> module =
      Module::parse(kernel("setp.eq.s32 %p1, %r1, 0;\n{\n.reg .pred %p1;\nsetp.ne.s32 %p1, %r1, 0;\n}\n@%p1 "
                           "bra $L;\n$L:\nret;"),
                    "k");
  ASSERT_TRUE(module.ok());
  const std::vector<Instruction>& code = module->kernels[0].code;
  EXPECT_NE(code[0].operands[0][0].index, code[1].operands[0][0].index);
  EXPECT_EQ(static_cast<uint32_t>(code[2].guard), code[0].operands[0][0].index);
  EXPECT_EQ(code[2].target, 3u);
}

TEST(PtxParser, KernelsAreFoundWhateverACompilerCallsAnAnonymousNamespace) {
  Module module;
  module.kernels.emplace_back().name = "_ZN4weft44_GLOBAL__N__5fb263a1_11_language_cu_2c76b3c73addEPf";
  EXPECT_NE(module.find("_ZN4weft12_GLOBAL__N_13addEPf"), nullptr);
  EXPECT_EQ(module.find("_ZN4weft12_GLOBAL__N_13subEPf"), nullptr);
}

}  // namespace
}  // namespace weft::simt::ptx
