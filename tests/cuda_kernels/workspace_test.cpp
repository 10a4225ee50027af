// What dispatch refuses, and how much workspace it asks for.
#include <gtest/gtest.h>

#include "core/base/errors.h"
#include "tests/cuda_kernels/gpu.h"

namespace pgram {
namespace {

KernelCase layer_norm_dw(uint32_t n) {
  KernelCase c(Kernel::layer_norm_dw);
  c.floats(8, 1), c.floats(8, 1), c.floats(n, 8), c.floats(n, 8), c.floats(n, 2);
  return c;
}

TEST(CudaWorkspace, HoldsPartialSums) {
  // Chunks of 128 rows, at most 128 of them; two sums of 8 columns: 1, 3, 128 chunks of 2 * 8 * 4 bytes.
  EXPECT_EQ(workspace_bytes(plan_of(layer_norm_dw(128)), 0), 1 * 64u);
  EXPECT_EQ(workspace_bytes(plan_of(layer_norm_dw(300)), 0), 3 * 64u);
  EXPECT_EQ(workspace_bytes(plan_of(layer_norm_dw(128 * 1000)), 0), 128 * 64u);
}

TEST(CudaWorkspace, HoldsTokenChains) {
  KernelCase c(Kernel::embed_dw);
  c.floats(4, 2), c.floats(10, 2), c.integers(10, 4);
  EXPECT_EQ(workspace_bytes(plan_of(c), 0), 2 * 10 * 4u);
}

TEST(CudaWorkspace, TooLittleIsRefusedBeforeAnythingRuns) {
  const KernelCase c = layer_norm_dw(300);
  const Gpu gpu;
  try {
    gpu.run(c, 4);
    FAIL() << "ran with 188 bytes";
  } catch (const RunError& error) {
    EXPECT_STREQ(error.what(), "kernel layer_norm_dw needs a workspace of 192 bytes, not 188");
  }
}

TEST(CudaDispatch, NamesWhatItCannotDo) {
  EXPECT_EQ(unsupported(plan_of(layer_norm_dw(3))), "");
  EXPECT_EQ(unsupported(plan_of(KernelCase(Kernel::opaque))), "only.0:opaque has no data, only a duration");
  Plan bf16 = plan_of(layer_norm_dw(3));
  bf16.records[2].fields[0].dtype = DType::bf16;
  EXPECT_EQ(unsupported(bf16), "only.0:layer_norm_dw works on bf16, the CUDA backend on fp32 only");
  KernelCase attention(Kernel::attention);
  attention.attributes.head_dim = 264;
  EXPECT_EQ(unsupported(plan_of(attention)), "only.0:attention has heads of 264, the CUDA backend's are at most 256");
}

TEST(CudaDispatch, RunsNoCommunication) {
  KernelCase c(Kernel::all_reduce);
  c.floats(4, 1);
  EXPECT_THROW(Gpu().run(c), RunError);
}

}  // namespace
}  // namespace pgram
