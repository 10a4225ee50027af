// Floating-point instructions with values worked out by hand.
#include <cmath>
#include <limits>

#include "run_ptx.h"

namespace pgram::emulation::ptx::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();
const float kTiny = std::ldexp(1.0F, -130);  // subnormal

TEST(PtxFloat, FmaRoundsOnceAndMulAddTwice) {
  // (1 + 2^-12)^2 - 1 = 2^-11 + 2^-24; the square alone rounds 2^-24, half of its last place, away.
  const float x = 1 + std::ldexp(1.0F, -12);
  EXPECT_EQ(result("fma.rn.f32 %r1, %r2, %r2, %r3;", {x, -1}), std::ldexp(1.0F, -11) + std::ldexp(1.0F, -24));
  EXPECT_EQ(result("mul.f32 %r1, %r2, %r2;\nadd.f32 %r1, %r1, %r3;", {x, -1}), std::ldexp(1.0F, -11));
}

TEST(PtxFloat, RoundsAsAsked) {
  // 1 + 2^-30 lies between 1 and 1 + 2^-23.
  const float small = std::ldexp(1.0F, -30), next = 1 + std::ldexp(1.0F, -23), before = 1 - std::ldexp(1.0F, -24);
  EXPECT_EQ(result("add.rn.f32 %r1, %r2, %r3;", {1, small}), 1.0F);
  EXPECT_EQ(result("add.rz.f32 %r1, %r2, %r3;", {1, small}), 1.0F);
  EXPECT_EQ(result("add.rp.f32 %r1, %r2, %r3;", {1, small}), next);
  EXPECT_EQ(result("add.rm.f32 %r1, %r2, %r3;", {1, small}), 1.0F);
  EXPECT_EQ(result("sub.rz.f32 %r1, %r2, %r3;", {1, small}), before);
  EXPECT_EQ(result("fma.rm.f32 %r1, %r2, %r3, %r4;", {1, -1, -small}), -next);
  EXPECT_EQ(result("fma.rz.f32 %r1, %r2, %r3, %r4;", {1, -1, -small}), -1.0F);
  EXPECT_EQ(result("mul.rp.f32 %r1, %r2, %r2;", {next}), 1 + 3 * std::ldexp(1.0F, -23));  // 1 + 2^-22 + 2^-46
  EXPECT_EQ(result32("add.rm.f32 %r1, %r2, %r3;", {bits(1.0F), bits(-1.0F)}), 0x80000000u);
  EXPECT_EQ(result("mul.rz.f32 %r1, %r2, %r3;", {3e38F, 10}), std::numeric_limits<float>::max());
}

TEST(PtxFloat, FlushesAndSaturates) {
  EXPECT_EQ(result("add.f32 %r1, %r2, %r3;", {kTiny, kTiny}), 2 * kTiny);
  EXPECT_EQ(result("add.ftz.f32 %r1, %r2, %r3;", {kTiny, kTiny}), 0.0F);
  EXPECT_EQ(result32("mul.ftz.f32 %r1, %r2, %r3;", {bits(-std::ldexp(1.0F, -100)), bits(std::ldexp(1.0F, -30))}),
            0x80000000u);
  EXPECT_EQ(result("add.sat.f32 %r1, %r2, %r3;", {1, 1}), 1.0F);
  EXPECT_EQ(result("fma.rn.sat.f32 %r1, %r2, %r3, %r4;", {1, -1, 0}), 0.0F);
  EXPECT_EQ(result("cvt.sat.f32.f32 %r1, %r2;", {kNan}), 0.0F);
  EXPECT_EQ(result("cvt.sat.f32.f32 %r1, %r2;", {0.25F}), 0.25F);
}

TEST(PtxFloat, ExtremesPreferNumbers) {
  EXPECT_EQ(result("max.f32 %r1, %r2, %r3;", {kNan, 1}), 1.0F);
  EXPECT_TRUE(std::isnan(result("max.NaN.f32 %r1, %r2, %r3;", {kNan, 1})));
  EXPECT_EQ(result32("min.f32 %r1, %r2, %r3;", {0, 0x80000000}), 0x80000000u);
  EXPECT_EQ(result32("max.f32 %r1, %r2, %r3;", {0x80000000, 0}), 0u);
  EXPECT_EQ(result("max.f32 %r1, %r2, %r3, %r4;", {1, 2, 3}), 3.0F);
}

TEST(PtxFloat, Functions) {
  EXPECT_EQ(result("div.rn.f32 %r1, %r2, %r3;", {1, 3}), 1.0F / 3.0F);
  EXPECT_EQ(result("div.approx.ftz.f32 %r1, %r2, %r3;", {6, 3}), 2.0F);
  EXPECT_EQ(result("rcp.approx.ftz.f32 %r1, %r2;", {4}), 0.25F);
  EXPECT_EQ(result("rcp.rn.f32 %r1, %r2;", {0}), kInfinity);
  EXPECT_EQ(result("sqrt.rn.f32 %r1, %r2;", {2}), 1.41421356F);
  EXPECT_EQ(result("rsqrt.approx.f32 %r1, %r2;", {0.25F}), 2.0F);
  EXPECT_EQ(result("ex2.approx.ftz.f32 %r1, %r2;", {-3}), 0.125F);
  EXPECT_EQ(result("lg2.approx.f32 %r1, %r2;", {0.125F}), -3.0F);
  EXPECT_FLOAT_EQ(result("sin.approx.f32 %r1, %r2;", {1}), 0.84147098F);
  EXPECT_FLOAT_EQ(result("cos.approx.f32 %r1, %r2;", {1}), 0.54030231F);
  EXPECT_FLOAT_EQ(result("tanh.approx.f32 %r1, %r2;", {0.5F}), 0.46211716F);
  EXPECT_EQ(result("neg.f32 %r1, %r2;", {2}), -2.0F);
  EXPECT_EQ(result("abs.ftz.f32 %r1, %r2;", {-kTiny}), 0.0F);
  EXPECT_EQ(result("copysign.f32 %r1, %r2, %r3;", {-1, 5}), -5.0F);  // the sign of the first source
  EXPECT_EQ(result("testp.finite.f32 %p1, %r2;\nselp.f32 %r1, %r2, 0f3F800000, %p1;", {kInfinity}), 1.0F);
}

TEST(PtxFloat, UnorderedComparisons) {
  const auto holds = [](const std::string& comparison, float a, float b) {
    const uint32_t r =
        result32("setp." + comparison + ".f32 %p1, %r2, %r3;\nselp.u32 %r1, 1, 0, %p1;", {bits(a), bits(b)});
    return r == 1;
  };
  EXPECT_FALSE(holds("lt", kNan, 1));
  EXPECT_TRUE(holds("ltu", kNan, 1));
  EXPECT_FALSE(holds("ne", kNan, 1));
  EXPECT_TRUE(holds("neu", kNan, 1));
  EXPECT_FALSE(holds("geu", 1, 2));
  EXPECT_TRUE(holds("nan", kNan, 1));
  EXPECT_TRUE(holds("num", 2, 1));
  EXPECT_TRUE(holds("equ", 2, 2));
  EXPECT_FALSE(holds("eq", kTiny, 0));
  EXPECT_TRUE(holds("eq.ftz", kTiny, 0));
}

TEST(PtxFloat, Doubles) {
  EXPECT_EQ(result64("fma.rn.f64 %d1, %d2, %d3, %d4;", {bits(2.0), bits(3.0), bits(4.0)}), bits(10.0));
  EXPECT_EQ(result64("div.rn.f64 %d1, %d2, %d3;", {bits(1.0), bits(3.0)}), bits(1.0 / 3.0));
  EXPECT_EQ(result64("sqrt.rn.f64 %d1, %d2;", {bits(2.0)}), bits(std::sqrt(2.0)));
  EXPECT_EQ(result64("add.f64 %d1, %d2, 0d3FF0000000000000;", {bits(0.5)}), bits(1.5));
  EXPECT_EQ(result64("min.f64 %d1, %d2, %d3;", {bits(0.5), bits(-2.0)}), bits(-2.0));
}

TEST(PtxFloat, Packed) {
  const auto two = [](float low, float high) { return bits(low) | uint64_t{bits(high)} << 32; };
  EXPECT_EQ(result64("fma.rn.f32x2 %d1, %d2, %d3, %d4;", {two(1, 2), two(3, 4), two(5, 6)}), two(8, 14));
  EXPECT_EQ(result64("add.f32x2 %d1, %d2, %d3;", {two(1, 2), two(3, 4)}), two(4, 6));
  // 1.5 = 0x3fc0 and 2 = 0x4000 as bfloat16; 1.5 = 0x3e00, 2 = 0x4000 as half.
  EXPECT_EQ(result32("add.bf16x2 %r1, %r2, %r3;", {0x40003fc0, 0x40003fc0}), 0x40804040u);  // 4, 3
  EXPECT_EQ(result32("mul.f16x2 %r1, %r2, %r3;", {0x40003e00, 0x40003e00}), 0x44004080u);   // 4, 2.25
  EXPECT_EQ(result32("fma.rn.bf16x2 %r1, %r2, %r3, %r4;", {0x3f803f80, 0x3fc04000, 0x3f803f80}), 0x40204040u);
  EXPECT_EQ(result32("max.bf16x2 %r1, %r2, %r3;", {0x3f80c000, 0x40003f80}), 0x40003f80u);
}

TEST(PtxConvert, FloatToInteger) {
  const auto convert = [](const std::string& to, float x) {
    return result32("cvt." + to + ".f32 %r1, %r2;", {bits(x)});
  };
  EXPECT_EQ(convert("rzi.s32", -1.75F), uint32_t(-1));
  EXPECT_EQ(convert("rmi.s32", -1.25F), uint32_t(-2));
  EXPECT_EQ(convert("rpi.s32", 1.25F), 2u);
  EXPECT_EQ(convert("rni.s32", 2.5F), 2u);  // ties to even
  EXPECT_EQ(convert("rni.s32", 3.5F), 4u);
  EXPECT_EQ(convert("rzi.s32", 1e20F), 0x7fffffffu);
  EXPECT_EQ(convert("rzi.u32", -5), 0u);
  EXPECT_EQ(convert("rzi.s32", kNan), 0u);
  EXPECT_EQ(result64("cvt.rzi.s64.f64 %d1, %d2;", {bits(-1e15 - 0.5)}), uint64_t(-1000000000000000));
  EXPECT_EQ(result64("cvt.rzi.u64.f64 %d1, %d2;", {bits(std::nan(""))}), uint64_t{1} << 63);
}

TEST(PtxConvert, ToFloat) {
  EXPECT_EQ(result32("cvt.rn.f32.s32 %r1, %r2;", {uint32_t(-3)}), bits(-3.0F));
  EXPECT_EQ(result32("cvt.rn.f32.u32 %r1, %r2;", {0x80000040}), bits(2147483648.0F));  // a tie, to even
  EXPECT_EQ(result32("cvt.rp.f32.u32 %r1, %r2;", {0x80000001}), bits(2147483904.0F));
  EXPECT_EQ(result64("cvt.rn.f32.s64 %d1, %d2;", {(uint64_t{1} << 62) + 1}), bits(std::ldexp(1.0F, 62)));
  EXPECT_EQ(result64("cvt.rn.f64.s64 %d1, %d2;", {uint64_t(-8)}), bits(-8.0));
  EXPECT_EQ(result64("cvt.rn.f32.f64 %d1, %d2;", {bits(0.1)}), bits(0.1F));
  EXPECT_EQ(result64("cvt.rz.f32.f64 %d1, %d2;", {bits(0.1)}), bits(std::nextafter(0.1F, 0.0F)));  // 0.1F > 0.1
  EXPECT_EQ(result64("cvt.f64.f32 %d1, %d2;", {bits(1.5F)}), bits(1.5));
  EXPECT_EQ(result("cvt.rmi.f32.f32 %r1, %r2;", {-1.5F}), -2.0F);
  EXPECT_EQ(result("cvt.rni.f32.f32 %r1, %r2;", {2.5F}), 2.0F);
  EXPECT_EQ(result("cvt.rzi.ftz.f32.f32 %r1, %r2;", {kTiny}), 0.0F);
}

TEST(PtxConvert, SixteenBitFloats) {
  EXPECT_EQ(result("cvt.f32.bf16 %r1, %r2;", {std::bit_cast<float>(0x3fc0)}), 1.5F);
  EXPECT_EQ(result("cvt.f32.f16 %r1, %r2;", {std::bit_cast<float>(0x0001)}), std::ldexp(1.0F, -24));
  const auto bf16 = [](float x) { return result32("cvt.rn.bf16.f32 %r1, %r2;", {bits(x)}); };
  EXPECT_EQ(bf16(1 + std::ldexp(1.0F, -8)), 0x3f80u);      // a tie, to even
  EXPECT_EQ(bf16(1 + 3 * std::ldexp(1.0F, -8)), 0x3f82u);  // a tie, to even, upwards
  EXPECT_EQ(bf16(3.4e38F), 0x7f80u);
  EXPECT_EQ(bf16(kNan), 0x7fffu);
  EXPECT_EQ(bf16(-kInfinity), 0xff80u);
  const auto f16 = [](float x, const char* mode = "rn") {
    return result32(std::string("cvt.") + mode + ".f16.f32 %r1, %r2;", {bits(x)});
  };
  EXPECT_EQ(f16(65504), 0x7bffu);
  EXPECT_EQ(f16(65520), 0x7c00u);
  EXPECT_EQ(f16(65520, "rz"), 0x7bffu);
  EXPECT_EQ(f16(std::ldexp(1.0F, -25)), 0u);  // half of the smallest: a tie, to even
  EXPECT_EQ(f16(std::ldexp(1.5F, -25)), 1u);
  EXPECT_EQ(f16(-0.5F), 0xb800u);
  EXPECT_EQ(f16(1 - std::ldexp(1.0F, -13)), 0x3c00u);  // carries into the exponent
  EXPECT_EQ(result32("cvt.rn.bf16x2.f32 %r1, %r2, %r3;", {bits(2.0F), bits(1.5F)}), 0x40003fc0u);
  EXPECT_EQ(result32("cvt.rn.relu.bf16x2.f32 %r1, %r2, %r3;", {bits(-2.0F), bits(1.5F)}), 0x00003fc0u);
}

}  // namespace
}  // namespace pgram::emulation::ptx::test
