// Whole trainings by the real program, one process per rank, on the stand-in GPU.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/timeline/timeline.h"
#include "cuda_backend/nccl_communication.h"
#include "tests/cuda_comm/launched.h"
#include "tests/cuda_processes/meeting.h"
#include "tests/emulation/find_control.h"

namespace pgram::testing {
namespace {

/// They need four devices, and processes that may be killed.
class CommLaunch : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!emulation::find_control()) GTEST_SKIP() << "kills processes and needs four GPUs: for the stand-in only";
  }
};

std::vector<std::string> mpirun(const std::vector<std::string>& command, uint32_t processes, uint16_t port) {
  std::vector<std::string> words{"mpirun",
                                 "--allow-run-as-root",
                                 "--oversubscribe",
                                 "--bind-to",
                                 "none",
                                 "-n",
                                 std::to_string(processes),
                                 "-x",
                                 "MASTER_PORT=" + std::to_string(port)};
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

/// What a training gives: its report and its checkpoint.
struct Training {
  nlohmann::json report;
  std::string checkpoint;
};
Training finished(Program& program, const std::string& checkpoint) {
  const int code = program.wait();
  EXPECT_EQ(code, 0) << program.err();
  if (code != 0) return {};
  return {nlohmann::json::parse(program.out()), file_text(checkpoint)};
}

void expect_equal(const Training& a, const Training& b) {
  ASSERT_TRUE(a.report.is_object() && b.report.is_object());
  EXPECT_EQ(a.report.at("losses"), b.report.at("losses"));
  EXPECT_EQ(a.report.at("losses").size(), 3u);
  EXPECT_EQ(a.report.at("gradient_norms"), b.report.at("gradient_norms"));
  EXPECT_FALSE(a.checkpoint.empty());
  EXPECT_TRUE(a.checkpoint == b.checkpoint);
}

/// Four ranks as threads of one process, as processes of mpirun, and on one shared card. The stand-in and our own
/// collectives both add in the order of ranks and --deterministic does the rest: all is equal to the last bit.
void expect_one_result(const std::string& layout) {
  if (std::system("command -v mpirun >/dev/null") != 0) {
    GTEST_SKIP() << "mpirun (Debian's openmpi-bin) is not installed";
  }
  const RunFolder folder(layout);
  const auto command = [&](const std::string& name, std::vector<std::string> more) {
    more.insert(more.end(), {"--steps", "3", "--json", "--save", folder / (name + ".safetensors")});
    return folder.command(more);
  };
  Program threads(command("threads", {}), {}, folder / "threads");
  const Training expected = finished(threads, folder / "threads.safetensors");
  Program shared(command("shared", {"--share-gpu"}), {}, folder / "shared");
  expect_equal(finished(shared, folder / "shared.safetensors"), expected);
  Program processes(mpirun(command("processes", {"--out", folder / "run.timeline"}), 4, free_port()), {},
                    folder / "processes");
  expect_equal(finished(processes, folder / "processes.safetensors"), expected);

  const Timeline timeline = read_timeline(folder / "run.timeline");
  std::vector<size_t> spans(4);
  for (const Span& span : timeline.spans) ++spans.at(span.rank);
  for (uint32_t rank = 0; rank < 4; ++rank) {
    size_t tasks = 0;
    for (const Call& call : folder.plan().programs[folder.plan().role(rank)].calls) {
      tasks += folder.plan().bodies[call.body].ops.size();
    }
    EXPECT_EQ(spans[rank], 3 * tasks) << "rank " << rank;
  }
  EXPECT_EQ(timeline.facts.at("processes"), "4");
  EXPECT_TRUE(timeline.facts.contains("clock offset of process 3"));
}

TEST_F(CommLaunch, ThreadsProcessesAndOneCardAreEqual) {
  expect_one_result("tp2.pp2");
}
TEST_F(CommLaunch, ThreadsProcessesAndOneCardAreEqualPaired) {
  expect_one_result("pp2.dp2.paired");
}

/// Rank 2 is killed in the middle: the others end by themselves and name it.
TEST_F(CommLaunch, AKilledRankIsNamedByTheOthers) {
  const RunFolder folder("tp2.pp2");
  std::vector<Program> ranks = start_ranks(folder, free_port(), {"--steps", "1000000", "--task-timeout", "30"});
  ASSERT_TRUE(ranks[0].wait_for_output("step")) << ranks[0].err();
  ranks[2].signal(SIGKILL);
  for (uint32_t rank : {0, 1, 3}) {
    EXPECT_EQ(ranks[rank].wait(20), 1) << rank;
    EXPECT_TRUE(contains(ranks[rank].err(), "rank 2 was lost")) << ranks[rank].err();
  }
}

/// Rank 1 stops without a word and keeps its connections: no system tells anybody. The time-out of a task ends the
/// others, which say what they were waiting in.
TEST_F(CommLaunch, ARankStuckSilentlyEndsTheOthers) {
  const RunFolder folder("tp2.pp2");
  std::vector<Program> ranks = start_ranks(folder, free_port(), {"--steps", "1000000", "--task-timeout", "2"});
  ASSERT_TRUE(ranks[0].wait_for_output("step")) << ranks[0].err();
  ranks[1].signal(SIGSTOP);
  for (uint32_t rank : {0, 2, 3}) {
    EXPECT_EQ(ranks[rank].wait(40), 1) << rank;
    const std::string error = ranks[rank].err();
    EXPECT_TRUE(contains(error, "rank ") && contains(error, "within 2")) << error;
  }
}

TEST_F(CommLaunch, AnInterruptOfOneEndsAllAndSaves) {
  const RunFolder folder("pp2");
  std::vector<Program> ranks = start_ranks(folder, free_port(), {"--steps", "1000000", "--save", folder / "saved"});
  ASSERT_TRUE(ranks[0].wait_for_output("step")) << ranks[0].err();
  ranks[1].signal(SIGINT);  // any of them
  EXPECT_EQ(ranks[0].wait(20), 0) << ranks[0].err();
  EXPECT_EQ(ranks[1].wait(20), 0) << ranks[1].err();
  EXPECT_TRUE(contains(ranks[0].out(), "go on with --load")) << ranks[0].out();
  EXPECT_EQ(ranks[1].out(), "");
  EXPECT_FALSE(file_text(folder / "saved").empty());
}

TEST_F(CommLaunch, AMissingRankIsNamed) {
  const RunFolder folder("tp2.pp2");
  std::vector<Program> ranks = start_ranks(folder, free_port(), {"--steps", "1", "--start-timeout", "2"}, {2});
  for (Program& rank : ranks) {
    EXPECT_EQ(rank.wait(20), 2);
    EXPECT_TRUE(contains(rank.err(), "rank 2 of 4 did not come within 2 s")) << rank.err();
  }
}

TEST_F(CommLaunch, PortInUse) {
  const RunFolder folder("pp2");
  const uint16_t port = free_port();
  std::vector<Program> first = start_ranks(folder, port, {"--steps", "1", "--start-timeout", "30"}, {1});
  // The first run's rank 0 listens once it answers.
  for (int tries = 0; tries < 500; ++tries) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET, address.sin_port = htons(port), address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool listens = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    if (listens) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  Program second(folder.command({"--steps", "1"}), torchrun(0, 2, port), folder / "second");
  EXPECT_EQ(second.wait(20), 2);
  EXPECT_TRUE(contains(second.err(), "port " + std::to_string(port) + " is in use on this machine")) << second.err();
}

TEST_F(CommLaunch, VersionsThatDiffer) {
  const RunFolder folder("pp2");
  const uint16_t port = free_port();
  std::vector<std::string> old_one = torchrun(1, 2, port);
  old_one.push_back("PGRAM_EMULATION_NCCL_VERSION=22703");
  Program zero(folder.command({"--steps", "1"}), torchrun(0, 2, port), folder / "zero");
  Program one(folder.command({"--steps", "1"}), old_one, folder / "one");
  for (Program* rank : {&zero, &one}) {
    EXPECT_EQ(rank->wait(30), 2);
    EXPECT_TRUE(contains(rank->err(), "NCCL: rank 1 has 2.27.3, rank 0 has " + nccl_version())) << rank->err();
  }
}

TEST_F(CommLaunch, GpusOfDifferentKinds) {
  const RunFolder folder("pp2");
  const uint16_t port = free_port();
  std::vector<Program> ranks;
  for (uint32_t rank : {0, 1}) {
    std::vector<std::string> environment = torchrun(rank, 2, port);
    environment.push_back("PGRAM_EMULATION_NAMES=A100,H100");
    ranks.emplace_back(folder.command({"--steps", "1"}), environment, folder / std::to_string(rank));
  }
  for (Program& rank : ranks) {
    EXPECT_EQ(rank.wait(30), 2);
    EXPECT_TRUE(contains(rank.err(), "the GPUs are of different kinds, A100 and H100")) << rank.err();
  }
}

TEST_F(CommLaunch, AsManyProcessesAsRanks) {
  const RunFolder folder("tp2.pp2");
  Program two(folder.command({"--steps", "1"}), torchrun(0, 2, free_port()), folder / "two");
  EXPECT_EQ(two.wait(20), 2);
  EXPECT_TRUE(contains(two.err(), "has 4 ranks, but torchrun started 2 processes")) << two.err();
}

}  // namespace
}  // namespace pgram::testing
