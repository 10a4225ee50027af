// Grouped bodies: what link() makes of them, and planted defects, one a test.
#include <gtest/gtest.h>

#include "tests/plan/edit.h"

namespace pgram {
namespace {

using namespace test;

const std::string kUp = "exchange f0>1 b1>0", kDown = "exchange b1>0 f0>1";

Plan paired() {
  return good(llama(), "pp2.paired", work(4, 1));
}

// Role 0 of 1F1B with 4 micro-batches: F0, F1 and then B0 F2 B1 F3 B2 B3: the exchange of F1 and B0 is the first of
// three. Its send waits for F1's compute; the buffer of the received gradient is new.
TEST(Groups, WaitBeforeTheFirstAndRecordAfterTheLast) {
  const Plan plan = paired();
  int waits = 0, records = 0;
  for (const Program& program : plan.programs) {
    for (const Call& call : program.calls) {
      const Body& b = plan.bodies[call.body];
      if (!b.grouped) continue;
      EXPECT_EQ(b.ops.size(), 2u);
      for (uint32_t s = call.first_sync; s < call.first_sync + call.num_syncs; ++s) {
        const Sync& sync = program.syncs[s];
        EXPECT_EQ(sync.op, sync.records() ? 1 : 0);
        ++(sync.records() ? records : waits);
      }
    }
  }
  // Three exchanges on role 0, and on role 1 one less than its four backwards: each waits for the compute that fills
  // what is sent, and the compute that uses what is received waits for its record.
  EXPECT_GE(waits, 6);
  EXPECT_EQ(records, 6);
}

TEST(Groups, MicroBatchOfEachOp) {
  const Plan plan = paired();
  const uint32_t call = static_cast<uint32_t>(find_call(plan, 0, kUp, 1));
  EXPECT_EQ(to_text(plan, {0, call, 0}), "rank 0 exchange f0>1 b1>0(layer 0, mb 2).0:send");
  EXPECT_EQ(to_text(plan, {0, call, 1}), "rank 0 exchange f0>1 b1>0(layer 0, mb 1).1:recv");
}

TEST(Groups, OtherKernel) {
  Plan plan = paired();
  Op& op = body(plan, kUp).ops[0];
  op.kernel = Kernel::opaque;
  op.comm = kNoComm;
  EXPECT_TRUE(refused(plan, {"grouped body exchange f0>1 b1>0: op 0, opaque, is no send or receive"}));
}

TEST(Groups, TwoStreams) {
  Plan plan = paired();
  for (const char* name : {"recv b1>0", "exchange f0>1 b1>0"}) {
    Body& b = body(plan, name);
    b.ops[find_op(b, Kernel::recv)].stream = Stream::misc;
  }
  link(plan);
  EXPECT_TRUE(refused(plan, {"grouped body exchange f0>1 b1>0: op 1, recv, is on stream misc, the group on up"}));
}

TEST(Groups, OneEndOnAnotherStreamThanOutsideTheGroup) {
  Plan plan = paired();
  body(plan, "recv b1>0").ops[0].stream = Stream::misc;
  link(plan);
  EXPECT_TRUE(refused(plan, {"communicator b1>0 is used on two streams, misc in recv b1>0 and up in exchange"}));
}

TEST(Groups, ChannelTwice) {
  Plan plan = paired();
  Body& b = body(plan, kUp);
  b.ops[1] = b.ops[0];
  EXPECT_TRUE(refused(plan, {"grouped body exchange f0>1 b1>0: op 1, send, uses f0>1 a second time"}));
}

TEST(Groups, OrderWithin) {
  Plan plan = paired();
  Body& b = body(plan, kUp);
  b.ops[1].first_wait = static_cast<uint32_t>(b.waits.size());
  b.ops[1].num_waits = 1;
  b.waits.push_back(0);
  EXPECT_TRUE(refused(plan, {"op 1, recv, waits within the group, whose ops start together"}));
}

TEST(Groups, EventInTheMiddle) {
  for (const bool records : {false, true}) {
    Plan plan = paired();
    Program& program = plan.programs[0];
    const size_t c = find_call(plan, 0, kUp, 1);
    const Call& call = program.calls[c];
    bool moved = false;
    for (uint32_t s = call.first_sync; s < call.first_sync + call.num_syncs && !moved; ++s) {
      Sync& sync = program.syncs[s];
      moved = sync.records() == records;
      if (moved) sync.op = records ? 0 : 1;
    }
    ASSERT_TRUE(moved);
    EXPECT_TRUE(refused(plan, {"role 0 call " + std::to_string(c), records ? "0:send records" : "1:recv waits for",
                               "in the middle of its group"}));
  }
}

// The received gradient lies where the sent activation does: one stream orders nothing within a group.
TEST(Groups, ReceiveIntoWhatIsSent) {
  Plan plan = paired();
  const size_t call = find_call(plan, 0, kUp, 0);
  Arg* args = plan.programs[0].args.data() + plan.programs[0].calls[call].first_arg;
  args[1] = with_flags(args[0], false, false);
  EXPECT_TRUE(
      refused(plan, {"1:recv starts together with role 0 call ", "0:send, though both use edge[", ".activation"}));
}

// The partner may post its halves one by one, but not both sides: then each waits with its send for the other's
// receive.
TEST(Groups, HalvesOneByOne) {
  Plan plan = paired();
  body(plan, kUp).grouped = false;
  link(plan);
  EXPECT_EQ(verify(plan), "");
  body(plan, kDown).grouped = false;
  link(plan);
  EXPECT_TRUE(
      refused(plan, {"deadlock: role 0 call ", "exchange f0>1 b1>0(layer 0, mb 1).0:send waits on f0>1; role 1 ",
                     "exchange b1>0 f0>1(layer 1, mb 0).0:send waits on b1>0"}));
}

// Both halves of a group that waits are named.
TEST(Groups, DeadlockNamesBothHalves) {
  Plan plan = paired();
  // Role 0 wants an exchange before it has sent what role 1 computes from.
  move_call(plan, 0, find_call(plan, 0, kUp, 1), find_call(plan, 0, kUp, 0));
  EXPECT_TRUE(refused(plan, {"differ in kernel, bytes, layer or micro-batch"}));
  plan = paired();
  move_call(plan, 0, find_call(plan, 0, "send f0>1", 0), find_call(plan, 0, kUp, 0) + 1);
  EXPECT_FALSE(verify(plan).empty());
}

TEST(Groups, UnmatchedHalf) {
  Plan plan = paired();
  remove_call(plan, 1, find_call(plan, 1, kDown, 2));
  EXPECT_TRUE(refused(plan, {"has no partner on "}));
  plan = paired();
  body(plan, kUp).ops[1].micro_batch_offset = -2;
  EXPECT_TRUE(refused(plan, {"meet on b1>0 as number 0 but differ in kernel, bytes, layer or micro-batch"}));
}

}  // namespace
}  // namespace pgram
