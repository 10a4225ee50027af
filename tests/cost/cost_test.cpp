#include "core/cost/cost.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

namespace pgram {
namespace {

/// A Plan of one body with one op over fields of the given shapes; written operand first.
struct OneOp {
  Plan plan;

  OneOp(Kernel kernel, const std::vector<std::array<uint32_t, 2>>& shapes, DType dtype, uint64_t flops,
        uint64_t bytes) {
    Record record;
    Body body;
    Op op;
    for (size_t i = 0; i < shapes.size(); ++i) {
      Field field;
      field.name = "t" + std::to_string(i);
      field.dtype = dtype;
      field.num_dims = 2;
      field.dims = shapes[i];
      record.fields.push_back(field);
      Operand operand;
      operand.field = static_cast<uint16_t>(i);
      body.operands.push_back(operand);
    }
    record.lay_out();
    body.formals = {0};
    op.kernel = kernel;
    op.num_operands = static_cast<uint8_t>(shapes.size());
    op.num_writes = 1;
    op.flops = flops;
    op.bytes = bytes;
    body.ops = {op};
    plan.records = {record};
    plan.bodies = {body};
    plan.attributes.emplace_back();
  }
  Op& op() { return plan.bodies[0].ops[0]; }
  Duration duration(const Device& device, uint32_t busy = 1) const {
    return compute_duration(plan, plan.bodies[0], plan.bodies[0].ops[0], device, busy);
  }
};

OneOp matmul(uint32_t n, uint32_t o, uint32_t i, DType dtype = DType::f32) {
  const uint64_t flops = uint64_t{2} * n * o * i;
  const uint64_t bytes = (uint64_t{n} * o + uint64_t{n} * i + uint64_t{o} * i) * size_of(dtype);
  return OneOp(Kernel::matmul, {{n, o}, {n, i}, {o, i}}, dtype, flops, bytes);
}

OneOp add(uint32_t n, uint32_t h) {
  return OneOp(Kernel::add, {{n, h}, {n, h}, {n, h}}, DType::f32, 0, uint64_t{12} * n * h);
}

/// 1,000 flop/s in fp32 and 10,000 in bf16, of which a half is reached; 100 bytes/s, of which a quarter; 3 s to launch.
Device round_device() {
  Device device;
  device.memory_bytes_per_second = 100;
  device.fp32_flops_per_second = 1000;
  device.bf16_flops_per_second = 10000;
  device.matmul_efficiency = 0.5;
  device.attention_efficiency = 0.1;
  device.memory_efficiency = 0.25;
  device.launch_seconds = 3;
  return device;
}

TEST(Roofline, IsLaunchPlusTheSlowerOfArithmeticAndMemory) {
  const Device device = round_device();
  // 2 x 50 x 40 x 30 = 120,000 FLOP / 500 = 240 s; (2,000 + 1,500 + 1,200) x 4 = 18,800 bytes / 25 = 752 s.
  EXPECT_EQ(matmul(50, 40, 30).duration(device).time, to_picoseconds(3 + 752));
  EXPECT_EQ(matmul(50, 40, 30).duration(device).provenance, Provenance::roofline);
  // 2 x 1,000^3 = 2e9 / 500 = 4e6 s is beyond the longest time, 1e6 s.
  EXPECT_EQ(matmul(1000, 1000, 1000).duration(device).time, to_picoseconds(1e6));
  // 2 x 400^3 = 1.28e8: fp32 / 500 = 256,000 s, bf16 / 5,000 = 25,600 s; bytes 3 x 160,000 x 4 / 25 = 76,800 s, half in
  // bf16.
  EXPECT_EQ(matmul(400, 400, 400).duration(device).time, to_picoseconds(3 + 256000));
  EXPECT_EQ(matmul(400, 400, 400, DType::bf16).duration(device).time, to_picoseconds(3 + 38400));
  // 12 x 50 bytes / 25.
  EXPECT_EQ(add(5, 10).duration(device).time, to_picoseconds(3 + 24));
}

TEST(Roofline, IsFittedWhereTheEfficiencyThatCountsIs) {
  // As above: bf16 of 400^3 takes 25,600 s of arithmetic and 38,400 s of memory, or 256,000 s with a tenth of the peak.
  Device device = round_device();
  device.fitted.memory = true;
  EXPECT_EQ(matmul(400, 400, 400, DType::bf16).duration(device).provenance, Provenance::fitted);
  device.bf16_flops_per_second = 1000;
  EXPECT_EQ(matmul(400, 400, 400, DType::bf16).duration(device).provenance, Provenance::roofline);
  device.fitted.matmul = true;
  EXPECT_EQ(matmul(400, 400, 400, DType::bf16).duration(device).provenance, Provenance::fitted);
  // Fits are of bf16: arithmetic in fp32 is not.
  EXPECT_EQ(matmul(400, 400, 400).duration(device).provenance, Provenance::roofline);
  OneOp attention(Kernel::attention, {{8, 8}, {8, 24}}, DType::bf16, 100000, 10);
  EXPECT_EQ(attention.duration(device).provenance, Provenance::roofline);
  device.fitted.attention = true;
  EXPECT_EQ(attention.duration(device).provenance, Provenance::fitted);
  OneOp backward(Kernel::attention_bwd, {{8, 24}, {8, 8}, {8, 24}, {8, 8}}, DType::bf16, 100000, 10);
  EXPECT_EQ(backward.duration(device).provenance, Provenance::roofline);
  EXPECT_EQ(matmul(8192, 8192, 8192, DType::bf16).duration(find_device("h100-sxm")).provenance, Provenance::fitted);
}

TEST(Roofline, AttentionHasItsOwnEfficiency) {
  OneOp op(Kernel::attention, {{8, 8}, {8, 24}}, DType::f32, 1000, 10);
  // 1,000 / (1,000 x 0.1) = 10 s.
  EXPECT_EQ(op.duration(round_device()).time, to_picoseconds(3 + 10));
}

TEST(Roofline, AWeightGradientSummedInFp32MultipliesInBf16) {
  OneOp op(Kernel::matmul_dw, {{4, 4}, {4, 4}, {4, 4}}, DType::bf16, 50000, 0);
  op.plan.records[0].fields[0].dtype = DType::f32;
  // 50,000 / (10,000 x 0.5).
  EXPECT_EQ(op.duration(round_device()).time, to_picoseconds(3 + 10));
}

TEST(Roofline, AgreesWithAPublishedMatrixProductOnH100) {
  // 8,192 x 8,192 x 8,192 in bf16 on H100 SXM: 1.0995e12 FLOP / (989e12 x 0.82) = 1.3558 ms + 4 us.
  const Duration duration = matmul(8192, 8192, 8192, DType::bf16).duration(find_device("h100-sxm"));
  EXPECT_NEAR(to_seconds(duration.time), 1.3598e-3, 1e-7);
}

TEST(Measured, TheEntryOfTheSameShapeAndBusyCountIsTakenAsItIs) {
  Device device = round_device();
  device.kernels = {
      {"matmul", {50, 40, 30, 0}, 0.25, 1}, {"matmul", {50, 40, 30, 0}, 0.5, 2}, {"matmul_dx", {50, 40, 30, 0}, 9, 1}};
  EXPECT_EQ(matmul(50, 40, 30).duration(device, 1).time, to_picoseconds(0.25));
  EXPECT_EQ(matmul(50, 40, 30).duration(device, 1).provenance, Provenance::measured);
  EXPECT_EQ(matmul(50, 40, 30).duration(device, 2).time, to_picoseconds(0.5));
  // 4 busy: the nearest is 2, and it is not a measurement of this case.
  EXPECT_EQ(matmul(50, 40, 30).duration(device, 4).time, to_picoseconds(0.5));
  EXPECT_EQ(matmul(50, 40, 30).duration(device, 4).provenance, Provenance::interpolated);
  EXPECT_EQ(add(5, 10).duration(device).provenance, Provenance::roofline);
}

TEST(Measured, TablesAreOfFp32AndSayNothingOfBf16) {
  Device device = round_device();
  device.kernels = {{"matmul", {4, 4, 4, 0}, 100, 1, 1}};
  EXPECT_EQ(matmul(4, 4, 4).duration(device).provenance, Provenance::measured);
  // 2 x 4^3 = 128 FLOP / 5,000 = 0.0256 s; 48 x 2 = 96 bytes / 25 = 3.84 s; 3 s to launch.
  const Duration bf16 = matmul(4, 4, 4, DType::bf16).duration(device);
  EXPECT_EQ(bf16.provenance, Provenance::roofline);
  EXPECT_EQ(bf16.time, to_picoseconds(3 + 3.84));
}

TEST(Interpolated, ElementwiseKernelsLieBetweenTheirNeighbours) {
  Device device = round_device();
  device.launch_seconds = 0.5;
  device.kernels = {{"add", {10, 10, 0, 0}, 1, 1}, {"add", {100, 100, 0, 0}, 81, 1}};
  const auto seconds = [&](uint32_t n, uint32_t h) { return to_seconds(add(n, h).duration(device).time); };
  // Half way in log elements between 100 (1 s) and 10,000 (81 s): sqrt(1 x 81) = 9 s.
  EXPECT_NEAR(seconds(10, 100), 9, 1e-9);
  EXPECT_EQ(add(10, 100).duration(device).provenance, Provenance::interpolated);
  // Beyond: the rate of the last, 81 s x 10; below: 1 s x 80/100, and never less than a launch.
  EXPECT_NEAR(seconds(1000, 100), 810, 1e-6);
  EXPECT_NEAR(seconds(8, 10), 0.8, 1e-9);
  EXPECT_NEAR(seconds(1, 1), 0.5, 1e-9);
}

TEST(Interpolated, OfEquallyManyElementsTheNearestProportionsCount) {
  Device device = round_device();
  device.kernels = {{"add", {1000, 10, 0, 0}, 7, 1}, {"add", {10, 1000, 0, 0}, 2, 1}};
  EXPECT_NEAR(to_seconds(add(20, 500).duration(device).time), 2, 1e-9);
  EXPECT_NEAR(to_seconds(add(500, 20).duration(device).time), 7, 1e-9);
}

TEST(Interpolated, MatrixProductsOfOneRateKeepIt) {
  // Every entry runs at 1e9 products/s, so does what lies between and beyond.
  Device device = round_device();
  for (uint64_t m : {128, 512, 2048})
    for (uint64_t n : {128, 1024})
      for (uint64_t k : {256, 768})
        device.kernels.push_back({"matmul", {m, n, k, 0}, static_cast<double>(m * n * k) / 1e9, 1});
  for (const auto& [m, n, k] : std::vector<std::array<uint32_t, 3>>{{300, 500, 400}, {4096, 4096, 4096}, {1, 1, 1}}) {
    const Duration duration = matmul(m, n, k).duration(device);
    EXPECT_EQ(duration.provenance, Provenance::interpolated);
    EXPECT_NEAR(to_seconds(duration.time) / (double(m) * n * k / 1e9), 1, 1e-2) << m;
  }
}

TEST(Interpolated, RatesStayWithinThoseMeasured) {
  std::mt19937_64 random(11);
  Device device = round_device();
  double slowest = 1e30, fastest = 0;
  for (int i = 0; i < 60; ++i) {
    const std::array<uint64_t, 4> shape{1 + random() % 4096, 1 + random() % 4096, 1 + random() % 4096, 0};
    const double rate = 1e9 * (1 + static_cast<double>(random() % 1000) / 100);
    slowest = std::min(slowest, rate), fastest = std::max(fastest, rate);
    device.kernels.push_back({"matmul", shape, static_cast<double>(shape[0] * shape[1] * shape[2]) / rate, 1});
  }
  for (int i = 0; i < 500; ++i) {
    const uint32_t m = 1 + random() % 10000, n = 1 + random() % 10000, k = 1 + random() % 10000;
    const double rate = double(m) * n * k / to_seconds(matmul(m, n, k).duration(device).time);
    ASSERT_GE(rate, slowest * 0.999);
    ASSERT_LE(rate, fastest * 1.001);
  }
}

// A law with overhead and edges that do not fill a tile, sampled on a grid: between the samples within a few percent.
TEST(Interpolated, FollowsASmoothLawBetweenTheSamples) {
  const auto law = [](double m, double n, double k) {
    return 5e-6 + 2 * m * n * k / 5e10 * (1 + 16 / m) * (1 + 16 / n) * (1 + 32 / k);
  };
  Device device = round_device();
  for (uint64_t m = 32; m <= 4096; m *= 2)
    for (uint64_t n = 64; n <= 4096; n *= 2)
      for (uint64_t k = 64; k <= 4096; k *= 2)
        device.kernels.push_back({"matmul", {m, n, k, 0}, law(double(m), double(n), double(k)), 1});
  std::mt19937_64 random(2);
  double worst = 0, sum = 0;
  for (int i = 0; i < 300; ++i) {
    const uint32_t m = 40 + random() % 3000, n = 80 + random() % 3000, k = 80 + random() % 3000;
    const double error = std::abs(to_seconds(matmul(m, n, k).duration(device).time) / law(m, n, k) - 1);
    worst = std::max(worst, error), sum += error;
  }
  EXPECT_LT(sum / 300, 0.01);
  EXPECT_LT(worst, 0.06);
}

std::vector<uint32_t> range(uint32_t first, uint32_t count, uint32_t stride = 1) {
  std::vector<uint32_t> group(count);
  for (uint32_t i = 0; i < count; ++i) group[i] = first + i * stride;
  return group;
}

constexpr double kGiB = 1 << 30;

TEST(Transfer, OfOneGroupAsOneByOne) {
  const Cluster cluster = find_cluster("dgx-h100:4");
  for (const auto& group : {range(0, 8), range(0, 16), range(5, 4, 8), range(3, 2)}) {
    const CollectiveOptions any;
    GroupTransfers transfers(group, cluster, any);
    for (const Kernel kernel : {Kernel::all_reduce, Kernel::all_gather, Kernel::reduce_scatter}) {
      for (const Bytes bytes : {Bytes{64}, Bytes{1} << 20, Bytes{1} << 30}) {
        const TransferDuration together = transfers.duration(kernel, bytes);
        const TransferDuration alone = transfer_duration(kernel, bytes, group, cluster);
        EXPECT_EQ(together.bandwidth, alone.bandwidth);
        EXPECT_EQ(together.latency, alone.latency);
        EXPECT_EQ(together.algorithm, alone.algorithm);
        EXPECT_EQ(together.protocol, alone.protocol);
        EXPECT_EQ(together.channels, alone.channels);
      }
    }
  }
}

/// As NCCL chooses and expects on 8 H100: its in-switch algorithm, 8 channels of 2 x 40 x 0.85 x 7/8 = 59.5 GB/s, 476
/// GB/s on the bus, 8/14 of that for the array; 25 us. It runs on 16 SMs.
TEST(Transfer, AllReduceOverEightGpusOfANode) {
  const Cluster cluster = find_cluster("dgx-h100");
  const TransferDuration all_reduce = transfer_duration(Kernel::all_reduce, 1 << 30, range(0, 8), cluster);
  EXPECT_NEAR(double(all_reduce.bandwidth), double(to_picoseconds(kGiB / 272e9)), 2);
  EXPECT_NEAR(to_seconds(all_reduce.bandwidth), 3.9476e-3, 1e-7);
  EXPECT_EQ(all_reduce.latency, to_picoseconds(25e-6));
  EXPECT_EQ(all_reduce.provenance, Provenance::roofline);
  EXPECT_EQ(all_reduce.algorithm, Algorithm::nvls);
  EXPECT_EQ(all_reduce.channels, 16u);
  // Rings of 12 channels x 30 GB/s: 7 steps of an eighth at 360 GB/s; 8.4 us + 7 x 3.4 us; two blocks a channel.
  for (Kernel kernel : {Kernel::all_gather, Kernel::reduce_scatter}) {
    const TransferDuration half = transfer_duration(kernel, 1 << 30, range(0, 8), cluster);
    EXPECT_NEAR(double(half.bandwidth), double(to_picoseconds(7 * kGiB / 8 / 360e9)), 2);
    EXPECT_EQ(half.latency, to_picoseconds(32.2e-6));
    EXPECT_EQ(half.algorithm, Algorithm::ring);
    EXPECT_EQ(half.protocol, Protocol::simple);
    EXPECT_EQ(half.channels, 24u);
  }
  // A maximum moves what a sum moves.
  EXPECT_EQ(transfer_duration(Kernel::all_reduce_max, 1 << 30, range(0, 8), cluster).bandwidth, all_reduce.bandwidth);
}

TEST(Transfer, AcrossNodesEveryMemberBringsItsNic) {
  const Cluster cluster = find_cluster("dgx-h100:4");
  // One member in each of 4 nodes, on one rail: 3 steps of 2^28 bytes at 48 GB/s; 8.4 us and 3 x 14 us.
  const TransferDuration rail = transfer_duration(Kernel::all_gather, 1 << 30, range(5, 4, 8), cluster);
  EXPECT_NEAR(double(rail.bandwidth), double(to_picoseconds(3 * kGiB / 4 / 48e9)), 2);
  EXPECT_EQ(rail.latency, to_picoseconds(50.4e-6));
  // Two members in each node: twice 48. Of 7 steps 3 cross at 14 us, 4 stay at 3.4 us.
  std::vector<uint32_t> pairs{0, 1, 8, 9, 16, 17, 24, 25};
  const TransferDuration two = transfer_duration(Kernel::all_gather, 1 << 30, pairs, cluster);
  EXPECT_NEAR(double(two.bandwidth), double(to_picoseconds(7 * kGiB / 8 / 96e9)), 2);
  EXPECT_EQ(two.latency, to_picoseconds(64e-6));
  // All 32: 8 x 48 = 384 GB/s; a ring's hop between nodes leaves NVLink an eighth less to do.
  const TransferDuration all = transfer_duration(Kernel::all_gather, 1 << 30, range(0, 32), cluster);
  EXPECT_NEAR(double(all.bandwidth), double(to_picoseconds(31 * kGiB / 32 / 384e9)), 2);
  // 3 in one node and 1 in another: the 1 is the bottleneck.
  EXPECT_NEAR(double(transfer_duration(Kernel::all_gather, 1 << 30, {0, 1, 2, 8}, cluster).bandwidth),
              double(to_picoseconds(3 * kGiB / 4 / 48e9)), 2);
  // Through a spine that lets half of it pass: half the speed of the same choice.
  const TransferDuration wide = transfer_duration(Kernel::all_gather, 1 << 30, {0, 512}, find_cluster("dgx-h100:65"));
  const TransferDuration thin = transfer_duration(Kernel::all_gather, 1 << 30, {0, 512}, find_cluster("dgx-h100:65@2"));
  EXPECT_NEAR(double(thin.bandwidth), 2 * double(wide.bandwidth), 4);
  EXPECT_EQ(thin.latency, wide.latency);
}

TEST(Transfer, TheOrderOfTheMembersDoesNotMatter) {
  const Cluster cluster = find_cluster("dgx-b200:3");
  const auto sorted = transfer_duration(Kernel::all_reduce, 12345678, {0, 1, 8, 9, 16, 17}, cluster);
  const auto mixed = transfer_duration(Kernel::all_reduce, 12345678, {16, 0, 9, 1, 17, 8}, cluster);
  EXPECT_EQ(sorted.bandwidth, mixed.bandwidth);
  EXPECT_EQ(sorted.latency, mixed.latency);
}

/// NCCL starts its kernel and hops once: with LL 6.6 + 0.6 us, where half of the bytes are flags; above 16 KiB Simple.
TEST(Transfer, SendIsBandwidthThenLatency) {
  const Cluster cluster = find_cluster("dgx-h100:64@2");
  const TransferDuration inside = transfer_duration(Kernel::send, 3708, {0, 1}, cluster);
  EXPECT_EQ(inside.bandwidth, to_picoseconds(2e-8));
  EXPECT_EQ(inside.latency, to_picoseconds(7.2e-6));
  // Across the spine half of 48 GB/s is left; 8.4 + 14 us.
  const TransferDuration far = transfer_duration(Kernel::recv, 24000, {0, 63 * 8}, cluster);
  EXPECT_EQ(far.bandwidth, to_picoseconds(1e-6));
  EXPECT_EQ(far.latency, to_picoseconds(22.4e-6));
  // A group of one has nothing to move.
  EXPECT_EQ(transfer_duration(Kernel::all_reduce, 1 << 30, {3}, cluster).bandwidth, 0);
}

Cluster four_ranks_here() {
  Cluster cluster = find_cluster("this:4");
  cluster.shared_cores = 0;  // as on a machine of four cores or more
  cluster.device.copy_bytes_per_second = 1e9;
  cluster.device.transfer_latency_seconds = 1e-6;
  return cluster;
}

TEST(TransferHere, WithoutMeasurementsIsTheRateOfCopies) {
  const Cluster cluster = four_ranks_here();
  // 6 steps of 1,000 bytes at 1 GB/s, 6 x 1 us.
  const TransferDuration all_reduce = transfer_duration(Kernel::all_reduce, 4000, range(0, 4), cluster);
  EXPECT_EQ(all_reduce.bandwidth, to_picoseconds(6e-6));
  EXPECT_EQ(all_reduce.latency, to_picoseconds(6e-6));
  EXPECT_EQ(transfer_duration(Kernel::send, 5000, {0, 3}, cluster).bandwidth, to_picoseconds(5e-6));
}

TEST(TransferHere, UsesTheMeasuredTable) {
  Cluster cluster = four_ranks_here();
  // Two pairs of four ranks are busy at once: the entries with busy 2 count.
  cluster.device.transfers = {{"send", 2, 100, 1e-6, 2},
                              {"send", 2, 10000, 9e-6, 2},
                              {"send", 2, 100, 1e-7, 1},
                              {"all_reduce", 2, 1000, 5e-6, 2},
                              {"all_reduce", 4, 1000, 8e-6, 1}};
  const TransferDuration exact = transfer_duration(Kernel::send, 10000, {0, 1}, cluster);
  EXPECT_EQ(exact.provenance, Provenance::measured);
  EXPECT_EQ(exact.latency, to_picoseconds(1e-6));
  EXPECT_EQ(exact.bandwidth, to_picoseconds(8e-6));
  // Half way in log bytes: sqrt(1 x 9) = 3 us.
  const TransferDuration between = transfer_duration(Kernel::recv, 1000, {0, 1}, cluster);
  EXPECT_EQ(between.provenance, Provenance::interpolated);
  EXPECT_NEAR(double(between.latency + between.bandwidth), 3e6, 2);
  // Shorter than any: as long as the shortest. Longer: at the last rate.
  const TransferDuration tiny = transfer_duration(Kernel::send, 1, {0, 1}, cluster);
  EXPECT_NEAR(double(tiny.latency + tiny.bandwidth), 1e6, 2);
  const TransferDuration large = transfer_duration(Kernel::send, 100000, {0, 1}, cluster);
  EXPECT_NEAR(double(large.latency + large.bandwidth), 90e6, 20);
  // By number of ranks.
  EXPECT_EQ(transfer_duration(Kernel::all_reduce_max, 1000, range(0, 2), cluster).latency, to_picoseconds(5e-6));
  EXPECT_EQ(transfer_duration(Kernel::all_reduce, 1000, range(0, 4), cluster).latency, to_picoseconds(8e-6));
  // No measured all-gather: the rate of copies.
  EXPECT_EQ(transfer_duration(Kernel::all_gather, 4000, range(0, 4), cluster).provenance, Provenance::roofline);
}

/// Two nodes of eight GPUs, four pairs busy in each: the table holds within a node, the links between nodes.
TEST(TransferHere, ANodeOfGpusUsesTheMeasuredTable) {
  Cluster cluster = find_cluster("dgx-h100:2");
  const TransferDuration between = transfer_duration(Kernel::send, 1 << 20, {0, 8}, cluster);
  cluster.device.transfers = {{"send", 2, 64, 5e-6, 4}, {"send", 2, 1 << 20, 9e-6, 4}, {"send", 2, 64, 1e-6, 8}};
  const TransferDuration inside = transfer_duration(Kernel::send, 1 << 20, {8, 9}, cluster);
  EXPECT_EQ(inside.provenance, Provenance::measured);
  EXPECT_EQ(inside.latency, to_picoseconds(5e-6));
  EXPECT_EQ(inside.bandwidth, to_picoseconds(4e-6));
  const TransferDuration still = transfer_duration(Kernel::send, 1 << 20, {0, 8}, cluster);
  EXPECT_EQ(still.provenance, Provenance::roofline);
  EXPECT_EQ(still.bandwidth, between.bandwidth);
}

/// nccl-tests' PERFORMANCE.md: 1 GB in 10 ms on 4 ranks is 100 GB/s of algorithm bandwidth; the bus carries 2 x 3/4 of
/// it in an all-reduce, 3/4 when parts are passed on, all of it in a send.
TEST(TransferHere, BusBandwidthIsThatOfNcclTests) {
  EXPECT_DOUBLE_EQ(bus_bytes_per_second({"all_reduce", 4, 1'000'000'000, 0.01, 1}), 150e9);
  EXPECT_DOUBLE_EQ(bus_bytes_per_second({"all_gather", 4, 1'000'000'000, 0.01, 1}), 75e9);
  EXPECT_DOUBLE_EQ(bus_bytes_per_second({"reduce_scatter", 4, 1'000'000'000, 0.01, 1}), 75e9);
  EXPECT_DOUBLE_EQ(bus_bytes_per_second({"send", 2, 1'000'000'000, 0.01, 1}), 100e9);
  EXPECT_DOUBLE_EQ(bus_bytes_per_second({"copy_peer", 2, 1'000'000'000, 0.01, 1}), 100e9);
}

}  // namespace
}  // namespace pgram
