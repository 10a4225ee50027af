// The results file: what goes in comes out, and everything that is no good results file is refused in one line.
#include "cli/sweep/results.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <limits>
#include <random>

#include "cli/sweep/database.h"
#include "cli/sweep/merge.h"
#include "cli/sweep/row_columns.h"
#include "tests/sweep/cases.h"

namespace pgram::sweep {
namespace {

using namespace test;

Sweep named(const std::string& name, const std::string& text = "pgram_sweep: 1\n") {
  Sweep sweep;
  sweep.path = "s.yaml";
  sweep.name = name;
  sweep.text = text;
  return sweep;
}

/// Every figure another number, 100 * number + its column.
Row row_of(uint64_t number) {
  Row row;
  row.inputs.number = number;
  row.inputs.model = "m";
  row.inputs.cluster = "c:1";
  row.inputs.devices = 8;
  row.inputs.devices_per_node = 4;
  row.inputs.workload.global_batch = 8;
  int column = 0;
  for (const FigureColumn& figure : figure_columns())
    row.outcome.figures.*figure.value = 100.0 * static_cast<double>(number) + column++;
  return row;
}

std::vector<Row> rows_of(const Results& results, const Results::Query& query = {}) {
  std::vector<Row> rows;
  results.read(query, [&](const Row& row) { rows.push_back(row); });
  return rows;
}

std::vector<uint64_t> numbers(const Results& results, const Results::Query& query) {
  std::vector<uint64_t> numbers;
  for (const Row& row : rows_of(results, query)) numbers.push_back(row.inputs.number);
  return numbers;
}

TEST(Results, RowsComeBackAsTheyWere) {
  const Folder folder;
  Row full = row_of(3);
  full.inputs.model = "a, \"b\";\nc \xc3\xa9";
  full.inputs.layout = parse_layout("tp4.pp2.dp3.sp.paired");
  full.inputs.layout.schedule = "rows.txt";
  full.inputs.workload = {96, 4, 8192, Precision::bf16, Optimizer::sgd};
  full.inputs.network = "step";
  full.inputs.disturbance = {"two", {"0:1.3", "1:2"}, {"a>b:0.5@1ms"}, "0.05:7"};
  full.outcome.unfit = "x";
  full.outcome.error = "y";
  const double odd[] = {0.1, 1e308, 5e-324, 0x1.fffffffffffffp-3, -1.0 / 3, 9007199254740993.0, 1e15 + 0.3};
  size_t i = 0;
  for (const FigureColumn& figure : figure_columns()) full.outcome.figures.*figure.value = odd[i++ % std::size(odd)];
  {
    Results results = Results::open_or_make(folder / "deep/folder/r.db", named("s"), 10);
    results.add("s", {full, row_of(1)});
  }
  const Results results = Results::open(folder / "deep/folder/r.db");
  const std::vector<Row> rows = rows_of(results);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].inputs, row_of(1).inputs);
  EXPECT_EQ(rows[1].inputs, full.inputs);
  EXPECT_EQ(rows[1].outcome.unfit, "x");
  EXPECT_EQ(rows[1].outcome.error, "y");
  for (const FigureColumn& figure : figure_columns()) {
    EXPECT_EQ(rows[1].outcome.figures.*figure.value, full.outcome.figures.*figure.value) << figure.name;
    EXPECT_EQ(rows[0].outcome.figures.*figure.value, row_of(1).outcome.figures.*figure.value) << figure.name;
  }
  const std::vector<bool> finished = results.finished("s", 10);
  for (uint64_t n = 0; n < 10; ++n) EXPECT_EQ(finished[n], n == 1 || n == 3) << n;
  const SweepRecord record = results.sweeps().at(0);
  EXPECT_EQ(record.name, "s");
  EXPECT_EQ(record.text, "pgram_sweep: 1\n");
  EXPECT_EQ(record.cases, 10u);
  EXPECT_EQ(record.rows, 2u);
  EXPECT_NE(record.version, "");
}

TEST(Results, WhatIsNotKnownComesLast) {
  // Costs 2, unknown, 1: the unknown one is a 0.
  const Folder folder;
  std::vector<Row> rows{row_of(0), row_of(1), row_of(2)};
  rows[0].outcome.figures.dollars_per_million_tokens = 2;
  rows[1].outcome.figures.dollars_per_million_tokens = 0;
  rows[2].outcome.figures.dollars_per_million_tokens = 1;
  rows[1].outcome.figures.goodput = 0;
  Results results = Results::open_or_make(folder / "r.db", named("s"), 3);
  results.add("s", rows);
  EXPECT_EQ(numbers(results, {"", "", "cost_per_token"}), (std::vector<uint64_t>{2, 0, 1}));
  EXPECT_EQ(numbers(results, {"", "", "goodput"}), (std::vector<uint64_t>{2, 0, 1}));
  EXPECT_EQ(rows_of(results, {"", "", "cost_per_token"})[2].outcome.figures.dollars_per_million_tokens, 0);
}

TEST(Results, NoNumberComesBackAsNoNumber) {
  const Folder folder;
  Row row = row_of(0);
  row.outcome.figures.goodput = std::numeric_limits<double>::quiet_NaN();
  row.outcome.figures.dollars = std::numeric_limits<double>::infinity();
  Results results = Results::open_or_make(folder / "r.db", named("s"), 1);
  results.add("s", {row});
  EXPECT_TRUE(std::isnan(rows_of(results)[0].outcome.figures.goodput));
  EXPECT_EQ(rows_of(results)[0].outcome.figures.dollars, std::numeric_limits<double>::infinity());
}

TEST(Results, ARowThatIsThereStays) {
  const Folder folder;
  Results results = Results::open_or_make(folder / "r.db", named("s"), 2);
  results.add("s", {row_of(0)});
  Row other = row_of(0);
  other.outcome.figures.step_seconds = 7;
  results.add("s", {other, row_of(1)});
  ASSERT_EQ(rows_of(results).size(), 2u);
  EXPECT_EQ(rows_of(results)[0].outcome.figures.step_seconds, 0);
}

TEST(Results, OneFileWhenNobodyHasItOpen) {
  const Folder folder;
  { Results::open_or_make(folder / "d/r.db", named("s"), 2).add("s", {row_of(0)}); }
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder / "d")) ++files;
  EXPECT_EQ(files, 1u);
}

TEST(Results, SortedByAFigureBestFirst) {
  const Folder folder;
  Results results = Results::open_or_make(folder / "r.db", named("s"), 9);
  std::vector<Row> rows;
  for (const uint64_t n : {0, 1, 2, 3, 4}) rows.push_back(row_of(n));
  rows[0].outcome.unfit = "too large";
  rows[1].outcome.error = "failed";
  results.add("s", rows);
  using Numbers = std::vector<uint64_t>;
  EXPECT_EQ(numbers(results, {.sweep = "s", .where = "", .by = "step_time"}), (Numbers{2, 3, 4, 0, 1}));
  EXPECT_EQ(numbers(results, {.sweep = "s", .where = "", .by = "mfu"}), (Numbers{4, 3, 2, 1, 0}));
  EXPECT_EQ(numbers(results, {.sweep = "s", .where = "", .by = "mfu", .most = 2}), (Numbers{4, 3}));
  // Column 0 of row n is 100 n, column 4 (memory) 100 n + 4.
  EXPECT_EQ(numbers(results, {.sweep = "", .where = "step_time < 250 and memory > 103", .by = ""}), (Numbers{1, 2}));
  EXPECT_EQ(numbers(results, {.sweep = "s", .where = "unfit <> '' -- a comment", .by = ""}), (Numbers{0}));
  EXPECT_EQ(results.count("s", "nodes = 2 and version <> ''"), 5u);
  EXPECT_EQ(results.count("", ""), 5u);
}

TEST(Results, WhatCannotBeAskedIsRefusedWithTheNearest) {
  const Folder folder;
  Results results = Results::open_or_make(folder / "r.db", named("s"), 2);
  results.add("s", {row_of(0)});
  const auto where = [&](const std::string& text) {
    return [&results, text] { numbers(results, {.sweep = "s", .where = text, .by = ""}); };
  };
  expect_refused(where("step_tim < 1"), {"--where", "'step_tim'", "step_time"});
  expect_refused(where("xyzzy = 1"), {"--where", "'xyzzy'", "there are", "model", "mfu"});
  expect_refused(where("tp = "), {"--where", "tp ="});
  expect_refused(where("1); DELETE FROM cases; --"), {"--where"});
  expect_refused(where("1) UNION SELECT 1 --"), {"--where"});
  expect_refused(where("count(*) > 1"), {"--where"});
  expect_refused([&] { numbers(results, {.sweep = "s", .where = "", .by = "step_tim"}); },
                 {"--by", "'step_tim'", "step_time"});
  expect_refused([&] { numbers(results, {.sweep = "t", .where = "", .by = ""}); }, {folder / "r.db", "'t'", "s"});
  EXPECT_EQ(results.count("s", ""), 1u);
}

TEST(Results, WhatIsNoResultsFileIsRefused) {
  const Folder folder;
  const auto open = [](const std::string& path) { return [path] { Results::open(path); }; };
  const auto make = [](const std::string& path) { return [path] { Results::open_or_make(path, named("s"), 1); }; };
  expect_refused(open(folder / "none.db"), {folder / "none.db", "no such results file"});
  expect_refused(open(folder / ""), {"folder"});
  expect_refused(make(folder / ""), {"folder"});
  const std::string text = folder.write("text.db",
                                        "this is no database, though it is longer than a header of one is, "
                                        "which has a hundred bytes");
  expect_refused(open(text), {text, "no SQLite database"});
  expect_refused(make(text), {text, "no SQLite database", "--out"});
  const std::string empty = folder.write("empty.db", "");
  expect_refused(open(empty), {empty, "no results"});
  { Database(folder / "other.db", Database::Mode::make).execute("CREATE TABLE t (x)"); }
  expect_refused(open(folder / "other.db"), {"not of pgram sweep"});
  expect_refused(make(folder / "other.db"), {"not of pgram sweep", "--out"});
  expect_refused(make(folder.write("file", "x") + "/r.db"), {"folder"});
  EXPECT_EQ(file_text(text).substr(0, 7), "this is");
}

TEST(Results, AnotherVersionSaysWhoCanReadIt) {
  const Folder folder;
  { Results::open_or_make(folder / "r.db", named("s"), 1); }
  {
    const Database database(folder / "r.db", Database::Mode::write);
    database.execute("UPDATE program SET version = '7.8.9'");
    database.execute("PRAGMA user_version = 2");
  }
  expect_refused([&] { Results::open(folder / "r.db"); }, {folder / "r.db", "format 2", "format 1", "pgram 7.8.9"});
  expect_refused([&] { Results::open_or_make(folder / "r.db", named("s"), 1); }, {"pgram 7.8.9", "--out"});
}

TEST(Results, RowsOfAnotherVersionAreNotMixed) {
  const Folder folder;
  { Results::open_or_make(folder / "r.db", named("s"), 1); }
  { Database(folder / "r.db", Database::Mode::write).execute("UPDATE sweeps SET version = '0.0.7'"); }
  expect_refused([&] { Results::open_or_make(folder / "r.db", named("s"), 1); }, {"pgram 0.0.7", "--out"});
  EXPECT_EQ(Results::open(folder / "r.db").sweeps()[0].version, "0.0.7");
}

TEST(Results, AnotherSweepOfTheNameIsRefusedByItsFirstLineThatDiffers) {
  const Folder folder;
  const std::string text = "a: 1\nb: 2  # why\n\nc: 3\n";
  { Results::open_or_make(folder / "r.db", named("s", text), 4); }
  const auto go_on = [&](const std::string& now) {
    return [&folder, now] { Results::open_or_make(folder / "r.db", named("s", now), 4); };
  };
  EXPECT_EQ(error_of(go_on(text)), "");
  EXPECT_EQ(error_of(go_on("# new\na: 1\n\nb: 2  # because\nc: 3")), "");
  expect_refused(go_on("# new\na: 1\nb: 4\nc: 3\n"), {"s.yaml:3", "'b: 4'", "'b: 2'", "another name"});
  expect_refused(go_on("a: 1\nb: 2\n"), {"nothing more", "'c: 3'"});
  expect_refused(go_on(text + "d: 4\n"), {"s.yaml:5", "'d: 4'", "nothing"});
  // Within quotes it may be no comment.
  expect_refused(go_on("a: 1\nb: \"2  # why\"\nc: 3\n"), {"s.yaml:2"});
  EXPECT_EQ(error_of([&] { Results::open_or_make(folder / "r.db", named("other", "x: 1\n"), 7); }), "");
  EXPECT_EQ(Results::open(folder / "r.db").sweeps().size(), 2u);
  expect_refused([&] { Results::open_or_make(folder / "r.db", named("s", text), 5); }, {"4 cases", "5 cases"});
}

TEST(Results, WhatWasWrittenBeforeTheDiskWasFullStays) {
  const Folder folder;
  Results results = Results::open_or_make(folder / "r.db", named("s"), 100000);
  std::vector<Row> rows;
  for (uint64_t n = 0; n < 50; ++n) rows.push_back(row_of(n));
  results.add("s", rows);
  // As if the disk had no more than these pages.
  results.database().execute("PRAGMA max_page_count = " +
                             std::to_string(results.database().integer("PRAGMA page_count") + 2));
  std::vector<Row> more;
  for (uint64_t n = 50; n < 1000; ++n) more.push_back(row_of(n));
  expect_refused([&] { results.add("s", more); }, {folder / "r.db", "disk is full", "stays"});
  EXPECT_EQ(rows_of(Results::open(folder / "r.db")).size(), 50u);
  results.database().execute("PRAGMA max_page_count = 100000");
  results.add("s", more);
  EXPECT_EQ(rows_of(Results::open(folder / "r.db")).size(), 1000u);
  EXPECT_EQ(results.database().integer("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
}

TEST(Results, AFileThatMayNotBeWrittenCanStillBeRead) {
  const Folder folder;
  { Results::open_or_make(folder / "r.db", named("s"), 2).add("s", {row_of(0)}); }
  if (geteuid() == 0) GTEST_SKIP() << "this user may write to every file";
  std::filesystem::permissions(folder / "r.db", std::filesystem::perms::owner_read);
  EXPECT_EQ(rows_of(Results::open(folder / "r.db")).size(), 1u);
  expect_refused([&] { Results::open_or_make(folder / "r.db", named("s"), 2).add("s", {row_of(1)}); },
                 {folder / "r.db", "read-only"});
}

TEST(Results, BrokenFilesAreReadOrRefused) {
  const Folder folder;
  {
    Results results = Results::open_or_make(folder / "good.db", named("s"), 40);
    std::vector<Row> rows;
    for (uint64_t n = 0; n < 40; ++n) rows.push_back(row_of(n));
    results.add("s", rows);
  }
  const std::string good = file_text(folder / "good.db");
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < 300; ++i) {
    std::string bad = good;
    if (i % 3 == 0) {
      bad.resize(random() % good.size());
    } else {
      for (int flips = 1 + i % 8; flips > 0; --flips)
        bad[random() % bad.size()] ^= static_cast<char>(1 << random() % 8);
    }
    const std::string path = folder.write("bad.db", bad);
    refused += error_of([&] { rows_of(Results::open(path)); }) != "";
  }
  EXPECT_GT(refused, 100);  // every truncation
}

TEST(Merge, ShardsGiveTheRowsOfOne) {
  const Folder folder;
  std::vector<Row> rows;
  for (uint64_t n = 0; n < 6; ++n) rows.push_back(row_of(n));
  { Results::open_or_make(folder / "one.db", named("s"), 6).add("s", rows); }
  { Results::open_or_make(folder / "a.db", named("s"), 6).add("s", {rows[0], rows[2], rows[4]}); }
  { Results::open_or_make(folder / "b.db", named("s"), 6).add("s", {rows[5], rows[1], rows[2]}); }
  MergeReport report = merge_results(folder / "m/ab.db", {folder / "a.db", folder / "b.db"});
  EXPECT_EQ(report.rows, 5u);
  EXPECT_EQ(report.missing, 1u);
  { Results::open_or_make(folder / "c.db", named("s"), 6).add("s", {rows[3]}); }
  report = merge_results(folder / "m/ab.db", {folder / "c.db"});
  EXPECT_EQ(report.rows, 1u);
  EXPECT_EQ(report.missing, 0u);
  EXPECT_EQ(csv(folder, folder / "m/ab.db"), csv(folder, folder / "one.db"));
}

TEST(Merge, RefusesWhatDoesNotBelongTogether) {
  const Folder folder;
  Row other = row_of(1);
  other.outcome.figures.memory_bytes += 1;
  { Results::open_or_make(folder / "a.db", named("s"), 6).add("s", {row_of(0), row_of(1)}); }
  { Results::open_or_make(folder / "b.db", named("s"), 6).add("s", {row_of(2), other}); }
  { Results::open_or_make(folder / "text.db", named("s", "pgram_sweep: 1\nx: 1\n"), 6); }
  { Results::open_or_make(folder / "name.db", named("t"), 6); }
  { Results::open_or_make(folder / "old.db", named("s"), 6); }
  { Database(folder / "old.db", Database::Mode::write).execute("UPDATE sweeps SET version = '0.0.7'"); }
  const auto merge = [&](const std::string& second) {
    return [&folder, second] { merge_results(folder / "m.db", {folder / "a.db", folder / second}); };
  };
  expect_refused(merge("b.db"), {folder / "b.db", "case 1", "memory"});
  expect_refused(merge("text.db"), {folder / "text.db", "'x: 1'"});
  expect_refused(merge("name.db"), {folder / "name.db", "'t'", "'s'"});
  expect_refused(merge("old.db"), {folder / "old.db", "0.0.7"});
  expect_refused(merge("none.db"), {folder / "none.db", "no such"});
  EXPECT_FALSE(std::filesystem::exists(folder / "m.db"));
  expect_refused([&] { merge_results(folder / "a.db", {folder / "a.db"}); }, {"itself"});
  // What was there stays as it was.
  { Results::open_or_make(folder / "m.db", named("s"), 6).add("s", {row_of(5)}); }
  const std::string before = csv(folder, folder / "m.db");
  expect_refused(merge("b.db"), {"case 1"});
  EXPECT_EQ(csv(folder, folder / "m.db"), before);
}

TEST(Csv, QuotesAndShortestNumbers) {
  const Folder folder;
  Row row = row_of(0);
  row.inputs.model = "a,\"b\"";
  row.outcome.figures.step_seconds = 0.1;
  { Results::open_or_make(folder / "r.db", named("s"), 1).add("s", {row}); }
  const std::string text = csv(folder, folder / "r.db");
  EXPECT_EQ(lines(text), 2u);
  EXPECT_EQ(text.rfind("sweep,version,number,model,cluster,", 0), 0u);
  EXPECT_NE(text.find(",0,\"a,\"\"b\"\"\",c:1,8,4,2,"), std::string::npos) << text;
  EXPECT_NE(text.find(",0.1,1,2,3,4,"), std::string::npos) << text;
}

}  // namespace
}  // namespace pgram::sweep
