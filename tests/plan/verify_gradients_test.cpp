// Planted defects of gradients: summed too seldom, too often, too early.
#include <gtest/gtest.h>

#include "tests/plan/edit.h"

namespace pgram {
namespace {

using namespace test;

TEST(VerifyGradients, DataParallelSumMissing) {
  for (const char* name : {"embedding", "layer", "head"}) {
    Plan plan = good(llama(), "dp2", work(4, 1));
    remove_call(plan, 0, find_call(plan, 0, std::string(name) + ".reduce"));
    EXPECT_TRUE(
        refused(plan, {std::string(name) + ".norm(layer ", ":sum_squares reads " + std::string(name) + ".gradients[",
                       "before its sum over dp: an all-reduce is missing"}));
  }
}

TEST(VerifyGradients, SequenceParallelSumOfGainsMissing) {
  // With sequence parallelism each tensor-parallel rank sees its own tokens only, so the gains' gradients are parts.
  Plan plan = good(llama(), "tp2.sp", work(4, 1));
  remove_call(plan, 0, find_call(plan, 0, "layer.reduce", 2));
  EXPECT_TRUE(
      refused(plan, {"layer.norm(layer 1, mb 0).0:sum_squares reads layer.gradients[1].norm1 before its sum over tp"}));
}

TEST(VerifyGradients, QueryKeyNormSumMissingWithoutSequenceParallelism) {
  Plan plan = good(qwen3(), "tp2", work(4, 1));
  remove_call(plan, 0, find_call(plan, 0, "layer.reduce", 3));
  EXPECT_TRUE(refused(
      plan, {"layer.norm(layer 0, mb 0).0:sum_squares reads layer.gradients[0].norm_q before its sum over tp"}));
}

TEST(VerifyGradients, OneOfTwoSumsMissing) {
  Plan plan = good(llama(), "tp2.dp2.sp", work(4, 1));
  Body& reduce = body(plan, "head.reduce");
  ASSERT_EQ(reduce.ops.size(), 2u);  // over tp, then over dp
  remove_op(plan, reduce, 0);
  EXPECT_TRUE(refused(plan, {"head.norm", "head.gradients[0].normf before its sum over tp"}));
}

TEST(VerifyGradients, TiedSumMissing) {
  Plan plan = good(gpt2(), "pp2", work(4, 1));
  remove_call(plan, 0, find_call(plan, 0, "embedding.tied"));
  remove_call(plan, 1, find_call(plan, 1, "head.tied"));
  EXPECT_TRUE(
      refused(plan, {"embedding.norm(layer 0, mb 0).0:sum_squares reads embedding.gradients[0].wte before its sum "
                     "over pp (tied copies)"}));
}

TEST(VerifyGradients, SummedTwice) {
  Plan plan = good(llama(), "dp2", work(4, 1));
  repeat_call(plan, 0, find_call(plan, 0, "layer.reduce", 1));
  EXPECT_TRUE(
      refused(plan, {"layer.reduce(layer 2, mb 0).0:all_reduce sums layer.gradients[2].norm1 a second time over dp"}));
}

TEST(VerifyGradients, SummedWhereItIsWhole) {
  // wq is split over tp, each rank's gradient is its own: a sum over tp would mix rows that have nothing in common.
  Plan plan = good(llama(), "tp2.sp", work(4, 1));
  Body& reduce = body(plan, "layer.reduce");
  Operand& operand = reduce.operands[reduce.ops[0].first_operand];
  ++operand.field;  // norm2, wq for norm1, norm2
  EXPECT_TRUE(
      refused(plan, {"layer.reduce", ":all_reduce sums layer.gradients[3].wq over tp, where it is whole already"}));
}

TEST(VerifyGradients, TiedSumTwice) {
  Plan plan = good(gpt2(), "pp2", work(4, 1));
  repeat_call(plan, 0, find_call(plan, 0, "embedding.tied"));
  repeat_call(plan, 1, find_call(plan, 1, "head.tied"));
  EXPECT_TRUE(refused(plan, {":all_reduce sums embedding.gradients[0].wte a second time over tied"}));
}

TEST(VerifyGradients, SummedBeforeTheLastAccumulation) {
  // The bucket of layer 3 leaves after the backward of micro-batch 0; micro-batch 1 then adds to a sum. No two accesses
  // conflict in time, so only the gradient's state shows it.
  Plan plan = good(llama(), "dp2", work(4, 1));
  move_call(plan, 0, find_call(plan, 0, "layer.reduce", 0), find_call(plan, 0, "layer.b", 0) + 1);
  EXPECT_TRUE(refused(plan, {"layer.b(layer 3, mb 1)", " adds to layer.gradients[3].", ", which was already reduced"}));
}

TEST(VerifyGradients, OptimizerBeforeTheSum) {
  Plan plan = good(llama(), "dp2", work(4, 1));
  move_call(plan, 0, find_call(plan, 0, "layer.reduce", 0), plan.programs[0].calls.size());
  EXPECT_TRUE(
      refused(plan, {"layer.norm(layer 3, mb 0).0:sum_squares reads layer.gradients[3].norm1 before its sum over dp"}));
}

}  // namespace
}  // namespace pgram
