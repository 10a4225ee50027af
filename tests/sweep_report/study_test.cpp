// Rows sorted into questions, counted, and the best of them.
#include "cli/sweep_report/study.h"

#include <gtest/gtest.h>

#include "cli/sweep_report/choice.h"
#include "cli/sweep_report/effects.h"
#include "tests/sweep_report/made_rows.h"

namespace pgram::sweep_report {
namespace {

using test::made_rows;

Study study_of(const std::vector<Row>& rows) {
  StudyMaker maker;
  for (const Row& row : rows) maker.add(row);
  return maker.finish();
}

TEST(Study, CountsAndReasons) {
  std::vector<Row> rows = made_rows(1, 3);
  rows.push_back(test::made_unfit(3, "layout: 80 layers are not divisible by 3 stages"));
  rows.push_back(test::made_unfit(4, "layout: 80 layers are not divisible by 7 stages"));
  rows.push_back(test::made_unfit(5, "needs 93.2 GiB of 80.0 GiB"));
  rows.back().outcome.figures.memory_headroom = -13.2 * 0x1p30;
  rows.push_back(test::made_unfit(6, ""));
  rows.back().outcome.error = "ring of 1,024.5 ranks";
  const Study study = study_of(rows);
  EXPECT_EQ(study.rows, 7u);
  EXPECT_EQ(study.fits, 3u);
  EXPECT_EQ(study.unfit, 3u);
  EXPECT_EQ(study.failed, 1u);
  ASSERT_EQ(study.why_unfit.size(), 2u);
  EXPECT_EQ(study.why_unfit[0].text, "layout: … layers are not divisible by … stages");
  EXPECT_EQ(study.why_unfit[0].cases, 2u);
  EXPECT_EQ(study.why_unfit[1].text, "needs more memory than a device has");
  EXPECT_EQ(study.why_failed[0].text, "ring of … ranks");
}

TEST(Study, OnlyTheSameModelAndBatchAreCompared) {
  std::vector<Row> rows = made_rows(1, 8, {"a", "b"});
  rows[1].inputs.workload.sequence = 4096;
  rows[2].inputs.workload.micro_batch = 8;  // a choice
  const Study study = study_of(rows);
  ASSERT_EQ(study.topics.size(), 3u);
  EXPECT_EQ(study.topics[0].fits.size(), 3u);
  EXPECT_EQ(study.topics[1].fits.size(), 1u);
  EXPECT_EQ(study.topics[2].question.model, "b");
  EXPECT_EQ(to_text(study.topics[0].question), "a, 512 sequences of 8,192 tokens a step, bf16, adamw");
}

TEST(Study, TheUsualConditionIsUndisturbedAndOfMostFitsThenMostDetail) {
  std::vector<Row> rows = made_rows(1, 6);
  const auto set = [&](size_t i, const char* network, const char* disturbance) {
    rows[i].inputs.network = network, rows[i].inputs.disturbance.name = disturbance;
  };
  set(0, "flow", "slow-gpu"), set(1, "flow", "slow-gpu");
  set(2, "analytic", "none"), set(3, "flow", "none");
  set(4, "flow", "slow-gpu"), set(5, "flow", "slow-gpu");
  const std::vector<Condition> conditions = study_of(rows).topics[0].conditions;
  EXPECT_EQ(conditions, (std::vector<Condition>{{"flow", "none"}, {"flow", "slow-gpu"}, {"analytic", "none"}}));
  set(5, "analytic", "none");
  EXPECT_EQ(study_of(rows).topics[0].conditions.front(), (Condition{"analytic", "none"}));
}

TEST(Choice, KindsOfClusters) {
  EXPECT_EQ(kind_of_cluster("dgx-h100:64"), "dgx-h100");
  EXPECT_EQ(kind_of_cluster("dgx-h100:64@2"), "dgx-h100@2");
  EXPECT_EQ(kind_of_cluster("dgx-h100"), "dgx-h100");
  EXPECT_EQ(kind_of_cluster("out/c:d.yaml"), "out/c:d.yaml");
  EXPECT_EQ(kind_of_cluster("a:"), "a:");
  EXPECT_EQ(kind_of_cluster("a:1b"), "a:1b");
}

TEST(Choice, BestPoints) {
  std::vector<Row> rows = made_rows(2, 300, {"m"}, {"dgx-h100", "dgx-b200"});
  std::vector<const Row*> all;
  for (const Row& row : rows) all.push_back(&row);
  const std::vector<Point> points = best_points(all);
  uint64_t fits = 0;
  for (const Point& point : points) {
    fits += point.fits;
    for (const Row& row : rows) {
      if (kind_of_cluster(row.inputs.cluster) == point.kind && row.inputs.devices == point.devices) {
        EXPECT_LE(point.fastest->outcome.figures.step_seconds, row.outcome.figures.step_seconds);
      }
    }
  }
  EXPECT_EQ(points.size(), 10u);  // 2 kinds of 64 ... 1,024 GPUs
  EXPECT_EQ(fits, rows.size());
  EXPECT_EQ(points[0].kind, kind_of_cluster(rows[0].inputs.cluster));
  for (size_t i = 1; i < 5; ++i) EXPECT_GT(points[i].devices, points[i - 1].devices);
}

TEST(Choice, BestOfThree) {
  std::vector<Row> rows = made_rows(2, 3);
  for (size_t i = 0; i < 3; ++i) {
    sweep::Figures& f = rows[i].outcome.figures;
    f.step_seconds = 1.0 + double(i), f.dollars_per_million_tokens = 3.0 - double(i);
    f.memory_bytes = i == 0 ? 2e9 : 1e9;
  }
  const Best best = best_of({&rows[0], &rows[1], &rows[2]});
  EXPECT_EQ(best.step_time, &rows[0]);
  EXPECT_EQ(best.cost, &rows[2]);
  EXPECT_EQ(best.memory, &rows[1]);  // as little as the last, and faster
  for (Row& row : rows) row.outcome.figures.dollars_per_million_tokens = 0;
  EXPECT_EQ(best_of({&rows[0]}).cost, nullptr);
  EXPECT_EQ(best_of({}).memory, nullptr);
}

TEST(Choice, TheCommandShowsTheSameCase) {
  Row row = made_rows(2, 1)[0];
  row.inputs.cluster = "dgx-h100:8";
  row.inputs.layout = parse_layout("tp4.pp2.dp8.sp.paired");
  row.inputs.layout.schedule = "my rows.txt";
  row.inputs.workload.micro_batch = 2;
  row.inputs.disturbance = {"bad", {"0:1.3", "7:2"}, {"n0.nic3>leaf3:0.5@10ms"}, "0.05:7"};
  EXPECT_EQ(simulate_command(row),
            "pgram simulate --model llama-3.1-70b --cluster dgx-h100:8 --layout tp4.pp2.dp8.sp.paired "
            "--schedule 'my rows.txt' --global-batch 512 --micro-batch 2 --seq 8192 --precision bf16 --optimizer adamw "
            "--network flow --slow 0:1.3 --slow 7:2 --jitter 0.05:7 --link 'n0.nic3>leaf3:0.5@10ms'");
  row.inputs.model = "it's";
  EXPECT_NE(simulate_command(row).find("--model 'it'\\''s' "), std::string::npos);
}

TEST(Effects, TheSameLayoutAndTheBestOne) {
  // Undisturbed the first layout takes 1 s, the second 1.1 s; disturbed 1.5 s and 1.2 s: 50 % longer, the other is
  // best.
  std::vector<Row> rows;
  const auto add = [&](const char* layout, const char* disturbance, double seconds, const char* cluster) {
    Row row = made_rows(2, 1)[0];
    row.inputs.layout = parse_layout(layout);
    row.inputs.disturbance.name = disturbance;
    row.inputs.cluster = cluster;
    row.inputs.devices = cluster == std::string("c:1") ? 8 : 16;
    row.outcome.figures.step_seconds = seconds;
    rows.push_back(row);
  };
  add("tp8", "none", 1, "c:1"), add("tp8", "slow", 1.5, "c:1");
  add("dp8", "none", 1.1, "c:1"), add("dp8", "slow", 1.2, "c:1");
  add("dp16", "none", 0.5, "c:2"), add("dp16", "slow", 0.6, "c:2");
  add("tp16", "none", 0.4, "c:2");  // best, but has no row when disturbed
  const Study study = study_of(rows);
  const std::vector<Effect> effects = effects_of(study.topics[0]);
  ASSERT_EQ(effects.size(), 1u);
  const Effect& effect = effects[0];
  EXPECT_EQ(to_text(effect.condition, study.topics[0]), "slow");
  ASSERT_EQ(effect.at.size(), 2u);
  EXPECT_DOUBLE_EQ(effect.at[0].more(), 0.5);
  EXPECT_TRUE(effect.at[0].another_is_best());
  EXPECT_EQ(to_text(effect.at[0].best->inputs.layout), "dp8");
  EXPECT_EQ(effect.at[1].same, nullptr);
  EXPECT_EQ(to_text(effect.at[1].best->inputs.layout), "dp16");
  EXPECT_DOUBLE_EQ(effect.median, 0.5);
  EXPECT_EQ(effect.same, 1u);
  EXPECT_EQ(effect.worst, 0u);
  EXPECT_EQ(effect.others_best, 2u);
  EXPECT_TRUE(effects_of(study_of(made_rows(2, 3)).topics[0]).empty());
}

}  // namespace
}  // namespace pgram::sweep_report
