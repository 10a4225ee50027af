// Integer instructions with values worked out by hand.
#include "run_ptx.h"

namespace pgram::emulation::ptx::test {
namespace {

TEST(PtxInteger, SumsWrapAround) {
  EXPECT_EQ(result32("add.s32 %r1, %r2, %r3;", {0x7fffffff, 1}), 0x80000000u);
  EXPECT_EQ(result32("add.sat.s32 %r1, %r2, %r3;", {0x7fffffff, 1}), 0x7fffffffu);
  EXPECT_EQ(result32("sub.sat.s32 %r1, %r2, %r3;", {0x80000000, 1}), 0x80000000u);
  EXPECT_EQ(result32("sub.u32 %r1, %r2, 7;", {5}), 0xfffffffeu);
  EXPECT_EQ(result32("add.u16 %r1, %r2, %r3;", {0xffff, 2}), 1u);  // the upper half is not kept
  EXPECT_EQ(result64("add.s64 %d1, %d2, -3;", {1}), 0xfffffffffffffffeu);
}

TEST(PtxInteger, Products) {
  EXPECT_EQ(result32("mul.lo.s32 %r1, %r2, %r3;", {0x10001, 0x10001}), 0x20001u);  // 2^32 + 2^17 + 1
  EXPECT_EQ(result32("mul.hi.u32 %r1, %r2, %r3;", {0xffffffff, 0xffffffff}), 0xfffffffeu);
  EXPECT_EQ(result32("mul.hi.s32 %r1, %r2, %r3;", {0xffffffff, 0xffffffff}), 0u);  // -1 * -1 = 1
  EXPECT_EQ(result32("mul.wide.u16 %r1, %r2, %r3;", {0xffff, 0xffff}), 0xfffe0001u);
  EXPECT_EQ(result64("mul.hi.u64 %d1, %d2, %d3;", {uint64_t{1} << 63, 6}), 3u);
  EXPECT_EQ(result64("mul.hi.s64 %d1, %d2, %d3;", {0xffffffffffffffff, 6}), 0xffffffffffffffffu);
  EXPECT_EQ(result64("mul.wide.s32 %d1, %d2, -2;", {3}), 0xfffffffffffffffau);
  EXPECT_EQ(result64("mul.wide.u32 %d1, %d2, %d3;", {0xffffffff, 2}), 0x1fffffffeu);
  EXPECT_EQ(result32("mad.lo.s32 %r1, %r2, %r3, %r4;", {3, 4, 5}), 17u);
  EXPECT_EQ(result32("mad.hi.u32 %r1, %r2, %r3, %r4;", {0x80000000, 4, 5}), 7u);
  EXPECT_EQ(result64("mad.wide.u32 %d1, %d2, %d3, %d4;", {0xffffffff, 2, 2}), 0x200000000u);
  EXPECT_EQ(result64("mad.wide.s32 %d1, %d2, %d3, %d4;", {0xffffffff, 2, 2}), 0u);
}

TEST(PtxInteger, QuotientsNeverTrap) {
  EXPECT_EQ(result32("div.s32 %r1, %r2, %r3;", {uint32_t(-7), 2}), uint32_t(-3));
  EXPECT_EQ(result32("rem.s32 %r1, %r2, %r3;", {uint32_t(-7), 2}), uint32_t(-1));
  EXPECT_EQ(result32("div.u32 %r1, %r2, %r3;", {uint32_t(-7), 2}), 0x7ffffffcu);  // (2^32 - 7) / 2
  EXPECT_EQ(result32("div.u32 %r1, %r2, %r3;", {7, 0}), 0xffffffffu);
  EXPECT_EQ(result32("rem.u32 %r1, %r2, %r3;", {7, 0}), 7u);
  EXPECT_EQ(result32("div.s32 %r1, %r2, %r3;", {0x80000000, uint32_t(-1)}), 0x80000000u);
  EXPECT_EQ(result64("rem.s64 %d1, %d2, %d3;", {uint64_t{1} << 63, uint64_t(-1)}), 0u);
}

TEST(PtxInteger, ExtremesSignsAndCounts) {
  EXPECT_EQ(result32("min.s32 %r1, %r2, %r3;", {1, uint32_t(-1)}), uint32_t(-1));
  EXPECT_EQ(result32("min.u32 %r1, %r2, %r3;", {1, uint32_t(-1)}), 1u);
  EXPECT_EQ(result32("max.s16 %r1, %r2, %r3;", {1, 0xffff}), 1u);
  EXPECT_EQ(result32("neg.s32 %r1, %r2;", {0x80000000}), 0x80000000u);
  EXPECT_EQ(result32("abs.s32 %r1, %r2;", {uint32_t(-5)}), 5u);
  EXPECT_EQ(result32("popc.b32 %r1, %r2;", {0xf0f0}), 8u);
  EXPECT_EQ(result32("clz.b32 %r1, %r2;", {0}), 32u);
  EXPECT_EQ(result32("clz.b32 %r1, %r2;", {0x00010000}), 15u);
  EXPECT_EQ(result64("popc.b64 %d1, %d2;", {0xff00000000000001}), 9u);
}

// 2^32 - 1 + 1 carries into the upper word: {0, 5} + 1 = {0, 6} with 0xffffffff below.
TEST(PtxInteger, CarriesGoOn) {
  const auto words = run_words(
      "mov.u32 %r1, 0xffffffff;\nmov.u32 %r2, 5;\n"
      "add.cc.u32 %r3, %r1, 1;\naddc.u32 %r4, %r2, 0;\n"
      "sub.cc.u32 %r5, 0, 1;\nsubc.u32 %r6, %r2, 0;\n"
      "mad.lo.cc.u32 %r7, %r1, 2, 2;\nmadc.hi.u32 %r8, %r1, 2, 0;\n"  // (2^32 - 1) * 2 + 2 = 2 * 2^32
      "st.global.v4.u32 [%d8], {%r3, %r4, %r5, %r6};\nst.global.v2.u32 [%d8+16], {%r7, %r8};",
      6);
  EXPECT_EQ(words, (std::vector<uint32_t>{0, 6, 0xffffffff, 4, 0, 2}));
}

TEST(PtxBits, LogicAndShifts) {
  EXPECT_EQ(result32("and.b32 %r1, %r2, %r3;", {12, 10}), 8u);
  EXPECT_EQ(result32("or.b32 %r1, %r2, %r3;", {12, 10}), 14u);
  EXPECT_EQ(result32("xor.b32 %r1, %r2, %r3;", {12, 10}), 6u);
  EXPECT_EQ(result32("not.b32 %r1, %r2;", {12}), 0xfffffff3u);
  EXPECT_EQ(result32("shl.b32 %r1, %r2, 31;", {3}), 0x80000000u);
  EXPECT_EQ(result32("shl.b32 %r1, %r2, 32;", {3}), 0u);
  EXPECT_EQ(result32("shr.u32 %r1, %r2, 40;", {3}), 0u);
  EXPECT_EQ(result32("shr.s32 %r1, %r2, 40;", {0x80000000}), 0xffffffffu);
  EXPECT_EQ(result32("shr.s32 %r1, %r2, 4;", {0x80000000}), 0xf8000000u);
  EXPECT_EQ(result32("shf.l.wrap.b32 %r1, %r2, %r3, 4;", {0xa0000000, 0x12345678}), 0x2345678au);
  EXPECT_EQ(result32("shf.r.wrap.b32 %r1, %r2, %r3, 36;", {0xabcdef01, 0x12345678}), 0x8abcdef0u);
  EXPECT_EQ(result32("shf.l.clamp.b32 %r1, %r2, %r3, 40;", {0xabcdef01, 0x12345678}), 0xabcdef01u);
  EXPECT_EQ(result32("lop3.b32 %r1, %r2, %r3, %r4, 0x96;", {12, 10, 9}), 15u);  // 0x96 is a ^ b ^ c
  EXPECT_EQ(result64("shl.b64 %d1, %d2, 40;", {3}), uint64_t{3} << 40);
}

TEST(PtxBits, FieldsAndPermutations) {
  EXPECT_EQ(result32("bfi.b32 %r1, %r2, %r3, 8, 4;", {0x5, 0xffffffff}), 0xfffff5ffu);
  EXPECT_EQ(result64("bfi.b64 %d1, %d2, %d3, 32, 32;", {7, 9}), 0x700000009u);
  EXPECT_EQ(result32("bfe.u32 %r1, %r2, 4, 8;", {0x12345678}), 0x67u);
  EXPECT_EQ(result32("bfe.s32 %r1, %r2, 4, 8;", {0x00000f80}), 0xfffffff8u);
  EXPECT_EQ(result32("brev.b32 %r1, %r2;", {0x80000001}), 0x80000001u);
  EXPECT_EQ(result32("brev.b32 %r1, %r2;", {0x6}), 0x60000000u);
  EXPECT_EQ(result32("bfind.u32 %r1, %r2;", {0x10}), 4u);
  EXPECT_EQ(result32("bfind.s32 %r1, %r2;", {0xffffffef}), 4u);
  EXPECT_EQ(result32("bfind.u32 %r1, %r2;", {0}), 0xffffffffu);
  EXPECT_EQ(result32("bfind.shiftamt.u32 %r1, %r2;", {0x10}), 27u);
  EXPECT_EQ(result32("prmt.b32 %r1, %r2, %r3, 0x7054;", {0x33221100, 0x77665544}), 0x77005544u);
  EXPECT_EQ(result32("prmt.b32 %r1, %r2, %r3, 0x000b;", {0x80000000, 0}), 0x000000ffu);  // byte 3's sign
}

TEST(PtxConvert, BetweenIntegers) {
  EXPECT_EQ(result64("cvt.s64.s32 %d1, %d2;", {0x80000000}), 0xffffffff80000000u);
  EXPECT_EQ(result64("cvt.u64.u32 %d1, %d2;", {0xff80000000}), 0x80000000u);
  EXPECT_EQ(result32("cvt.s32.s8 %r1, %r2;", {0x1ff}), 0xffffffffu);
  EXPECT_EQ(result32("cvt.u32.u16 %r1, %r2;", {0x1ffff}), 0xffffu);
  EXPECT_EQ(result32("cvt.sat.u8.s32 %r1, %r2;", {300}), 255u);
  EXPECT_EQ(result32("cvt.sat.u8.s32 %r1, %r2;", {uint32_t(-4)}), 0u);
}

TEST(PtxMove, PacksAndUnpacks) {
  EXPECT_EQ(result64("mov.b64 %d1, {%d2, %d3};", {1, 2}), 0x200000001u);
  EXPECT_EQ(result32("mov.b32 %r1, {%r2, %r3};", {0x11111, 2}), 0x21111u);
  EXPECT_EQ(result32("mov.b64 %d1, 0x500000007;\nmov.b64 {_, %r1}, %d1;", {}), 5u);
  EXPECT_EQ(result32("mov.b32 {%h1, %h2}, %r2;\ncvt.u32.u16 %r1, %h2;", {0x00070005}), 7u);
}

TEST(PtxCompare, SetsPredicatesAndCombinesThem) {
  const auto holds = [](const std::string& setp, uint32_t a, uint32_t b) {
    return result32(setp + "\nselp.u32 %r1, 1, 0, %p1;", {a, b});
  };
  EXPECT_EQ(holds("setp.lt.s32 %p1, %r2, %r3;", uint32_t(-1), 1), 1u);
  EXPECT_EQ(holds("setp.lt.u32 %p1, %r2, %r3;", uint32_t(-1), 1), 0u);
  EXPECT_EQ(holds("setp.hs.u32 %p1, %r2, %r3;", 4, 4), 1u);
  EXPECT_EQ(holds("setp.ne.b32 %p1, %r2, %r3;", 4, 4), 0u);
  const std::string both = "setp.eq.s32 %p2, %r2, 4;\nsetp.eq.";
  EXPECT_EQ(holds(both + "and.s32 %p1|%p3, %r3, 5, %p2;", 4, 5), 1u);
  EXPECT_EQ(holds(both + "and.s32 %p1|%p3, %r3, 5, !%p2;", 4, 5), 0u);
  EXPECT_EQ(holds(both + "or.s32 %p3|%p1, %r3, 5, %p2;", 3, 5), 0u);  // !(5 == 5) or (3 == 4)
  EXPECT_EQ(holds(both + "xor.s32 %p1, %r3, 5, %p2;", 4, 5), 0u);
  EXPECT_EQ(holds("mov.pred %p1, -1;\nnot.pred %p1, %p1;", 0, 0), 0u);
  EXPECT_EQ(holds("setp.eq.s32 %p2, %r2, %r3;\nxor.pred %p1, %p2, -1;", 1, 2), 1u);
  EXPECT_EQ(result32("set.gt.u32.s32 %r1, %r2, %r3;", {5, 4}), 0xffffffffu);
  EXPECT_EQ(result("set.gt.f32.s32 %r1, %r2, %r3;", {2.0F, 1.0F}), 1.0F);
}

}  // namespace
}  // namespace pgram::emulation::ptx::test
