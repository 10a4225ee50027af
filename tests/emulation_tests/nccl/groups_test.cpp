// Group calls: both directions of an exchange at once, several ranks of one thread, nothing before the outermost end.
#include <algorithm>

#include "tests/emulation_tests/nccl/ranks.h"

namespace pgram::emulation {
namespace {

class NcclGroups : public StandIn {};

TEST_F(NcclGroups, ExchangeInBothDirections) {
  for (int n = 1; n <= 5; ++n) {  // one rank sends to itself
    Ranks ranks(n);
    ranks.run([](Rank& r) {
      const DeviceArray<float> mine(std::vector<float>{float(r.rank), float(10 * r.rank)}), left(2), right(2);
      EXPECT_EQ(ncclGroupStart(), ncclSuccess);
      EXPECT_EQ(ncclSend(mine.data(), 2, ncclFloat, r.next(), r.comm, r.stream), ncclSuccess);
      EXPECT_EQ(ncclRecv(left.data(), 2, ncclFloat, r.previous(), r.comm, r.stream), ncclSuccess);
      EXPECT_EQ(ncclSend(mine.data(), 2, ncclFloat, r.previous(), r.comm, r.stream), ncclSuccess);
      EXPECT_EQ(ncclRecv(right.data(), 2, ncclFloat, r.next(), r.comm, r.stream), ncclSuccess);
      EXPECT_EQ(ncclGroupEnd(), ncclSuccess);
      r.synchronize();
      EXPECT_EQ(left.read(), (std::vector<float>{float(r.previous()), float(10 * r.previous())}));
      EXPECT_EQ(right.read(), (std::vector<float>{float(r.next()), float(10 * r.next())}));
    });
  }
}

// All sends before all receives, from every rank to every other: would be a deadlock one by one.
TEST_F(NcclGroups, AllToAll) {
  constexpr int n = 4;
  Ranks ranks(n);
  ranks.run([](Rank& r) {
    std::vector<int32_t> values;
    for (int i = 0; i < n; ++i) values.push_back(100 * r.rank + i);
    const DeviceArray<int32_t> mine(values), theirs(n);
    EXPECT_EQ(ncclGroupStart(), ncclSuccess);
    for (int i = 0; i < n; ++i) EXPECT_EQ(ncclSend(mine.data() + i, 1, ncclInt32, i, r.comm, r.stream), ncclSuccess);
    for (int i = n; i-- > 0;) EXPECT_EQ(ncclRecv(theirs.data() + i, 1, ncclInt32, i, r.comm, r.stream), ncclSuccess);
    EXPECT_EQ(ncclGroupEnd(), ncclSuccess);
    r.synchronize();
    for (int i = 0; i < n; ++i) EXPECT_EQ(theirs.read()[size_t(i)], 100 * i + r.rank);
  });
}

TEST_F(NcclGroups, NothingIsDoneBeforeTheOutermostEnd) {
  Ranks ranks(2);
  ranks.run([](Rank& r) {
    const DeviceArray<float> sum(std::vector<float>{float(r.rank + 1)}), maximum(std::vector<float>{float(r.rank + 1)});
    EXPECT_EQ(ncclGroupStart(), ncclSuccess);
    EXPECT_EQ(ncclGroupStart(), ncclSuccess);
    EXPECT_EQ(ncclAllReduce(sum.data(), sum.data(), 1, ncclFloat, ncclSum, r.comm, r.stream), ncclSuccess);
    EXPECT_EQ(ncclGroupEnd(), ncclSuccess);
    r.synchronize();
    EXPECT_EQ(sum.read()[0], float(r.rank + 1));
    EXPECT_EQ(ncclAllReduce(maximum.data(), maximum.data(), 1, ncclFloat, ncclMax, r.comm, r.stream), ncclSuccess);
    EXPECT_EQ(ncclGroupEnd(), ncclSuccess);
    r.synchronize();
    EXPECT_EQ(sum.read()[0], 3);
    EXPECT_EQ(maximum.read()[0], 2);
  });
}

// What comes on either stream before the group is done before it, what comes after, after it.
TEST_F(NcclGroups, SeveralStreamsOfOneCommunicatorMeet) {
  Ranks ranks(2);
  ranks.run([](Rank& r) {
    cudaStream_t second = nullptr;
    EXPECT_EQ(cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking), cudaSuccess);
    const DeviceArray<float> a(std::vector<float>{1}), b(std::vector<float>{2}), copy(1);
    EXPECT_EQ(ncclGroupStart(), ncclSuccess);
    EXPECT_EQ(ncclAllReduce(a.data(), a.data(), 1, ncclFloat, ncclSum, r.comm, r.stream), ncclSuccess);
    EXPECT_EQ(ncclAllReduce(b.data(), b.data(), 1, ncclFloat, ncclSum, r.comm, second), ncclSuccess);
    EXPECT_EQ(ncclGroupEnd(), ncclSuccess);
    EXPECT_EQ(cudaMemcpyAsync(copy.data(), b.data(), sizeof(float), cudaMemcpyDeviceToDevice, second), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(second), cudaSuccess);
    EXPECT_EQ(copy.read()[0], 4);
    r.synchronize();
    EXPECT_EQ(a.read()[0], 2);
    EXPECT_EQ(cudaStreamDestroy(second), cudaSuccess);
  });
}

TEST_F(NcclGroups, OneThreadDrivesSeveralRanks) {
  constexpr int n = 3;
  const int devices[n] = {4, 0, 2};
  ncclComm_t comms[n];
  ASSERT_EQ(ncclCommInitAll(comms, n, devices), ncclSuccess);
  cudaStream_t streams[n];
  std::vector<std::unique_ptr<DeviceArray<float>>> values;
  for (int i = 0; i < n; ++i) {
    int device = -1, rank = -1, count = 0;
    EXPECT_EQ(ncclCommCuDevice(comms[i], &device), ncclSuccess);
    EXPECT_EQ(ncclCommUserRank(comms[i], &rank), ncclSuccess);
    EXPECT_EQ(ncclCommCount(comms[i], &count), ncclSuccess);
    EXPECT_EQ(std::make_tuple(device, rank, count), std::make_tuple(devices[i], i, n));
    EXPECT_EQ(cudaSetDevice(devices[i]), cudaSuccess);
    EXPECT_EQ(cudaStreamCreateWithFlags(&streams[i], cudaStreamNonBlocking), cudaSuccess);
    values.push_back(std::make_unique<DeviceArray<float>>(std::vector<float>{float(i + 1)}));
  }
  // Whatever the current device is: NCCL knows its own.
  EXPECT_EQ(ncclGroupStart(), ncclSuccess);
  for (int i = 0; i < n; ++i) {
    float* data = values[size_t(i)]->data();
    EXPECT_EQ(ncclAllReduce(data, data, 1, ncclFloat, ncclSum, comms[i], streams[i]), ncclSuccess);
  }
  EXPECT_EQ(ncclGroupEnd(), ncclSuccess);
  for (int i = 0; i < n; ++i) {
    EXPECT_EQ(cudaSetDevice(devices[i]), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(streams[i]), cudaSuccess);
    EXPECT_EQ(values[size_t(i)]->read()[0], 6);
    EXPECT_EQ(cudaStreamDestroy(streams[i]), cudaSuccess);
    EXPECT_EQ(ncclCommDestroy(comms[i]), ncclSuccess);
  }
  EXPECT_EQ(cudaSetDevice(0), cudaSuccess);
}

// NCCL throws the whole group away, so its receive must not be left on the stream.
TEST_F(NcclGroups, AnErrorInAGroupMakesNothingOfItBeDone) {
  Ranks ranks(2);
  ranks.run([](Rank& r) {
    if (r.rank == 1) return;
    const DeviceArray<float> data(1);
    EXPECT_EQ(ncclGroupStart(), ncclSuccess);
    EXPECT_EQ(ncclRecv(data.data(), 1, ncclFloat, 1, r.comm, r.stream), ncclSuccess);
    EXPECT_EQ(ncclSend(data.data(), 1, ncclFloat, 7, r.comm, r.stream), ncclInvalidArgument);
    EXPECT_EQ(ncclGroupEnd(), ncclInvalidArgument);
    EXPECT_EQ(std::string(ncclGetLastError(r.comm)), "ncclSend with rank 7 of 2");
    r.synchronize();
    EXPECT_EQ(ncclGroupEnd(), ncclInvalidUsage);  // there is none any more
  });
}

// A communicator that does not block: the operation is on its stream only when polling says so.
TEST_F(NcclGroups, WithoutBlockingTheStreamHasTheOperationAfterPolling) {
  Ranks ranks(2, false);
  ranks.run([](Rank& r) {
    const DeviceArray<float> sum(std::vector<float>{float(r.rank + 1)});
    EXPECT_EQ(ncclAllReduce(sum.data(), sum.data(), 1, ncclFloat, ncclSum, r.comm, r.stream), ncclInProgress);
    r.synchronize();
    EXPECT_EQ(sum.read()[0], float(r.rank + 1)) << "not yet there";
    EXPECT_EQ(ncclAllReduce(sum.data(), sum.data(), 1, ncclFloat, ncclSum, r.comm, r.stream), ncclInvalidArgument);
    ncclResult_t state = ncclSuccess;
    EXPECT_EQ(ncclCommGetAsyncError(r.comm, &state), ncclSuccess);
    EXPECT_EQ(state, ncclInProgress);
    EXPECT_EQ(settle(r.comm), ncclSuccess);
    r.synchronize();
    EXPECT_EQ(sum.read()[0], 3);
  });
}

}  // namespace
}  // namespace pgram::emulation
