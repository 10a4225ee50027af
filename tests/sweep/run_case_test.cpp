// One case: the same figures as `pgram simulate` prints, shares that add up, and cases that cannot be.
#include "cli/sweep/run_case.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/sweep/cases.h"

namespace pgram::sweep {
namespace {

using namespace test;
using nlohmann::json;

Case tiny(const std::string& layout, const std::string& network = "flow") {
  Case c;
  c.model = "tiny-llama";
  c.cluster = "dgx-h100:1";
  c.layout = parse_layout(layout);
  c.devices = static_cast<uint32_t>(c.layout.ranks());
  c.devices_per_node = 8;
  c.workload = {16, 1, 64, Precision::bf16, Optimizer::adamw};
  c.network = network;
  return c;
}

Outcome outcome_of(const Case& c) {
  Inputs inputs;
  return run_case(c, plan_case(c, inputs), inputs);
}

double sum_of_shares(const Figures& f) {
  return f.forward + f.backward + f.optimizer + f.other_compute + f.tensor_parallel + f.data_parallel +
         f.pipeline_parallel + f.shared_links + f.fill + f.steady + f.drain + f.imbalance + f.other_idle;
}

json simulate_command(const Case& c) {
  const Folder folder;
  std::string flags = "simulate --json --model " + c.model + " --cluster " + c.cluster + " --layout " +
                      to_text(c.layout) + " --schedule " + c.layout.schedule + " --global-batch " +
                      std::to_string(c.workload.global_batch) + " --micro-batch " +
                      std::to_string(c.workload.micro_batch) + " --seq " + std::to_string(c.workload.sequence) +
                      " --network " + c.network;
  for (const std::string& text : c.disturbance.slow) flags += " --slow " + text;
  for (const std::string& text : c.disturbance.links) flags += " --link '" + text + "'";
  if (!c.disturbance.jitter.empty()) flags += " --jitter " + c.disturbance.jitter;
  const pgram::test::Outcome o = pgram::test::run(folder, flags);
  EXPECT_EQ(o.code, 0) << flags << "\n" << o.err;
  return json::parse(o.out);
}

TEST(RunCase, SaysWhatPgramSimulateSays) {
  std::vector<Case> cases{tiny("tp2.pp2.dp2"), tiny("tp2.pp2.dp2", "analytic"), tiny("tp2.dp2", "step"),
                          tiny("tp4.dp2.sp"),  tiny("pp4.dp2.paired"),          tiny("dp8")};
  cases[3].layout.schedule = "gpipe";
  cases[4].disturbance = {"slow", {"3:1.5", "0:1.1"}, {}, "0.05:7"};
  cases[5].disturbance = {"link", {}, {"n0.d0>n0.nvlink:0.25@0ms"}, ""};
  const std::string link = simulate_command(cases[0])["plan"].dump();  // the plan's facts are there
  EXPECT_NE(link.find("tiny-llama"), std::string::npos);
  for (const Case& c : cases) {
    const Outcome outcome = outcome_of(c);
    ASSERT_EQ(outcome.unfit + outcome.error, "") << to_text(c.layout);
    const Figures& f = outcome.figures;
    const json out = simulate_command(c);
    const json& summary = out["summary"];
    EXPECT_EQ(f.step_seconds, summary["step_seconds"].get<double>());
    EXPECT_EQ(f.tokens_per_second, summary["tokens_per_second"].get<double>());
    EXPECT_EQ(f.model_flops_utilisation, summary["model_flops_utilisation"].get<double>());
    EXPECT_EQ(f.memory_bytes, out["memory"]["needed_bytes"].get<double>());
    EXPECT_EQ(f.memory_headroom,
              out["memory"]["available_bytes"].get<double>() - out["memory"]["needed_bytes"].get<double>());
    const json& idle = out["explanation"]["idle"]["share_by_reason"];
    EXPECT_EQ(f.fill, idle["fill"].get<double>());
    EXPECT_EQ(f.steady, idle["steady"].get<double>());
    EXPECT_EQ(f.drain, idle["drain"].get<double>());
    EXPECT_EQ(f.imbalance, idle["member"].get<double>());
    EXPECT_EQ(f.shared_links, idle["link"].get<double>());
    // Idle by the plan's reasons is what the summary calls idle; both add the same picoseconds in another order.
    const double busy = f.forward + f.backward + f.optimizer + f.other_compute;
    EXPECT_NEAR(busy, 1 - summary["bubble_of_total"].get<double>(), 1e-12);
    EXPECT_NEAR(sum_of_shares(f), 1, 1e-12);
    // H100: 989 TFLOP/s in bf16 on 4 or 8 devices.
    EXPECT_NEAR(f.model_flops_per_second, f.model_flops_utilisation * 989.4e12 * static_cast<double>(c.layout.ranks()),
                1e-3 * f.model_flops_per_second);
  }
}

TEST(RunCase, SharesAddUpToOne) {
  Inputs inputs;
  int cases = 0;
  for (const char* layout : {"tp4", "tp4.sp", "pp4", "tp2.pp4", "tp2.pp2.dp2.sp", "dp8", "pp2.dp4.paired"}) {
    for (const char* network : {"analytic", "flow"}) {
      for (const char* jitter : {"", "0.3:5"}) {
        Case c = tiny(layout, network);
        c.disturbance.jitter = jitter;
        c.disturbance.slow = {"1:2"};
        const Outcome outcome = run_case(c, plan_case(c, inputs), inputs);
        ASSERT_EQ(outcome.unfit + outcome.error, "");
        EXPECT_NEAR(sum_of_shares(outcome.figures), 1, 1e-12) << layout << network << jitter;
        for (const FigureColumn& column : figure_columns()) EXPECT_GE(outcome.figures.*column.value, 0) << column.name;
        ++cases;
      }
    }
  }
  EXPECT_EQ(cases, 28);
}

TEST(RunCase, APlanServesAllOfItsGroup) {
  Inputs inputs;
  const Case flow = tiny("tp2.pp2.dp2"), analytic = tiny("tp2.pp2.dp2", "analytic");
  const PlannedCase planned = plan_case(flow, inputs);
  EXPECT_EQ(run_case(analytic, planned, inputs).figures.step_seconds, outcome_of(analytic).figures.step_seconds);
  EXPECT_EQ(run_case(flow, planned, inputs).figures.step_seconds, outcome_of(flow).figures.step_seconds);
}

TEST(RunCase, DegreesThatDoNotDivideAreUnfit) {
  const Outcome outcome = outcome_of(tiny("tp3"));
  EXPECT_NE(outcome.unfit.find("3 does not divide"), std::string::npos) << outcome.unfit;
  EXPECT_EQ(outcome.error, "");
  for (const FigureColumn& column : figure_columns()) EXPECT_EQ(outcome.figures.*column.value, 0) << column.name;
}

TEST(RunCase, RowsOfAScheduleForOthersAreUnfit) {
  const test::Folder folder;
  Case c = tiny("pp2");
  c.workload.global_batch = 2;
  c.layout.schedule = folder.write("rows.csv", "0F0,0F1,0B0,0B1\n1F0,1B0,1F1,1B1\n");
  EXPECT_EQ(outcome_of(c).unfit, "");
  EXPECT_GT(outcome_of(c).figures.step_seconds, 0);
  c.layout.pp = 4, c.devices = 4;
  const Outcome outcome = outcome_of(c);
  EXPECT_NE(outcome.unfit.find("expected 4 rows (pp), found 2"), std::string::npos) << outcome.unfit;
  EXPECT_EQ(outcome.error, "");
}

TEST(RunCase, ALayoutForAnotherNumberOfDevicesIsUnfit) {
  Case c = tiny("tp2.dp2");
  c.devices = 8;
  EXPECT_EQ(outcome_of(c).unfit, "layout: tp2.dp2 is for 4 devices, the cluster has 8");
  EXPECT_EQ(outcome_of(c).figures.memory_bytes, 0);
}

TEST(RunCase, TooLittleMemoryIsUnfitWithTheNumbers) {
  Case c = tiny("tp8");
  c.model = "llama-3.1-70b";
  c.workload.global_batch = 1;
  const Outcome outcome = outcome_of(c);
  // 70.6e9 parameters at 18 bytes over 8 devices are 159 GB of 85.
  EXPECT_NE(outcome.unfit.find("needs 1"), std::string::npos) << outcome.unfit;
  EXPECT_NE(outcome.unfit.find("GiB of 79.6 GiB a device"), std::string::npos) << outcome.unfit;
  EXPECT_GT(outcome.figures.memory_bytes, 70.6e9 * 18 / 8);
  EXPECT_LT(outcome.figures.memory_headroom, -70e9);
  EXPECT_EQ(outcome.figures.step_seconds, 0);
}

TEST(RunCase, WhatGoesWrongIsInTheRow) {
  Case link = tiny("dp2");
  link.disturbance.links = {"nowhere>leaf:down@1s"};
  Outcome outcome = outcome_of(link);
  EXPECT_NE(outcome.error.find("no link from 'nowhere' to 'leaf'"), std::string::npos) << outcome.error;
  EXPECT_EQ(outcome.unfit, "");
  EXPECT_GT(outcome.figures.memory_bytes, 0);
  EXPECT_EQ(outcome.figures.step_seconds, 0);

  Case model = tiny("dp2");
  model.model = "no-such-model";
  outcome = outcome_of(model);
  EXPECT_NE(outcome.error.find("no-such-model"), std::string::npos) << outcome.error;

  Case rank = tiny("dp2");
  rank.disturbance.slow = {"7:2"};
  EXPECT_NE(outcome_of(rank).error.find("below 2"), std::string::npos);
}

}  // namespace
}  // namespace pgram::sweep
