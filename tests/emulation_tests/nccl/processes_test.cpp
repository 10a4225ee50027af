// One process per rank, and one that is killed. The members are this very program, started again: a child that is only
// forked would have CUDA half in use.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>

#include "tests/emulation_tests/nccl/ranks.h"

namespace pgram::emulation {
namespace {

constexpr int kProcesses = 4;
constexpr const char* kMember = "PGRAM_TEST_MEMBER";  // in a member's environment: "rank,scenario,read fd,write fds"

using Pipe = std::array<int, 2>;

struct Member {
  int rank = -1;
  std::string scenario;
  int in = -1;           ///< to be told the unique id
  std::vector<int> out;  ///< rank 0: where to tell it
};

/// "rank scenario in out out out", parsed where main() has not begun.
Member this_member() {
  Member member;
  const char* text = std::getenv(kMember);
  if (!text) return member;
  std::istringstream words(text);
  words >> member.rank >> member.scenario >> member.in;
  for (int fd; words >> fd;) member.out.push_back(fd);
  return member;
}

class NcclProcesses : public StandIn {
 protected:
  /// Exit statuses (128 + signal) of four members that run NcclMember.DISABLED_Runs.
  static std::vector<int> run(const std::string& scenario) {
    std::vector<Pipe> pipes(kProcesses);
    for (Pipe& pipe : pipes) EXPECT_EQ(::pipe(pipe.data()), 0);
    std::vector<pid_t> members;
    for (int rank = 0; rank < kProcesses; ++rank) {
      std::string description = std::to_string(rank) + " " + scenario + " " + std::to_string(pipes[size_t(rank)][0]);
      for (int to = 1; to < kProcesses && rank == 0; ++to) description += " " + std::to_string(pipes[size_t(to)][1]);
      const std::string variable = std::string(kMember) + "=" + description;
      std::vector<char*> environment;
      for (char** e = environ; *e; ++e) environment.push_back(*e);
      environment.push_back(const_cast<char*>(variable.c_str()));
      environment.push_back(nullptr);
      const char* arguments[] = {"member", "--gtest_also_run_disabled_tests", "--gtest_filter=NcclMember.DISABLED_Runs",
                                 "--gtest_brief=1", nullptr};
      const pid_t child = ::fork();
      if (child == 0) {
        ::execve("/proc/self/exe", const_cast<char**>(arguments), environment.data());
        ::_exit(127);
      }
      members.push_back(child);
    }
    for (const Pipe& pipe : pipes) ::close(pipe[0]), ::close(pipe[1]);
    std::vector<int> statuses;
    for (const pid_t member : members) {
      int status = 0;
      EXPECT_EQ(::waitpid(member, &status, 0), member);
      statuses.push_back(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
    }
    return statuses;
  }
};

TEST_F(NcclProcesses, CommunicateAndSplit) {
  EXPECT_EQ(run("communicate"), (std::vector<int>{0, 0, 0, 0}));
}

TEST_F(NcclProcesses, TheOthersLearnThatOneWasKilled) {
  EXPECT_EQ(run("lose-3"), (std::vector<int>{0, 0, 0, 128 + SIGKILL}));
}

// The process in which the calls of all meet.
TEST_F(NcclProcesses, TheOthersLearnThatTheFirstWasKilled) {
  EXPECT_EQ(run("lose-0"), (std::vector<int>{128 + SIGKILL, 0, 0, 0}));
}

// Rank 0 destroys its communicator and ends while the others still have theirs.
TEST_F(NcclProcesses, WhoHasDestroyedMayEnd) {
  EXPECT_EQ(run("end-early"), (std::vector<int>{0, 0, 0, 0}));
}

TEST_F(NcclProcesses, OneGpuTwiceIsRefused) {
  EXPECT_EQ(run("one-gpu"), (std::vector<int>{0, 0, 0, 0}));
}

/// What a member does; not a test by itself.
class NcclMember : public StandIn {
 protected:
  void SetUp() override {
    StandIn::SetUp();
    if (me_.rank < 0) GTEST_SKIP() << "a member of NcclProcesses";
    ASSERT_EQ(cudaSetDevice(me_.scenario == "one-gpu" ? 0 : me_.rank), cudaSuccess);
    ASSERT_EQ(cudaStreamCreateWithFlags(&rank_.stream, cudaStreamNonBlocking), cudaSuccess);
    rank_.rank = me_.rank, rank_.ranks = kProcesses;
    if (me_.rank == 0) {
      ASSERT_EQ(ncclGetUniqueId(&id_), ncclSuccess);
      for (const int fd : me_.out) ASSERT_EQ(::write(fd, &id_, sizeof id_), ssize_t(sizeof id_));
    } else {
      ASSERT_EQ(::read(me_.in, &id_, sizeof id_), ssize_t(sizeof id_));
    }
  }

  void communicate() {
    const DeviceArray<float> x(std::vector<float>(1000, float(me_.rank + 1))), left(1000), all(4000);
    EXPECT_EQ(ncclAllReduce(x.data(), x.data(), 1000, ncclFloat, ncclSum, rank_.comm, rank_.stream), ncclSuccess);
    EXPECT_EQ(ncclAllGather(x.data(), all.data(), 1000, ncclFloat, rank_.comm, rank_.stream), ncclSuccess);
    rank_.synchronize();
    EXPECT_EQ(all.read(), std::vector<float>(4000, 10));  // 1 + 2 + 3 + 4
    const DeviceArray<float> mine(std::vector<float>(1000, float(me_.rank)));
    EXPECT_EQ(ncclGroupStart(), ncclSuccess);
    EXPECT_EQ(ncclSend(mine.data(), 1000, ncclFloat, rank_.next(), rank_.comm, rank_.stream), ncclSuccess);
    EXPECT_EQ(ncclRecv(left.data(), 1000, ncclFloat, rank_.previous(), rank_.comm, rank_.stream), ncclSuccess);
    EXPECT_EQ(ncclGroupEnd(), ncclSuccess);
    rank_.synchronize();
    EXPECT_EQ(left.read(), std::vector<float>(1000, float(rank_.previous())));
  }

  void split() {
    ncclComm_t part = nullptr;  // {3, 1} and {2, 0}
    EXPECT_EQ(ncclCommSplit(rank_.comm, me_.rank % 2, -me_.rank, &part, nullptr), ncclSuccess);
    int place = -1;
    EXPECT_EQ(ncclCommUserRank(part, &place), ncclSuccess);
    EXPECT_EQ(place, me_.rank < 2 ? 1 : 0);
    const DeviceArray<float> x(std::vector<float>{float(me_.rank)});
    EXPECT_EQ(ncclBroadcast(x.data(), x.data(), 1, ncclFloat, 0, part, rank_.stream), ncclSuccess);
    rank_.synchronize();
    EXPECT_EQ(x.read()[0], float(me_.rank % 2 + 2));
    EXPECT_EQ(ncclCommDestroy(part), ncclSuccess);
  }

  void lose(int victim) {
    if (me_.rank == victim) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      ::raise(SIGKILL);
    }
    const DeviceArray<float> x(1);
    EXPECT_EQ(ncclAllReduce(x.data(), x.data(), 1, ncclFloat, ncclSum, rank_.comm, rank_.stream), ncclSuccess);
    EXPECT_EQ(wait_for_error(rank_.comm, 10), ncclRemoteError);
    EXPECT_FALSE(is_idle_within(rank_.stream, 0.02));
    EXPECT_EQ(ncclCommAbort(rank_.comm), ncclSuccess);
    EXPECT_TRUE(is_idle_within(rank_.stream, 5));
    // The first process must not be missed before the others have seen the right one's death.
    std::this_thread::sleep_for(std::chrono::milliseconds(me_.rank == 0 ? 500 : 0));
  }

  const Member me_ = this_member();
  ncclUniqueId id_{};
  Rank rank_;
};

TEST_F(NcclMember, DISABLED_Runs) {
  const ncclResult_t result = ncclCommInitRank(&rank_.comm, kProcesses, id_, me_.rank);
  if (me_.scenario == "one-gpu") {
    // Rank 0 may be gone before another one has been told why.
    EXPECT_TRUE(result == ncclInvalidUsage || (me_.rank > 0 && result == ncclRemoteError)) << result;
    if (me_.rank == 0) {
      EXPECT_NE(report().find("same GPU twice in communicator 1: ranks 0 and 1 are both on device 0"),
                std::string::npos);
    }
    return;
  }
  ASSERT_EQ(result, ncclSuccess);
  communicate();
  if (me_.scenario == "communicate") {
    split();
    EXPECT_EQ(ncclCommDestroy(rank_.comm), ncclSuccess);
  } else if (me_.scenario == "end-early") {
    if (me_.rank > 0) {
      EXPECT_EQ(wait_for_error(rank_.comm, 0.3), ncclSuccess);
    }
    EXPECT_EQ(ncclCommDestroy(rank_.comm), ncclSuccess);
  } else {
    lose(me_.scenario.back() - '0');
  }
  EXPECT_EQ(cudaStreamDestroy(rank_.stream), cudaSuccess);
}

}  // namespace
}  // namespace pgram::emulation
