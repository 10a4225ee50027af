// The page of `pgram scale`: bars that add up, well-formed pictures, sensible pages where little was found.
#include "cli/sweep_report/scale_page.h"

#include <gtest/gtest.h>

#include <pugixml.hpp>

#include "core/base/errors.h"

namespace pgram::sweep_report {
namespace {

using sweep::ComputePoint;
using sweep::MemoryPart;
using sweep::MemoryPoint;
using sweep::TimePart;

MemoryPoint memory_point(uint32_t gpus, uint64_t parameters, uint64_t copies, uint64_t unused) {
  MemoryPoint point;
  point.gpus = gpus;
  point.fits = true;
  point.model = find_model("tiny-llama");
  point.parameters = parameters;
  point.ideal_parameters = double(parameters * 18 + copies + unused) / 18;
  point.bytes[static_cast<size_t>(MemoryPart::parameters)] = parameters * 18;
  point.bytes[static_cast<size_t>(MemoryPart::dp_copies)] = copies;
  point.bytes[static_cast<size_t>(MemoryPart::unused)] = unused;
  return point;
}

/// A step of `kernels` and `bubble` seconds that is at the peak for half of its kernels' time.
ComputePoint compute_point(uint32_t gpus, double kernels, double bubble) {
  ComputePoint point;
  point.gpus = gpus;
  point.workload.global_batch = 64;
  point.layout = parse_layout("pp" + std::to_string(gpus));
  point.step_seconds = kernels + bubble;
  point.flops_per_second = 1e15 / point.step_seconds;
  point.model_flops_utilisation = 0.5 * kernels / point.step_seconds;
  point.seconds[static_cast<size_t>(TimePart::kernels)] = kernels;
  point.seconds[static_cast<size_t>(TimePart::bubble)] = bubble;
  point.unlimited.time.seconds = point.step_seconds;
  return point;
}

sweep::ScaleAnswer made_answer() {
  sweep::ScaleAnswer answer;
  answer.memory = {memory_point(8, 1'000'000, 0, 2'000'000), memory_point(16, 1'500'000, 9'000'000, 4'000'000)};
  answer.strong = {compute_point(8, 3, 1), compute_point(16, 1.5, 1)};
  answer.weak = {compute_point(8, 2, 0), compute_point(16, 2, 0.5)};
  sweep::draw_ideal_line(answer.strong);
  sweep::draw_ideal_line(answer.weak);
  return answer;
}

sweep::ScaleQuestion made_question() {
  sweep::ScaleQuestion question;
  question.model = "a<b";
  question.cluster = "dgx-h100";
  question.gpus = {8, 16};
  question.workload.global_batch = 64;
  question.workload.sequence = 8192;
  return question;
}

size_t check_pictures(const std::string& page) {
  size_t pictures = 0;
  for (size_t at = page.find("<svg"); at != std::string::npos; at = page.find("<svg", at + 1), ++pictures) {
    const size_t end = page.find("</svg>", at) + 6;
    pugi::xml_document document;
    EXPECT_TRUE(document.load_buffer(page.data() + at, end - at));
    EXPECT_EQ(page.substr(at, end - at).find("nan"), std::string::npos);
  }
  return pictures - 1;  // one only holds the hatches
}

double sum_of(const page::Bars::Bar& bar) {
  double sum = 0;
  for (const double part : bar.parts) sum += part;
  return sum;
}

TEST(ScalePage, BarsAddUpToAllMemoryAndAllTime) {
  const sweep::ScaleAnswer answer = made_answer();
  const page::Bars memory = memory_bars(answer.memory), time = time_bars(answer);
  ASSERT_EQ(memory.bars.size(), 2u);
  for (const auto& bar : memory.bars) EXPECT_NEAR(sum_of(bar), 1, 1e-12);
  // 18 MB of 20; 27 MB of 40, 9 of them copies.
  EXPECT_DOUBLE_EQ(memory.bars[0].parts[0], 0.9);
  EXPECT_DOUBLE_EQ(memory.bars[1].parts[0], 27.0 / 40);
  EXPECT_DOUBLE_EQ(memory.bars[1].parts[1], 9.0 / 40);
  ASSERT_EQ(time.bars.size(), 4u);
  for (const auto& bar : time.bars) EXPECT_NEAR(sum_of(bar), 1, 1e-12);
  // 3 s of kernels, half of them at the peak, in a step of 4 s; 1 s of bubble.
  EXPECT_EQ(time.bars[0].group, "strong");
  EXPECT_DOUBLE_EQ(time.bars[0].parts[0], 0.375);
  EXPECT_DOUBLE_EQ(time.bars[0].parts[1], 0.375);
  EXPECT_DOUBLE_EQ(time.bars[0].parts[1 + static_cast<size_t>(TimePart::bubble)], 0.25);
  EXPECT_EQ(time.bars[2].group, "weak");
}

TEST(ScalePage, SaysWhatMoreDevicesBuyAndShowsIt) {
  const std::string page = scale_page(made_question(), made_answer(), "pgram scale a");
  EXPECT_EQ(check_pictures(page), 4u);  // lines and bars of memory and of time
  for (const char* text :
       {"With 2 times the GPUs 1.5 times the model.", "8,192 tokens a sequence", "Strong: the same step on more GPUs.",
        // 4 s against 2.5 s: 1.6 times as fast, 80 % of the ideal; of 16 GPUs 3.2 are lost.
        "With 2 times the GPUs 1.6 times the model FLOP/s", "80.0 %", "pgram scale a\n", "a&lt;b on dgx-h100"}) {
    EXPECT_NE(page.find(text), std::string::npos) << text;
  }
  EXPECT_EQ(page.find("a<b"), std::string::npos);
  // The tables name what is lost to somewhere, and only that: kernels and bubble.
  EXPECT_NE(page.find(">bubble</th>"), std::string::npos);
  EXPECT_EQ(page.find(">data parallel</th>"), std::string::npos);
  EXPECT_EQ(page.find("http"), std::string::npos) << "nothing from outside";
  EXPECT_EQ(page, scale_page(made_question(), made_answer(), "pgram scale a"));
}

TEST(ScalePage, WhereNothingFitsItSaysSo) {
  sweep::ScaleAnswer answer;
  answer.memory.resize(1);
  answer.strong.resize(1);
  answer.strong[0].unfit = "no layout fits into memory";
  answer.stopped = true;
  const std::string page = scale_page(made_question(), answer, "pgram scale a");
  EXPECT_EQ(check_pictures(page), 0u);
  for (const char* text : {"No model of the family fits anywhere.", "No layout fits anywhere.", "Stopped early"})
    EXPECT_NE(page.find(text), std::string::npos) << text;
}

}  // namespace
}  // namespace pgram::sweep_report
