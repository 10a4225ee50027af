// Every collective against a plain loop, for 1 to 8 ranks and every type and operator that the stand-in has.
#include <algorithm>
#include <numeric>
#include <tuple>

#include "tests/emulation_tests/nccl/ranks.h"

namespace pgram::emulation {
namespace {

constexpr int kCount = 5;  // elements per rank, not a multiple of anything

/// Small integers, which all types hold exactly, of both signs: rank r's element i.
int element(int r, int i) {
  return (7 * r + 3 * i) % 11 - 5;
}

template <class T>
T make(int value) {
  return T(value);
}
template <>
__nv_bfloat16 make(int value) {
  return __float2bfloat16(float(value));
}
float plain(float value) {
  return value;
}
float plain(int32_t value) {
  return float(value);
}
float plain(__nv_bfloat16 value) {
  return __bfloat162float(value);
}

template <class T>
constexpr ncclDataType_t kType = ncclFloat32;
template <>
constexpr ncclDataType_t kType<int32_t> = ncclInt32;
template <>
constexpr ncclDataType_t kType<__nv_bfloat16> = ncclBfloat16;

template <class T>
std::vector<T> elements(int rank, int count) {
  std::vector<T> values;
  for (int i = 0; i < count; ++i) values.push_back(make<T>(element(rank, i)));
  return values;
}

template <class T>
std::vector<float> read(const DeviceArray<T>& array) {
  std::vector<float> values;
  for (const T value : array.read()) values.push_back(plain(value));
  return values;
}

/// op over the ranks' i-th elements.
float reduced(int ranks, int i, ncclRedOp_t op) {
  int value = element(0, i);
  for (int r = 1; r < ranks; ++r) {
    const int next = element(r, i);
    value = op == ncclMax ? std::max(value, next) : op == ncclMin ? std::min(value, next) : value + next;
  }
  return float(value);
}

template <class T>
class Collectives : public StandIn {};
using Types = testing::Types<float, __nv_bfloat16, int32_t>;
TYPED_TEST_SUITE(Collectives, Types);

TYPED_TEST(Collectives, EqualPlainLoopsFor1To8Ranks) {
  using T = TypeParam;
  for (int n = 1; n <= 8; ++n) {
    Ranks ranks(n);
    ranks.run([n](Rank& r) {
      const DeviceArray<T> part(elements<T>(r.rank, kCount)), whole(elements<T>(r.rank, n * kCount));
      const DeviceArray<T> scattered(kCount), sum(kCount), gathered(size_t(n * kCount)), broadcast(kCount);
      const int root = n / 2;
      const ncclDataType_t type = kType<T>;
      for (const ncclRedOp_t op : {ncclSum, ncclMax, ncclMin}) {
        EXPECT_EQ(ncclAllReduce(part.data(), sum.data(), kCount, type, op, r.comm, r.stream), ncclSuccess);
        EXPECT_EQ(ncclReduceScatter(whole.data(), scattered.data(), kCount, type, op, r.comm, r.stream), ncclSuccess);
        r.synchronize();
        for (int i = 0; i < kCount; ++i) {
          EXPECT_EQ(read(sum)[size_t(i)], reduced(n, i, op)) << n << " ranks, op " << op;
          EXPECT_EQ(read(scattered)[size_t(i)], reduced(n, r.rank * kCount + i, op)) << n << " ranks, op " << op;
        }
        // The result of the others is no business of the root's reduce.
        EXPECT_EQ(
            ncclReduce(part.data(), r.rank == root ? sum.data() : nullptr, kCount, type, op, root, r.comm, r.stream),
            ncclSuccess);
        r.synchronize();
        if (r.rank == root) {
          EXPECT_EQ(read(sum)[1], reduced(n, 1, op));
        }
      }
      EXPECT_EQ(ncclAllGather(part.data(), gathered.data(), kCount, type, r.comm, r.stream), ncclSuccess);
      EXPECT_EQ(
          ncclBroadcast(r.rank == root ? part.data() : nullptr, broadcast.data(), kCount, type, root, r.comm, r.stream),
          ncclSuccess);
      r.synchronize();
      for (int i = 0; i < n * kCount; ++i) EXPECT_EQ(read(gathered)[size_t(i)], float(element(i / kCount, i % kCount)));
      for (int i = 0; i < kCount; ++i) EXPECT_EQ(read(broadcast)[size_t(i)], float(element(root, i)));
    });
  }
}

class Nccl : public StandIn {};

TEST_F(Nccl, WorksInPlace) {
  constexpr int n = 4;
  Ranks ranks(n);
  ranks.run([](Rank& r) {
    const DeviceArray<float> all(elements<float>(r.rank, n * kCount)), gathered(size_t(n * kCount));
    const std::vector<float> own = elements<float>(r.rank, kCount);
    const ptrdiff_t place = r.rank * kCount;
    EXPECT_EQ(cudaMemcpy(gathered.data() + place, own.data(), kCount * sizeof(float), cudaMemcpyHostToDevice),
              cudaSuccess);
    EXPECT_EQ(ncclAllGather(gathered.data() + place, gathered.data(), kCount, ncclFloat, r.comm, r.stream),
              ncclSuccess);
    EXPECT_EQ(ncclReduceScatter(all.data(), all.data() + place, kCount, ncclFloat, ncclSum, r.comm, r.stream),
              ncclSuccess);
    r.synchronize();
    for (int i = 0; i < n * kCount; ++i) EXPECT_EQ(gathered.read()[size_t(i)], float(element(i / kCount, i % kCount)));
    for (int i = 0; i < kCount; ++i) EXPECT_EQ(all.read()[size_t(place + i)], reduced(n, int(place) + i, ncclSum));
    EXPECT_EQ(ncclAllReduce(all.data(), all.data(), n * kCount, ncclFloat, ncclMax, r.comm, r.stream), ncclSuccess);
    r.synchronize();
  });
}

// Floats: each times 1/n, then added: (3 * 0.25) + (5 * 0.25) + ... Integers: 1 + 2 + 4 + 4 = 11, 11 / 4 = 2.
TEST_F(Nccl, AveragesAsNcclDoes) {
  Ranks ranks(4);
  ranks.run([](Rank& r) {
    const DeviceArray<float> floats(std::vector<float>{float(2 * r.rank + 3)});
    const DeviceArray<int32_t> integers(std::vector<int32_t>{std::min(1 << r.rank, 4)});
    EXPECT_EQ(ncclAllReduce(floats.data(), floats.data(), 1, ncclFloat, ncclAvg, r.comm, r.stream), ncclSuccess);
    EXPECT_EQ(ncclAllReduce(integers.data(), integers.data(), 1, ncclInt32, ncclAvg, r.comm, r.stream), ncclSuccess);
    r.synchronize();
    EXPECT_EQ(floats.read()[0], 6.0f);  // (3 + 5 + 7 + 9) / 4
    EXPECT_EQ(integers.read()[0], 2);
  });
}

// 1e8 + 1 is 1e8 in floats, so the order shows: ((1e8 + 1) - 1e8) + 1 = 1, but 1e8 - 1e8 + 1 + 1 = 2. In bfloat16, with
// 8 bits: ((256 + 1) + 1) + 1 = 256, for every sum is rounded to even; 256 + (1 + 1 + 1) would be 260.
TEST_F(Nccl, AddsInRankOrderAndRoundsEveryStep) {
  Ranks ranks(4);
  ranks.run([](Rank& r) {
    const DeviceArray<float> floats(std::vector<float>{std::vector<float>{1e8f, 1, -1e8f, 1}[size_t(r.rank)]});
    const DeviceArray<__nv_bfloat16> halves(std::vector<__nv_bfloat16>{__float2bfloat16(r.rank == 0 ? 256 : 1)});
    EXPECT_EQ(ncclAllReduce(floats.data(), floats.data(), 1, ncclFloat, ncclSum, r.comm, r.stream), ncclSuccess);
    EXPECT_EQ(ncclAllReduce(halves.data(), halves.data(), 1, ncclBfloat16, ncclSum, r.comm, r.stream), ncclSuccess);
    r.synchronize();
    EXPECT_EQ(floats.read()[0], 1);
    EXPECT_EQ(plain(halves.read()[0]), 256);
  });
}

TEST_F(Nccl, LeavesOutCollectivesOfNothing) {
  Ranks ranks(2);
  // Nobody else makes this call, so it would never end.
  ranks.run([](Rank& r) {
    if (r.rank == 1) return;
    EXPECT_EQ(ncclAllReduce(nullptr, nullptr, 0, ncclFloat, ncclSum, r.comm, r.stream), ncclSuccess);
    r.synchronize();
  });
}

// No buffering: a send does not end before its receive has come.
TEST_F(Nccl, ASendWaitsForItsReceive) {
  Ranks ranks(2);
  DeviceArray<float>* sent = nullptr;
  ranks.run([&](Rank& r) {
    if (r.rank == 1) return;
    sent = new DeviceArray<float>(std::vector<float>{42});
    EXPECT_EQ(ncclSend(sent->data(), 1, ncclFloat, 1, r.comm, r.stream), ncclSuccess);
    EXPECT_FALSE(is_idle_within(r.stream, 0.1));
  });
  ranks.run([&](Rank& r) {
    if (r.rank == 1) {
      const DeviceArray<float> received(1);
      EXPECT_EQ(ncclRecv(received.data(), 1, ncclFloat, 0, r.comm, r.stream), ncclSuccess);
      r.synchronize();
      EXPECT_EQ(received.read()[0], 42);
    } else {
      r.synchronize();
    }
  });
  delete sent;
}

}  // namespace
}  // namespace pgram::emulation
