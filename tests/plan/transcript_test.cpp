// Golden transcripts of one tiny plan: as text, as Graphviz of a body, and of a slot of the schedule. After a change
// that is meant, write them anew with PGRAM_BLESS=1 and read the difference before committing it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "core/plan/plan_file.h"
#include "tests/plan/edit.h"

namespace pgram {
namespace {

using namespace test;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// The lines between the common beginning and the common end, "-" before those of `expected`, "+" before `actual`'s.
std::string difference(const std::string& expected, const std::string& actual) {
  const std::vector<std::string> a = lines_of(expected), b = lines_of(actual);
  size_t begin = 0, end = 0;
  while (begin < std::min(a.size(), b.size()) && a[begin] == b[begin]) ++begin;
  while (end < std::min(a.size(), b.size()) - begin && a[a.size() - 1 - end] == b[b.size() - 1 - end]) ++end;
  std::string text = "line " + std::to_string(begin + 1) + ":\n";
  for (size_t i = begin; i < a.size() - end; ++i) text += "- " + a[i] + "\n";
  for (size_t i = begin; i < b.size() - end; ++i) text += "+ " + b[i] + "\n";
  return text;
}

void expect_transcript(const std::string& name, const std::string& actual) {
  const std::string path = std::string(PGRAM_SOURCE_DIR) + "/tests/data/" + name;
  if (std::getenv("PGRAM_BLESS")) {
    std::ofstream(path, std::ios::binary) << actual;
    return;
  }
  std::ifstream file(path, std::ios::binary);
  ASSERT_TRUE(file) << "no " << path << "; PGRAM_BLESS=1 writes it";
  std::stringstream expected;
  expected << file.rdbuf();
  EXPECT_TRUE(expected.str() == actual) << name << ", " << difference(expected.str(), actual)
                                        << "if that is meant, PGRAM_BLESS=1 writes it anew";
}

/// Two layers of hidden size 16 on two stages of two tensor-parallel ranks.
Plan tiny_plan() {
  Model model = llama();
  model.layers = 2;
  model.hidden = 16;
  model.heads = 2;
  model.kv_heads = 2;
  model.ffn = 24;
  model.vocabulary = 20;
  return good(model, "tp2.pp2.sp", work(2, 1, 8));
}

TEST(Transcript, PlanAsText) {
  expect_transcript("tiny_plan.txt", plan_to_text(tiny_plan(), 14));
}

TEST(Transcript, BodyAsGraphviz) {
  expect_transcript("tiny_plan_layer_f.dot", body_to_dot(tiny_plan(), "layer.f"));
}

TEST(Transcript, SlotAsGraphviz) {
  expect_transcript("tiny_plan_0F1.dot", slot_to_dot(tiny_plan(), "0F1"));
}

TEST(Transcript, DifferenceShowsWhatChanged) {
  EXPECT_EQ(difference("a\nb\nc\nd\n", "a\nx\ny\nd\n"), "line 2:\n- b\n- c\n+ x\n+ y\n");
  EXPECT_EQ(difference("a\nb\n", "a\n"), "line 2:\n- b\n");
}

TEST(Transcript, UnknownNamesAreRefusedWithTheKnownOnes) {
  const Plan plan = tiny_plan();
  const std::string body = refusal([&] { body_to_dot(plan, "layer"); });
  EXPECT_NE(body.find("body: no body 'layer' in the plan; it has embedding.f, "), std::string::npos) << body;
  EXPECT_EQ(refusal([&] { slot_to_dot(plan, "7F0"); }),
            "slot: no slot '7F0' in the plan; expected <stage><F|B><micro-batch>, for example 0F0");
}

TEST(Transcript, LongProgramsAreCut) {
  const Plan plan = tiny_plan();
  const size_t calls = plan.programs[0].calls.size();
  EXPECT_NE(plan_to_text(plan, 3).find("  ... " + std::to_string(calls - 3) + " more calls\n"), std::string::npos);
  EXPECT_EQ(plan_to_text(plan, 1 << 20).find("more calls"), std::string::npos);
}

TEST(Transcript, TasksHaveNames) {
  // Rank 3 = tp coordinate 1 of stage 1; its first layer forward is of layer 1.
  const Plan plan = tiny_plan();
  const uint32_t call = static_cast<uint32_t>(find_call(plan, 1, "layer.f"));
  EXPECT_EQ(to_text(plan, Task{3, call, 0}), "rank 3 layer.f(layer 1, mb 0).0:rms_norm");
}

}  // namespace
}  // namespace pgram
