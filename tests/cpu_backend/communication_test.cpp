// Collectives and channels in shared memory, launched by hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "core/base/errors.h"
#include "tests/cpu_backend/device_plan.h"

namespace pgram::testing {
namespace {

struct Buffers {
  std::vector<float*> device;
  std::vector<std::vector<float>> host;
};

/// Random numbers on every rank: sums depend on the order of addition, so equality proves the order.
Buffers random_buffers(Devices& devices, uint32_t ranks, size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> value(-1, 1);
  Buffers buffers;
  for (uint32_t r = 0; r < ranks; ++r) {
    std::vector<float> host(count);
    for (float& v : host) v = value(random);
    float* device = devices.floats(r, count);
    std::copy(host.begin(), host.end(), device);
    buffers.device.push_back(device);
    buffers.host.push_back(std::move(host));
  }
  return buffers;
}

std::vector<float> sum_in_order(const std::vector<std::vector<float>>& inputs) {
  std::vector<float> sum = inputs[0];
  for (size_t r = 1; r < inputs.size(); ++r) {
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += inputs[r][i];
  }
  return sum;
}

class PlainCollectives : public ::testing::TestWithParam<uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Ranks, PlainCollectives, ::testing::Values(1, 2, 3, 5, 8));

/// Sizes that grow, shrink, and do not divide by the number of members.
TEST_P(PlainCollectives, AllReduceSumsInMemberOrder) {
  const uint32_t ranks = GetParam();
  const Plan plan = device_plan(ranks, 1);
  Devices devices(plan);
  const std::vector<size_t> sizes{1, 7, 64, 1003, 2, 5000};
  std::vector<Buffers> all;
  for (size_t count : sizes) all.push_back(random_buffers(devices, ranks, count, 3));
  for (uint32_t r = 0; r < ranks; ++r) {
    for (size_t i = 0; i < sizes.size(); ++i) devices.launch(r, kAllReduce, {{all[i].device[r], sizes[i]}});
  }
  devices.synchronize();
  for (size_t i = 0; i < sizes.size(); ++i) {
    const std::vector<float> expected = sum_in_order(all[i].host);
    for (uint32_t r = 0; r < ranks; ++r) {
      EXPECT_EQ(std::vector<float>(all[i].device[r], all[i].device[r] + sizes[i]), expected) << sizes[i];
    }
  }
}

TEST_P(PlainCollectives, AllReduceMaximum) {
  const uint32_t ranks = GetParam();
  const Plan plan = device_plan(ranks, 1);
  Devices devices(plan);
  const Buffers b = random_buffers(devices, ranks, 101, 4);
  for (uint32_t r = 0; r < ranks; ++r) devices.launch(r, kAllReduceMax, {{b.device[r], 101}});
  devices.synchronize();
  for (uint32_t r = 0; r < ranks; ++r) {
    for (size_t i = 0; i < 101; ++i) {
      float largest = b.host[0][i];
      for (const auto& host : b.host) largest = std::max(largest, host[i]);
      EXPECT_EQ(b.device[r][i], largest);
    }
  }
}

/// Each rank gathers all parts in rank order, then scatters the sum of q equal copies: q times its own part.
TEST_P(PlainCollectives, GatherThenReduceScatter) {
  const uint32_t ranks = GetParam();
  const size_t count = 37;
  const Plan plan = device_plan(ranks, 1);
  Devices devices(plan);
  const Buffers parts = random_buffers(devices, ranks, count, 5);
  std::vector<float*> wholes, results;
  for (uint32_t r = 0; r < ranks; ++r) {
    wholes.push_back(devices.floats(r, count * ranks));
    results.push_back(devices.floats(r, count));
    devices.launch(r, kAllGather, {{wholes[r], count * ranks}, {parts.device[r], count}});
    devices.launch(r, kReduceScatter, {{results[r], count}, {wholes[r], count * ranks}});
  }
  devices.synchronize();
  std::vector<float> whole;
  for (const auto& host : parts.host) whole.insert(whole.end(), host.begin(), host.end());
  for (uint32_t r = 0; r < ranks; ++r) {
    EXPECT_EQ(std::vector<float>(wholes[r], wholes[r] + count * ranks), whole);
    for (size_t i = 0; i < count; ++i) {
      float sum = 0;
      for (uint32_t q = 0; q < ranks; ++q) sum += parts.host[r][i];
      EXPECT_EQ(results[r][i], sum);
    }
  }
}

TEST(PlainCommunication, DifferentSizesAreRefused) {
  const Plan plan = device_plan(2, 1);
  Devices devices(plan);
  const Buffers b = random_buffers(devices, 2, 10, 6);
  devices.launch(0, kAllReduce, {{b.device[0], 10}});
  devices.launch(1, kAllReduce, {{b.device[1], 9}});
  try {
    devices.synchronize();
    FAIL() << "40 bytes were added to 36";
  } catch (const RunError& error) {
    EXPECT_NE(std::string(error.what()).find("40 bytes"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("36 bytes"), std::string::npos) << error.what();
  }
  EXPECT_THROW(devices[0].synchronize(), RunError);
  EXPECT_THROW(devices[1].synchronize(), RunError);
}

/// k-th send meets k-th receive.
TEST(PlainCommunication, ChannelKeepsOrder) {
  const Plan plan = device_plan(1, 2);
  Devices devices(plan);
  constexpr size_t kMessages = 50;
  const Buffers source = random_buffers(devices, 1, kMessages, 7);
  float* target = devices.floats(1, kMessages);
  for (size_t i = 0; i < kMessages; ++i) devices.launch(0, kSend, {{source.device[0] + i, 1}});
  for (size_t i = 0; i < kMessages; ++i) devices.launch(1, kReceive, {{target + i, 1}});
  devices.synchronize();
  EXPECT_EQ(std::vector<float>(target, target + kMessages), source.host[0]);
}

/// A send that has no receiver yet holds its own stream only: the compute stream goes on. If it did not, the receive
/// would never be launched here.
TEST(PlainCommunication, SendDoesNotHoldComputeStream) {
  const Plan plan = device_plan(1, 2);
  std::atomic<bool> sending{false}, computed{false};
  CpuOptions options;
  options.before_task = [&](const Launch& launch) {
    if (launch.task.rank != 0) return;
    std::atomic<bool>& flag = launch.op->kernel == Kernel::opaque ? computed : sending;
    flag = true;
    flag.notify_all();
  };
  Devices devices(plan, options);
  const Buffers source = random_buffers(devices, 1, 4, 8);
  float* target = devices.floats(1, 4);
  devices.launch(0, kSend, {{source.device[0], 4}});
  devices.launch(0, kOpaqueCompute);
  computed.wait(false);
  sending.wait(false);
  devices.launch(1, kReceive, {{target, 4}});
  devices.synchronize();
  EXPECT_EQ(std::vector<float>(target, target + 4), source.host[0]);
  // The send had begun before the receive was launched: it waited for it, which is what its span says.
  for (const Span& span : devices[0].take_spans()) {
    if (span.op == kSend) {
      EXPECT_GT(span.wait(), 0);
    }
    EXPECT_LE(span.start, span.end);
  }
}

TEST(PlainCommunication, UnmatchedReceiveIsReportedAsDeadlock) {
  const Plan plan = device_plan(1, 2);
  CpuOptions options;
  options.deadlock_seconds = 1;
  Devices devices(plan, options);
  float* target = devices.floats(1, 4);
  devices.launch(1, kReceive, {{target, 4}});
  try {
    devices[1].synchronize();
    FAIL() << "nobody sent";
  } catch (const RunError& error) {
    EXPECT_NE(std::string(error.what()).find("rank 1"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("deadlock"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace pgram::testing
