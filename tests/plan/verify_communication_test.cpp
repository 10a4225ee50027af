// Planted defects of communication, one a test: the verifier names the tasks that cannot meet.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/plan/edit.h"

namespace pgram {
namespace {

using namespace test;

TEST(VerifyCommunication, DroppedReceive) {
  // Its send is left over; the k-th send would meet the receive of the next micro-batch, which is said first.
  Plan plan = good(llama(), "pp2", work(4, 1));
  remove_call(plan, 1, find_call(plan, 1, "recv f0>1", 3));  // the last of four
  EXPECT_TRUE(refused(plan, {"role 0 call ", "send f0>1(layer 0, mb 3).0:send", "has no partner on f0>1 in role 1"}));
  plan = good(llama(), "pp2", work(4, 1));
  remove_call(plan, 1, find_call(plan, 1, "recv f0>1", 1));
  EXPECT_TRUE(refused(plan, {"mb 1).0:send and role 1", "mb 2).0:recv meet on f0>1 as number 1"}));
}

TEST(VerifyCommunication, DroppedSend) {
  Plan plan = good(llama(), "pp2", work(4, 1));
  remove_call(plan, 1, find_call(plan, 1, "send b1>0", 3));
  EXPECT_TRUE(refused(plan, {"recv b1>0(layer 0, mb 3).0:recv has no partner on b1>0 in role 1"}));
}

TEST(VerifyCommunication, SwappedReceives) {
  Plan plan = good(llama(), "pp2", work(4, 1), "gpipe");
  swap_calls(plan, 1, find_call(plan, 1, "recv f0>1", 0), find_call(plan, 1, "recv f0>1", 1));
  EXPECT_TRUE(refused(plan, {"send f0>1(layer 0, mb 0).0:send and role 1", "recv f0>1(layer 1, mb 1).0:recv",
                             "meet on f0>1 as number 0 but differ in kernel, bytes, layer or micro-batch"}));
}

TEST(VerifyCommunication, ReceiveOfAnotherSize) {
  Plan plan = good(llama(), "pp2", work(4, 1));
  body(plan, "recv f0>1").ops[0].bytes /= 2;
  EXPECT_TRUE(refused(plan, {"send f0>1", "recv f0>1", "differ in kernel, bytes"}));
}

TEST(VerifyCommunication, CollectiveMissingOnOneRole) {
  // The sum of squares is summed over the stages: role 1 keeps its own call of a body without the all-reduce.
  Plan plan = good(llama(), "pp2", work(4, 1));
  Body alone = body(plan, "global_norm");
  alone.ops.erase(alone.ops.begin());
  alone.name = "alone";
  const size_t call = find_call(plan, 1, "global_norm");
  plan.programs[1].calls[call].body = static_cast<uint16_t>(plan.bodies.size());
  plan.bodies.push_back(alone);
  link(plan);
  EXPECT_TRUE(
      refused(plan, {"role 0 call ", "global_norm(layer 0, mb 0).0:all_reduce has no partner on model in role 1"}));
}

TEST(VerifyCommunication, TiedReductionMissingOnOneRole) {
  Plan plan = good(gpt2(), "pp2", work(4, 1));
  remove_call(plan, 0, find_call(plan, 0, "embedding.tied"));
  EXPECT_TRUE(refused(plan, {"head.tied(layer 0, mb 0).0:all_reduce has no partner on tied in role 0"}));
}

TEST(VerifyCommunication, OutsiderOnAGroupOfListedRoles) {
  Plan plan = good(gpt2(), "pp3", work(4, 1));
  for (Communicator& comm : plan.comms) {
    if (comm.name == "tied") comm.roles = {0};
  }
  EXPECT_TRUE(refused(plan, {"role 2 call ", "head.tied", "uses tied, which role 2 is not in"}));
}

TEST(VerifyCommunication, WrongEndOfAChannel) {
  Plan plan = good(llama(), "pp2", work(4, 1));
  for (Communicator& comm : plan.comms) {
    if (comm.name == "f0>1") std::swap(comm.source, comm.target);
  }
  EXPECT_TRUE(refused(plan, {"send f0>1(layer 0, mb 0).0:send is at the wrong end of channel f0>1"}));
}

TEST(VerifyCommunication, TwoCollectivesInOtherOrdersDeadlock) {
  // Role 0 sums the tied gradient before the norm, role 1 after it. Both pair up, and neither can begin.
  Plan plan = good(gpt2(), "pp2", work(4, 1));
  move_call(plan, 1, find_call(plan, 1, "head.tied"), find_call(plan, 1, "global_norm") + 1);
  EXPECT_TRUE(refused(plan, {"deadlock: role 0 call ", "embedding.tied(layer 0, mb 0).0:all_reduce waits on tied",
                             "global_norm(layer 0, mb 0).0:all_reduce waits on model"}));
}

TEST(VerifyCommunication, ReceiveBeforeTheSendThatFeedsItsPeerDeadlocks) {
  // Role 0 wants the gradient of micro-batch 0 before it sends that micro-batch's activation.
  Plan plan = good(llama(), "pp2", work(2, 1), "gpipe");
  move_call(plan, 0, find_call(plan, 0, "recv b1>0", 0), find_call(plan, 0, "send f0>1", 0));
  EXPECT_TRUE(refused(plan, {"deadlock: role 0 call ", "recv b1>0(layer 0, mb 0).0:recv waits on b1>0",
                             "recv f0>1(layer 1, mb 0).0:recv waits on f0>1"}));
}

TEST(VerifyCommunication, CommunicatorOnTwoStreams) {
  Plan plan = good(llama(), "tp2", work(2, 1));
  Body& layer = body(plan, "layer.b");
  layer.ops[find_op(layer, Kernel::all_reduce)].stream = Stream::misc;
  link(plan);
  EXPECT_TRUE(refused(plan, {"communicator tp is used on two streams, tensor in ", " and misc in layer.b"}));
}

}  // namespace
}  // namespace pgram
