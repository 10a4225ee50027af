// What is refused, with its line; and that no text at all can do worse.
#include <random>
#include <stdexcept>

#include "run_ptx.h"

namespace pgram::emulation::ptx::test {
namespace {

std::string refusal(const std::string& text) {
  try {
    Module::parse(text);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(PtxParser, RefusesWithTheLine) {
  const auto expect = [](const std::string& text, const std::string& message) {
    EXPECT_EQ(refusal(text), "PTX, " + message) << text;
  };
  expect("hello", "line 1: unexpected 'hello'");
  expect(".version 8.0\n\n  ;", "line 3: expected a directive, found ';'");
  expect(".entry k(\n", "line 2: expected '.param', found 'end of the text'");
  expect(".entry k() {\n ret\n}", "line 3: expected an operand, found '}'");
  expect(".entry k() { .reg .b32 r;\nmov.u32 r, 1\nret; }", "line 3: expected ';', found 'ret'");
  expect(".entry k() { .reg .b32 %r<2>;\nmov.u32 %r1, %r2; }", "line 2: there is no register or variable '%r2'");
  expect(".entry k() {\nadd.s32 nothing, 1, 2; }", "line 2: there is no register or variable 'nothing'");
  expect(".entry k() {\n\nbra $gone; }", "line 3: there is no label '$gone'");
  expect(".entry k() { a: ret;\na: ret; }", "line 2: the label 'a' is there twice");
  expect(".entry k() { ret; }\n.entry k() { ret; }", "line 2: the kernel 'k' is there twice");
  expect(".entry k() { .reg .what %r; ret; }", "line 1: '.what' is no type of a register");
  expect("/* no end", "line 1: the comment has no end");
  expect(".global .b8 t[2] = {1, 2, 3};", "line 1: too many values for t");
  expect(".shared .b8 t[99999999999];", "line 1: t is too large");
  expect(".entry k() {\n.shared .b8 t[1000000]; ret; }", "line 2: t is too large");
  expect(".entry k(.param .u32 a,\n.param .align 3 .b8 b[4]) { ret; }", "line 2: no such alignment");
  expect(".entry k() { ret; # }", "line 1: unexpected character '#'");
}

TEST(PtxParser, TakesWhatNvccWrites) {
  const auto module = Module::parse(
      "// by hand\n.version 9.0\n.target sm_90, debug\n.address_size 64\n.file 1 \"a.cu\"\n\n"
      ".extern .shared .align 16 .b8 dynamic[];\n.weak .func (.param .b32 r) helper(.param .b32 a)\n{ ret; }\n"
      ".visible .entry k(\n\t.param .u64 .ptr .global .align 16 k_param_0,\n\t.param .f32 k_param_1\n)\n"
      ".maxntid 128, 1, 1\n.pragma \"nounroll\";\n{\n\t.reg .pred \t%p<2>;\n\t.loc\t1 5 3\n"
      "\t.loc 1 7 1, function_name $L__info_string0, inlined_at 1 5 3\n\t// begin inline asm\n"
      "\t{ .reg .b32 t; mov.b32 t, 1; }\n\t{ .reg .b64 t; L: mov.b64 t, 1;}\n\tret;\n}\n"
      ".section .debug_str {\n$L__info_string0:\n.b8 95\n}\n");
  ASSERT_NE(module->find("k"), nullptr);
  EXPECT_EQ(module->names(), std::vector<std::string>{"k"});
  EXPECT_EQ(parameter_sizes(*module->find("k")), (std::vector<uint32_t>{8, 4}));
  EXPECT_EQ(module->find("helper"), nullptr);
}

const char* const kSample =
    ".version 8.0\n.target sm_90\n.address_size 64\n.global .align 4 .b8 table[8] = {1, 2, 3, 4};\n"
    ".visible .entry k(.param .u64 k_out, .param .align 8 .b8 list[16])\n.maxntid 64, 1, 1\n{\n.reg .pred %p<3>;\n"
    ".reg .b32 %r<9>;\n.reg .b64 %d<9>;\n.shared .align 4 .b8 box[64];\nld.param.u64 %d1, [k_out];\nmov.u32 %r1, "
    "%tid.x;\n"
    "setp.gt.and.s32 %p1|%p2, %r1, 3, !%p2;\n@%p1 bra $L1;\nshfl.sync.bfly.b32 %r2|%p1, %r1, 1, 31, 15;\n$L1:\n"
    "st.shared.u32 [box+4], %r2;\nbar.sync 0;\nld.global.v2.u32 {%r3, %r4}, [%d1+8];\n{ .reg .b32 t; mov.b32 t, "
    "0f3F800000; }\n"
    "atom.global.add.f32 %r5, [%d1], %r3;\ncvt.rn.f32.s64 %r6, %d1;\nmov.b64 {%r1, _}, %d1;\nprmt.b32 %r1, %r2, %r3, "
    "0x1234;\n"
    "$t: .branchtargets $L1, $L2;\nbrx.idx %r1, $t;\n$L2:\nmad.wide.u32 %d2, %r1, %r2, %d1;\nst.global.u32 [%d2], "
    "%r6;\nret;\n}\n";

/// Parsing throws or not; what could be parsed runs to an end or a Fault.
void try_text(const std::string& text) {
  std::shared_ptr<const Module> module;
  try {
    module = Module::parse(text);
  } catch (const std::runtime_error&) {
    return;
  }
  for (const std::string& name : module->names()) {
    std::vector<uint32_t> out(64);
    Memory memory;
    const uint64_t address = memory.add(out);
    const Function& function = *module->find(name);
    std::vector<std::vector<std::byte>> values;
    std::vector<const void*> arguments;
    for (const uint32_t bytes : parameter_sizes(function)) {
      values.emplace_back(std::max<size_t>(bytes, sizeof address));
      std::memcpy(values.back().data(), &address, sizeof address);
    }
    for (const auto& value : values) arguments.push_back(value.data());
    try {
      run_limited(function, {1, 1, 1}, {33, 1, 1}, arguments.data(), memory, 2000);
    } catch (const Fault&) {
      continue;
    }
  }
}

TEST(PtxParser, SampleIsGood) {
  EXPECT_EQ(refusal(kSample), "accepted");
}

TEST(PtxParser, TruncatedTextNeverCrashes) {
  const std::string sample = kSample;
  for (size_t length = 0; length < sample.size(); ++length) try_text(sample.substr(0, length));
}

TEST(PtxParser, MutatedTextNeverCrashes) {
  std::mt19937 random(17);
  const std::string sample = kSample, letters = "%$.{}[](),;:@!|<>+-= \n0123456789abcdefghijklmnopqrstuvwxyz";
  for (int round = 0; round < 4000; ++round) {
    std::string text = sample;
    for (uint32_t change = 1 + random() % 3; change > 0; --change) {
      const size_t at = random() % text.size(), other = random() % text.size(), length = random() % 12;
      switch (random() % 4) {
        case 0:
          text[at] = letters[random() % letters.size()];
          break;
        case 1:
          text.erase(at, length);
          break;
        case 2:
          text.insert(at, text.substr(other, length));
          break;
        default:
          text.insert(at, 1, static_cast<char>(random() % 256));
      }
    }
    try_text(text);
  }
}

}  // namespace
}  // namespace pgram::emulation::ptx::test
