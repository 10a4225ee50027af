// What a duration is looked up by: the sizes that decide it.
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "core/plan/plan.h"

namespace pgram::testing {
namespace {

using Shape = std::array<uint64_t, 4>;

/// One op over fields of these dims (one dim where the second is 0), the first `writes` of them written.
Shape shape_of(Kernel kernel, uint8_t writes, const std::vector<std::array<uint32_t, 2>>& dims) {
  Plan plan;
  Body body;
  Record record;
  Op op;
  for (const auto& [rows, columns] : dims) {
    Field field;
    field.dims = {rows, columns ? columns : 1};
    field.num_dims = columns ? 2 : 1;
    Operand operand;
    operand.field = static_cast<uint16_t>(record.fields.size());
    record.fields.push_back(field);
    body.operands.push_back(operand);
  }
  record.lay_out();
  plan.records = {record};
  plan.attributes.emplace_back();
  body.formals = {0};
  op.kernel = kernel;
  op.num_writes = writes;
  op.num_operands = static_cast<uint8_t>(dims.size());
  body.ops = {op};
  return kernel_shape(plan, body, op);
}

TEST(KernelShape, IsOfTheFirstTensorWithTwoDims) {
  EXPECT_EQ(shape_of(Kernel::rms_norm, 2, {{6, 8}, {6, 0}, {6, 8}, {8, 0}}), (Shape{6, 8}));
  EXPECT_EQ(shape_of(Kernel::ce_max, 1, {{6, 0}, {6, 50}}), (Shape{6, 50}));
  EXPECT_EQ(shape_of(Kernel::clip, 2, {{1, 0}, {1, 0}, {1, 0}}), (Shape{1}));
}

TEST(KernelShape, OfWhatIsReadWhereTheResultIsSmall) {
  // Loss statistics [n, 2] of logits [n, v]; an embedding's gradient [v, h] from [n, h]; one sum of all gradients.
  EXPECT_EQ(shape_of(Kernel::ce_sum, 1, {{6, 2}, {6, 50}, {6, 0}, {6, 0}}), (Shape{6, 50}));
  EXPECT_EQ(shape_of(Kernel::embed_dw, 1, {{50, 8}, {6, 8}, {6, 0}}), (Shape{6, 8}));
  EXPECT_EQ(shape_of(Kernel::positions_dw, 1, {{64, 8}, {6, 8}}), (Shape{6, 8}));
  EXPECT_EQ(shape_of(Kernel::sum_squares, 1, {{1, 0}, {4096, 0}}), (Shape{4096}));
}

}  // namespace
}  // namespace pgram::testing
