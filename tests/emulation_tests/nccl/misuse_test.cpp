// Planted defects: what NCCL leaves undefined, or hangs at, is found and said.
#include "tests/emulation_tests/nccl/ranks.h"

namespace pgram::emulation {
namespace {

class NcclMisuse : public StandIn {
 protected:
  /// Runs `what` for each of two ranks; both must then see this error, and be free once they abort.
  void expect_error_on_both(ncclResult_t error, const std::function<void(Rank&, float*)>& what) {
    Ranks ranks(2);
    ranks.run([&](Rank& r) {
      const DeviceArray<float> data(8);
      what(r, data.data());
      EXPECT_EQ(wait_for_error(r.comm), error);
      EXPECT_EQ(ncclCommAbort(std::exchange(r.comm, nullptr)), ncclSuccess);
      EXPECT_TRUE(is_idle_within(r.stream, 5));
    });
  }
};

TEST_F(NcclMisuse, CollectivesOfDifferentKind) {
  expect_error_on_both(ncclInvalidUsage, [](Rank& r, float* x) {
    const ncclResult_t result = r.rank == 0 ? ncclAllReduce(x, x, 4, ncclFloat, ncclSum, r.comm, r.stream)
                                            : ncclBroadcast(x, x, 4, ncclFloat, 0, r.comm, r.stream);
    EXPECT_EQ(result, ncclSuccess);
  });
  const std::string text = report();
  EXPECT_NE(text.find("collectives do not match in communicator "), std::string::npos) << text;
  EXPECT_NE(text.find("ncclAllReduce of 4 x float, sum on rank 0"), std::string::npos) << text;
  EXPECT_NE(text.find("ncclBroadcast of 4 x float, root 0 on rank 1"), std::string::npos) << text;
}

TEST_F(NcclMisuse, CollectivesOfDifferentCount) {
  expect_error_on_both(ncclInvalidUsage, [](Rank& r, float* x) {
    EXPECT_EQ(ncclAllReduce(x, x, size_t(4 + r.rank), ncclFloat, ncclSum, r.comm, r.stream), ncclSuccess);
  });
  EXPECT_NE(report().find("5 x float"), std::string::npos);
}

TEST_F(NcclMisuse, CollectivesOfDifferentType) {
  expect_error_on_both(ncclInvalidUsage, [](Rank& r, float* x) {
    EXPECT_EQ(ncclAllReduce(x, x, 4, r.rank ? ncclInt32 : ncclFloat, ncclSum, r.comm, r.stream), ncclSuccess);
  });
  EXPECT_NE(report().find("4 x int32"), std::string::npos);
}

TEST_F(NcclMisuse, CollectivesOfDifferentOperator) {
  expect_error_on_both(ncclInvalidUsage, [](Rank& r, float* x) {
    EXPECT_EQ(ncclAllReduce(x, x, 4, ncclFloat, r.rank ? ncclMax : ncclSum, r.comm, r.stream), ncclSuccess);
  });
  EXPECT_NE(report().find("maximum on rank 1"), std::string::npos);
}

TEST_F(NcclMisuse, CollectivesOfDifferentRoot) {
  expect_error_on_both(ncclInvalidUsage, [](Rank& r, float* x) {
    EXPECT_EQ(ncclReduce(x, x, 4, ncclFloat, ncclSum, r.rank, r.comm, r.stream), ncclSuccess);
  });
  EXPECT_NE(report().find("root 1 on rank 1"), std::string::npos);
}

TEST_F(NcclMisuse, SendAndReceiveOfDifferentSize) {
  expect_error_on_both(ncclInvalidUsage, [](Rank& r, float* x) {
    EXPECT_EQ(
        r.rank == 0 ? ncclSend(x, 4, ncclFloat, 1, r.comm, r.stream) : ncclRecv(x, 3, ncclFloat, 0, r.comm, r.stream),
        ncclSuccess);
  });
  const std::string text = report();
  EXPECT_NE(text.find("send and receive do not match"), std::string::npos) << text;
  EXPECT_NE(text.find("ncclSend of 4 x float, but ncclRecv of 3 x float"), std::string::npos) << text;
}

TEST_F(NcclMisuse, HostPointersAreRefused) {
  Ranks ranks(1);
  ranks.run([&](Rank& r) {
    float host = 0;
    const DeviceArray<float> device(1);
    EXPECT_EQ(ncclAllReduce(&host, device.data(), 1, ncclFloat, ncclSum, r.comm, r.stream), ncclInvalidArgument);
    EXPECT_NE(report().find("host pointer: ncclAllReduce"), std::string::npos);
    EXPECT_EQ(ncclRecv(&host, 1, ncclFloat, 0, r.comm, r.stream), ncclInvalidArgument);
    EXPECT_NE(report().find("host pointer: ncclRecv"), std::string::npos);
  });
}

TEST_F(NcclMisuse, BuffersAndStreamsOfAnotherDeviceAreRefused) {
  Ranks ranks(1);
  ranks.run([&](Rank& r) {
    const DeviceArray<float> here(1);
    EXPECT_EQ(cudaSetDevice(3), cudaSuccess);
    const DeviceArray<float> there(1);
    cudaStream_t stream = nullptr;
    EXPECT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    EXPECT_EQ(ncclAllReduce(there.data(), here.data(), 1, ncclFloat, ncclSum, r.comm, r.stream), ncclInvalidArgument);
    EXPECT_NE(report().find("wrong device: ncclAllReduce"), std::string::npos);
    EXPECT_EQ(ncclAllReduce(here.data(), here.data(), 1, ncclFloat, ncclSum, r.comm, stream), ncclInvalidUsage);
    EXPECT_NE(report().find("was put on a stream of device 3"), std::string::npos);
    EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
  });
}

TEST_F(NcclMisuse, TheDefaultStreamIsReported) {
  Ranks ranks(1);
  ranks.run([&](Rank& r) {
    const DeviceArray<float> x(1);
    EXPECT_EQ(ncclAllReduce(x.data(), x.data(), 1, ncclFloat, ncclSum, r.comm, nullptr), ncclSuccess);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    EXPECT_NE(report().find("default stream: ncclAllReduce"), std::string::npos);
  });
}

// Every buffer one element too short: the whole extent is checked, in device memory, when the operation runs.
TEST_F(NcclMisuse, BuffersThatAreTooShort) {
  using Issue = std::function<ncclResult_t(const Rank&, float* long_enough, float* short_by_one)>;
  const std::pair<const char*, Issue> cases[] = {
      {"ncclAllReduce #0 of communicator",
       [](const Rank& r, float*, float* y) { return ncclAllReduce(y, y, 4, ncclFloat, ncclSum, r.comm, r.stream); }},
      {"(send buffer)",
       [](const Rank& r, float* x, float* y) { return ncclAllGather(y, x, 4, ncclFloat, r.comm, r.stream); }},
      {"(receive buffer)",
       [](const Rank& r, float* x, float* y) { return ncclBroadcast(x, y, 4, ncclFloat, 0, r.comm, r.stream); }},
  };
  for (const auto& [expected, issue] : cases) {
    Ranks ranks(1);
    ranks.run([&](Rank& r) {
      const DeviceArray<float> x(4), y(3);
      EXPECT_EQ(issue(r, x.data(), y.data()), ncclSuccess);
      EXPECT_EQ(cudaStreamSynchronize(r.stream), cudaErrorIllegalAddress);
      EXPECT_EQ(wait_for_error(r.comm), ncclUnhandledCudaError);
      EXPECT_EQ(ncclCommAbort(std::exchange(r.comm, nullptr)), ncclSuccess);
    });
    const std::string text = report();
    EXPECT_NE(text.find("out of bounds"), std::string::npos) << text;
    EXPECT_NE(text.find(expected), std::string::npos) << text;
    control().reset();  // the device's sticky error
  }
}

TEST_F(NcclMisuse, BuffersThatOverlapButAreNotInPlace) {
  Ranks ranks(1);
  ranks.run([&](Rank& r) {
    const DeviceArray<float> x(8);
    EXPECT_EQ(ncclAllReduce(x.data(), x.data() + 1, 4, ncclFloat, ncclSum, r.comm, r.stream), ncclInvalidArgument);
    EXPECT_NE(report().find("overlap: the buffers of ncclAllReduce"), std::string::npos);
  });
}

TEST_F(NcclMisuse, OneThreadDrivesTwoRanksOutsideAGroup) {
  Ranks ranks(2);
  const DeviceArray<float> x(1);
  EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
  const DeviceArray<float> y(1);
  EXPECT_EQ(ncclRecv(y.data(), 1, ncclFloat, 0, ranks[1].comm, ranks[1].stream), ncclSuccess);
  EXPECT_EQ(cudaSetDevice(0), cudaSuccess);
  EXPECT_EQ(ncclSend(x.data(), 1, ncclFloat, 1, ranks[0].comm, ranks[0].stream), ncclSuccess);
  EXPECT_TRUE(is_idle_within(ranks[0].stream, 5));
  EXPECT_TRUE(is_idle_within(ranks[1].stream, 5));
  EXPECT_NE(report().find("no group: one thread calls ncclSend for ranks 1 and 0"), std::string::npos);
}

// The one thread waits in ncclCommSplit for the other rank.
TEST_F(NcclMisuse, TwoThreadsUseOneCommunicatorAtOnce) {
  Ranks ranks(2);
  const DeviceArray<float> x(1);
  const uint64_t before = control().calls("ncclCommSplit");
  std::vector<ncclComm_t> parts(2);
  std::thread waiting([&] { EXPECT_EQ(ncclCommSplit(ranks[0].comm, 0, 0, &parts[0], nullptr), ncclSuccess); });
  while (control().calls("ncclCommSplit") == before) std::this_thread::yield();
  // The call is counted a moment before the communicator is in use.
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  int count = 0;
  EXPECT_EQ(ncclCommCount(ranks[0].comm, &count), ncclInvalidUsage);
  EXPECT_NE(report().find("two threads at once: ncclCommCount on communicator"), std::string::npos);
  EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
  EXPECT_EQ(ncclCommSplit(ranks[1].comm, 0, 0, &parts[1], nullptr), ncclSuccess);
  EXPECT_EQ(cudaSetDevice(0), cudaSuccess);
  waiting.join();
  for (ncclComm_t part : parts) EXPECT_EQ(ncclCommDestroy(part), ncclSuccess);
}

TEST_F(NcclMisuse, TwoThreadsInOneGroup) {
  Ranks ranks(1);
  const DeviceArray<float> x(1);
  float* data = x.data();
  EXPECT_EQ(ncclGroupStart(), ncclSuccess);
  EXPECT_EQ(ncclAllReduce(data, data, 1, ncclFloat, ncclSum, ranks[0].comm, ranks[0].stream), ncclSuccess);
  std::thread([&] {
    EXPECT_EQ(ncclAllReduce(data, data, 1, ncclFloat, ncclSum, ranks[0].comm, ranks[0].stream), ncclInvalidUsage);
  }).join();
  EXPECT_EQ(ncclGroupEnd(), ncclSuccess);
  EXPECT_TRUE(is_idle_within(ranks[0].stream, 5));
  EXPECT_NE(report().find("two threads at once: ncclAllReduce"), std::string::npos);
}

TEST_F(NcclMisuse, UseAfterDestroyAndAbort) {
  Ranks ranks(2);
  ncclResult_t state = ncclSuccess;
  const ncclComm_t destroyed = std::exchange(ranks[0].comm, nullptr), aborted = std::exchange(ranks[1].comm, nullptr);
  EXPECT_EQ(ncclCommDestroy(destroyed), ncclSuccess);
  EXPECT_EQ(ncclCommAbort(aborted), ncclSuccess);
  EXPECT_EQ(ncclCommDestroy(destroyed), ncclInvalidArgument);
  EXPECT_NE(report().find("use after destroy: ncclCommDestroy"), std::string::npos);
  EXPECT_EQ(ncclCommGetAsyncError(aborted, &state), ncclInvalidArgument);
  EXPECT_NE(report().find("use after destroy: ncclCommGetAsyncError"), std::string::npos);
  EXPECT_EQ(ncclCommDestroy(nullptr), ncclInvalidArgument);
}

TEST_F(NcclMisuse, DestroyBeforeAllIsDone) {
  Ranks ranks(2);
  const DeviceArray<float> x(1);
  EXPECT_EQ(ncclSend(x.data(), 1, ncclFloat, 1, ranks[0].comm, ranks[0].stream), ncclSuccess);
  EXPECT_EQ(ncclCommDestroy(std::exchange(ranks[0].comm, nullptr)), ncclSuccess);
  EXPECT_TRUE(is_idle_within(ranks[0].stream, 5));
  EXPECT_NE(report().find("has 1 operations that are not done"), std::string::npos);
}

TEST_F(NcclMisuse, ReductionsThatTheStandInLacks) {
  Ranks ranks(1);
  const DeviceArray<float> x(4);
  const auto reduce = [&](ncclDataType_t type, ncclRedOp_t op) {
    return ncclAllReduce(x.data(), x.data(), 1, type, op, ranks[0].comm, ranks[0].stream);
  };
  EXPECT_EQ(reduce(ncclFloat64, ncclSum), ncclInvalidArgument);
  EXPECT_EQ(report(), "not in the stand-in: ncclAllReduce of 1 x double, sum");
  EXPECT_EQ(reduce(ncclFloat, ncclProd), ncclInvalidArgument);
  EXPECT_EQ(report(), "not in the stand-in: ncclAllReduce of 1 x float, product");
}

}  // namespace
}  // namespace pgram::emulation
