// Making communicators, splitting them, and the errors of both; failures that are planned.
#include <atomic>
#include <map>

#include "tests/emulation_tests/nccl/ranks.h"

namespace pgram::emulation {
namespace {

class NcclCommunicators : public StandIn {
 protected:
  static float sum_of_ranks(Rank& r, ncclComm_t comm, bool blocking = true) {
    const DeviceArray<float> x(std::vector<float>{float(r.rank)});
    const ncclResult_t result = ncclAllReduce(x.data(), x.data(), 1, ncclFloat, ncclSum, comm, r.stream);
    EXPECT_EQ(result, blocking ? ncclSuccess : ncclInProgress);
    if (!blocking) {
      EXPECT_EQ(settle(comm), ncclSuccess);
    }
    r.synchronize();
    return x.read()[0];
  }
};

TEST_F(NcclCommunicators, VersionAndErrorTexts) {
  int version = 0;
  EXPECT_EQ(ncclGetVersion(&version), ncclSuccess);
  EXPECT_EQ(version, NCCL_VERSION_CODE);
  for (int code = ncclSuccess; code < ncclNumResults; ++code) {
    EXPECT_STRNE(ncclGetErrorString(ncclResult_t(code)), ncclGetErrorString(ncclNumResults));
  }
  EXPECT_STREQ(ncclGetErrorString(ncclRemoteError), "remote process exited or there was a network error");
}

TEST_F(NcclCommunicators, LeaveNothingBehind) {
  const Live before = control().live();
  {
    Ranks ranks(3);
    EXPECT_EQ(control().live().communicators, before.communicators + 3);
  }
  EXPECT_EQ(control().live().communicators, before.communicators);
}

// Ranks 0 to 5 with colours 0 1 0 1 0 none and keys that turn the order around: {4, 2, 0} and {3, 1}.
TEST_F(NcclCommunicators, SplitByColourAndKey) {
  for (const bool blocking : {true, false}) {
    Ranks ranks(6, blocking);
    ranks.run([blocking](Rank& r) {
      ncclComm_t part = nullptr;
      const int color = r.rank == 5 ? NCCL_SPLIT_NOCOLOR : r.rank % 2;
      const ncclResult_t result = ncclCommSplit(r.comm, color, -r.rank, &part, nullptr);
      EXPECT_EQ(result, blocking ? ncclSuccess : ncclInProgress);
      if (!blocking) {
        EXPECT_EQ(part, nullptr) << "NCCL fills it in when the parent is done";
        EXPECT_EQ(settle(r.comm), ncclSuccess);
      }
      if (r.rank == 5) {
        EXPECT_EQ(part, nullptr);
        return;
      }
      EXPECT_EQ(settle(part), ncclSuccess);
      int rank = -1, count = -1;
      EXPECT_EQ(ncclCommUserRank(part, &rank), ncclSuccess);
      EXPECT_EQ(ncclCommCount(part, &count), ncclSuccess);
      const std::vector<int> expected_rank{2, 1, 1, 0, 0}, expected_count{3, 2, 3, 2, 3};
      EXPECT_EQ(rank, expected_rank[size_t(r.rank)]);
      EXPECT_EQ(count, expected_count[size_t(r.rank)]);
      EXPECT_EQ(sum_of_ranks(r, part, blocking), color ? 4 : 6);  // 3 + 1, or 4 + 2 + 0
      EXPECT_EQ(ncclCommDestroy(part), ncclSuccess);
    });
    // The parent goes on.
    ranks.run([blocking](Rank& r) { EXPECT_EQ(sum_of_ranks(r, r.comm, blocking), 15); });
  }
}

TEST_F(NcclCommunicators, SplitAPartAgain) {
  Ranks ranks(4);
  ranks.run([](Rank& r) {
    ncclComm_t half = nullptr, one = nullptr;
    EXPECT_EQ(ncclCommSplit(r.comm, r.rank / 2, 0, &half, nullptr), ncclSuccess);
    EXPECT_EQ(ncclCommSplit(half, r.rank % 2, 0, &one, nullptr), ncclSuccess);
    EXPECT_EQ(sum_of_ranks(r, half), r.rank / 2 ? 5 : 1);
    EXPECT_EQ(sum_of_ranks(r, one), float(r.rank));
    EXPECT_EQ(ncclCommDestroy(half), ncclSuccess);
    EXPECT_EQ(sum_of_ranks(r, one), float(r.rank)) << "outlives what it was split off";
    EXPECT_EQ(ncclCommDestroy(one), ncclSuccess);
  });
}

TEST_F(NcclCommunicators, FinalizeWaitsForWhatWasIssued) {
  Ranks ranks(2);
  std::atomic<bool> both_issued{false};
  ranks.run([&](Rank& r) {
    const DeviceArray<float> x(1);
    if (r.rank == 1) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      both_issued = true;
    }
    EXPECT_EQ(ncclAllReduce(x.data(), x.data(), 1, ncclFloat, ncclSum, r.comm, r.stream), ncclSuccess);
    EXPECT_EQ(ncclCommFinalize(r.comm), ncclSuccess);
    EXPECT_TRUE(both_issued);
    EXPECT_EQ(ncclAllReduce(x.data(), x.data(), 1, ncclFloat, ncclSum, r.comm, r.stream), ncclInvalidUsage);
  });
}

TEST_F(NcclCommunicators, ArgumentsAreChecked) {
  ncclUniqueId id;
  ASSERT_EQ(ncclGetUniqueId(&id), ncclSuccess);
  ncclComm_t comm = nullptr;
  EXPECT_EQ(ncclCommInitRank(&comm, 0, id, 0), ncclInvalidArgument);
  EXPECT_EQ(ncclCommInitRank(&comm, 2, id, 2), ncclInvalidArgument);
  EXPECT_EQ(ncclCommInitRank(nullptr, 2, id, 0), ncclInvalidArgument);
  ncclConfig_t config{};  // not NCCL_CONFIG_INITIALIZER
  EXPECT_EQ(ncclCommInitRankConfig(&comm, 1, id, 0, &config), ncclInvalidArgument);
  const int no_device = 1000;
  EXPECT_EQ(ncclCommInitAll(&comm, 1, &no_device), ncclInvalidArgument);
  ncclUniqueId nobody{};
  nobody.internal[0] = 'x';
  EXPECT_EQ(ncclCommInitRank(&comm, 1, nobody, 0), ncclRemoteError);
  EXPECT_EQ(comm, nullptr);
}

TEST_F(NcclCommunicators, OneGpuTwiceIsRefused) {
  const int devices[] = {2, 2};
  ncclComm_t comms[2];
  const Live before = control().live();
  EXPECT_EQ(ncclCommInitAll(comms, 2, devices), ncclInvalidUsage);
  EXPECT_EQ(comms[0], nullptr);
  EXPECT_EQ(control().live(), before);
  EXPECT_NE(report().find("ranks 0 and 1 are both on device 2"), std::string::npos);
}

TEST_F(NcclCommunicators, RanksThatDisagreeOnTheirNumber) {
  ncclUniqueId id;
  ASSERT_EQ(ncclGetUniqueId(&id), ncclSuccess);
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  ncclComm_t a = nullptr, b = nullptr;
  EXPECT_EQ(ncclCommInitRankConfig(&a, 2, id, 0, &config), ncclInProgress);
  EXPECT_EQ(ncclCommInitRankConfig(&b, 3, id, 1, &config), ncclInProgress);
  EXPECT_EQ(settle(a), ncclInvalidArgument);
  EXPECT_NE(settle(b), ncclSuccess);
  EXPECT_NE(report().find("one says that there are 2 ranks, another, rank 1, that there are 3"), std::string::npos);
  EXPECT_EQ(ncclCommAbort(a), ncclSuccess);
  EXPECT_EQ(ncclCommAbort(b), ncclSuccess);
}

// Only the user's own time-out helps; then it is over at once.
TEST_F(NcclCommunicators, ARankThatNeverComesAtTheStart) {
  ncclUniqueId id;
  ASSERT_EQ(ncclGetUniqueId(&id), ncclSuccess);
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  ncclComm_t comm = nullptr;
  EXPECT_EQ(ncclCommInitRankConfig(&comm, 2, id, 0, &config), ncclInProgress);
  EXPECT_EQ(settle(comm, 0.2), ncclInProgress);
  EXPECT_EQ(ncclCommAbort(comm), ncclSuccess);
}

TEST_F(NcclCommunicators, CommunicatorsThatBlockAndThatDoNotAreNotInOneGroup) {
  Ranks blocking(1), polled(1, false);
  const DeviceArray<float> x(1);
  EXPECT_EQ(ncclGroupStart(), ncclSuccess);
  for (Ranks* ranks : {&blocking, &polled}) {
    const Rank& r = (*ranks)[0];
    EXPECT_EQ(ncclAllReduce(x.data(), x.data(), 1, ncclFloat, ncclSum, r.comm, r.stream), ncclSuccess);
  }
  EXPECT_EQ(ncclGroupEnd(), ncclInvalidArgument);
}

/// Each function, called rightly; `r` is alone in its communicator.
std::map<std::string, std::function<ncclResult_t(Rank&, float*)>> every_call() {
  static ncclComm_t other;
  static ncclUniqueId id;
  static int number;
  static ncclResult_t state;
  return {
      {"ncclGetVersion", [](Rank&, float*) { return ncclGetVersion(&number); }},
      {"ncclGetUniqueId", [](Rank&, float*) { return ncclGetUniqueId(&id); }},
      {"ncclCommInitRank", [](Rank&, float*) { return ncclCommInitRank(&other, 1, id, 0); }},
      {"ncclCommInitRankConfig", [](Rank&, float*) { return ncclCommInitRankConfig(&other, 1, id, 0, nullptr); }},
      {"ncclCommInitAll", [](Rank&, float*) { return ncclCommInitAll(&other, 1, nullptr); }},
      {"ncclCommSplit", [](Rank& r, float*) { return ncclCommSplit(r.comm, 0, 0, &other, nullptr); }},
      {"ncclCommFinalize", [](Rank& r, float*) { return ncclCommFinalize(r.comm); }},
      {"ncclCommDestroy", [](Rank& r, float*) { return ncclCommDestroy(r.comm); }},
      {"ncclCommAbort", [](Rank& r, float*) { return ncclCommAbort(r.comm); }},
      {"ncclCommGetAsyncError", [](Rank& r, float*) { return ncclCommGetAsyncError(r.comm, &state); }},
      {"ncclCommCount", [](Rank& r, float*) { return ncclCommCount(r.comm, &number); }},
      {"ncclCommUserRank", [](Rank& r, float*) { return ncclCommUserRank(r.comm, &number); }},
      {"ncclCommCuDevice", [](Rank& r, float*) { return ncclCommCuDevice(r.comm, &number); }},
      {"ncclGroupStart", [](Rank&, float*) { return ncclGroupStart(); }},
      {"ncclGroupEnd", [](Rank&, float*) { return ncclGroupEnd(); }},
      {"ncclAllReduce", [](Rank& r, float* x) { return ncclAllReduce(x, x, 1, ncclFloat, ncclSum, r.comm, r.stream); }},
      {"ncclReduceScatter",
       [](Rank& r, float* x) { return ncclReduceScatter(x, x, 1, ncclFloat, ncclSum, r.comm, r.stream); }},
      {"ncclAllGather", [](Rank& r, float* x) { return ncclAllGather(x, x, 1, ncclFloat, r.comm, r.stream); }},
      {"ncclBroadcast", [](Rank& r, float* x) { return ncclBroadcast(x, x, 1, ncclFloat, 0, r.comm, r.stream); }},
      {"ncclReduce", [](Rank& r, float* x) { return ncclReduce(x, x, 1, ncclFloat, ncclSum, 0, r.comm, r.stream); }},
      {"ncclSend", [](Rank& r, float* x) { return ncclSend(x, 1, ncclFloat, 0, r.comm, r.stream); }},
      {"ncclRecv", [](Rank& r, float* x) { return ncclRecv(x, 1, ncclFloat, 0, r.comm, r.stream); }},
  };
}

TEST_F(NcclCommunicators, EveryCallCanBePlannedToFailAndThenDoesNothing) {
  Ranks ranks(1);
  const DeviceArray<float> x(1);
  const Live before = control().live();
  for (const auto& [name, call] : every_call()) {
    const uint64_t calls = control().calls(name.c_str());
    control().fail_call(name.c_str(), 1, ncclSystemError);
    EXPECT_EQ(call(ranks[0], x.data()), ncclSystemError) << name;
    EXPECT_EQ(control().calls(name.c_str()), calls + 1) << name;
    EXPECT_EQ(control().live(), before) << name;
    EXPECT_EQ(cudaStreamQuery(ranks[0].stream), cudaSuccess) << name;
  }
  ranks.run([](Rank& r) { EXPECT_EQ(sum_of_ranks(r, r.comm), 0); });
}

TEST_F(NcclCommunicators, APlannedFailureInAGroupIsTheGroups) {
  Ranks ranks(1);
  const DeviceArray<float> x(1);
  EXPECT_EQ(ncclGroupStart(), ncclSuccess);
  control().fail_call("ncclSend", 1, ncclInternalError);
  EXPECT_EQ(ncclRecv(x.data(), 1, ncclFloat, 0, ranks[0].comm, ranks[0].stream), ncclSuccess);
  EXPECT_EQ(ncclSend(x.data(), 1, ncclFloat, 0, ranks[0].comm, ranks[0].stream), ncclInternalError);
  EXPECT_EQ(ncclGroupEnd(), ncclInternalError);
  EXPECT_EQ(cudaStreamSynchronize(ranks[0].stream), cudaSuccess);
}

}  // namespace
}  // namespace pgram::emulation
