// The program itself, killed, doubled and out of disk: nothing is lost, nothing is done twice.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "tests/sweep/cases.h"

namespace pgram::sweep {
namespace {

using namespace test;
using Clock = std::chrono::steady_clock;
using nlohmann::json;

/// `pgram sweep` in the background; standard output goes to a file.
pid_t start(const std::vector<std::string>& arguments, const std::string& out = "/dev/null") {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    const int file = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(file, STDOUT_FILENO);
    execv(PGRAM_PROGRAM, argv.data());
    _exit(127);
  }
  return child;
}

/// True if it ended by itself within that time, well; else it is killed.
bool ends_within(pid_t child, std::chrono::microseconds time) {
  const Clock::time_point end = Clock::now() + time;
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (Clock::now() >= end) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  return true;
}

int code_of(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

TEST(Resume, KilledTwentyTimesTheRowsAreTheSame) {
  const Folder folder;
  const std::string file = folder.write("sweep.yaml", kLonger);
  const auto command = [&](const std::string& out) {
    return std::vector<std::string>{"pgram", "sweep", file, "--out", out, "--threads", "1"};
  };
  const Clock::time_point begin = Clock::now();
  ASSERT_EQ(code_of(start(command(folder / "one.db"))), 0);
  const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
  const std::string expected = csv(folder, folder / "one.db");
  EXPECT_EQ(lines(expected), 1 + Grid(read_sweep(file)).cases());

  // Killed after up to an eighth of the whole time; whole sweeps, one after the other, until it was killed 20 times.
  std::mt19937 random(6);
  int kills = 0, sweeps = 0;
  while (kills < 20) {
    const std::string database = folder / ("r" + std::to_string(sweeps++) + ".db");
    while (true) {
      const auto limit = kills < 20 ? std::chrono::microseconds(random() % (whole.count() / 8)) : std::chrono::hours(1);
      if (ends_within(start(command(database)), limit)) break;
      ++kills;
    }
    EXPECT_EQ(csv(folder, database), expected);
    EXPECT_FALSE(std::filesystem::exists(database + "-journal"));
  }
}

TEST(Resume, TwoProcessesShareOneFile) {
  const Folder folder;
  const std::string file = folder.write("sweep.yaml", kLonger);
  const auto command = [&](const std::string& out) {
    return std::vector<std::string>{"pgram", "sweep", file, "--out", out, "--threads", "1", "--json"};
  };
  const pid_t a = start(command(folder / "two.db"), folder / "a.json");
  const pid_t b = start(command(folder / "two.db"), folder / "b.json");
  EXPECT_EQ(code_of(a), 0);
  EXPECT_EQ(code_of(b), 0);
  const json by_a = json::parse(file_text(folder / "a.json")), by_b = json::parse(file_text(folder / "b.json"));
  const uint64_t cases = Grid(read_sweep(file)).cases();
  EXPECT_EQ(by_a["simulated"].get<uint64_t>() + by_b["simulated"].get<uint64_t>(), cases);
  EXPECT_EQ(by_a["rows"], cases);
  EXPECT_EQ(by_b["rows"], cases);
  ASSERT_EQ(code_of(start(command(folder / "one.db"))), 0);
  EXPECT_EQ(csv(folder, folder / "two.db"), csv(folder, folder / "one.db"));
}

TEST(Resume, CtrlCKeepsWhatIsThere) {
  const Folder folder;
  const std::string file = folder.write("sweep.yaml", kLonger);
  const std::vector<std::string> command{"pgram", "sweep", file, "--out", folder / "r.db", "--json"};
  const pid_t child = start(command);
  const Clock::time_point end = Clock::now() + std::chrono::seconds(60);
  // Until the first rows are there.
  while (Clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    try {
      if (Results::open(folder / "r.db").count("", "") > 0) break;
    } catch (const InputError&) {
      // There is no file, or nothing in it yet.
    }
  }
  kill(child, SIGINT);
  const int code = code_of(child);
  const uint64_t cases = Grid(read_sweep(file)).cases(), kept = Results::open(folder / "r.db").count("", "");
  EXPECT_GT(kept, 0u);
  EXPECT_EQ(code, kept < cases ? 1 : 0);
  ASSERT_EQ(code_of(start(command, folder / "out.json")), 0);
  EXPECT_EQ(json::parse(file_text(folder / "out.json"))["simulated"], cases - kept);
}

TEST(Resume, AFileThatMayNotGrowIsOneLine) {
  const Folder folder;
  const std::string file = folder.write("sweep.yaml", kSmall);
  // 32 KiB: the tables and some rows fit. A process that ignores SIGXFSZ is told so by write(), as by a full disk.
  const std::string command = "sh -c 'trap \"\" XFSZ; ulimit -f 64; exec " + std::string(PGRAM_PROGRAM) + " sweep " +
                              file + " --out " + folder / "r.db" + "' 2>" + folder / "err.txt" + " >/dev/null";
  const int status = std::system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 2) << file_text(folder / "err.txt");
  const std::string err = file_text(folder / "err.txt");
  EXPECT_EQ(lines(err), 1u) << err;
  EXPECT_NE(err.find(folder / "r.db"), std::string::npos) << err;
  EXPECT_LT(Results::open(folder / "r.db").count("", ""), 52u);
  const Sweep sweep = read_sweep(file);
  EXPECT_EQ(run_whole(folder, sweep, "r.db"), run_whole(folder, sweep, "one.db"));
}

TEST(SweepCommand, BadInputIsOneLine) {
  const Folder folder;
  const std::string file = folder.write("sweep.yaml", kSmall);
  const std::string with = "sweep " + file + " --out " + folder / "r.db ";
  const auto refused = [&](const std::string& arguments, std::initializer_list<const char*> words) {
    const pgram::test::Outcome o = pgram::test::run(folder, arguments);
    EXPECT_EQ(o.code, 2) << arguments << o.out << o.err;
    EXPECT_LE(lines(o.err), 2u) << o.err;
    for (const char* word : words) EXPECT_NE(o.err.find(word), std::string::npos) << arguments << "\n" << o.err;
  };
  refused("sweep", {"FILE"});
  refused("sweep " + file, {"--out", "missing"});
  refused("sweep " + folder / "none.yaml" + " --out " + folder / "r.db", {"none.yaml"});
  refused("sweep " + file + " --out " + folder / "", {"folder"});
  refused("sweep " + file + " --out " + file, {"no SQLite database"});
  refused(with + "--by step_tim", {"--by", "step_time"});
  refused(with + "--where 'mfuu > 1'", {"--where", "mfu"});
  for (const char* shard : {"1", "1/", "/2", "2/2", "-1/2", "0/0", "1/2/3", "x/2", "0/99999999999999999999", "0x1/2"})
    refused(with + "--shard " + shard, {"--shard", "0/4"});
  refused("sweep merge " + folder / "m.db " + folder / "none.db", {"none.db"});
  refused("sweep merge " + folder / "m.db", {"PARTS"});
}

TEST(SweepCommand, TableCsvAndDryRun) {
  const Folder folder;
  const std::string file = folder.write("sweep.yaml", kSmall);
  const std::string with = "sweep " + file + " --out " + folder / "new/r.db ";
  pgram::test::Outcome o = pgram::test::run(folder, "sweep " + file + " --dry-run --json");
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(json::parse(o.out)["cases"], 52);
  EXPECT_GT(json::parse(o.out)["estimated_seconds"], 0);
  EXPECT_FALSE(std::filesystem::exists(folder / "new"));
  o = pgram::test::run(folder, with + "--csv " + folder / "r.csv");
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_NE(o.out.find("52 of 52 cases"), std::string::npos) << o.out;
  EXPECT_NE(o.out.find("step_time"), std::string::npos) << o.out;
  EXPECT_EQ(lines(file_text(folder / "r.csv")), 53u);
  // What is there is only shown. The tensor-parallel ones need the least memory with tp8; the table has three rows.
  o = pgram::test::run(folder, with + "--top 3 --by memory --where 'disturbance = '\\''none'\\''' --json");
  ASSERT_EQ(o.code, 0) << o.err;
  const json out = json::parse(o.out);
  EXPECT_EQ(out["simulated"], 0);
  ASSERT_EQ(out["top"].size(), 3u);
  EXPECT_LE(out["top"][0]["memory"], out["top"][1]["memory"]);
  EXPECT_EQ(out["top"][0]["disturbance"], "none");
}

}  // namespace
}  // namespace pgram::sweep
