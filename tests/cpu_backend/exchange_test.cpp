// Groups of sends and receives on threads: everything is posted before anything is waited for, so that no order on the
// partner's side blocks a group; and training with paired stages gives the numbers of channels.
#include <gtest/gtest.h>

#include "core/base/errors.h"
#include "core/plan/verify.h"
#include "tests/cpu_backend/device_plan.h"
#include "tests/cpu_backend/training.h"

namespace pgram::testing {
namespace {

/// Two ranks with two channels there and one back, all on the neighbour's stream, and something to compute.
enum ExchangeOp : uint16_t {
  kSendThere,
  kReceiveThere,
  kSendBack,
  kReceiveBack,
  kSendThere2,
  kReceiveThere2,
  kComputeNothing
};

Plan exchange_plan() {
  Plan plan = device_plan(1, 2);
  plan.bodies[0].ops.clear();
  for (uint16_t i = 0; i < 3; ++i) {
    Communicator channel;
    channel.name = i == 1 ? "b1>0" : "f0>1";
    channel.axes = kPp, channel.directed = true;
    channel.source = i == 1, channel.target = i != 1;
    for (Kernel kernel : {Kernel::send, Kernel::recv}) {
      Op op;
      op.kernel = kernel;
      op.comm = static_cast<uint16_t>(plan.comms.size());
      op.stream = neighbour_stream((channel.source == 0) == (kernel == Kernel::send));
      op.num_operands = 1;
      op.num_writes = kernel == Kernel::recv;
      plan.bodies[0].ops.push_back(op);
    }
    plan.comms.push_back(channel);
  }
  plan.bodies[0].ops.emplace_back();
  return plan;
}

class PlainExchange : public ::testing::Test {
 protected:
  struct Message {
    ExchangeOp op;
    float* data;
    size_t count = kCount;
  };
  static constexpr size_t kCount = 1000;

  float* filled(uint32_t rank, float value) {
    float* data = devices.floats(rank, kCount);
    std::fill(data, data + kCount, value);
    return data;
  }
  void launch(uint32_t rank, const Message& message, bool begins = true, bool ends = true) {
    devices.launch(rank, message.op, {{message.data, message.count}}, begins, ends);
  }
  void group(uint32_t rank, const std::vector<Message>& messages) {
    for (size_t i = 0; i < messages.size(); ++i) launch(rank, messages[i], i == 0, i + 1 == messages.size());
  }
  static std::vector<float> values(const float* data) { return {data, data + kCount}; }
  static std::vector<float> all(float value) { return std::vector<float>(kCount, value); }

  const Plan plan = exchange_plan();
  Devices devices{plan};
};

TEST_F(PlainExchange, GroupsOnBothSides) {
  for (int round = 0; round < 100; ++round) {
    float *a = filled(0, 1), *b = filled(1, 2), *from_b = filled(0, 0), *from_a = filled(1, 0);
    group(0, {{kSendThere, a}, {kReceiveBack, from_b}});
    group(1, {{kSendBack, b}, {kReceiveThere, from_a}});
    devices.synchronize();
    ASSERT_EQ(values(from_a), all(1));
    ASSERT_EQ(values(from_b), all(2));
  }
}

TEST_F(PlainExchange, PartnerPostsOneByOneInEitherOrder) {
  for (const bool sends_first : {false, true}) {
    float *a = filled(0, 1), *b = filled(1, 2), *from_b = filled(0, 0), *from_a = filled(1, 0);
    group(0, {{kReceiveBack, from_b}, {kSendThere, a}});
    if (sends_first) launch(1, {kSendBack, b});
    launch(1, {kReceiveThere, from_a});
    if (!sends_first) launch(1, {kSendBack, b});
    devices.synchronize();
    EXPECT_EQ(values(from_a), all(1));
    EXPECT_EQ(values(from_b), all(2));
  }
}

/// The group wants the first channel's message first, the partner gives the second channel's first and blocks on it.
TEST_F(PlainExchange, ReceivesAreTakenAsTheyCome) {
  float *first = filled(0, 1), *second = filled(0, 2), *from_first = filled(1, 0), *from_second = filled(1, 0);
  group(1, {{kReceiveThere, from_first}, {kReceiveThere2, from_second}});
  launch(0, {kSendThere2, second});
  launch(0, {kSendThere, first});
  devices.synchronize();
  EXPECT_EQ(values(from_first), all(1));
  EXPECT_EQ(values(from_second), all(2));
}

/// Both ops arrive when the stream reaches the group, and what comes after the group begins after all of it.
TEST_F(PlainExchange, SpansOfAGroup) {
  float *a = filled(0, 1), *b = filled(1, 2), *from_b = filled(0, 0), *from_a = filled(1, 0);
  group(0, {{kSendThere, a}, {kReceiveBack, from_b}});
  launch(0, {kSendThere, a});
  group(1, {{kSendBack, b}, {kReceiveThere, from_a}});
  launch(1, {kReceiveThere, from_a});
  devices.synchronize();
  for (uint32_t rank : {0u, 1u}) {
    const std::vector<Span> spans = devices[rank].take_spans();
    ASSERT_EQ(spans.size(), 3u);
    EXPECT_EQ(spans[0].start, spans[1].start);
    EXPECT_LT(spans[0].start, spans[0].end);
    EXPECT_GE(spans[2].start, std::max(spans[0].end, spans[1].end));
  }
}

TEST_F(PlainExchange, EventsComeAfterTheWholeGroup) {
  float *a = filled(0, 1), *b = filled(1, 2), *from_b = filled(0, 0), *from_a = filled(1, 0);
  group(0, {{kReceiveBack, from_b}, {kSendThere, a}});
  devices[0].record(0, neighbour_stream(true));
  devices[0].wait(0, Stream::compute);
  devices.launch(0, kComputeNothing);
  launch(1, {kSendBack, b});
  launch(1, {kReceiveThere, from_a});
  devices.synchronize();
  const std::vector<Span> spans = devices[0].take_spans();  // of the compute stream first
  ASSERT_EQ(spans.size(), 3u);
  ASSERT_EQ(spans[0].op, kComputeNothing);
  EXPECT_GE(spans[0].start, std::max(spans[1].end, spans[2].end));
}

TEST_F(PlainExchange, DifferentSizesAreRefused) {
  float *a = filled(0, 1), *b = filled(1, 2), *from_b = filled(0, 0), *from_a = filled(1, 0);
  group(0, {{kSendThere, a}, {kReceiveBack, from_b, kCount / 2}});
  group(1, {{kSendBack, b}, {kReceiveThere, from_a}});
  try {
    devices.synchronize();
    FAIL() << "4000 bytes went into 2000";
  } catch (const RunError& error) {
    EXPECT_NE(std::string(error.what()).find("rank 0"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("receives 2000 bytes, but rank 1 sends 4000"), std::string::npos)
        << error.what();
  }
}

/// The same kernels in the same order on the same numbers: equal to the last bit, in every layout and schedule.
TEST(ExchangeParity, PairedEqualsChannels) {
  for (const char* schedule : {"1f1b", "gpipe"}) {
    for (const char* layout : {"pp2", "pp4", "tp2.pp2"}) {
      const Plan paired = tiny_plan(tiny_llama(), std::string(layout) + ".paired", tiny_workload(), schedule);
      ASSERT_EQ(verify(paired), "");
      const RunResult a = train(tiny_plan(tiny_llama(), layout, tiny_workload(), schedule), tiny_options(3));
      const RunResult b = train(paired, tiny_options(3));
      EXPECT_EQ(a.losses, b.losses) << layout;
      EXPECT_EQ(a.gradient_norms, b.gradient_norms) << layout;
      EXPECT_EQ(a.gradients, b.gradients) << layout;
    }
  }
}

}  // namespace
}  // namespace pgram::testing
