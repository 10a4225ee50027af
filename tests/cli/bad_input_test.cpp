// Bad input: one clear line, exit code 2, no crash.
#include <gtest/gtest.h>

#include <algorithm>

#include "program.h"

namespace pgram {
namespace {

using test::Folder;
using test::Outcome;
using test::run;

/// Refused with code 2 in one line that contains every word.
void expect_refused(const Folder& folder, const std::string& arguments, std::initializer_list<const char*> words) {
  const Outcome o = run(folder, arguments);
  EXPECT_EQ(o.code, 2) << arguments << "\n" << o.out << o.err;
  for (const char* word : words) EXPECT_NE(o.err.find(word), std::string::npos) << arguments << "\n" << o.err;
  EXPECT_LE(std::count(o.err.begin(), o.err.end(), '\n'), 2) << o.err;
  EXPECT_EQ(o.out, "") << arguments;
}

constexpr const char* kFlags = "plan --model tiny-llama --cluster this --global-batch 8 --seq 64 ";

TEST(BadInput, Flags) {
  const Folder folder;
  expect_refused(folder, "plan --no-such-flag", {"no-such-flag"});
  expect_refused(folder, "frobnicate", {"frobnicate"});
  expect_refused(folder, "", {"subcommand"});
  expect_refused(folder, "run", {"FILE"});
  expect_refused(folder, "plan --model tiny-llama --cluster this --seq 64", {"--global-batch", "missing"});
  expect_refused(folder, "plan --cluster this --global-batch 8 --seq 64", {"--model", "missing"});
  expect_refused(folder, "plan --model tiny-llama --global-batch 8 --seq 64", {"--cluster", "missing"});
  expect_refused(folder, "simulate", {"plan file"});
}

TEST(BadInput, SweepFiles) {
  const Folder folder;
  const auto sweep = [&](const std::string& sequence) {
    return "sweep --dry-run " +
           folder.write("s.yaml",
                        "pgram_sweep: 1\nname: s\nmodels: tiny-llama\n"
                        "clusters: {name: dgx-h100, nodes: 2, oversubscription: {from: 1, to: 64, step: 1}}\n"
                        "layouts: all\nglobal_batch: {from: 16, to: 1600, step: 16}\nsequence: " +
                            sequence + "\nnetwork: [analytic, flow, step]\n");
  };
  expect_refused(folder, sweep("{from: 1024}"), {"s.yaml:7: sequence.to: missing; a range is {from: 8, "});
  expect_refused(
      folder, sweep("{from: 1, to: 512, step: 1}"),
      {"s.yaml:7: sequence: about ",
       " cases (clusters 64 x all layouts x global_batch 100 x sequence 512 x network 3); at most 10,000,000 "
       "without --yes"});
}

TEST(BadInput, UnknownNamesGetTheNearest) {
  const Folder folder;
  expect_refused(folder, "plan --model llama-3.1-80b --cluster this --global-batch 8 --seq 64",
                 {"llama-3.1-80b", "llama-3.1-8"});
  expect_refused(folder, "plan --model tiny-llama --cluster dgx-h10 --global-batch 8 --seq 64",
                 {"dgx-h10", "dgx-h100"});
  expect_refused(folder, kFlags + std::string("--schedule gpip"), {"gpip"});
  expect_refused(folder, kFlags + std::string("--precision fp8"), {"fp8"});
  expect_refused(folder, kFlags + std::string("--layout pp2 --p2p both"), {"p2p", "channels or paired", "both"});
}

TEST(BadInput, DegreesAndSizes) {
  const Folder folder;
  expect_refused(folder, kFlags + std::string("--layout tp3"), {"3 does not divide", "heads"});
  expect_refused(folder, kFlags + std::string("--layout pp5"), {"5", "4 layers"});
  expect_refused(folder, kFlags + std::string("--layout dp3"), {"8", "3"});
  expect_refused(folder, kFlags + std::string("--layout tp2 --p2p paired"), {"p2p", "pp of at least 2"});
  expect_refused(folder, kFlags + std::string("--layout pp2.paired --p2p channels"), {"--p2p", "'pp2.paired'"});
  for (const char* layout : {"tp0", "tp-1", "tp1000000000000000000", "tp2.tp2", "xx", "tp2.cp2", ""}) {
    expect_refused(folder, kFlags + std::string("--layout '") + layout + "'", {"layout"});
  }
  for (const char* size : {"0", "-8", "1000000000000000000", "8.5", "many"}) {
    expect_refused(folder, std::string("plan --model tiny-llama --cluster this --seq 64 --global-batch ") + size,
                   {"global"});
  }
  expect_refused(folder, "plan --model tiny-llama --cluster this --global-batch 8 --seq 4096", {"4096", "512"});
  expect_refused(folder,
                 "simulate --model tiny-llama --cluster dgx-h100 --layout tp2.pp4.dp2 --global-batch 8 --seq 64",
                 {"8 devices", "16"});
}

TEST(BadInput, ModelFiles) {
  const Folder folder;
  const auto plan = [&](const std::string& config) {
    return "plan --cluster this --global-batch 8 --seq 64 --model " + folder.write("config.json", config);
  };
  expect_refused(folder, "plan --cluster this --global-batch 8 --seq 64 --model " + (folder / "none/config.json"),
                 {"none"});
  expect_refused(folder, plan("{"), {"config.json"});
  expect_refused(folder, plan("[]"), {"config.json"});
  expect_refused(folder, plan(R"({"model_type": "deepseek_v3"})"), {"deepseek_v3"});
  expect_refused(folder, plan(R"({"model_type": "llama", "hidden_size": -1})"), {"config.json"});
}

TEST(BadInput, PlanFiles) {
  const Folder folder;
  const std::string good = folder / "good.json";
  ASSERT_EQ(run(folder, kFlags + std::string("--layout tp2 --out ") + good).code, 0);
  const std::string text = test::file_text(good);
  expect_refused(folder, "simulate " + (folder / "missing.json"), {"missing.json"});
  expect_refused(folder, "simulate " + folder.write("cut.json", text.substr(0, text.size() / 2)), {"cut.json"});
  expect_refused(folder, "simulate " + folder.write("other.json", R"({"format": "something", "version": 1})"),
                 {"other.json", "format"});
  std::string newer = text;
  newer.replace(newer.find("\"version\":1"), 11, "\"version\":7");
  expect_refused(folder, "simulate " + folder.write("newer.json", newer), {"newer.json", "version"});
  expect_refused(folder, "run " + folder.write("empty.json", ""), {"empty.json"});
  expect_refused(folder, kFlags + std::string("--layout tp2 --out ") + (folder / "no/such/folder/p.json"), {"folder"});
}

TEST(BadInput, TimelineFiles) {
  const Folder folder;
  const std::string plan = folder / "p.json", timeline = folder / "t.timeline";
  ASSERT_EQ(run(folder, kFlags + std::string("--layout tp2 --out ") + plan).code, 0);
  ASSERT_EQ(run(folder, "simulate " + plan + " --out " + timeline).code, 0);
  const std::string bytes = test::file_text(timeline);
  expect_refused(folder, "compare " + timeline + " " + (folder / "none.timeline"), {"none.timeline"});
  expect_refused(folder, "compare " + timeline + " " + folder.write("cut.timeline", bytes.substr(0, bytes.size() - 40)),
                 {"cut.timeline"});
  expect_refused(folder, "export " + folder.write("text.timeline", "hello") + " --perfetto " + (folder / "x.json"),
                 {"text.timeline"});
  std::string newer = bytes;
  newer[8] = 77;  // the version follows the magic
  expect_refused(folder, "compare " + timeline + " " + folder.write("newer.timeline", newer),
                 {"newer.timeline", "version"});
}

TEST(BadInput, SafetensorsFiles) {
  const Folder folder;
  const std::string plan = folder / "p.json", text = folder.write("text.txt", std::string(5000, 'a'));
  ASSERT_EQ(run(folder, kFlags + std::string("--layout tp1 --out ") + plan).code, 0);
  const auto load = [&](const std::string& name, const std::string& bytes) {
    return "run " + plan + " --text " + text + " --steps 1 --load " + folder.write(name, bytes);
  };
  const auto header = [](const std::string& json) {
    uint64_t n = json.size();
    return std::string(reinterpret_cast<const char*>(&n), 8) + json;
  };
  expect_refused(folder, load("empty.safetensors", ""), {"empty.safetensors"});
  expect_refused(folder, load("huge.safetensors", std::string(8, '\xff')), {"huge.safetensors"});
  expect_refused(folder, load("bad.safetensors", header("{]")), {"bad.safetensors"});
  expect_refused(folder,
                 load("lies.safetensors",
                      header(R"({"w":{"dtype":"F32","shape":[1000000000000000000],"data_offsets":[0,4]}})") + "abcd"),
                 {"lies.safetensors"});
  expect_refused(
      folder, load("other.safetensors", header(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})") + "abcd"),
      {"other.safetensors"});
}

TEST(BadInput, TextsAndBackends) {
  const Folder folder;
  const std::string plan = folder / "p.json";
  ASSERT_EQ(run(folder, kFlags + std::string("--layout tp1 --out ") + plan).code, 0);
  expect_refused(folder, "run " + plan + " --text " + (folder / "none.txt"), {"none.txt"});
  expect_refused(folder, "run " + plan + " --text " + folder.write("short.txt", "abc"), {"short.txt", "3 bytes"});
  expect_refused(folder, "run " + plan + " --text " + folder.write("t.txt", std::string(999, 'x')) + " --backend tpu",
                 {"cpu or cuda", "tpu"});
  expect_refused(folder, "run " + plan + " --text " + (folder / "t.txt") + " --share-gpu", {"--share-gpu", "cuda"});
  expect_refused(folder, "run " + plan + " --text " + (folder / "t.txt") + " --steps 0", {"--steps"});
}

}  // namespace
}  // namespace pgram
