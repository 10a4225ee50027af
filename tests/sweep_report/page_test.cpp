// The whole page: well-formed pictures, all text escaped, nothing from outside, the same bytes each time, and sensible
// pages for sweeps with little or very much in them.
#include <gtest/gtest.h>

#include <pugixml.hpp>

#include "cli/sweep_report/pictures.h"
#include "cli/sweep_report/sweep_page.h"
#include "core/base/errors.h"
#include "tests/support/folder.h"
#include "tests/support/text.h"
#include "tests/sweep_report/made_rows.h"

namespace pgram::sweep_report {
namespace {

using pgram::test::contains;
using test::made_rows;

PageInputs inputs_of(const std::vector<Row>& rows) {
  PageInputs in;
  in.sweep = {"made", "made up", "pgram_sweep: 1\nname: made\n", "0.0.7", rows.size(), rows.size()};
  in.results_file = "out/made.db";
  StudyMaker maker;
  for (const Row& row : rows) maker.add(row);
  in.study = maker.finish();
  return in;
}

/// Every picture parses as XML; how many there are.
size_t check_pictures(const std::string& page) {
  size_t pictures = 0;
  for (size_t at = page.find("<svg"); at != std::string::npos; at = page.find("<svg", at + 1), ++pictures) {
    const size_t end = page.find("</svg>", at) + 6;
    pugi::xml_document document;
    const auto result = document.load_buffer(page.data() + at, end - at);
    EXPECT_TRUE(result) << result.description() << ": " << page.substr(at + static_cast<size_t>(result.offset), 60);
    EXPECT_EQ(page.substr(at, end - at).find("nan"), std::string::npos);
    EXPECT_EQ(page.substr(at, end - at).find("\"inf"), std::string::npos);
  }
  return pictures - 1;  // one only holds the hatches
}

TEST(SweepPage, HasEveryPartAndTheSameBytesEachTime) {
  std::vector<Row> rows = made_rows(4, 600, {"llama-3.1-70b"}, {"dgx-h100", "dgx-b200"});
  for (size_t i = 0; i < 600; ++i) {
    rows.push_back(rows[i]);
    rows.back().inputs.disturbance = {"slow-gpu", {"0:1.3"}, {}, ""};
    rows.back().outcome.figures.step_seconds *= 1.1 + 0.0001 * double(i);
  }
  rows.push_back(test::made_unfit(1200, "layout: no"));
  const std::string page = sweep_page(inputs_of(rows));
  EXPECT_EQ(check_pictures(page), 4u);  // lines, bars, front, effects
  for (const char* text :
       {"<h1>made</h1>", "1,201 cases: 1,200 fit, 1 cannot be used, 0 failed.",
        "Fastest: ", "Cheapest: ", "Least memory: ", "Step time and cost against GPUs", "Where the time of a step goes",
        "Pareto", "What networks and disturbances do", "Under slow-gpu the step is longer by",
        "pgram simulate --model llama-3.1-70b", "pgram_sweep: 1\nname: made\n", "pgram report out/made.db --sweep",
        "prefers-color-scheme: dark", "@media print"})
    EXPECT_TRUE(contains(page, text)) << text;
  for (const char* outside : {"http:", "https:", "src=", "@import", "<link", "url(http"})
    EXPECT_FALSE(contains(page, outside));
  EXPECT_EQ(page, sweep_page(inputs_of(rows)));
}

TEST(SweepPage, EscapesNamesThatComeFromFiles) {
  std::vector<Row> rows = made_rows(4, 40, {"</svg><script>alert(1)</script>"}, {"\"><img onerror=x>"});
  for (Row& row : rows) row.inputs.layout.schedule = "a&b<c>.txt";
  rows.push_back(rows[0]);
  rows.back().inputs.disturbance.name = "<i>slow</i>";
  rows.push_back(test::made_unfit(50, "<b>why</b>\x01"));
  PageInputs in = inputs_of(rows);
  in.sweep.name = "<u>name</u>", in.sweep.description = "]]><p>", in.sweep.text = "</pre><script>",
  in.sweep.version = "<v>";
  in.where = "'<w>'", in.results_file = "<f>.db";
  const std::string page = sweep_page(in);
  EXPECT_EQ(check_pictures(page), 4u);
  for (const char* raw : {"<script>alert", "<img", "<c>", "<i>slow", "<b>why", "<u>name", "]]><p>", "</pre><script>",
                          "<v>", "<w>", "<f>", "\x01"})
    EXPECT_FALSE(contains(page, raw)) << raw;
  EXPECT_TRUE(contains(page, "&lt;/svg&gt;&lt;script&gt;alert(1)&lt;/script&gt;"));
  // The only script is the page's own.
  EXPECT_EQ(page.find("<script"), page.rfind("<script"));
}

TEST(SweepPage, WithoutCasesWithoutFitsWithOneCase) {
  const std::string empty = sweep_page(inputs_of({}));
  EXPECT_EQ(check_pictures(empty), 0u);
  EXPECT_TRUE(contains(empty, "There are no cases to show."));
  const std::string unfit = sweep_page(inputs_of({test::made_unfit(0, "needs 3 devices")}));
  EXPECT_TRUE(contains(unfit, "No case fits; the reasons are above."));
  EXPECT_TRUE(contains(unfit, "needs … devices"));
  const std::string one = sweep_page(inputs_of(made_rows(4, 1)));
  EXPECT_EQ(check_pictures(one), 3u);
  EXPECT_TRUE(contains(one, "1 case: 1 fit, 0 cannot be used, 0 failed."));
}

TEST(SweepPage, SaysThatASweepIsNotFinished) {
  PageInputs in = inputs_of(made_rows(4, 10));
  EXPECT_FALSE(contains(sweep_page(in), "not finished"));
  in.sweep.cases = 5000;
  EXPECT_TRUE(contains(sweep_page(in), "10 of 5,000 cases have a result so far"));
}

TEST(SweepPage, SaysWhatIsUnknown) {
  std::vector<Row> rows = made_rows(4, 20, {"tiny-llama"}, {"this"});
  for (Row& row : rows) {
    sweep::Figures& f = row.outcome.figures;
    f.dollars = f.dollars_per_million_tokens = f.joules = f.watts_per_device = 0;
  }
  const std::string page = sweep_page(inputs_of(rows));
  EXPECT_EQ(check_pictures(page), 3u);
  EXPECT_TRUE(contains(page, "Cheapest: </strong>unknown"));
  EXPECT_TRUE(contains(page, "Step time against devices"));
  EXPECT_TRUE(contains(page, ">unknown</td>"));
  EXPECT_FALSE(contains(page, "$0"));
}

TEST(SweepPage, SaysWhosePriceIsUnknown) {
  std::vector<Row> rows = made_rows(4, 60, {"m"}, {"dgx-h100", "mine", "ours"});
  for (Row& row : rows) {
    if (row.inputs.cluster.starts_with("dgx")) continue;
    row.outcome.figures.dollars = row.outcome.figures.dollars_per_million_tokens = 0;
  }
  const std::string page = sweep_page(inputs_of(rows));
  const bool mine_first = page.find("mine") < page.find("ours");
  EXPECT_TRUE(contains(page, mine_first ? "No price is known for mine, ours." : "No price is known for ours, mine."));
  EXPECT_TRUE(contains(page, "Step time and cost against GPUs"));
}

TEST(SweepPage, ManyQuestionsKindsAndCountsStaySmall) {
  std::vector<std::string> models, kinds;
  for (int i = 0; i < 30; ++i)
    models.push_back("model-" + std::to_string(i)), kinds.push_back("kind-" + std::to_string(i));
  const std::string page = sweep_page(inputs_of(made_rows(4, 30000, models, kinds)));
  EXPECT_EQ(check_pictures(page), 8u * 3);
  EXPECT_LT(page.size(), 5'000'000u);
  EXPECT_TRUE(contains(page, "Pictures are of the first 8 of 30 questions"));
  EXPECT_TRUE(contains(page, "23 more kinds of cluster are in the table only."));
}

TEST(SweepPage, OfAHundredThousandCases) {
  const std::string page = sweep_page(inputs_of(made_rows(4, 100000, {"m"}, {"dgx-h100", "dgx-b200"})));
  EXPECT_LT(page.size(), 1'000'000u);
  EXPECT_TRUE(contains(page, ", thinned to "));
}

TEST(Pictures, SharesOfABarAddUpToOne) {
  const std::vector<Row> rows = made_rows(4, 500);
  std::vector<const Row*> all;
  for (const Row& row : rows) all.push_back(&row);
  size_t left_out = 1;
  const page::Bars bars = where_time_goes(best_points(all), "GPUs", &left_out);
  EXPECT_EQ(bars.bars.size(), 5u);
  EXPECT_EQ(left_out, 0u);
  for (const page::Bars::Bar& bar : bars.bars) {
    double sum = 0;
    for (const double part : bar.parts) sum += part;
    EXPECT_NEAR(sum, 1, 1e-12);
  }
}

TEST(Pictures, NeverTooManyBars) {
  std::vector<std::string> kinds;
  for (int i = 0; i < 50; ++i) kinds.push_back("kind-" + std::to_string(i));
  for (const size_t most : {1u, 7u, 12u, 50u}) {
    const std::vector<Row> rows = made_rows(4, 5000, {"m"}, {kinds.begin(), kinds.begin() + most});
    std::vector<const Row*> all;
    for (const Row& row : rows) all.push_back(&row);
    const std::vector<Point> points = best_points(all);
    size_t left_out = 0;
    const size_t bars = where_time_goes(points, "GPUs", &left_out).bars.size();
    EXPECT_EQ(points.size(), 5 * most);
    EXPECT_EQ(bars + left_out, points.size());
    // Five a kind; every second and so three of five a kind; all of the fastest 20 kinds twice.
    EXPECT_EQ(bars, most == 1 ? 5u : most == 7 ? 35u : most == 12 ? 36u : 40u);
  }
}

TEST(Pictures, EveryShareOfTheFiguresIsAPartOfTime) {
  // Columns whose unit is a share, less goodput, are the parts of a step.
  std::vector<double sweep::Figures::*> shares;
  for (const sweep::FigureColumn& column : sweep::figure_columns()) {
    if (std::string(column.unit) == "share" && std::string(column.name) != "goodput") shares.push_back(column.value);
  }
  EXPECT_EQ(shares.size(), time_parts().size());
  for (const TimePart& part : time_parts())
    EXPECT_EQ(std::count(shares.begin(), shares.end(), part.share), 1) << part.name;
}

TEST(Pictures, EqualColoursAreOfEqualParts) {
  std::set<std::string> paints;
  for (const TimePart& part : time_parts()) EXPECT_TRUE(paints.insert(part.paint).second) << part.name;
}

TEST(Pictures, LinesGoThroughTheBestPoints) {
  const std::vector<Row> rows = made_rows(4, 500, {"m"}, {"dgx-h100", "dgx-b200"});
  std::vector<const Row*> all;
  for (const Row& row : rows) all.push_back(&row);
  const std::vector<Point> points = best_points(all);
  const auto panels = time_and_cost(points, "GPUs", nullptr);
  ASSERT_EQ(panels.size(), 2u);
  ASSERT_EQ(panels[0].lines.size(), 2u);
  for (size_t i = 0; i < 10; ++i) {
    const auto& at = panels[0].lines[i / 5].points[i % 5];
    EXPECT_EQ(at.x, points[i].devices);
    EXPECT_EQ(at.y, points[i].fastest->outcome.figures.step_seconds);
    EXPECT_EQ(panels[1].lines[i / 5].points[i % 5].y, points[i].fastest->outcome.figures.dollars_per_million_tokens);
  }
}

TEST(Report, OfAResultsFile) {
  const pgram::test::Folder folder;
  const std::string path = folder / "results.db";
  const std::vector<Row> rows = made_rows(4, 100);
  sweep::Sweep sweep;
  sweep.name = "first", sweep.text = "text of first\n";
  sweep::Results::open_or_make(path, sweep, rows.size()).add("first", rows);
  const sweep::Results results = sweep::Results::open(path);
  const std::string page = sweep_page(read_report(results, path, "", "devices = 64"));
  EXPECT_TRUE(contains(page, "Of the cases where devices = 64: "));
  EXPECT_TRUE(contains(page, "text of first\n"));
  EXPECT_FALSE(contains(page, "not finished"));
  EXPECT_FALSE(contains(page, "dgx-h100:128,"));
  EXPECT_THROW(read_report(results, path, "other", ""), InputError);
  sweep.name = "second", sweep.text = "text of second\n";
  sweep::Results::open_or_make(path, sweep, 7);
  EXPECT_THROW(read_report(results, path, "", ""), InputError);
  EXPECT_TRUE(contains(sweep_page(read_report(results, path, "second", "")), "There are no cases to show."));
}

}  // namespace
}  // namespace pgram::sweep_report
