// Kernels as nvcc compiles them for each architecture, against references in double precision or the same source
// compiled by g++.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <sstream>

#include "corpus_math.h"
#include "run_ptx.h"
#include "tests/emulation/ptx/statement.h"

namespace pgram::emulation::ptx::test {
namespace {

std::string text_of_file(const std::filesystem::path& path) {
  std::ifstream in(path);
  EXPECT_TRUE(in) << path;
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<float> random_floats(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(n);
  for (float& value : values) value = normal(random);
  return values;
}

std::shared_ptr<const Module> module_named(const std::string& variant) {
  return Module::parse(text_of_file(std::filesystem::path(PGRAM_PTX_DIR) / ("corpus_" + variant + ".ptx")));
}

class PtxCorpus : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    module = module_named(GetParam());
    // .approx functions and what is flushed to zero.
    tolerance = std::string(GetParam()) == "fast_math" ? 1e-4 : 4e-6;
  }

  void expect_close(double actual, double expected, double scale = 1) const {
    EXPECT_NEAR(actual, expected, tolerance * (std::fabs(expected) + scale));
  }

  std::shared_ptr<const Module> module;
  Memory memory;
  double tolerance = 0;
};

TEST_P(PtxCorpus, RmsNorm) {
  constexpr int kRows = 3, kWidth = 100;
  std::vector<float> x = random_floats(kRows * kWidth, 1), weight = random_floats(kWidth, 2), y(x.size()), rstd(kRows);
  launch(*module, "rms_norm", {kRows, 1, 1}, {64, 1, 1}, memory, memory.add(x), memory.add(weight), memory.add(y),
         memory.add(rstd), kWidth, 1e-5F);
  for (int row = 0; row < kRows; ++row) {
    double squares = 0;
    for (int i = 0; i < kWidth; ++i) squares += std::pow(x[row * kWidth + i], 2);
    const double r = 1 / std::sqrt(squares / kWidth + 1e-5);
    expect_close(rstd[row], r);
    for (int i = 0; i < kWidth; ++i) expect_close(y[row * kWidth + i], x[row * kWidth + i] * r * weight[i]);
  }
}

TEST_P(PtxCorpus, CausalSoftmax) {
  constexpr int kLength = 40;
  std::vector<float> scores = random_floats(kLength * kLength, 3), p(scores.size());
  launch(*module, "causal_softmax", {kLength, 1, 1}, {32, 1, 1}, memory, memory.add(scores), memory.add(p), kLength,
         0.7F);
  for (int query = 0; query < kLength; ++query) {
    double sum = 0;
    for (int i = 0; i <= query; ++i) sum += std::exp(0.7 * scores[query * kLength + i]);
    for (int i = 0; i < kLength; ++i) {
      expect_close(p[query * kLength + i], i <= query ? std::exp(0.7 * scores[query * kLength + i]) / sum : 0);
    }
  }
}

// Position 100,000 takes sincosf through its slow reduction, which fast math does not have.
TEST_P(PtxCorpus, Rotation) {
  constexpr int kHalf = 24;
  const bool fast = std::string(GetParam()) == "fast_math";
  std::vector<int> positions{0, 7, fast ? 3 : 100000};
  std::vector<float> q = random_floats(positions.size() * 2 * kHalf, 4);
  const std::vector<float> before = q;
  launch(*module, "rotate", {3, 1, 1}, {32, 1, 1}, memory, memory.add(q), memory.add(positions), kHalf, 10000.0F);
  for (size_t row = 0; row < positions.size(); ++row) {
    for (int i = 0; i < kHalf; ++i) {
      // The angle is a float: its rounding, and powf's of two ulps, are no fault of sine and cosine.
      const double angle = positions[row] * std::pow(10000.0, -double(i) / kHalf), error = angle * 3e-7;
      const double a = before[row * 2 * kHalf + i], b = before[row * 2 * kHalf + i + kHalf];
      const double scale = 1 + error / tolerance * 4;
      expect_close(q[row * 2 * kHalf + i], a * std::cos(angle) - b * std::sin(angle), scale);
      expect_close(q[row * 2 * kHalf + i + kHalf], a * std::sin(angle) + b * std::cos(angle), scale);
    }
  }
}

TEST_P(PtxCorpus, CrossEntropy) {
  constexpr int kVocabulary = 200;
  std::vector<float> logits = random_floats(2 * kVocabulary, 5), loss(2);
  std::vector<int64_t> targets{5, 199};
  launch(*module, "cross_entropy", {2, 1, 1}, {96, 1, 1}, memory, memory.add(logits), memory.add(targets),
         memory.add(loss), kVocabulary);
  for (int row = 0; row < 2; ++row) {
    double sum = 0;
    for (int i = 0; i < kVocabulary; ++i) sum += std::exp(double(logits[row * kVocabulary + i]));
    expect_close(loss[row], std::log(sum) - logits[row * kVocabulary + targets[row]], 4);
  }
}

TEST_P(PtxCorpus, AdamW) {
  constexpr size_t kCount = 70;
  std::vector<float> weight = random_floats(kCount, 6), m = random_floats(kCount, 7), v = random_floats(kCount, 8),
                     g = random_floats(kCount, 9);
  for (float& x : v) x = std::fabs(x);
  const std::vector<float> w0 = weight, m0 = m, v0 = v;
  launch(*module, "adamw", {3, 1, 1}, {32, 1, 1}, memory, memory.add(weight), memory.add(m), memory.add(v),
         memory.add(g), kCount, 0.01F, 0.9F, 0.95F, 1e-8F, 0.1F);
  for (size_t i = 0; i < kCount; ++i) {
    const double m1 = 0.9 * m0[i] + 0.1 * g[i], v1 = 0.95 * v0[i] + 0.05 * g[i] * g[i];
    expect_close(m[i], m1);
    expect_close(v[i], v1);
    expect_close(weight[i], w0[i] - 0.01 * (m1 / (std::sqrt(v1) + 1e-8) + 0.1 * w0[i]));
  }
}

TEST_P(PtxCorpus, Activations) {
  constexpr int kCount = 50;
  std::vector<float> x = random_floats(4 * kCount, 10), y(x.size());
  launch(*module, "activations", {2, 1, 1}, {32, 1, 1}, memory, memory.add(x), memory.add(y), kCount);
  for (int i = 0; i < kCount; ++i) {
    const double a = x[4 * i], b = x[4 * i + 1], c = x[4 * i + 2], d = x[4 * i + 3];
    expect_close(y[4 * i], a / (1 + std::exp(-a)));
    expect_close(y[4 * i + 1], 0.5 * b * (1 + std::tanh(0.7978845608 * (b + 0.044715 * b * b * b))));
    expect_close(y[4 * i + 2], 0.5 * c * (1 + std::erf(c * 0.70710678)));
    expect_close(y[4 * i + 3], std::log1p(std::exp(d)) + std::cbrt(d));
  }
}

TEST_P(PtxCorpus, EmbeddingsAndSums) {
  std::vector<int> tokens{2, 0, 2};
  std::vector<float> dy(3 * 10), table(3 * 10), g(1000, 0.5F);
  std::iota(dy.begin(), dy.end(), 0.0F);
  launch(*module, "embed_backward", {3, 1, 1}, {32, 1, 1}, memory, memory.add(tokens), memory.add(dy),
         memory.add(table), 10);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(table[i], 10 + i);
    EXPECT_EQ(table[10 + i], 0);
    EXPECT_EQ(table[20 + i], i + 20 + i);
  }
  std::vector<double> total(1);
  std::vector<int> not_finite(1);
  const uint64_t norm = memory.add(total), flag = memory.add(not_finite), gradient = memory.add(g);
  launch(*module, "gradient_norm", {2, 1, 1}, {64, 1, 1}, memory, gradient, g.size(), norm, flag);
  EXPECT_EQ(total[0], 250.0);  // 1000 quarters
  EXPECT_EQ(not_finite[0], 0);
  g[777] = INFINITY;
  launch(*module, "gradient_norm", {2, 1, 1}, {64, 1, 1}, memory, gradient, g.size(), norm, flag);
  EXPECT_EQ(not_finite[0], 1);
}

TEST_P(PtxCorpus, Transposition) {
  constexpr int kRows = 50, kColumns = 70;
  std::vector<float> a = random_floats(kRows * kColumns, 11), b(a.size());
  launch(*module, "transpose", {3, 2, 1}, {32, 8, 1}, memory, memory.add(a), memory.add(b), kRows, kColumns);
  for (int r = 0; r < kRows; ++r) {
    for (int c = 0; c < kColumns; ++c) ASSERT_EQ(b[c * kRows + r], a[r * kColumns + c]);
  }
}

TEST_P(PtxCorpus, IntegersAsGppComputesThem) {
  std::vector<uint32_t> out(500);
  launch(*module, "mix_integers", {16, 1, 1}, {32, 1, 1}, memory, memory.add(out), 500);
  for (uint32_t i = 0; i < 500; ++i) ASSERT_EQ(out[i], mixed(i * 2654435761U)) << i;
}

// Not with fast math, which computes something else.
TEST(PtxCorpusFloats, AreAsGppComputesThem) {
  for (const char* architecture : {"sm_80", "sm_90", "sm_100"}) {
    const auto module = module_named(architecture);
    std::vector<float> x = random_floats(500, 12), y(500);
    Memory memory;
    launch(*module, "plain_floats", {16, 1, 1}, {32, 1, 1}, memory, memory.add(x), memory.add(y), 500);
    for (int i = 0; i < 500; ++i) ASSERT_EQ(y[i], plain(x[i], i)) << architecture << ", x = " << x[i];
  }
}

uint32_t reversed(uint32_t x) {
  uint32_t r = 0;
  for (int bit = 0; bit < 32; ++bit) r |= (x >> bit & 1) << (31 - bit);
  return r;
}

TEST_P(PtxCorpus, Intrinsics) {
  std::vector<uint32_t> out(64);
  for (uint32_t i = 0; i < 64; ++i) out[i] = i * 0x01234567U;
  const std::vector<uint32_t> in = out;
  launch(*module, "intrinsics", {1, 1, 1}, {64, 1, 1}, memory, memory.add(out));
  for (uint32_t i = 0; i < 64; ++i) {
    const uint32_t x = in[i];
    uint32_t r = static_cast<uint32_t>(uint64_t{x} * 0xc2b2ae35U >> 32) + std::popcount(x) + std::countl_zero(x) +
                 (x ? std::countr_zero(x) + 1 : 0) + reversed(x);
    // Bytes 5, 1, 4, 0 of {r, x}, the highest first; then x and r as one number, 5 to the left.
    const uint32_t bytes = (r >> 8 & 255) << 24 | (x >> 8 & 255) << 16 | (r & 255) << 8 | (x & 255);
    r ^= bytes + (r << 5 | x >> 27);
    r += std::popcount(uint64_t{x} << 7 | r);
    EXPECT_EQ(out[i], r) << i;
  }
}

TEST_P(PtxCorpus, Lanes) {
  std::vector<int> x(32), sums(32);
  for (int i = 0; i < 32; ++i) x[i] = i % 5;
  std::vector<uint32_t> counts(32);
  launch(*module, "lanes", {1, 1, 1}, {32, 1, 1}, memory, memory.add(x), memory.add(sums), memory.add(counts));
  int sum = 0;
  for (int i = 0; i < 32; ++i) {
    sum += x[i];
    EXPECT_EQ(sums[i], sum);
    // 0 and 1 are there 7 times, 2, 3, 4 six times; 7 + 6 + 6 are even; the greatest is 4.
    EXPECT_EQ(counts[i], (x[i] < 2 ? 7u : 6u) + 1900u + 40000u);
  }
}

TEST_P(PtxCorpus, HalfPrecision) {
  // bfloat16 1.5 and 2, 3 and 4: a * b + a = 4.5 and 15; half 0.5 and 3: c * c + c = 0.75 and 12.
  std::vector<uint32_t> a{0x40403fc0 /* 3, 1.5 */}, b{0x40804000 /* 4, 2 */}, y(1), c{0x42003800 /* 3, 0.5 */}, z(1);
  std::vector<float> wide(2);
  launch(*module, "half_precision", {1, 1, 1}, {1, 1, 1}, memory, memory.add(a), memory.add(b), memory.add(y),
         memory.add(c), memory.add(z), memory.add(wide));
  EXPECT_EQ(y[0], 0x41704090u);  // 15, 4.5
  EXPECT_EQ(z[0], 0x4a003a00u);  // 12, 0.75
  EXPECT_EQ(wide[0], 16.5F);     // 4.5 + 12
  EXPECT_EQ(wide[1], 33.125F);   // 16.665 is 16.625 as bfloat16, whose step is 1/8 there; and 16.5
}

TEST_P(PtxCorpus, TablesOfTensors) {
  std::vector<float> first(5, 1.0F), second(40, 2.0F);
  struct {
    uint64_t data[4];
    int sizes[4];
  } const tensors{{memory.add(first), memory.add(second), 0, 0}, {5, 40, 0, 0}};
  launch(*module, "many_tensors", {3, 1, 1}, {32, 1, 1}, memory, tensors, 3.0F);
  EXPECT_EQ(first, std::vector<float>(5, 3.0F));
  EXPECT_EQ(second, std::vector<float>(40, 6.0F));
}

TEST_P(PtxCorpus, LocalMemory) {
  std::vector<int> x{3, 1, 3, 9}, out(2 * 8);
  launch(*module, "histogram", {1, 1, 1}, {2, 1, 1}, memory, memory.add(x), memory.add(out), 4);
  // Thread 0 counts 0 + 2 for 3 and 1 + 3 for 1; thread 1 one more for each; both begin at 3.
  EXPECT_EQ(out, (std::vector<int>{2, 0, 0, 0, 0, 0, 4, 0, 4, 0, 0, 0, 0, 0, 6, 0}));
}

TEST_P(PtxCorpus, Rounding) {
  std::vector<float> x{-1.5F, 0.25F, 2.5F}, up(3);
  std::vector<int> whole(3);
  std::vector<double> wide(3);
  launch(*module, "rounding", {1, 1, 1}, {3, 1, 1}, memory, memory.add(x), memory.add(up), memory.add(whole),
         memory.add(wide));
  EXPECT_EQ(whole, (std::vector<int>{-1002002, 1000000, 3002002}));
  for (int i = 0; i < 3; ++i) {
    const double v = x[i];
    EXPECT_NEAR(wide[i], std::exp(v) / std::sqrt(i + 1.0) + std::floor(v), 1e-12);
    expect_close(up[i], v + 1.1 * v - (v * v + 0.3) + std::floor(v) + std::nearbyint(v));
  }
}

TEST_P(PtxCorpus, Atomics) {
  std::vector<int> words(4);
  std::vector<uint64_t> wide(1);
  std::vector<float> most(1);
  launch(*module, "atomics", {2, 1, 1}, {96, 1, 1}, memory, memory.add(words), memory.add(wide), memory.add(most));
  EXPECT_EQ(words, (std::vector<int>{-95, 95, 0, 95 * 96 / 2}));  // each bit 6 times
  EXPECT_EQ(wide[0], uint64_t{192} << 33);
  EXPECT_EQ(most[0], 47.5F);
}

INSTANTIATE_TEST_SUITE_P(Nvcc, PtxCorpus, testing::Values("sm_80", "sm_90", "sm_100", "fast_math"),
                         [](const auto& info) { return std::string(info.param); });

TEST(PtxOfKernels, EveryInstructionIsKnown) {
  size_t kernels = 0, instructions = 0;
  for (const auto& entry : std::filesystem::directory_iterator(PGRAM_PTX_DIR)) {
    if (entry.path().extension() != ".ptx") continue;
    const auto module = Module::parse(text_of_file(entry.path()));
    for (const std::string& name : module->names()) {
      const Function& function = *module->find(name);
      ++kernels;
      instructions += function.code.size();
      for (size_t i = 0; i < function.code.size(); ++i) {
        EXPECT_NE(function.code[i].execute, execute_unknown) << name << ": " << function.texts[i];
      }
    }
  }
  EXPECT_GE(kernels, 4u * 18u);  // the corpus alone
  EXPECT_GE(instructions, 4u * 1000u);
}

}  // namespace
}  // namespace pgram::emulation::ptx::test
