// The page's tables as JSON: all that the functions behind the pictures give, and nothing left out.
#include "cli/sweep_report/report_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/sweep/table.h"
#include "cli/sweep_report/pictures.h"
#include "tests/sweep_report/made_rows.h"

namespace pgram::sweep_report {
namespace {

using nlohmann::ordered_json;
using test::made_rows;

PageInputs inputs_of(const std::vector<Row>& rows) {
  PageInputs in;
  in.sweep = {"made", "made up", "pgram_sweep: 1\nname: made\n", "0.0.7", rows.size() + 5, rows.size()};
  in.where = "tp > 0";
  StudyMaker maker;
  for (const Row& row : rows) maker.add(row);
  in.study = maker.finish();
  return in;
}

/// Entries of `of` that are an entry of `entry` too.
void expect_holds(const ordered_json& entry, const ordered_json& of) {
  for (const auto& [key, value] : of.items()) EXPECT_EQ(entry.at(key), value) << key;
}

TEST(ReportJson, HoldsThePagesTables) {
  std::vector<Row> rows = made_rows(4, 600, {"m", "n"}, {"dgx-h100", "dgx-b200"});
  rows.push_back(test::made_unfit(600, "needs 3 devices"));
  rows.push_back(test::made_unfit(601, "needs 4 devices"));
  const PageInputs in = inputs_of(rows);
  const ordered_json json = report_json(in);
  expect_holds(json, {{"sweep", "made"},
                      {"version", "0.0.7"},
                      {"cases", 607},
                      {"rows", 602},
                      {"where", "tp > 0"},
                      {"shown", 602},
                      {"fits", 600},
                      {"unfit", 2},
                      {"failed", 0}});
  EXPECT_EQ(json["why_unfit"], (ordered_json{{{"cases", 2}, {"reason", "needs … devices"}}}));
  ASSERT_EQ(json["questions"].size(), 2u);
  for (size_t q = 0; q < 2; ++q) {
    const ordered_json& question = json["questions"][q];
    const std::vector<const Row*> usual = in.study.topics[q].usual();
    expect_holds(question, {{"model", q ? "n" : "m"},
                            {"global_batch", 512},
                            {"sequence", 8192},
                            {"precision", "bf16"},
                            {"optimizer", "adamw"},
                            {"network", "flow"},
                            {"disturbance", "none"},
                            {"fits", 300}});
    EXPECT_EQ(question["effects"], ordered_json::array());

    const std::vector<Point> points = best_points(usual);
    ASSERT_EQ(question["best_layouts"].size(), points.size());
    uint64_t fits = 0;
    for (size_t i = 0; i < points.size(); ++i) {
      const ordered_json& entry = question["best_layouts"][i];
      EXPECT_EQ(entry["kind"], points[i].kind);
      expect_holds(entry, sweep::to_json(*points[i].fastest));
      fits += entry["fits"].get<uint64_t>();
      double sum = 0;
      for (const sweep::FigureColumn& column : sweep::figure_columns()) {
        for (const TimePart& part : time_parts())
          if (part.share == column.value) sum += entry.at(column.name).get<double>();
      }
      EXPECT_NEAR(sum, 1, 1e-12) << "where its time goes";
    }
    EXPECT_EQ(fits, 300u);

    const Front front = front_of(usual);
    ASSERT_EQ(question["front"].size(), front.members.size());
    for (size_t i = 0; i < front.members.size(); ++i) {
      expect_holds(question["front"][i], sweep::to_json(*front.members[i]));
      EXPECT_EQ(question["front"][i]["equal_cases"], front.equals[i]);
      EXPECT_EQ(question["front"][i]["command"], simulate_command(*front.members[i]));
    }
    EXPECT_EQ(question["fastest"]["number"], question["front"][0]["number"]);
  }
}

TEST(ReportJson, WhatIsNotThereIsNull) {
  std::vector<Row> rows = made_rows(4, 2);
  for (Row& row : rows) row.outcome.figures.dollars_per_million_tokens = 0;
  rows[0].outcome.figures.step_seconds = 4;
  rows.push_back(rows[0]);  // the same under a disturbance: 6 / 4 - 1
  rows.back().inputs.number = 2;
  rows.back().inputs.disturbance.name = "slow-gpu";
  rows.back().outcome.figures.step_seconds = 6;
  rows[1].inputs.cluster = "dgx-b200:8";
  const ordered_json question = report_json(inputs_of(rows))["questions"].at(0);
  EXPECT_TRUE(question["cheapest"].is_null());
  EXPECT_TRUE(question["fastest"]["cost_per_token"].is_null());
  ASSERT_EQ(question["effects"].size(), 1u);
  expect_holds(question["effects"][0], {{"disturbance", "slow-gpu"}, {"median_longer_by", 0.5}});
  const ordered_json& points = question["effects"][0]["points"];
  ASSERT_EQ(points.size(), 2u);
  expect_holds(points[0], {{"usual", 0}, {"longer_by", 0.5}, {"best", 2}});
  expect_holds(points[1], {{"kind", "dgx-b200"}, {"usual", 1}, {"longer_by", nullptr}, {"best", nullptr}});
  EXPECT_EQ(report_json(inputs_of({}))["questions"], ordered_json::array());
}

}  // namespace
}  // namespace pgram::sweep_report
