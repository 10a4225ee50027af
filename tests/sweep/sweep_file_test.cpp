// The reader of sweep files: what it takes, and the one line with which it refuses the rest.
#include "cli/sweep/sweep_file.h"

#include <gtest/gtest.h>

#include <random>

#include "core/base/errors.h"

namespace pgram::sweep {
namespace {

/// A whole file with some of its lines changed ("key: value" replaces the key's line, or comes after all).
std::string file_with(const std::vector<std::string>& changes) {
  std::vector<std::string> lines{"pgram_sweep: 1",   "name: test",       "models: tiny-llama", "clusters: dgx-h100:1",
                                 "layouts: tp2.dp4", "global_batch: 16", "sequence: 64"};
  for (const std::string& change : changes) {
    const std::string key = change.substr(0, change.find(':') + 1);
    bool is_known = false;
    for (std::string& line : lines) {
      if (!line.starts_with(key)) continue;
      line = change;
      is_known = true;
    }
    if (!is_known) lines.push_back(change);
  }
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

Sweep parse(const std::vector<std::string>& changes) {
  return parse_sweep(file_with(changes), "s.yaml");
}

std::string refusal_of(const std::string& text) {
  try {
    parse_sweep(text, "s.yaml");
  } catch (const InputError& error) {
    return error.what();
  }
  return "(taken)";
}
std::string refusal(const std::string& change) {
  return refusal_of(file_with({change}));
}

using Numbers = std::vector<uint32_t>;
using Texts = std::vector<std::string>;

TEST(SweepFile, WhatIsLeftOut) {
  const Sweep sweep = parse({});
  EXPECT_EQ(sweep.name, "test");
  EXPECT_EQ(sweep.description, "");
  EXPECT_EQ(sweep.text, file_with({}));
  EXPECT_EQ(sweep.models, Texts{"tiny-llama"});  // a single value is a list of one
  EXPECT_EQ(sweep.clusters, Texts{"dgx-h100:1"});
  EXPECT_FALSE(sweep.all_layouts);
  EXPECT_EQ(sweep.layouts, Texts{"tp2.dp4"});
  EXPECT_EQ(sweep.schedules, Texts{"1f1b"});
  EXPECT_EQ(sweep.p2p, Texts{"channels"});
  EXPECT_EQ(sweep.global_batches, Numbers{16});
  EXPECT_EQ(sweep.micro_batches, Numbers{1});
  EXPECT_EQ(sweep.sequences, Numbers{64});
  EXPECT_EQ(sweep.precision, "");
  EXPECT_EQ(sweep.optimizer, "adamw");
  EXPECT_EQ(sweep.networks, Texts{"flow"});
  ASSERT_EQ(sweep.disturbances.size(), 1u);
  EXPECT_EQ(sweep.disturbances[0], Disturbance{});
  EXPECT_TRUE(sweep.filters.empty());
}

TEST(SweepFile, EveryKey) {
  const Sweep sweep = parse({"description: why", "models: [tiny-llama, tiny-gpt2]", "layouts: all",
                             "schedules: [1f1b, gpipe]", "p2p: [paired, channels]", "precision: bf16", "optimizer: sgd",
                             "network: [analytic, flow, step]", "filters: [tp <= 4, 'dp > 1']",
                             "disturbances: [none, {name: a, slow: '3:1.3'}, {name: b, jitter: '0.05:7', slow: ['0:2', "
                             "'1:2'], link: 'n0.nic3>leaf3:0.5@10ms'}]"});
  EXPECT_EQ(sweep.description, "why");
  EXPECT_EQ(sweep.models, (Texts{"tiny-llama", "tiny-gpt2"}));
  EXPECT_TRUE(sweep.all_layouts);
  EXPECT_TRUE(sweep.layouts.empty());
  EXPECT_EQ(sweep.schedules, (Texts{"1f1b", "gpipe"}));
  EXPECT_EQ(sweep.p2p, (Texts{"paired", "channels"}));
  EXPECT_EQ(sweep.precision, "bf16");
  EXPECT_EQ(sweep.optimizer, "sgd");
  EXPECT_EQ(sweep.networks, (Texts{"analytic", "flow", "step"}));
  ASSERT_EQ(sweep.filters.size(), 2u);
  EXPECT_EQ(sweep.filters[0].expression, "tp <= 4");
  EXPECT_EQ(sweep.filters[1].line, 14);  // after 7 lines that every file has and 6 further keys
  ASSERT_EQ(sweep.disturbances.size(), 3u);
  EXPECT_EQ(sweep.disturbances[0], Disturbance{});
  EXPECT_EQ(sweep.disturbances[1], (Disturbance{"a", {"3:1.3"}, {}, ""}));
  EXPECT_EQ(sweep.disturbances[2], (Disturbance{"b", {"0:2", "1:2"}, {"n0.nic3>leaf3:0.5@10ms"}, "0.05:7"}));
}

TEST(SweepFile, RangesAreWrittenOut) {
  const auto batches = [](const std::string& list) { return parse({"global_batch: " + list}).global_batches; };
  EXPECT_EQ(batches("{from: 8, to: 128, times: 2}"), (Numbers{8, 16, 32, 64, 128}));
  EXPECT_EQ(batches("{from: 8, to: 127, times: 2}"), (Numbers{8, 16, 32, 64}));  // 128 is beyond the end
  EXPECT_EQ(batches("{from: 8, to: 64, step: 8}"), (Numbers{8, 16, 24, 32, 40, 48, 56, 64}));
  EXPECT_EQ(batches("{from: 5, to: 5, step: 8}"), Numbers{5});
  EXPECT_EQ(batches("{from: 1, to: 1000000000, times: 10}").size(), 10u);  // 10^0 to 10^9
  EXPECT_EQ(batches("{from: 1, to: 100000, step: 1}").size(), 100'000u);
  // Mixed with values, in the order written; what comes twice counts once, where it came first.
  EXPECT_EQ(batches("[7, {from: 1, to: 9, times: 3}, 3, {from: 6, to: 8, step: 1}]"), (Numbers{7, 1, 3, 9, 6, 8}));
  EXPECT_EQ(parse({"micro_batch: {from: 1, to: 4, times: 2}"}).micro_batches, (Numbers{1, 2, 4}));
  EXPECT_EQ(parse({"sequence: [64, 128]"}).sequences, (Numbers{64, 128}));
}

TEST(SweepFile, ClustersOfManySizes) {
  const auto clusters = [](const std::string& list) { return parse({"clusters: " + list}).clusters; };
  EXPECT_EQ(clusters("[dgx-h100:64, ./a.yaml]"), (Texts{"dgx-h100:64", "./a.yaml"}));
  EXPECT_EQ(clusters("{name: dgx-h100}"), Texts{"dgx-h100"});
  EXPECT_EQ(clusters("{name: dgx-h100, nodes: {from: 8, to: 32, times: 2}}"),
            (Texts{"dgx-h100:8", "dgx-h100:16", "dgx-h100:32"}));
  EXPECT_EQ(clusters("[{name: a, nodes: [1, 2], oversubscription: [1, 1.5]}, b]"),
            (Texts{"a:1@1", "a:1@1.5", "a:2@1", "a:2@1.5", "b"}));
  EXPECT_EQ(clusters("{name: 'a:4', oversubscription: {from: 1, to: 4, times: 2}}"),
            (Texts{"a:4@1", "a:4@2", "a:4@4"}));
  EXPECT_EQ(clusters("[a:1, {name: a, nodes: [1, 2]}]"), (Texts{"a:1", "a:2"}));
}

TEST(SweepFile, RefusesInOneLine) {
  const std::pair<std::string, std::string> cases[] = {
      {"modles: a", "s.yaml:8: unknown key \"modles\"; did you mean \"models\"?"},
      {"layout: all", "s.yaml:8: unknown key \"layout\"; did you mean \"layouts\"?"},
      {"pgram_sweep: 2", "s.yaml:1: pgram_sweep: version 2 is not known to this program; it reads version 1"},
      {"name: a/b", "s.yaml:2: name: expected up to 60 letters, digits, '-', '_' and '.'"},
      {"models: []", "s.yaml:3: models: expected at least one value"},
      {"models: [a, {b: c}]", "s.yaml:3: models: expected one value, got a mapping"},
      {"models:", "s.yaml:3: models: expected one value, got nothing"},
      // Ranges that never end.
      {"global_batch: {from: 8, to: 64, step: 0}",
       "s.yaml:6: global_batch.step: a range by steps of 0 never ends; expected at least 1"},
      {"global_batch: {from: 8, to: 64, step: -8}",
       "s.yaml:6: global_batch.step: a range by steps of -8 never ends; expected at least 1"},
      {"global_batch: {from: 8, to: 64, times: 1}",
       "s.yaml:6: global_batch.times: a range that is multiplied by 1 never ends; expected at least 2"},
      {"global_batch: {from: 8, to: 64, times: 0}",
       "s.yaml:6: global_batch.times: a range that is multiplied by 0 never ends; expected at least 2"},
      {"global_batch: {from: 0, to: 64, times: 2}",
       "s.yaml:6: global_batch.from: expected a whole number from 1 to 1000000000, got \"0\""},
      {"global_batch: {from: 64, to: 8, times: 2}",
       "s.yaml:6: global_batch.to: a range from 64 never ends at 8; expected at least 64"},
      {"clusters: {name: dgx-h100, nodes: {from: 8, to: 4, step: 1}}",
       "s.yaml:4: clusters.nodes.to: a range from 8 never ends at 4; expected at least 8"},
      // Ranges that miss a key.
      {"global_batch: {from: 1024}",
       "s.yaml:6: global_batch.to: missing; a range is {from: 8, to: 128, times: 2} or {from: 8, to: 64, step: 8}"},
      {"global_batch: [4, {to: 64, step: 8}]", "s.yaml:6: global_batch.from: missing; a range is {from: 8, "},
      {"global_batch: {}", "s.yaml:6: global_batch.from: missing; a range is {from: 8, "},
      {"global_batch: {from: 8, to: 64}", "s.yaml:6: global_batch.times: missing, and no step either; a range is {"},
      {"global_batch: {from: 8, to: 64, step: 8, times: 2}",
       "s.yaml:6: global_batch.step: expected times or step, got both; a range is {"},
      {"clusters: {name: dgx-h100, nodes: {from: 8, step: 1}}", "s.yaml:4: clusters.nodes.to: missing; a range is {"},
      {"global_batch: {from: 8, to: 64, tims: 2}",
       "s.yaml:6: global_batch: unknown key \"tims\"; did you mean \"times\"?"},
      {"global_batch: {from: 1, to: 100001, step: 1}", "s.yaml:6: global_batch: more than 100000 values"},
      {"global_batch: 1.5", "s.yaml:6: global_batch: expected a whole number from 1 to 1000000000, got \"1.5\""},
      {"clusters: {nodes: 4}", "s.yaml:4: clusters.name: missing"},
      {"clusters: {name: a, node: 4}", "s.yaml:4: clusters: unknown key \"node\"; did you mean \"nodes\"?"},
      {"clusters: {name: 'a:2', nodes: 4}",
       "s.yaml:4: clusters.name: expected a name without ':' and '@' where nodes are given, got \"a:2\""},
      {"clusters: {name: a, oversubscription: 0.5}",
       "s.yaml:4: clusters.oversubscription: expected a number from 1 to 64, got \"0.5\""},
      {"layouts: [tp2, all]", "s.yaml:5: layouts: \"all\" takes in every other layout and stands alone"},
      {"layouts: tp0", "s.yaml:5: layouts: layout 'tp0': 'tp0': the degree must be at least 1"},
      {"schedules: [gpipe, 1f1c]",
       "s.yaml:8: schedules: expected 1f1b, gpipe or a file of rows, got \"1f1c\" (no such file)"},
      {"p2p: pairs", "s.yaml:8: p2p: expected channels, paired, got \"pairs\"; did you mean \"paired\"?"},
      {"network: flows", "s.yaml:8: network: expected analytic, flow, step, got \"flows\"; did you mean \"flow\"?"},
      {"precision: fp8", "s.yaml:8: precision: "},
      {"optimizer: adam", "s.yaml:8: optimizer: "},
      {"precision: [bf16, fp32]", "s.yaml:8: precision: expected one value, got a list"},
      {"disturbances: some",
       "s.yaml:8: disturbances: expected none or {name: ..., slow: ..., jitter: ..., link: ...}, "
       "got \"some\""},
      {"disturbances: [{name: a}]", "s.yaml:8: disturbances: \"a\" disturbs nothing; expected slow, jitter or link"},
      {"disturbances: [{name: none, jitter: 0.1}]",
       "s.yaml:8: disturbances.name: expected a name; \"none\" is the undisturbed one"},
      {"disturbances: [{name: a, jitter: 0.1}, {name: a, jitter: 0.2}]",
       "s.yaml:8: disturbances: two are called \"a\""},
      {"disturbances: [{name: a, slow: '3'}]",
       "s.yaml:8: disturbances: --slow: expected RANK:FACTOR with a rank below 262144, for example 3:1.3; got '3'"},
      {"disturbances: [{name: a, jitter: much}]",
       "s.yaml:8: disturbances: --jitter: expected SIGMA or SIGMA:SEED with a sigma from 0 to 2, "},
      {"disturbances: [{name: a, links: x}]", "s.yaml:8: disturbances: unknown key \"links\"; did you mean \"link\"?"},
  };
  for (const auto& [change, message] : cases) EXPECT_TRUE(refusal(change).starts_with(message)) << refusal(change);

  EXPECT_EQ(refusal_of(""), "s.yaml: the file is empty");
  EXPECT_EQ(refusal_of("name: a\n"),
            "s.yaml:1: pgram_sweep: missing: expected a file that begins with \"pgram_sweep: 1\"");
  for (const char* key : {"name", "models", "clusters", "layouts", "global_batch", "sequence"}) {
    std::string text = file_with({});
    const size_t line = text.find(std::string(key) + ":");
    text.erase(line, text.find('\n', line) - line + 1);
    EXPECT_EQ(refusal_of(text), "s.yaml:1: " + std::string(key) + ": missing");
  }
  EXPECT_THROW(read_sweep("no/such/file.yaml"), InputError);
}

TEST(SweepFile, TakesOrRefusesWhateverIsCutOrFlipped) {
  const std::string whole =
      file_with({"clusters: [{name: dgx-h100, nodes: {from: 8, to: 128, times: 2}, oversubscription: [1, 2]}, this:4]",
                 "layouts: [tp8.pp4, tp4.pp8.sp]", "global_batch: [{from: 8, to: 64, step: 8}, 512]",
                 "disturbances: [none, {name: slow, slow: ['3:1.3'], jitter: '0.05:7'}]", "filters: [tp <= 8]"});
  ASSERT_EQ(refusal_of(whole), "(taken)");
  size_t refused = 0;
  for (size_t length = 0; length < whole.size(); ++length) refused += refusal_of(whole.substr(0, length)) != "(taken)";
  // All but those cut within the last line or at its end miss a key that must be there, or are no YAML.
  EXPECT_GT(refused, whole.size() / 2);
  std::mt19937 random(6);
  for (int i = 0; i < 3000; ++i) {
    std::string text = whole;
    for (int flips = 1 + i % 3; flips > 0; --flips)
      text[random() % text.size()] = static_cast<char>(random() % 4 ? 32 + random() % 95 : random() % 256);
    const std::string said = refusal_of(text);  // nothing but InputError, and one line
    EXPECT_EQ(said.find('\n'), std::string::npos) << said;
  }
}

}  // namespace
}  // namespace pgram::sweep
