// Planted defects of buffers and of the order between streams.
#include <gtest/gtest.h>

#include "tests/plan/edit.h"

namespace pgram {
namespace {

using namespace test;

TEST(VerifyBuffers, BodyThatWaitsForALaterOp) {
  Plan plan = good(llama(), "tp2", work(2, 1));
  Body& layer = body(plan, "layer.f");
  const size_t reduce = find_op(layer, Kernel::all_reduce);
  ASSERT_GE(layer.ops[reduce].num_waits, 1);
  layer.waits[layer.ops[reduce].first_wait] = static_cast<uint16_t>(reduce + 1);
  const std::string op = std::to_string(reduce);
  EXPECT_TRUE(refused(plan, {"layer.f(layer 0, mb 0)." + op + ":all_reduce waits for op " + std::to_string(reduce + 1) +
                             " that comes after it: a cycle"}));
  layer.waits[layer.ops[reduce].first_wait] = static_cast<uint16_t>(reduce);
  EXPECT_TRUE(refused(plan, {":all_reduce waits for op " + op, "a cycle"})) << "an op that waits for itself";
}

TEST(VerifyBuffers, ReadBeforeWritten) {
  Plan plan = good(llama(), "tp1", work(2, 1));
  Body& layer = body(plan, "layer.f");
  const size_t norm = find_op(layer, Kernel::rms_norm, 1);
  const Operand written = layer.operands[layer.ops[norm].first_operand];
  const std::string field = plan.records[layer.formals[written.formal]].fields[written.field].name;
  remove_op(plan, layer, norm);
  EXPECT_TRUE(refused(plan, {"role 0 call ", "layer.f(layer 0, mb 0)." + std::to_string(norm) + ":matmul reads ",
                             field + " before it is written"}));
}

TEST(VerifyBuffers, GradientNeverZeroed) {
  Plan plan = good(llama(), "tp1", work(2, 1));
  remove_call(plan, 0, find_call(plan, 0, "layer.zero", 1));
  EXPECT_TRUE(refused(plan, {"layer.b(layer 1, mb 0)", "reads layer.gradients[1].", " before it is written"}));
}

TEST(VerifyBuffers, TokensNeverRead) {
  Plan plan = good(llama(), "tp1", work(2, 1));
  const size_t input = find_call(plan, 0, "input");
  remove_call(plan, 0, input);
  const size_t embed = find_call(plan, 0, "embedding.f");
  Arg& io = arg_of(plan, 0, embed, "io");
  EXPECT_TRUE(refused(plan, {"embedding.f(layer 0, mb 0) uses io[0] after it is freed or before it is allocated"}));
  io = with_flags(io, true, false);
  EXPECT_TRUE(refused(plan, {"embedding.f(layer 0, mb 0).0:embed reads io[0].tokens before it is written"}));
}

TEST(VerifyBuffers, UsedAfterFree) {
  Plan plan = good(llama(), "tp1", work(2, 1));
  Arg& saved = arg_of(plan, 0, find_call(plan, 0, "layer.f", 2), "layer.saved");
  saved = with_flags(saved, true, true);
  EXPECT_TRUE(refused(plan, {"layer.b(layer 2, mb 0) uses layer.saved[2] after it is freed"}));
}

TEST(VerifyBuffers, AllocatedWhileInUse) {
  // Micro-batch 1 of layer 0 is given the slot that micro-batch 0 still holds (GPipe keeps both).
  Plan plan = good(llama(), "tp1", work(2, 1), "gpipe");
  const Arg first = arg_of(plan, 0, find_call(plan, 0, "layer.f", 0), "layer.saved");
  Arg& second = arg_of(plan, 0, find_call(plan, 0, "layer.f", 4), "layer.saved");
  ASSERT_NE(first.slot(), second.slot());
  second = first;
  EXPECT_TRUE(refused(plan, {"layer.f(layer 0, mb 1) allocates layer.saved[0], which is in use"}));
}

TEST(VerifyBuffers, NeverFreed) {
  Plan plan = good(llama(), "tp1", work(1, 1));
  Arg& saved = arg_of(plan, 0, find_call(plan, 0, "layer.b", 0), "layer.saved");
  const uint32_t slot = saved.slot();
  saved = with_flags(saved, false, false);
  EXPECT_TRUE(refused(plan, {"role 0: layer.saved[" + std::to_string(slot) + "] is never freed"}));
}

TEST(VerifyBuffers, OverlappedScratchReadAfterOverwritten) {
  // Two temporaries of one body share bytes because their lives do not overlap; an op that reads the first one after
  // the second is written finds the second one's bytes.
  Plan plan = good(llama(), "tp1", work(1, 1));
  Body& layer = body(plan, "layer.b");
  bool planted = false;
  const auto overlap = [](const Field& a, const Field& b) {
    return a.offset < b.offset + b.bytes() && b.offset < a.offset + a.bytes();
  };
  std::string expected;
  for (size_t late = layer.ops.size(); late-- > 0 && !planted;) {
    const Op& op = layer.ops[late];
    for (int k = op.num_writes; k < op.num_operands && !planted; ++k) {
      Operand& read = layer.operands[op.first_operand + k];
      const Record& record = plan.records[layer.formals[read.formal]];
      if (record.kind != RecordKind::scratch || read.field == kWhole) continue;
      for (uint16_t f = 0; f < record.fields.size() && !planted; ++f) {
        // of the same shape, and dead by now because what this op reads lies on top of it
        if (f == read.field || !overlap(record.fields[f], record.fields[read.field])) continue;
        expected = record.name + "[0]." + record.fields[f].name + " before it is written";
        read.field = f;
        planted = true;
      }
    }
  }
  ASSERT_TRUE(planted) << "no scratch is shared: nothing to test";
  link(plan);
  EXPECT_TRUE(refused(plan, {"layer.b(layer 3, mb 0)", " reads ", expected}));
}

TEST(VerifyBuffers, EventNeverRecorded) {
  Plan plan = good(llama(), "pp2", work(2, 1));
  Program& program = plan.programs[0];
  const auto record =
      std::find_if(program.syncs.begin(), program.syncs.end(), [](const Sync& s) { return s.records(); });
  ASSERT_NE(record, program.syncs.end());
  const uint16_t slot = record->slot();
  program.syncs.erase(record);
  const auto at = static_cast<uint32_t>(record - program.syncs.begin());
  for (Call& call : program.calls) {
    if (call.num_syncs && at >= call.first_sync && at < call.first_sync + call.num_syncs) {
      --call.num_syncs;
    } else if (call.first_sync > at) {
      --call.first_sync;
    }
  }
  EXPECT_TRUE(
      refused(plan, {"role 0 call ", " waits for event " + std::to_string(slot) + ", which was never recorded"}));
}

}  // namespace
}  // namespace pgram
