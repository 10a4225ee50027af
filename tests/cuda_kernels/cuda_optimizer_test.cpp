// The multi-tensor kernels: records of many fields, aligned and not, larger than one launch or one block holds.
#include "tests/cpu_kernels/kernel_cases.h"
#include "tests/cuda_kernels/gpu.h"

namespace pgram {
namespace {

/// `copies` times these fields, joined (packed) in fives so that most are not aligned: matrices and vectors of odd
/// sizes, an empty one, and in the first place one of three chunks (16,384 elements each).
Record many_fields(uint32_t fields, uint32_t copies, uint32_t first_count) {
  Record record;
  for (uint32_t i = 0; i < fields * copies; ++i) {
    const uint32_t f = i % fields;
    Field field;
    field.dims = {f == 0 ? first_count : f * 7 % 23, 1};
    field.num_dims = f % 3 ? 2 : 1;
    field.joined = f % 5;
    field.shard_axes = f % 2 ? kTp : AxisMask{0};
    field.duplicate = f == 4;
    record.fields.push_back(field);
  }
  record.lay_out();
  return record;
}

KernelCase with_hyperparameters(Kernel kernel) {
  KernelCase c(kernel);
  c.rank = {1, 2, 1};
  c.step = 2;
  c.hyperparameters.learning_rate = 0.01f;
  return c;
}

void expect_plain_and_repeatable(const KernelCase& c, double tolerance) {
  const Gpu gpu;
  const auto result = gpu.run(c), again = gpu.run(c), plain = c.run(KernelSet::plain);
  for (int i = 0; i < c.operands(); ++i) {
    const std::string what = std::string(name_of(c.kernel())) + " operand " + std::to_string(i);
    expect_close(result[i], plain[i], tolerance, what);
    EXPECT_EQ(0, std::memcmp(result[i].data(), again[i].data(), result[i].size() * sizeof(float))) << what;
  }
}

TEST(CudaOptimizer, SumOfSquaresInSeveralLaunches) {
  for (const auto& [fields, first] : {std::pair{1u, 3u}, std::pair{7u, 40000u}, std::pair{300u, 5u}}) {
    const Record record = many_fields(fields, 1, first);
    KernelCase c = with_hyperparameters(Kernel::sum_squares);
    c.values(1, 1, {10}), c.record(record);
    expect_plain_and_repeatable(c, 1e-6);
  }
}

TEST(CudaOptimizer, ClipScalesLargeNormsOnly) {
  for (float limit : {0.0f, 1.0f, 100.0f}) {
    KernelCase c = with_hyperparameters(Kernel::clip);
    c.hyperparameters.clip_norm = limit;
    c.floats(1, 1), c.floats(1, 1), c.values(1, 1, {9});
    expect_plain_and_repeatable(c, 1e-7);
  }
}

TEST(CudaOptimizer, AdamWInSeveralLaunches) {
  for (const auto& [fields, first] : {std::pair{1u, 3u}, std::pair{7u, 40000u}, std::pair{150u, 5u}}) {
    const Record weights = many_fields(fields, 1, first), state = many_fields(fields, 2, first);
    KernelCase c = with_hyperparameters(Kernel::adamw);
    c.record(weights), c.record(state), c.record(weights), c.values(1, 1, {0.5f});
    for (float& v : c[1]) v = std::abs(v);  // the second moments are squares
    expect_plain_and_repeatable(c, 2e-6);
  }
}

TEST(CudaOptimizer, SgdInSeveralLaunches) {
  for (const auto& [fields, first] : {std::pair{1u, 3u}, std::pair{7u, 40000u}, std::pair{300u, 5u}}) {
    const Record weights = many_fields(fields, 1, first);
    KernelCase c = with_hyperparameters(Kernel::sgd);
    c.record(weights), c.record(weights), c.values(1, 1, {0.5f});
    expect_plain_and_repeatable(c, 1e-6);
  }
}

}  // namespace
}  // namespace pgram
