// The grid: which cases there are and in which order, against loops that are plain to see.
#include "cli/sweep/grid.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <thread>

#include "cli/sweep/filter.h"
#include "core/base/errors.h"
#include "core/plan/plan_file.h"
#include "core/planner/planner.h"

namespace pgram::sweep {
namespace {

Sweep small() {
  Sweep sweep;
  sweep.path = "s.yaml";
  sweep.name = "small";
  sweep.models = {"tiny-llama"};
  sweep.clusters = {"dgx-h100:1"};
  sweep.layouts = {"tp2.dp4"};
  sweep.global_batches = {16};
  sweep.sequences = {64};
  return sweep;
}

std::vector<Case> all_cases(const Grid& grid) {
  std::vector<Case> cases;
  for (uint64_t g = 0; g < grid.groups(); ++g) {
    const PlanGroup group = grid.group(g);
    EXPECT_EQ(group.first, cases.size());
    EXPECT_FALSE(group.cases.empty());
    for (const Case& c : group.cases) {
      EXPECT_EQ(c.number, cases.size());
      cases.push_back(c);
    }
  }
  EXPECT_EQ(cases.size(), grid.cases());
  return cases;
}

std::string name_of(const Case& c) {
  return c.model + " " + c.cluster + " " + to_text(c.layout) + " " + c.layout.schedule + " gb" +
         std::to_string(c.workload.global_batch) + " mb" + std::to_string(c.workload.micro_batch) + " s" +
         std::to_string(c.workload.sequence) + " " + c.network + " " + c.disturbance.name;
}

std::vector<std::string> names_of(const Sweep& sweep) {
  std::vector<std::string> names;
  for (const Case& c : all_cases(Grid(sweep))) names.push_back(name_of(c));
  return names;
}

std::string refusal(const Sweep& sweep, uint64_t most = kMostCases) {
  try {
    Grid grid(sweep, most);
  } catch (const InputError& error) {
    return error.what();
  }
  return "(taken)";
}

std::string refusal_of_filter(const std::string& expression) {
  Sweep sweep = small();
  sweep.filters = {{expression, 9}};
  return refusal(sweep);
}

TEST(Grid, OneCase) {
  const Grid grid(small());
  ASSERT_EQ(grid.cases(), 1u);
  ASSERT_EQ(grid.groups(), 1u);
  EXPECT_EQ(grid.dropped(), 0u);
  const Case c = grid.group(0).cases.at(0);
  EXPECT_EQ(name_of(c), "tiny-llama dgx-h100:1 tp2.dp4 1f1b gb16 mb1 s64 flow none");
  EXPECT_EQ(c.devices, 8u);
  EXPECT_EQ(c.devices_per_node, 8u);
  EXPECT_EQ(c.workload.precision, Precision::bf16);
  EXPECT_EQ(c.workload.optimizer, Optimizer::adamw);
}

TEST(Grid, PrecisionFollowsTheDevice) {
  Sweep sweep = small();
  sweep.clusters = {"this:8", "dgx-h100:1"};
  std::vector<Case> cases = all_cases(Grid(sweep));
  ASSERT_EQ(cases.size(), 2u);
  EXPECT_EQ(Grid(sweep).groups(), 2u) << "another precision is another Plan";
  EXPECT_EQ(cases[0].workload.precision, Precision::fp32);
  EXPECT_EQ(cases[1].workload.precision, Precision::bf16);
  sweep.precision = "bf16";
  EXPECT_EQ(Grid(sweep).groups(), 1u);
}

TEST(Grid, OrderIsModelWorkloadDevicesLayoutThenWhatSharesThePlan) {
  Sweep sweep = small();
  sweep.models = {"tiny-llama", "tiny-gpt2"};
  sweep.clusters = {"dgx-h100:1", "dgx-h100:2", "dgx-a100:1"};
  sweep.layouts = {"tp2", "dp8"};
  sweep.global_batches = {32, 16};
  sweep.micro_batches = {1, 2};
  sweep.networks = {"flow", "analytic"};
  sweep.disturbances = {{}, {"a", {"0:2"}, {}, ""}};
  std::vector<std::string> expected;
  const auto add = [&](const std::string& model, const std::string& batch, const std::string& clusters_layout) {
    const size_t bar = clusters_layout.find('|');
    for (const char* micro_batch : {"mb1", "mb2"}) {
      std::string rest = clusters_layout.substr(bar + 1);
      for (size_t begin = 0; begin < rest.size();) {
        const size_t end = std::min(rest.find(' ', begin), rest.size());
        for (const char* network : {"flow", "analytic"})
          for (const char* disturbance : {"none", "a"})
            expected.push_back(model + " " + rest.substr(begin, end - begin) + " " + clusters_layout.substr(0, bar) +
                               " 1f1b " + batch + " " + micro_batch + " s64 " + network + " " + disturbance);
        begin = end + 1;
      }
    }
  };
  for (const char* model : {"tiny-llama", "tiny-gpt2"}) {
    for (const char* batch : {"gb32", "gb16"}) {
      // 8 devices: tp2 leaves dp 4. The two clusters of 8 devices share the Plans, that of 16 comes after.
      add(model, batch, "tp2.dp4|dgx-h100:1 dgx-a100:1");
      add(model, batch, "dp8|dgx-h100:1 dgx-a100:1");
      add(model, batch, "tp2.dp8|dgx-h100:2");
      add(model, batch, "dp8|dgx-h100:2");  // written out: it stays as it is, and its row will say that it is unfit
    }
  }
  EXPECT_EQ(names_of(sweep), expected);
  // A Plan for each model, batch, layout of a device count and micro-batch: 2 x 2 x (2 + 2) x 2.
  EXPECT_EQ(Grid(sweep).groups(), 32u);
}

TEST(Grid, CasesOfAGroupHaveOnePlanAndOthersAnother) {
  Sweep sweep = small();
  sweep.clusters = {"dgx-h100:1", "dgx-a100:1"};
  sweep.all_layouts = true;
  sweep.schedules = {"1f1b", "gpipe"};
  sweep.p2p = {"channels", "paired"};
  sweep.global_batches = {8};
  sweep.networks = {"flow", "analytic"};
  const Grid grid(sweep);
  const Model model = find_model("tiny-llama");
  std::set<std::string> plans;
  for (uint64_t g = 0; g < grid.groups(); ++g) {
    const PlanGroup group = grid.group(g);
    EXPECT_EQ(group.cases.size(), 4u);
    const Case& first = group.cases.front();
    const std::string plan = plan_to_json(make_plan(model, first.layout, first.workload));
    for (const Case& c : group.cases) {
      EXPECT_EQ(c.layout, first.layout);
      EXPECT_EQ(c.workload, first.workload);
      EXPECT_EQ(c.model, first.model);
      EXPECT_EQ(plan_to_json(make_plan(model, c.layout, c.workload)), plan);
    }
    EXPECT_TRUE(plans.insert(plan).second) << "two groups of one Plan: " << name_of(first);
  }
  EXPECT_GT(plans.size(), 20u);
}

/// Every layout of `devices`, by loops over all degrees and validate().
std::set<std::string> legal(const Model& model, uint32_t devices, const Sweep& sweep, const Workload& given) {
  std::set<std::string> found;
  for (uint32_t tp = 1; tp <= devices; ++tp) {
    for (uint32_t pp = 1; tp * pp <= devices; ++pp) {
      if (devices % (tp * pp)) continue;
      for (const bool sp : {false, true}) {
        for (const std::string& schedule : sweep.schedules) {
          for (const std::string& p2p : sweep.p2p) {
            for (const uint32_t micro_batch : sweep.micro_batches) {
              Layout layout;
              layout.tp = tp, layout.pp = pp, layout.dp = devices / tp / pp;
              layout.sequence_parallel = sp;
              layout.schedule = schedule;
              layout.p2p = pp > 1 ? parse_point_to_point(p2p) : PointToPoint::channels;
              Workload work = given;
              work.micro_batch = micro_batch;
              if (sp && tp == 1) continue;
              try {
                validate(model, layout, work);
              } catch (const InputError&) {
                continue;
              }
              found.insert(to_text(layout) + " " + schedule + " " + std::to_string(micro_batch));
            }
          }
        }
      }
    }
  }
  return found;
}

TEST(Grid, AllLayoutsAreThoseThatValidateAccepts) {
  Sweep sweep = small();
  sweep.models = {"tiny-llama", "llama-3.1-8b"};
  sweep.clusters = {"dgx-h100:1", "dgx-h100:3", "dgx-h100:4"};
  sweep.all_layouts = true;
  sweep.layouts = {};
  sweep.schedules = {"1f1b", "gpipe"};
  sweep.p2p = {"paired", "channels"};
  sweep.global_batches = {12, 32};
  sweep.sequences = {6, 64};  // 6 tokens: tp 4 does not divide a micro-batch of one
  sweep.micro_batches = {1, 2, 3};
  const Grid grid(sweep);
  std::map<std::string, std::set<std::string>> found;
  uint64_t cases = 0;
  for (const Case& c : all_cases(grid)) {
    ++cases;
    EXPECT_EQ(c.layout.ranks(), c.devices);
    found[c.model + " " + std::to_string(c.devices) + " " + std::to_string(c.workload.global_batch) + " " +
          std::to_string(c.workload.sequence)]
        .insert(to_text(c.layout) + " " + c.layout.schedule + " " + std::to_string(c.workload.micro_batch));
  }
  uint64_t expected = 0;
  for (const std::string& name : sweep.models) {
    for (const uint32_t devices : {8u, 24u, 32u}) {
      for (const uint32_t batch : sweep.global_batches) {
        for (const uint32_t sequence : sweep.sequences) {
          Workload work;
          work.global_batch = batch;
          work.sequence = sequence;
          const std::set<std::string> by_loops = legal(find_model(name), devices, sweep, work);
          expected += by_loops.size();
          EXPECT_EQ(found[name + " " + std::to_string(devices) + " " + std::to_string(batch) + " " +
                          std::to_string(sequence)],
                    by_loops);
        }
      }
    }
  }
  EXPECT_EQ(cases, expected) << "no layout comes twice";
  EXPECT_GT(expected, 100u);
}

TEST(Grid, ListedLayoutsFillTheCluster) {
  Sweep sweep = small();
  sweep.clusters = {"dgx-h100:1", "dgx-h100:3"};
  sweep.layouts = {"tp2", "dp4.tp2", "tp8.pp2", "tp2.pp2.paired"};
  sweep.p2p = {"channels", "paired"};
  std::vector<std::string> layouts;
  for (const Case& c : all_cases(Grid(sweep))) layouts.push_back(std::to_string(c.devices) + " " + to_text(c.layout));
  // 8 devices: tp2 takes dp 4, which is what the second says too. tp8.pp2 needs 16 and stays with dp 1, both ways; the
  // last says itself how it sends. 24 devices: tp2 takes dp 12, 24 / 16 leaves dp 1 for tp8.pp2.
  EXPECT_EQ(layouts, (std::vector<std::string>{"8 tp2.dp4", "8 tp8.pp2", "8 tp8.pp2.paired", "8 tp2.pp2.dp2.paired",
                                               "24 tp2.dp12", "24 tp2.dp4", "24 tp8.pp2", "24 tp8.pp2.paired",
                                               "24 tp2.pp2.dp6.paired"}));
}

TEST(Grid, FiltersKeepWhatTheyWouldKeepByHand) {
  Sweep sweep = small();
  sweep.models = {"tiny-llama", "tiny-gpt2"};
  sweep.clusters = {"dgx-h100:1", "dgx-a100:1", "dgx-h100:2"};
  sweep.all_layouts = true;
  sweep.schedules = {"1f1b", "gpipe"};
  sweep.p2p = {"channels", "paired"};
  sweep.micro_batches = {1, 2};
  sweep.networks = {"analytic", "flow"};
  sweep.disturbances = {{}, {"a", {"0:2"}, {}, ""}};
  const std::vector<Case> everything = all_cases(Grid(sweep));
  using Keep = bool (*)(const Case&);
  const std::tuple<std::vector<std::string>, Keep, bool> filters[] = {
      {{"tp <= 2"}, [](const Case& c) { return c.layout.tp <= 2; }, true},
      {{"tp < 4", "pp > 1"}, [](const Case& c) { return c.layout.tp < 4 && c.layout.pp > 1; }, true},
      {{"sp or tp = 1"}, [](const Case& c) { return c.layout.sequence_parallel || c.layout.tp == 1; }, true},
      {{"micro_batches between 4 and 8 -- a remark"},
       [](const Case& c) {
         const uint32_t m = micro_batches(c.layout, c.workload);
         return m >= 4 && m <= 8;
       },
       true},
      {{"schedule = 'gpipe' and p2p <> 'paired' and model like '%gpt%'"},
       [](const Case& c) {
         return c.layout.schedule == "gpipe" && c.layout.p2p == PointToPoint::channels && c.model == "tiny-gpt2";
       },
       true},
      {{"devices = 16 or (global_batch / sequence = 0 and micro_batch = 2 and precision = 'bf16')"},
       [](const Case& c) { return c.devices == 16 || c.workload.micro_batch == 2; },
       true},
      {{"nodes = 2 or cluster = 'dgx-a100:1'"},
       [](const Case& c) { return c.devices == 16 || c.cluster == "dgx-a100:1"; },
       false},
      {{"network = 'flow' or disturbance = 'none'", "dp % 2 = 0", "devices_per_node > 7"},
       [](const Case& c) { return (c.network == "flow" || c.disturbance.name == "none") && c.layout.dp % 2 == 0; },
       false},
      {{"layout like 'tp2.%'"}, [](const Case& c) { return c.layout.tp == 2; }, true},
      {{"slow = '0:2' and jitter = links"}, [](const Case& c) { return c.disturbance.name == "a"; }, false},
      {{"tp <= '2'"}, [](const Case& c) { return c.layout.tp <= 2; }, true},              // as a number
      {{"0.5", "tp / 2.0 - 0.5"}, [](const Case& c) { return c.layout.tp != 1; }, true},  // what is not 0 is true
      {{"nullif(tp, 1)"}, [](const Case& c) { return c.layout.tp != 1; }, true},          // nothing is false
  };
  for (const auto& [expressions, keep, of_group] : filters) {
    sweep.filters.clear();
    bool all_of_group = true;
    for (const std::string& expression : expressions) {
      sweep.filters.push_back({expression, 1});
      all_of_group &= Filter("s.yaml", sweep.filters.back()).is_of_group();
    }
    EXPECT_EQ(all_of_group, of_group) << expressions[0];
    std::vector<std::string> expected;
    for (const Case& c : everything)
      if (keep(c)) expected.push_back(name_of(c));
    const Grid grid(sweep);
    EXPECT_EQ(names_of(sweep), expected) << expressions[0];
    EXPECT_EQ(grid.cases() + grid.dropped(), everything.size());
    EXPECT_LT(expected.size(), everything.size()) << expressions[0];
    EXPECT_GT(expected.size(), 0u) << expressions[0];
  }
}

TEST(Grid, RefusesFiltersThatAreNoExpressions) {
  const std::pair<const char*, const char*> cases[] = {
      {"tpp <= 8", "s.yaml:9: filters: \"tpp <= 8\": unknown name \"tpp\"; did you mean \"tp\"?"},
      {"microbatches < 3",
       "s.yaml:9: filters: \"microbatches < 3\": unknown name \"microbatches\"; did you mean \"micro_batches\"?"},
      {"resnet50 = 1",
       "s.yaml:9: filters: \"resnet50 = 1\": unknown name \"resnet50\"; known ones are model, cluster, "},
      {"inputs.tp > 1 and rowid = 1", "s.yaml:9: filters: \"inputs.tp > 1 and rowid = 1\": unknown name "},
      {"tp <=", "s.yaml:9: filters: \"tp <=\": no expression that SQLite takes ("},
      {"", "s.yaml:9: filters: \"\": no expression that SQLite takes ("},
      {"tp <= 8)", "s.yaml:9: filters: \"tp <= 8)\": no expression that SQLite takes ("},
      {"tp, pp", "s.yaml:9: filters: \"tp, pp\": "},
      {"tp), (pp", "s.yaml:9: filters: \"tp), (pp\": expected one expression"},
      {"tp) from inputs; drop table inputs; select (1",
       "s.yaml:9: filters: \"tp) from inputs; drop table inputs; select (1\": "},
      {"tp = 'two", "s.yaml:9: filters: \"tp = 'two\": no expression that SQLite takes (unrecognized token: \"'two)"},
      {"tp\n> 8", "s.yaml:9: filters: \"tp > 8\" drops all 1 cases"},
      {"tp = ?1", "s.yaml:9: filters: \"tp = ?1\": expected one expression"},
      {"tp = nosuch(pp)", "s.yaml:9: filters: \"tp = nosuch(pp)\": no expression that SQLite takes (no such function"},
      {"random() % 2", "s.yaml:9: filters: \"random() % 2\": expected an expression, found the function random"},
      {"time('now') > 'a'",
       "s.yaml:9: filters: \"time('now') > 'a'\": expected an expression, found the function time"},
      {"current_timestamp > 'a'", "s.yaml:9: filters: \"current_timestamp > 'a'\": expected an expression, found "},
      {"tp in (select 1)", "s.yaml:9: filters: \"tp in (select 1)\": expected an expression, found a query within"},
      {"tp) from inputs union select (pp",
       "s.yaml:9: filters: \"tp) from inputs union select (pp\": expected an expression, found a query within"},
      {"json_extract(model, '$.a')",
       "s.yaml:9: filters: \"json_extract(model, '$.a')\": cannot be computed (malformed JSON)"},
      // 2 - 3 - (2^63 - 1) is -2^63, whose positive is no 64-bit number.
      {"abs(tp - 3 - 9223372036854775807)",
       "s.yaml:9: filters: \"abs(tp - 3 - 9223372036854775807)\": cannot be computed (integer overflow)"},
      {"tp > 8", "s.yaml:9: filters: \"tp > 8\" drops all 1 cases"},
      {"null", "s.yaml:9: filters: \"null\" drops all 1 cases"},
      {"model = 'Tiny-Llama'", "s.yaml:9: filters: \"model = 'Tiny-Llama'\" drops all 1 cases"},
      {"model = \"tiny-llama\"", "s.yaml:9: filters: \"model = \"tiny-llama\"\": unknown name \"tiny-llama\""},
  };
  for (const auto& [expression, message] : cases) {
    const std::string said = refusal_of_filter(expression);
    EXPECT_TRUE(said.starts_with(message)) << said;
    EXPECT_EQ(said.find('\n'), std::string::npos) << said;
  }
}

TEST(Grid, NamesTheFilterThatLeavesNothing) {
  Sweep sweep = small();
  sweep.all_layouts = true;
  sweep.networks = {"analytic", "flow"};
  const uint64_t all = Grid(sweep).cases();
  sweep.filters = {{"tp > 1", 9}, {"pp * tp * dp > 8", 10}};
  EXPECT_NE(refusal(sweep).find("s.yaml:10: filters: \"pp * tp * dp > 8\" drops all "), std::string::npos);
  EXPECT_NE(refusal(sweep).find(" cases that other filters leave"), std::string::npos);
  // One that asks for what differs within a group comes after the others, whatever the order in the file.
  sweep.filters = {{"network = 'step'", 9}, {"tp >= 1", 10}};
  EXPECT_EQ(refusal(sweep), "s.yaml:9: filters: \"network = 'step'\" drops all " + std::to_string(all) + " cases");
}

TEST(Grid, NamesWhatDoesNotExist) {
  Sweep sweep = small();
  sweep.lines.models = {3, 4};
  sweep.lines.clusters = {5};
  sweep.models = {"tiny-llama", "tiny-lama"};
  EXPECT_TRUE(
      refusal(sweep).starts_with("s.yaml:4: models: model: no model or file is called \"tiny-lama\"; did you "
                                 "mean \"tiny-llama\"?"))
      << refusal(sweep);
  sweep.models = {"tiny-llama"};
  sweep.clusters = {"dgx-h10:2"};
  EXPECT_EQ(refusal(sweep), "s.yaml:5: clusters: cluster: unknown cluster \"dgx-h10\"; did you mean \"dgx-h100\"?");
  sweep.clusters = {"dgx-h100:0"};
  EXPECT_TRUE(refusal(sweep).starts_with("s.yaml:5: clusters: cluster: \"dgx-h100:0\": expected a count from 1 to "));
  sweep.clusters = {"no/such.yaml"};
  EXPECT_TRUE(refusal(sweep).starts_with("no/such.yaml: ")) << refusal(sweep);
  // No layout is legal: 7 does not go into the heads, and a batch of 16 not into 7 replicas.
  sweep = small();
  sweep.clusters = {"this:7"};
  sweep.all_layouts = true;
  sweep.lines.lists["layouts"] = 6;
  EXPECT_TRUE(refusal(sweep).starts_with("s.yaml:6: layouts: no layout is legal for any")) << refusal(sweep);
  // On 8 devices there are some, but not for micro-batches that do not divide the batch.
  sweep.clusters = {"this:8"};
  EXPECT_EQ(refusal(sweep), "(taken)");
  sweep.micro_batches = {3, 32};
  EXPECT_TRUE(refusal(sweep).starts_with("s.yaml:6: layouts: no layout is legal for any")) << refusal(sweep);
}

TEST(Grid, NamesModelsThatAreInNoCase) {
  Sweep sweep = small();
  sweep.models = {"tiny-llama", "llama-3.1-8b", "tiny-llama"};
  sweep.all_layouts = true;
  EXPECT_TRUE(Grid(sweep).models_without_cases().empty());
  sweep.sequences = {1024, 2048};  // tiny-llama has 512 positions
  EXPECT_EQ(Grid(sweep).models_without_cases(), (std::vector<std::string>{"tiny-llama", "tiny-llama"}));
  sweep.sequences = {64, 2048};
  EXPECT_TRUE(Grid(sweep).models_without_cases().empty());
  sweep.filters = {{"model = 'tiny-llama'", 9}};
  EXPECT_EQ(Grid(sweep).models_without_cases(), std::vector<std::string>{"llama-3.1-8b"});
}

TEST(Grid, RefusesTooManyCases) {
  Sweep sweep = small();
  sweep.networks = {"analytic", "flow"};
  for (uint32_t sequence = 1; sequence <= 100; ++sequence) sweep.sequences.push_back(sequence + 64);
  EXPECT_EQ(Grid(sweep, 202).cases(), 202u);  // 101 sequences x 2 networks
  EXPECT_EQ(refusal(sweep, 201), "s.yaml: sequence: 202 cases (sequence 101 x network 2); at most 201 without --yes");
  // Counting stops where it is too many: after 51 of 101 blocks of 2 there are 102.
  EXPECT_EQ(refusal(sweep, 100),
            "s.yaml: sequence: about 202 cases (sequence 101 x network 2); at most 100 without --yes");
  // 10^5 x 10^5 x 2 cases are refused before they are counted.
  sweep.sequences.resize(0);
  for (uint32_t i = 1; i <= 100'000; ++i) sweep.sequences.push_back(i);
  sweep.global_batches = sweep.sequences;
  sweep.lines.lists["global_batch"] = 8;
  EXPECT_EQ(refusal(sweep, 1000),
            "s.yaml:8: global_batch: about 20,000,000,000 cases (global_batch 100,000 x sequence 100,000 x network 2); "
            "at most 1,000 without --yes");

  Sweep all = small();
  all.all_layouts = true;
  all.sequences = {64, 128};
  all.lines.lists["layouts"] = 5;
  EXPECT_EQ(Grid(all).cases(), 26u);  // 13 layouts of 8 devices
  EXPECT_EQ(refusal(all, 12), "s.yaml:5: layouts: about 26 cases (all layouts x sequence 2); at most 12 without --yes");
}

TEST(Grid, AnyOrderAndAnyThreadSeeTheSameGroups) {
  // 50 x 40 x 3 blocks of one layout and micro-batch, of 2 cases each; a filter leaves 2 of 3 clusters to every case
  // of an even batch: pages of several blocks, more of them than are kept at hand.
  Sweep sweep = small();
  sweep.clusters = {"dgx-h100:1", "dgx-h100:2", "dgx-h100:3"};
  sweep.layouts = {"tp2"};
  sweep.networks = {"analytic", "flow"};
  sweep.global_batches.clear();
  for (uint32_t i = 1; i <= 50; ++i) sweep.global_batches.push_back(i);
  for (uint32_t i = 1; i < 40; ++i) sweep.sequences.push_back(64 + i);
  sweep.filters = {{"global_batch % 2 = 1 or devices > 8", 1}, {"network = 'flow' or nodes < 3", 2}};
  const Grid grid(sweep);
  // Odd batches: 25 x 40 x (2 + 2 + 1); even ones: 25 x 40 x (0 + 2 + 1).
  EXPECT_EQ(grid.cases(), 8000u);
  EXPECT_EQ(grid.groups(), 5000u);
  EXPECT_EQ(grid.dropped(), 4000u);
  const std::vector<Case> cases = all_cases(grid);
  std::vector<Case> found[2];
  const auto backwards = [&](size_t half) {
    for (uint64_t g = grid.groups(); g-- > 0;) {
      const uint64_t scattered = g * 1237 % grid.groups();
      if (scattered % 2 != half) continue;
      for (const Case& c : grid.group(scattered).cases) found[half].push_back(c);
    }
  };
  std::thread other(backwards, 1);
  backwards(0);
  other.join();
  uint64_t wrong = 0;
  for (const std::vector<Case>& half : found)
    for (const Case& c : half) wrong += !(c == cases.at(c.number));
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(found[0].size() + found[1].size(), cases.size());
}

TEST(Grid, TheLibrarysSweeps) {
  // tiny-llama has 8 heads, 4 key-value heads (so tp is 1, 2 or 4) and 4 layers (pp 1, 2 or 4): of 8 devices there are
  // 3 x 3 shapes but tp1.pp1 to tp4.pp2 only where dp is whole, that is (1, 1), (1, 2), (1, 4), (2, 1), (2, 2), (2, 4),
  // (4, 1), (4, 2). The five with tp > 1 come with and without sp: 13, x 2 micro-batches, x 2 disturbances.
  EXPECT_EQ(Grid(read_sweep(PGRAM_SOURCE_DIR "/models/sweeps/tiny.yaml")).cases(), 52u);
  // 3 layouts on 4 clusters.
  EXPECT_EQ(Grid(read_sweep(PGRAM_SOURCE_DIR "/models/sweeps/llama-70b-h100-small.yaml")).cases(), 12u);
  const Grid real(read_sweep(PGRAM_SOURCE_DIR "/models/sweeps/llama-70b-h100.yaml"));
  EXPECT_EQ(real.cases(), 4 * real.groups()) << "two kinds of node and two disturbances share each Plan";
  EXPECT_GT(real.cases(), 100u);
}

TEST(Filter, TakesOrRefusesWhateverIsCutOrFlipped) {
  const std::string whole = "(tp <= 8 and micro_batches between pp and 64) or model like 'llama%' -- a remark";
  Case c;
  c.devices_per_node = 8;
  const auto said = [&](const std::string& expression) -> std::string {
    try {
      return Filter("s.yaml", {expression, 9}).keeps(c) ? "kept" : "dropped";
    } catch (const InputError& error) {
      return error.what();
    }
  };
  EXPECT_EQ(said(whole), "dropped");  // a case of nothing has no micro-batch
  std::mt19937 random(8);
  int refused = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string text = whole;
    if (i % 4 == 0) text.resize(random() % text.size());
    for (int flips = i % 4; flips > 0; --flips) text[random() % text.size()] = static_cast<char>(32 + random() % 95);
    const std::string outcome = said(text);
    const bool is_refused = outcome.starts_with("s.yaml:9: filters: ");
    EXPECT_TRUE(is_refused || outcome == "kept" || outcome == "dropped") << outcome;
    EXPECT_EQ(outcome.find('\n'), std::string::npos) << outcome;
    refused += is_refused;
  }
  EXPECT_GT(refused, 500);
}

}  // namespace
}  // namespace pgram::sweep
