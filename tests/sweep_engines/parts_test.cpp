// Parts that ranks leave: which files are some, and what becomes of them.
#include "cli/mpi/parts.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "cli/sweep/results.h"
#include "core/base/errors.h"
#include "tests/sweep_engines/support/process.h"

namespace pgram::sweep {
namespace {

using engines::Folder;

Sweep sweep_named(const std::string& name) {
  Sweep sweep;
  sweep.name = name;
  sweep.text = "of " + name;
  return sweep;
}

Row row(uint64_t number, double seconds) {
  Row row;
  row.inputs.number = number;
  row.inputs.model = "tiny-llama";
  row.outcome.figures.step_seconds = seconds;
  return row;
}

void write(const std::string& path, const std::string& sweep, const std::vector<Row>& rows) {
  Results::open_or_make(path, sweep_named(sweep), 4).add(sweep, rows);
}

std::vector<uint64_t> numbers(const std::string& path) {
  std::vector<uint64_t> found;
  Results::open(path).read({.sweep = "", .where = "", .by = ""},
                           [&](const Row& one) { found.push_back(one.inputs.number); });
  return found;
}

TEST(Parts, AreThoseWithARanksNumber) {
  const Folder folder;
  const std::string out = folder / "a.db";
  for (const char* name : {"a.db.rank10", "a.db.rank2", "a.db.rank", "a.db.rank02", "a.db.rank1x", "a.db.rank-1",
                           "aa.db.rank3", "a.db.rank2-journal", "a.db.rank99999999999"})
    folder.write(name, "");
  EXPECT_EQ(parts_of(out), (std::vector<std::string>{out + ".rank2", out + ".rank10"}));
  EXPECT_EQ(parts_of(folder / "no such folder/a.db"), std::vector<std::string>{});
}

/// Rank 0 was cut off before it made a table, rank 1 has cases 0 and 2, rank 7 has case 2 too and one of another sweep.
TEST(Parts, AreJoinedAndGo) {
  const Folder folder;
  const std::string out = folder / "a.db";
  folder.write("a.db.rank0", "");
  write(out + ".rank1", "one", {row(2, 0.5), row(0, 0.25)});
  write(out + ".rank7", "one", {row(2, 0.5)});
  write(out + ".rank7", "two", {row(3, 1)});
  EXPECT_EQ(join_parts(out), 3u);
  EXPECT_EQ(parts_of(out), std::vector<std::string>{});
  EXPECT_EQ(numbers(out), (std::vector<uint64_t>{0, 2, 3}));
  EXPECT_EQ(join_parts(out), 0u);
}

/// Rows that cannot both be right: nothing of that part is taken, and it stays.
TEST(Parts, ThatContradictStay) {
  const Folder folder;
  const std::string out = folder / "a.db";
  write(out, "one", {row(1, 0.5)});
  write(out + ".rank0", "one", {row(0, 1), row(1, 0.75)});
  EXPECT_THROW(join_parts(out), InputError);
  EXPECT_EQ(parts_of(out), std::vector<std::string>{out + ".rank0"});
  EXPECT_EQ(numbers(out), std::vector<uint64_t>{1});
}

TEST(Parts, OneJobHoldsThem) {
  const Folder folder;
  const std::string out = folder / "new folder/a.db";
  {
    const PartsLock first(out);
    EXPECT_TRUE(first.held());
    EXPECT_FALSE(PartsLock(out).held());
  }
  EXPECT_FALSE(std::filesystem::exists(out + ".lock"));
  EXPECT_TRUE(PartsLock(out).held());
}

}  // namespace
}  // namespace pgram::sweep
