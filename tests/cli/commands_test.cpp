// The commands as the documentation writes them, on a tiny model.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/plan/plan_file.h"
#include "core/plan/verify.h"
#include "core/timeline/timeline.h"
#include "program.h"

namespace pgram {
namespace {

using nlohmann::json;
using test::Folder;
using test::Outcome;
using test::run;

constexpr const char* kPlanFlags = "plan --model tiny-llama --cluster this --global-batch 4 --micro-batch 1 --seq 32 ";

std::string some_text() {
  std::string text;
  for (int i = 0; i < 400; ++i) text += "In the beginning was the word number " + std::to_string(i * i) + ".\n";
  return text;
}

TEST(Commands, EveryHelpHasAnExample) {
  const Folder folder;
  for (const char* command : {"models", "clusters", "collective", "plan", "simulate", "layouts", "run", "explain",
                              "compare", "calibrate", "export", "gui", "demo", "sweep", "report", "scale", "goodput"}) {
    const Outcome help = run(folder, std::string(command) + " --help");
    EXPECT_EQ(help.code, 0) << command;
    EXPECT_NE(help.out.find("Example:\n  pgram " + std::string(command)), std::string::npos) << help.out;
  }
}

TEST(Commands, ModelsAsJsonHavePublishedCounts) {
  const Folder folder;
  const Outcome models = run(folder, "models --json");
  ASSERT_EQ(models.code, 0) << models.err;
  std::map<std::string, uint64_t> counts;
  for (const json& model : json::parse(models.out)) counts[model["name"]] = model["parameters"];
  EXPECT_EQ(counts.at("llama-3.1-8b"), 8'030'261'248u);
  EXPECT_EQ(counts.at("llama-3.1-70b"), 70'553'706'496u);
  EXPECT_EQ(counts.at("gpt2"), 124'439'808u);
}

TEST(Commands, SimulateAtThreeLevelsOfTheNetwork) {
  const Folder folder;
  const std::string what =
      "simulate --model tiny-llama --cluster dgx-h100 --layout tp2.dp2 --global-batch 4 --seq 32 --json --network ";
  for (const std::string level : {"analytic", "flow", "step"}) {
    const Outcome o = run(folder, what + level);
    ASSERT_EQ(o.code, 0) << o.err;
    const json out = json::parse(o.out);
    EXPECT_EQ(out["summary"]["facts"]["network"].get<std::string>().find(level), 0u);
    if (level == "step") {
      EXPECT_EQ(out["simulation"]["ranks_simulated"], 4);
    } else {
      EXPECT_LT(out["simulation"]["ranks_simulated"], 4);
    }
  }
  const Outcome o = run(folder, what + "steps");
  EXPECT_EQ(o.code, 2);
  EXPECT_NE(o.err.find("--network: expected analytic, flow or step, got 'steps'"), std::string::npos) << o.err;
}

TEST(Commands, ExplainSaysWhyEveryStreamIsIdle) {
  const Folder folder;
  const std::string sim = folder / "sim.timeline";
  Outcome o =
      run(folder, "simulate --model tiny-llama --cluster dgx-h100 --layout tp2.pp2 --global-batch 4 --seq 32 --out " +
                      sim + " --json");
  ASSERT_EQ(o.code, 0) << o.err;
  const json simulated = json::parse(o.out);
  // The path is as long as the step; the shares of idle time are the bubble's.
  const double step = simulated["summary"]["step_seconds"];
  EXPECT_NEAR(simulated["explanation"]["critical_path"]["seconds"].get<double>(), step, 1e-12);
  double idle = 0;
  for (const json& share : simulated["explanation"]["idle"]["share_by_reason"]) idle += share.get<double>();
  EXPECT_NEAR(idle, simulated["summary"]["bubble_of_total"].get<double>(), 1e-9);
  // Four kinds of duration; the peak's parts add up to the bytes that the timeline has.
  EXPECT_EQ(simulated["simulation"]["durations"].size(), 4u);
  EXPECT_GT(simulated["simulation"]["durations"]["fitted"].get<uint64_t>(), 0u);
  uint64_t parts = 0;
  const json& peak = simulated["memory"]["peak_per_rank"][0];
  for (const json& part : peak["by_record"]) parts += part["bytes"].get<uint64_t>();
  EXPECT_EQ(parts, peak["bytes"].get<uint64_t>());
  EXPECT_EQ(parts, simulated["summary"]["ranks"][0]["peak_memory_bytes"].get<uint64_t>());

  o = run(folder, "explain " + sim + " --rank 3 --json");
  ASSERT_EQ(o.code, 0) << o.err;
  const json explained = json::parse(o.out);
  double compute = 0;
  for (const json& interval : explained["intervals"]) {
    if (interval["stream"] == "compute")
      compute += interval["end_seconds"].get<double>() - interval["start_seconds"].get<double>();
  }
  const json& last = simulated["summary"]["ranks"].back();  // rank 2, which stands for rank 3
  EXPECT_NEAR(compute, last["idle_seconds"].get<double>(), 1e-12);
  o = run(folder, "explain " + sim + " --rank 3");
  EXPECT_NE(o.out.find("stream compute: idle "), std::string::npos) << o.out;
  EXPECT_NE(o.out.find("pipeline bubble (fill): waits for rank 1 "), std::string::npos) << o.out;
  o = run(folder, "explain " + sim + " --critical-path");
  EXPECT_EQ(o.out.find("critical path of "), 0u) << o.out;
  EXPECT_EQ(run(folder, "explain " + sim + " --rank 4").code, 2);
}

TEST(Commands, PlanSimulateRunCompareExport) {
  const Folder folder;
  const std::string text = folder.write("text.txt", some_text()), plan = folder / "tiny.json";
  const std::string sim = folder / "sim.timeline", real = folder / "run.timeline", trace = folder / "run.json";
  Outcome o = run(folder, kPlanFlags + std::string("--layout tp2.pp2 --out ") + plan);
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_NE(o.out.find("fits"), std::string::npos) << o.out;

  o = run(folder, "simulate " + plan + " --out " + sim + " --json");
  ASSERT_EQ(o.code, 0) << o.err;
  const json simulated = json::parse(o.out);
  EXPECT_EQ(simulated["simulation"]["ranks"], 4);
  EXPECT_TRUE(simulated["memory"]["fits"]);

  o = run(folder, "run " + plan + " --text " + text + " --steps 3 --out " + real + " --json");
  ASSERT_EQ(o.code, 0) << o.err;
  const json measured = json::parse(o.out);
  ASSERT_EQ(measured["losses"].size(), 3u);
  // Untrained, every byte is equally likely: ln(256) = 5.545.
  EXPECT_NEAR(measured["losses"][0].get<double>(), 5.545, 0.3);
  EXPECT_LT(measured["losses"][2], measured["losses"][0]);

  o = run(folder, "compare " + sim + " " + real + " --json");
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_TRUE(json::parse(o.out).is_object());

  o = run(folder, "export " + real + " --perfetto " + trace);
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_FALSE(json::parse(test::file_text(trace))["traceEvents"].empty());
}

TEST(Commands, PairedStages) {
  const Folder folder;
  const std::string text = folder.write("text.txt", some_text()), plan = folder / "paired.json";
  Outcome o = run(folder, kPlanFlags + std::string("--layout pp2 --p2p paired --out ") + plan);
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(read_plan(plan).facts.at("layout"), "pp2.paired");
  EXPECT_EQ(read_plan(plan).facts.at("p2p"), "paired");
  o = run(folder, "simulate " + plan + " --json");
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_GT(json::parse(o.out)["summary"]["step_seconds"], 0);
  o = run(folder, "run " + plan + " --steps 2 --text " + text);
  ASSERT_EQ(o.code, 0) << o.err;
  o = run(folder, "layouts tiny-llama --cluster dgx-h100 --devices 2 --global-batch 4 --seq 32 --p2p paired --json");
  ASSERT_EQ(o.code, 0) << o.err;
  int paired = 0;
  const json found = json::parse(o.out);
  for (const json& layout : found["layouts"]) {
    const std::string name = layout["layout"];
    EXPECT_EQ(name.find("pp2") != std::string::npos, name.find(".paired") != std::string::npos) << name;
    paired += name.ends_with(".paired");
  }
  EXPECT_GT(paired, 0);
}

TEST(Commands, TenAndTenResumedStepsAreTwenty) {
  const Folder folder;
  const std::string text = folder.write("text.txt", some_text()), plan = folder / "p.json",
                    saved = folder / "w.safetensors";
  ASSERT_EQ(run(folder, kPlanFlags + std::string("--layout tp2 --out ") + plan).code, 0);
  const std::string common = "run " + plan + " --text " + text + " --json ";
  const json whole = json::parse(run(folder, common + "--steps 20").out);
  ASSERT_EQ(run(folder, common + "--steps 10 --save " + saved).code, 0);
  const Outcome second = run(folder, common + "--steps 10 --load " + saved);
  ASSERT_EQ(second.code, 0) << second.err;
  const json resumed = json::parse(second.out);
  EXPECT_EQ(resumed["first_step"], 10);
  for (size_t i = 0; i < 10; ++i) EXPECT_EQ(resumed["losses"][i], whole["losses"][10 + i]) << i;
}

TEST(Commands, BigClusterFoldsAndSaysWhatDoesNotFit) {
  const Folder folder;
  const Outcome o = run(folder,
                        "simulate --model llama-3.1-405b --cluster dgx-h100:2048 --layout tp8.pp16.dp128 "
                        "--global-batch 2048 --seq 8192 --json");
  ASSERT_EQ(o.code, 0) << o.err;
  const json out = json::parse(o.out);
  EXPECT_EQ(out["simulation"]["ranks"], 16384);
  EXPECT_LE(out["simulation"]["ranks_simulated"], 128);
  EXPECT_FALSE(out["memory"]["fits"]);  // without recomputation the activations of 16 micro-batches are too many
}

TEST(Commands, LayoutsAreRankedAndExplained) {
  const Folder folder;
  const Outcome o = run(folder, "layouts llama-3.1-8b --cluster dgx-h100 --global-batch 16 --seq 4096 --json");
  ASSERT_EQ(o.code, 0) << o.err;
  const json out = json::parse(o.out);
  double last = 0;
  for (const json& layout : out["layouts"]) {
    if (layout.contains("unfit")) continue;
    EXPECT_GE(layout["step_seconds"].get<double>(), last);
    last = layout["step_seconds"];
  }
  EXPECT_GT(last, 0);
  EXPECT_FALSE(out["why"].get<std::string>().empty());
}

/// "0F0 0B0 ..." of a role as its compute stream ran it.
std::string order_of_stage_ops(const Timeline& timeline, uint32_t rank) {
  const Program& program = timeline.plan->programs[timeline.plan->role(rank)];
  std::string order, last;
  for (const Span& span : timeline.of_step(0)) {
    if (span.rank != rank || span.stream != static_cast<uint8_t>(Stream::compute)) continue;
    const SlotOp& slot = program.slot_ops[program.calls[span.call].slot_op];
    if (slot.kind != SlotKind::F && slot.kind != SlotKind::B) continue;
    const std::string text = std::to_string(slot.stage) + name_of(slot.kind) + std::to_string(slot.micro_batch);
    if (text != last) order += (order.empty() ? "" : " ") + text;
    last = text;
  }
  return order;
}

TEST(OneTruth, BothTimelinesFollowAnEditedFile) {
  const Folder folder;
  const std::string text = folder.write("text.txt", some_text()), one = folder / "1f1b.json", g = folder / "gpipe.json";
  ASSERT_EQ(run(folder, kPlanFlags + std::string("--layout pp2 --out ") + one).code, 0);
  ASSERT_EQ(run(folder, kPlanFlags + std::string("--layout pp2 --schedule gpipe --out ") + g).code, 0);
  json edited = json::parse(test::file_text(one));
  edited["programs"] = json::parse(test::file_text(g))["programs"];  // GPipe's rows for 1F1B's
  const std::string plan = folder.write("edited.json", edited.dump());
  ASSERT_EQ(run(folder, "simulate " + plan + " --out " + (folder / "s.timeline")).code, 0);
  ASSERT_EQ(run(folder, "run " + plan + " --text " + text + " --steps 1 --out " + (folder / "r.timeline")).code, 0);
  const std::string gpipe = "0F0 0F1 0F2 0F3 0B0 0B1 0B2 0B3";
  EXPECT_EQ(order_of_stage_ops(read_timeline(folder / "s.timeline"), 0), gpipe);
  EXPECT_EQ(order_of_stage_ops(read_timeline(folder / "r.timeline"), 0), gpipe);
  ASSERT_EQ(run(folder, "simulate " + one + " --out " + (folder / "o.timeline")).code, 0);
  EXPECT_EQ(order_of_stage_ops(read_timeline(folder / "o.timeline"), 0), "0F0 0F1 0B0 0F2 0B1 0F3 0B2 0B3");
}

TEST(OneTruth, AMissingGradientAllReduceIsRefusedAndTrainsWrong) {
  const Folder folder;
  const std::string text = folder.write("text.txt", some_text()), good = folder / "dp2.json";
  ASSERT_EQ(run(folder, kPlanFlags + std::string("--layout dp2 --out ") + good).code, 0);
  // Every call of layer 1's bucket goes: the body stays for the other layers.
  Plan plan = read_plan(good);
  for (Program& program : plan.programs) {
    for (size_t c = 0; c < program.calls.size(); ++c) {
      const Call& call = program.calls[c];
      if (plan.bodies[call.body].name != "layer.reduce" || call.layer != 1) continue;
      SlotOp& slot = program.slot_ops[call.slot_op];
      const uint32_t slot_index = call.slot_op;
      program.calls.erase(program.calls.begin() + static_cast<ptrdiff_t>(c));
      --slot.num_calls;
      for (uint32_t s = slot_index + 1; s < program.slot_ops.size(); ++s) --program.slot_ops[s].first_call;
      break;
    }
  }
  const std::string bad = folder / "bad.json";
  write_plan(plan, bad);
  const Outcome refused = run(folder, "run " + bad + " --text " + text + " --steps 3 --json");
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("before its sum over dp"), std::string::npos) << refused.err;
  const Outcome wrong = run(folder, "run " + bad + " --no-verify --text " + text + " --steps 3 --json");
  const Outcome right = run(folder, "run " + good + " --text " + text + " --steps 3 --json");
  ASSERT_EQ(right.code, 0) << right.err;
  if (wrong.code != 0) return;  // an event that nobody records any more may stop it: as good
  const double difference =
      std::abs(json::parse(wrong.out)["losses"][2].get<double>() - json::parse(right.out)["losses"][2].get<double>());
  EXPECT_GT(difference, 1e-6 * 5.5);  // the parity test's bound: it would fail
}

}  // namespace
}  // namespace pgram
