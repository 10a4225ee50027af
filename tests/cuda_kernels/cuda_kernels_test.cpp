// Every kernel of the CUDA backend against the CPU's plain one, with 16-byte accesses and without, and bit-equal to
// itself in repeats.
#include "tests/cpu_kernels/kernel_cases.h"
#include "tests/cuda_kernels/gpu.h"

namespace pgram {
namespace {

// One row; odd widths; tiles of attention are 32 x 32, 32 x 16 ... rows, of heads padded to 32, 64, 128 and 256; column
// sums are cut into chunks of 128 rows; blocks of norms have 256 threads, of losses 512.
const Shape kShapes[] = {
    {1, 1, 1, 2, 1, 1, 3, 1, 0},       {3, 7, 33, 6, 4, 2, 17, 2, 1},      {2, 33, 64, 16, 2, 2, 64, 1, 0},
    {1, 131, 36, 40, 3, 1, 100, 4, 3}, {2, 20, 520, 72, 4, 4, 3000, 2, 0}, {1, 18, 300, 200, 2, 1, 300, 3, 2},
};

bool is_exact(Kernel kernel) {
  switch (kernel) {
    case Kernel::embed:
    case Kernel::embed_dw:
    case Kernel::positions:
    case Kernel::positions_dw:
    case Kernel::bias:
    case Kernel::add:
    case Kernel::ce_max:
      return true;
    default:
      return false;
  }
}

void expect_equal(const std::vector<float>& a, const std::vector<float>& b, const std::string& what) {
  EXPECT_EQ(0, std::memcmp(a.data(), b.data(), a.size() * sizeof(float))) << what;
}

class CudaKernels : public testing::TestWithParam<Shape> {
 protected:
  void expect_plain(const Gpu& gpu) {
    for (const KernelCase& c : cases(GetParam())) {
      const auto plain = c.run(KernelSet::plain);
      const auto result = gpu.run(c), again = gpu.run(c);
      for (int i = 0; i < c.operands(); ++i) {
        const std::string what = std::string(name_of(c.kernel())) + " operand " + std::to_string(i);
        expect_equal(result[i], again[i], what + ", repeated");
        if (!c.is_float(i) || is_exact(c.kernel())) {
          expect_equal(result[i], plain[i], what);
        } else {
          expect_close(result[i], plain[i], c.kernel() == Kernel::attention_bwd ? 1e-5 : 4e-6, what);
        }
      }
    }
  }
};

TEST_P(CudaKernels, MatchThePlainOnes) {
  Gpu gpu;
  expect_plain(gpu);
}

TEST_P(CudaKernels, MatchWhereNothingIsAligned) {
  Gpu gpu;
  gpu.deterministic = true;
  gpu.offset = sizeof(float);
  expect_plain(gpu);
}

INSTANTIATE_TEST_SUITE_P(Shapes, CudaKernels, testing::ValuesIn(kShapes));

TEST(CudaKernel, RotatesByAccurateAnglesFarFromTheBeginning) {
  // Pair 0 turns by 1 radian per position: the float nearest to 19,999 * frequency would be off by up to 1e-3.
  KernelCase c(Kernel::rope);
  c.attributes.sequence = 20000;
  c.attributes.head_dim = c.attributes.rotary_dims = 2;
  c.attributes.heads = c.attributes.kv_heads = 1;
  c.attributes.rope_base = 10000;
  c.floats(20000, 6);
  expect_close(Gpu().run(c)[0], c.run(KernelSet::plain)[0], 1e-6, "rope");
}

TEST(CudaKernel, RotatesLlama3Frequencies) {
  KernelCase c(Kernel::rope);
  c.attributes.sequence = 50;
  c.attributes.head_dim = c.attributes.rotary_dims = 16;
  c.attributes.heads = c.attributes.kv_heads = 1;
  c.attributes.rope_base = 500000;
  c.attributes.rope_factor = 8;
  c.attributes.rope_original = 64;
  c.floats(50, 48);
  expect_close(Gpu().run(c)[0], c.run(KernelSet::plain)[0], 1e-6, "rope");
}

TEST(CudaKernel, AttentionOfLargeScoresStaysFinite) {
  // Scores of up to 100 * 100 / sqrt(2): their exponentials overflow unless the running maximum is taken off.
  KernelCase c(Kernel::attention);
  c.attributes.sequence = 40;
  c.attributes.head_dim = 2;
  c.attributes.heads = c.attributes.kv_heads = 1;
  c.floats(40, 2), c.floats(40, 1), c.floats(40, 6, 100);
  const auto result = Gpu().run(c), plain = c.run(KernelSet::plain);
  expect_close(result[0], plain[0], 1e-5, "out");
  expect_close(result[1], plain[1], 1e-6, "lse");
}

TEST(CudaKernel, EmbeddingGradientOfOneTokenOnly) {
  // 300 times token 2 with gradient 1, onto 5: 305; every other row keeps what it had.
  KernelCase c(Kernel::embed_dw);
  c.attributes.vocabulary = 4;
  c.values(4, 1, {7, 8, 5, 9});
  c.values(300, 1, std::vector<float>(300, 1.0f));
  c.integers(std::vector<int32_t>(300, 2));
  EXPECT_EQ(Gpu().run(c)[0], (std::vector<float>{7, 8, 305, 9}));
}

TEST(CudaKernel, LossAddsAllTokens) {
  for (uint32_t n : {1u, 3u, 1300u}) {
    KernelCase c(Kernel::ce_loss);
    c.attributes.scale = 0.25f;
    c.floats(1, 1), c.floats(n, 2, 0.1f, 3.0f), c.floats(n, 1);
    const auto result = Gpu().run(c);
    expect_close(result[0], c.run(KernelSet::plain)[0], 1e-6, "loss of " + std::to_string(n));
    expect_equal(result[0], Gpu().run(c)[0], "repeated");
  }
}

TEST(CudaKernel, ZeroClearsTheWholeOperand) {
  KernelCase c(Kernel::zero);
  c.floats(7, 3);
  EXPECT_EQ(Gpu().run(c)[0], std::vector<float>(21, 0.0f));
}

TEST(CudaKernel, InputCopiesTokensThenTargets) {
  KernelCase c(Kernel::input);
  c.integers({0, 0, 0}), c.integers({0, 0, 0});
  const PinnedMemory pinned = make_pinned_memory(6 * sizeof(int32_t));
  int32_t* tokens = static_cast<int32_t*>(pinned.get());
  for (int32_t i = 0; i < 6; ++i) tokens[i] = 10 + i;
  const Gpu gpu;
  const DeviceMemory first = make_device_memory(12), second = make_device_memory(12);
  Launch launch = c.launch({static_cast<std::byte*>(first.get()), static_cast<std::byte*>(second.get())});
  launch.host_tokens = tokens;
  gpu.issue(launch, {}, 0);
  int32_t got[6];
  gpu.to_host(got, first, 12), gpu.to_host(got + 3, second, 12);
  for (int32_t i = 0; i < 6; ++i) EXPECT_EQ(got[i], 10 + i);
}

}  // namespace
}  // namespace pgram
