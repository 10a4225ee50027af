// Ranks that can never go on: a deadlock, which is found and said, and a rank that is silent, which is not.
#include <nvtx3/nvToolsExt.h>

#include "tests/emulation_tests/nccl/ranks.h"

namespace pgram::emulation {
namespace {

class NcclStuck : public StandIn {
 protected:
  static void abort(Rank& r) {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(ncclCommAbort(std::exchange(r.comm, nullptr)), ncclSuccess);
    EXPECT_TRUE(is_idle_within(r.stream, 5));
    EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), 1);
  }
  static void all_reduce(const char* task, const DeviceArray<float>& x, ncclComm_t comm, cudaStream_t stream) {
    nvtxRangePushA(task);
    EXPECT_EQ(ncclAllReduce(x.data(), x.data(), 1, ncclFloat, ncclSum, comm, stream), ncclSuccess);
    nvtxRangePop();
  }
};

// Each rank has one stream. Rank 0 issues first on one communicator, rank 1 first on the other.
TEST_F(NcclStuck, TwoCommunicatorsInOppositeOrder) {
  Ranks ranks(2);
  ranks.run([&](Rank& r) {
    ncclComm_t second = nullptr;
    EXPECT_EQ(ncclCommSplit(r.comm, 0, r.rank, &second, nullptr), ncclSuccess);
    const DeviceArray<float> x(1), y(1);
    const bool first = r.rank == 0;
    all_reduce(first ? "task:gradients" : "task:weights", x, first ? r.comm : second, r.stream);
    all_reduce(first ? "task:weights" : "task:gradients", y, first ? second : r.comm, r.stream);
    EXPECT_EQ(wait_for_error(r.comm), ncclSystemError);
    EXPECT_EQ(wait_for_error(second), ncclSystemError);
    EXPECT_FALSE(is_idle_within(r.stream, 0.05)) << "until it is aborted";
    EXPECT_EQ(ncclCommAbort(second), ncclSuccess);
    abort(r);
  });
  const std::string text = report();
  EXPECT_EQ(text.find("deadlock: "), 0u) << text;
  EXPECT_EQ(text.find('\n'), std::string::npos) << "said once: " << text;
  EXPECT_NE(text.find("gradients"), std::string::npos) << text;
  EXPECT_NE(text.find("weights"), std::string::npos) << text;
  EXPECT_NE(text.find("ncclAllReduce #0 of communicator"), std::string::npos) << text;
}

// Both send first, one by one: without buffers neither send can end. In a group (groups_test.cpp) they can.
TEST_F(NcclStuck, TwoSendsThatMeet) {
  Ranks ranks(2);
  ranks.run([&](Rank& r) {
    const DeviceArray<float> x(1), y(1);
    EXPECT_EQ(ncclSend(x.data(), 1, ncclFloat, r.next(), r.comm, r.stream), ncclSuccess);
    EXPECT_EQ(ncclRecv(y.data(), 1, ncclFloat, r.next(), r.comm, r.stream), ncclSuccess);
    EXPECT_EQ(wait_for_error(r.comm), ncclSystemError);
    abort(r);
  });
  EXPECT_NE(report().find("ncclSend #0 to rank 1"), std::string::npos);
}

// The other rank may still come: NCCL says nothing, however long that is; whoever waits has to give up himself.
TEST_F(NcclStuck, ARankThatIsSilent) {
  Ranks ranks(2);
  ranks.run([&](Rank& r) {
    if (r.rank == 1) return;
    const DeviceArray<float> x(1);
    EXPECT_EQ(ncclAllReduce(x.data(), x.data(), 1, ncclFloat, ncclSum, r.comm, r.stream), ncclSuccess);
    EXPECT_EQ(wait_for_error(r.comm, 1.0), ncclSuccess);  // three times the time in which a deadlock is found
    EXPECT_EQ(control().blocked().size(), 1u);
    abort(r);
  });
  EXPECT_EQ(report(), "");
  // What the aborted rank had brought is gone with it: its partner waits, and gets nothing.
  ranks.run([&](Rank& r) {
    if (r.rank == 0) return;
    const DeviceArray<float> x(1);
    EXPECT_EQ(ncclAllReduce(x.data(), x.data(), 1, ncclFloat, ncclSum, r.comm, r.stream), ncclSuccess);
    EXPECT_FALSE(is_idle_within(r.stream, 0.1));
    abort(r);
  });
}

TEST_F(NcclStuck, AbortInTheMiddleOfAGroup) {
  Ranks ranks(3);
  ranks.run([&](Rank& r) {
    const DeviceArray<float> x(1), y(1), z(1);
    // Rank 0 sends to 1, which receives; from rank 2 nothing ever comes.
    if (r.rank == 2) return;
    EXPECT_EQ(ncclGroupStart(), ncclSuccess);
    if (r.rank == 0) {
      EXPECT_EQ(ncclSend(x.data(), 1, ncclFloat, 1, r.comm, r.stream), ncclSuccess);
    } else {
      EXPECT_EQ(ncclRecv(y.data(), 1, ncclFloat, 0, r.comm, r.stream), ncclSuccess);
    }
    EXPECT_EQ(ncclRecv(z.data(), 1, ncclFloat, 2, r.comm, r.stream), ncclSuccess);
    EXPECT_EQ(ncclGroupEnd(), ncclSuccess);
    EXPECT_EQ(ncclAllReduce(x.data(), x.data(), 1, ncclFloat, ncclSum, r.comm, r.stream), ncclSuccess);
    EXPECT_FALSE(is_idle_within(r.stream, 0.05));
    abort(r);
  });
}

// A thread in a call that blocks is freed by an abort from another.
TEST_F(NcclStuck, AbortFreesAThreadThatWaitsInASplit) {
  Ranks ranks(2);
  const ncclComm_t comm = std::exchange(ranks[0].comm, nullptr);
  ncclComm_t part = nullptr;
  std::thread waiting([&] { EXPECT_EQ(ncclCommSplit(comm, 0, 0, &part, nullptr), ncclInternalError); });
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // so that it is in there
  EXPECT_EQ(ncclCommAbort(comm), ncclSuccess);
  waiting.join();
  EXPECT_EQ(part, nullptr);
}

}  // namespace
}  // namespace pgram::emulation
