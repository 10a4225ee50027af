// Memory, branches, barriers, what lanes tell each other; and every misuse that must be caught.
#include "run_ptx.h"

namespace pgram::emulation::ptx::test {
namespace {

constexpr const char* kStoreR1 = "\nmul.wide.u32 %d1, %r29, 4;\nadd.s64 %d1, %d8, %d1;\nst.global.u32 [%d1], %r1;";

void expect_words(const std::string& text, std::initializer_list<const char*> words) {
  for (const char* word : words) EXPECT_NE(text.find(word), std::string::npos) << "no \"" << word << "\" in: " << text;
}

TEST(PtxMemory, LoadsExtendBySign) {
  const auto words = run_words(
      "st.global.u32 [%d8], 0xfff080ff;\nld.global.s8 %r1, [%d8];\nld.global.u8 %r2, [%d8+1];\n"
      "ld.global.s16 %r3, [%d8+2];\nst.global.v2.u32 [%d8+8], {%r1, %r2};\nst.global.u32 [%d8+4], %r3;",
      4);
  EXPECT_EQ(words, (std::vector<uint32_t>{0xfff080ff, 0xfffffff0, 0xffffffff, 0x80}));
}

TEST(PtxMemory, VectorsUpToEight) {
  const auto words = run_words(
      "mov.u32 %r1, 1;\nmov.u32 %r2, 2;\nst.global.v8.b32 [%d8], {%r1, %r2, %r1, %r2, 5, 6, 7, 8};\n"
      "ld.global.v4.b32 {%r3, _, %r4, %r5}, [%d8+16];\nst.global.v4.u32 [%d8+32], {%r3, %r4, %r5, %r5};",
      16);
  EXPECT_EQ(words, (std::vector<uint32_t>{1, 2, 1, 2, 5, 6, 7, 8, 5, 7, 8, 8, 0, 0, 0, 0}));
}

TEST(PtxMemory, GenericAddressesReachEverySpace) {
  const auto words = run_words(
      ".shared .align 8 .b8 box[16];\n.local .align 8 .b8 depot[16];\n"
      "mov.u64 %d1, box;\ncvta.shared.u64 %d2, %d1;\nst.u32 [%d2+4], 11;\nld.shared.u32 %r1, [box+4];\n"
      "mov.u64 %d1, depot;\ncvta.local.u64 %d3, %d1;\nst.local.u32 [depot], 12;\nld.u32 %r2, [%d3];\n"
      "cvta.to.local.u64 %d4, %d3;\nld.local.u32 %r3, [%d4];\nst.u32 [%d8], %r1;\nst.v2.u32 [%d8+8], {%r2, %r3};",
      4);
  EXPECT_EQ(words, (std::vector<uint32_t>{11, 0, 12, 12}));
}

TEST(PtxMemory, VariablesOfTheModule) {
  const auto module = Module::parse(
      ".global .align 4 .b8 table[8] = {1, 0, 0, 0, 2, 1};\n.const .u32 answer = 42;\n.shared .align 4 .b8 box[4];\n"
      ".visible .entry k(.param .u64 out) { .reg .b64 %d<4>; .reg .b32 %r<4>;\n"
      "ld.param.u64 %d1, [out]; mov.u64 %d2, table; cvta.global.u64 %d3, %d2; ld.global.u32 %r1, [%d2+4];\n"
      "ld.const.u32 %r2, [answer]; st.shared.u32 [box], %r2; ld.shared.u32 %r3, [box]; ld.u32 %r2, [%d3];\n"
      "st.global.u32 [%d1], %r1; st.global.u32 [%d1+4], %r3; st.global.u32 [%d1+8], %r2; ret; }");
  std::vector<uint32_t> out(3);
  Memory memory;
  launch(*module, "k", {1, 1, 1}, {1, 1, 1}, memory, memory.add(out));
  EXPECT_EQ(out, (std::vector<uint32_t>{258, 42, 1}));
}

TEST(PtxMemory, StructuresAsParameters) {
  const auto module = Module::parse(
      ".entry k(.param .u32 first, .param .align 8 .b8 list[24]) { .reg .b64 %d<4>; .reg .b32 %r<4>;\n"
      "mov.b64 %d1, list; ld.param.u32 %r1, [first]; mul.wide.u32 %d2, %r1, 8; add.s64 %d2, %d1, %d2;\n"
      "ld.param.u64 %d3, [%d2]; st.global.u32 [%d3], %r1; cvta.param.u64 %d1, %d1; ld.u64 %d3, [%d1]; st.global.u32 "
      "[%d3], 9; ret; }");
  std::vector<uint32_t> a(1), b(1);
  Memory memory;
  const std::array<uint64_t, 3> list{memory.add(a), 0, memory.add(b)};
  launch(*module, "k", {1, 1, 1}, {1, 1, 1}, memory, uint32_t{2}, list);
  EXPECT_EQ(a[0], 9u);
  EXPECT_EQ(b[0], 2u);
}

// 40 threads add their number to one word: 0 + ... + 39 = 780.
TEST(PtxAtomic, UpdatesOfAllThreads) {
  const auto words = run_words(
      "red.global.add.u32 [%d8], %r29;\natom.global.max.s32 %r1, [%d8+4], %r29;\natom.add.u32 %r1, [%d8+8], 1;\n"
      "cvt.rn.f32.u32 %f1, %r29;\nred.global.add.f32 [%d8+12], %f1;\natom.global.or.b32 %r1, [%d8+16], %r29;\n"
      "atom.global.inc.u32 %r1, [%d8+20], 6;\natom.global.cas.b32 %r1, [%d8+24], 0, 77;\n"
      "atom.global.exch.b32 %r1, [%d8+28], %r29;\ncvt.rn.f64.u32 %g1, %r29;\natom.global.add.f64 %g1, [%d8+32], %g1;",
      10, {40, 1, 1});
  EXPECT_EQ(words,
            (std::vector<uint32_t>{780, 39, 40, bits(780.0F), 63, 40 % 7, 77, 39, 0, uint32_t(bits(780.0) >> 32)}));
}

TEST(PtxAtomic, SharedAndHalves) {
  const auto words = run_words(
      ".shared .b32 box;\nmov.b32 %r1, 0x3f803f80;\nst.shared.u32 [box], 0;\nbar.sync 0;\n"
      "atom.shared.add.noftz.bf16x2 %r2, [box], %r1;\nbar.sync 0;\nld.shared.u32 %r1, [box];\nst.global.u32 [%d8], "
      "%r1;",
      1, {4, 1, 1});
  EXPECT_EQ(words[0], 0x40804080u);  // 4 times 1
}

// Lanes part by their number and meet again: r1 = odd ? 3 * t : t + 1, then doubled by all.
TEST(PtxControl, LanesPartAndMeet) {
  const auto words = run_words(
      "and.b32 %r2, %r29, 1;\nsetp.eq.s32 %p1, %r2, 0;\n@%p1 bra $even;\nmul.lo.s32 %r1, %r29, 3;\nbra.uni $join;\n"
      "$even:\nadd.s32 %r1, %r29, 1;\n$join:\nshl.b32 %r1, %r1, 1;" +
          std::string(kStoreR1),
      33, {33, 1, 1});
  for (uint32_t t = 0; t < 33; ++t) EXPECT_EQ(words[t], t % 2 ? 6 * t : 2 * (t + 1)) << t;
}

TEST(PtxControl, LoopsOfDifferentLength) {
  const auto words = run_words(
      "mov.u32 %r1, 0;\nmov.u32 %r2, 0;\n$loop:\nsetp.ge.u32 %p1, %r2, %r29;\n@%p1 bra $end;\nadd.s32 %r1, %r1, %r2;\n"
      "add.s32 %r2, %r2, 1;\nbra $loop;\n$end:" +
          std::string(kStoreR1),
      64, {64, 1, 1});
  for (uint32_t t = 0; t < 64; ++t) EXPECT_EQ(words[t], t ? t * (t - 1) / 2 : 0) << t;
}

TEST(PtxControl, BranchTables) {
  const auto words = run_words(
      "mov.u32 %r1, 5;\n$table: .branchtargets $a, $b, $a;\nbrx.idx %r29, $table;\n$a:\nadd.s32 %r1, %r1, 10;\n$b:\n"
      "add.s32 %r1, %r1, 1;" +
          std::string(kStoreR1),
      3, {3, 1, 1});
  EXPECT_EQ(words, (std::vector<uint32_t>{16, 6, 16}));
}

TEST(PtxControl, SpecialRegisters) {
  const auto words = run_words(
      "mov.u32 %r1, %ctaid.x;\nmov.u32 %r2, %tid.y;\nmov.u32 %r3, %nctaid.x;\nmov.u32 %r4, %ntid.y;\n"
      "mad.lo.s32 %r5, %r2, 2, %r29;\nmad.lo.s32 %r5, %r1, 6, %r5;\nmul.wide.u32 %d1, %r5, 8;\nadd.s64 %d1, %d8, %d1;\n"
      "mad.lo.s32 %r6, %r3, 100, %r4;\nmov.u32 %r7, %laneid;\nst.global.v2.u32 [%d1], {%r6, %r7};",
      24, {2, 3, 1}, {2, 1, 1});
  for (uint32_t i = 0; i < 12; ++i) {
    EXPECT_EQ(words[2 * i], 203u);
    EXPECT_EQ(words[2 * i + 1], i % 6);
  }
}

// Thread t leaves t + 1 in shared memory; after the barrier it reads its mirror image.
TEST(PtxBarrier, MakesWritesSeen) {
  const auto words = run_words(
      ".shared .align 4 .b8 box[256];\nmul.lo.s32 %r2, %r29, 4;\nmov.u32 %r3, box;\nadd.s32 %r4, %r3, %r2;\n"
      "add.s32 %r5, %r29, 1;\nst.shared.u32 [%r4], %r5;\nbar.sync 0;\nsub.s32 %r4, %r3, %r2;\n"
      "ld.shared.u32 %r1, [%r4+252];" +
          std::string(kStoreR1),
      64, {64, 1, 1});
  for (uint32_t t = 0; t < 64; ++t) EXPECT_EQ(words[t], 64 - t);
}

TEST(PtxBarrier, ReducesPredicates) {
  const auto reduce = [](const std::string& instruction) {
    return run_words("setp.gt.u32 %p1, %r29, 40;\nmov.u32 %r1, 0;\n" + instruction + kStoreR1, 64, {64, 1, 1})[3];
  };
  EXPECT_EQ(reduce("bar.red.or.pred %p2, 0, %p1;\nselp.u32 %r1, 1, 0, %p2;"), 1u);
  EXPECT_EQ(reduce("barrier.cta.red.and.aligned.pred %p2, 0, %p1;\nselp.u32 %r1, 1, 0, %p2;"), 0u);
  EXPECT_EQ(reduce("bar.red.popc.u32 %r1, 0, !%p1;"), 41u);
}

TEST(PtxWarp, Shuffles) {
  const auto shuffled = [](const std::string& instruction) {
    return run_words("mov.u32 %r2, %r29;\nmov.u32 %r1, 0;\n" + instruction + kStoreR1, 32, {32, 1, 1});
  };
  const auto xor16 = shuffled("shfl.sync.bfly.b32 %r1|%p1, %r2, 16, 31, -1;");
  const auto down = shuffled("shfl.sync.down.b32 %r1, %r2, 3, 31, -1;");
  const auto up = shuffled("shfl.sync.up.b32 %r1, %r2, 3, 0, -1;");
  const auto index = shuffled("shfl.sync.idx.b32 %r1, %r2, 2, 0x181f, -1;");  // segments of 8
  const auto down8 = shuffled("shfl.sync.down.b32 %r1, %r2, 1, 0x181f, -1;");
  const auto found = shuffled("shfl.sync.down.b32 %r3|%p1, %r2, 3, 31, -1;\nselp.u32 %r1, 1, 0, %p1;");
  for (uint32_t t = 0; t < 32; ++t) {
    EXPECT_EQ(xor16[t], t ^ 16);
    EXPECT_EQ(down[t], t + 3 < 32 ? t + 3 : t);
    EXPECT_EQ(up[t], t >= 3 ? t - 3 : t);
    EXPECT_EQ(index[t], (t & 24) + 2);
    EXPECT_EQ(down8[t], t % 8 == 7 ? t : t + 1);
    EXPECT_EQ(found[t], t + 3 < 32 ? 1u : 0u);
  }
}

TEST(PtxWarp, WhatAnAbsentLaneWouldHaveSaidIsNotANumber) {
  const auto words = run_words("shfl.sync.bfly.b32 %r1, %r29, 8, 31, -1;" + std::string(kStoreR1), 12, {12, 1, 1});
  EXPECT_EQ(words[3], 11u);
  EXPECT_EQ(words[4], 0xffffffffu);  // lane 12 is not there
}

TEST(PtxWarp, MembersMeetFromBothSidesOfABranch) {
  // Lower lanes shuffle among themselves, upper lanes later and otherwise.
  const auto words = run_words(
      "setp.lt.u32 %p1, %r29, 16;\n@!%p1 bra $upper;\nshfl.sync.bfly.b32 %r1, %r29, 1, 31, 0xffff;\nbra "
      "$join;\n$upper:\n"
      "shfl.sync.bfly.b32 %r1, %r29, 2, 31, 0xffff0000;\n$join:\nbar.warp.sync -1;" +
          std::string(kStoreR1),
      32, {32, 1, 1});
  for (uint32_t t = 0; t < 32; ++t) EXPECT_EQ(words[t], t < 16 ? t ^ 1 : t ^ 2);
}

TEST(PtxWarp, VotesMatchesAndReductions) {
  const auto answer = [](const std::string& instruction) {
    return run_words("setp.lt.u32 %p1, %r29, 3;\nand.b32 %r2, %r29, 1;\n" + instruction + kStoreR1, 32, {32, 1, 1})[1];
  };
  EXPECT_EQ(answer("vote.sync.ballot.b32 %r1, %p1, -1;"), 7u);
  EXPECT_EQ(answer("vote.sync.any.pred %p2, %p1, -1;\nselp.u32 %r1, 1, 0, %p2;"), 1u);
  EXPECT_EQ(answer("vote.sync.all.pred %p2, !%p1, -1;\nselp.u32 %r1, 1, 0, %p2;"), 0u);
  EXPECT_EQ(answer("match.any.sync.b32 %r1, %r2, -1;"), 0xaaaaaaaau);
  EXPECT_EQ(answer("match.all.sync.b32 %r1|%p2, %r2, -1;"), 0u);
  EXPECT_EQ(answer("redux.sync.add.u32 %r1, %r29, -1;"), 496u);
  EXPECT_EQ(answer("redux.sync.max.s32 %r1, %r29, -1;"), 31u);
  EXPECT_EQ(answer("activemask.b32 %r1;"), 0xffffffffu);
}

TEST(PtxFault, GlobalMemoryOutOfBounds) {
  expect_words(fault_of(kStoreR1, 5, {3, 2, 1}, {2, 1, 1}), {"no fault"});
  expect_words(fault_of("add.s32 %r29, %r29, 2;" + std::string(kStoreR1), 4, {4, 1, 1}),
               {"kernel k, block (0,0,0), thread (2,0,0): st.global.u32 [%d1], %r1: writes where nothing is"});
  expect_words(fault_of("ld.global.u32 %r1, [%d8+6];"), {"is not aligned to 4 bytes"});
}

TEST(PtxFault, SharedLocalAndConstantMemoryOutOfBounds) {
  const std::string box = ".shared .align 4 .b8 box[16];\n.shared .align 4 .b8 other[16];\n.local .b8 depot[8];\n";
  expect_words(fault_of(box + "st.shared.u32 [box+16], %r1;"), {"thread (0,0,0)", "writes 4 bytes", "shared memory"});
  expect_words(fault_of(box + "ld.shared.u32 %r1, [box+-4];"), {"reads 4 bytes", "shared memory"});
  expect_words(fault_of(box + "st.shared.v2.u32 [other+16], {%r1, %r1};"), {"shared memory"});
  expect_words(fault_of(box + "ld.local.u32 %r1, [depot+8];"), {"local memory, out of bounds"});
  expect_words(fault_of("ld.param.u64 %d1, [k_out+8];"), {"the kernel's parameters"});
  expect_words(fault_of("mov.u64 %d1, 0x4000000000000000;\nld.u32 %r1, [%d1];"), {"shared memory"});
}

TEST(PtxFault, Barriers) {
  const std::string first_half = "setp.lt.u32 %p1, %r29, 32;\n";
  expect_words(fault_of(first_half + "@%p1 bar.sync 0;", 1, {64, 1, 1}),
               {"thread (0,0,0): @%p1 bar.sync 0: barrier divergence: thread (32,0,0) has ended"});
  expect_words(fault_of(first_half + "@%p1 bra $a;\nbar.sync 0;\nbra $b;\n$a:\nbar.sync 0;\n$b:", 1, {64, 1, 1}),
               {"barrier divergence", "thread (32,0,0) waits at another barrier"});
}

TEST(PtxFault, MissingLanes) {
  const std::string odd = "and.b32 %r2, %r29, 1;\nsetp.eq.u32 %p1, %r2, 1;\n";
  expect_words(fault_of(odd + "@%p1 shfl.sync.bfly.b32 %r1, %r2, 2, 31, -1;\nbar.sync 0;", 1, {32, 1, 1}),
               {"thread (1,0,0)", "lanes never come here: lane 0 waits at bar.sync 0; lane 2"});
  expect_words(fault_of("shfl.sync.bfly.b32 %r1, %r2, 2, 31, 1;", 1, {32, 1, 1}), {"not in its own member mask"});
  expect_words(
      fault_of(odd + "selp.u32 %r3, -1, 0x7fffffff, %p1;\nshfl.sync.bfly.b32 %r1, %r2, 2, 31, %r3;", 1, {31, 1, 1}),
      {"no fault"});  // the masks differ by a lane that is not there
}

TEST(PtxFault, UnknownInstructions) {
  expect_words(fault_of("frob.u32 %r1, whatever, {a, b};"), {"frob.u32 %r1, whatever, {a, b}", "does not know"});
  expect_words(fault_of("add.fancy.u32 %r1, %r1, %r1;"), {"does not know"});
  expect_words(fault_of("bar.sync 1, 64;"), {"does not know"});
  expect_words(fault_of("trap;"), {"stops itself"});
  expect_words(fault_of("setp.eq.u32 %p1, 1, 2;\n@%p1 frob;"), {"no fault"});  // never executed
}

TEST(PtxFault, BlocksThatAreNotPossible) {
  const auto module = Module::parse(".entry k() .maxntid 64, 1, 1 .minnctapersm 2 { ret; }");
  Memory memory;
  EXPECT_NO_THROW(launch(*module, "k", {1, 1, 1}, {64, 1, 1}, memory));
  EXPECT_THROW(launch(*module, "k", {1, 1, 1}, {65, 1, 1}, memory), Fault);
  EXPECT_THROW(launch(*module, "k", {1, 1, 1}, {0, 1, 1}, memory), Fault);
}

}  // namespace
}  // namespace pgram::emulation::ptx::test
