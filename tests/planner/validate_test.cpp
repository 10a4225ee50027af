// Degrees are validated once: each refusal names the degree, what it must divide, and every number.
#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "core/planner/planner.h"
#include "tests/planner/small_models.h"

namespace pgram {
namespace {

using namespace test;

std::string said(const Model& model, const Layout& l, const Workload& w) {
  const std::string message = refusal([&] { validate(model, l, w); });
  if (message != "accepted") {
    EXPECT_EQ(refusal([&] { make_plan(model, l, w); }), message) << "make_plan validates first";
  }
  return message;
}

Layout degrees(uint32_t tp, uint32_t pp, uint32_t dp) {
  Layout l;
  l.tp = tp;
  l.pp = pp;
  l.dp = dp;
  return l;
}

TEST(Validate, TensorParallelDegree) {
  EXPECT_EQ(said(llama(), degrees(4, 1, 1), work(4, 1)), "accepted");
  EXPECT_EQ(said(llama(), degrees(3, 1, 1), work(4, 1)), "tp: 3 does not divide the model's 8 attention heads");
  EXPECT_EQ(said(llama(), degrees(8, 1, 1), work(4, 1)), "tp: 8 does not divide the model's 4 key-value heads");
  Model model = llama();
  model.ffn = 98;
  EXPECT_EQ(said(model, degrees(4, 1, 1), work(4, 1)), "tp: 4 does not divide the model's 98 feed-forward columns");
  model = llama();
  model.vocabulary = 3;
  EXPECT_EQ(said(model, degrees(4, 1, 1), work(4, 1)), "tp: 4 is more than the model's vocabulary of 3");
}

TEST(Validate, PipelineDegree) {
  EXPECT_EQ(said(llama(), degrees(1, 4, 1), work(4, 1)), "accepted");
  EXPECT_EQ(said(llama(), degrees(1, 5, 1), work(4, 1)), "pp: 5 stages are more than the model's 4 layers");
}

TEST(Validate, BatchDivides) {
  EXPECT_EQ(said(llama(), degrees(1, 1, 3), work(12, 2)), "accepted");
  EXPECT_EQ(said(llama(), degrees(1, 1, 3), work(8, 2)),
            "global batch: 8 is not a multiple of dp x micro-batch = 3 x 2 = 6");
  EXPECT_EQ(said(llama(), degrees(1, 1, 2), work(1, 1)),
            "global batch: 1 is not a multiple of dp x micro-batch = 2 x 1 = 2");
  EXPECT_EQ(said(llama(), degrees(1, 1, 1), work(16385, 1)),
            "global batch: 16385 makes 16385 micro-batches a step; at most 16384");
}

TEST(Validate, Sequence) {
  EXPECT_EQ(said(llama(), degrees(1, 1, 1), work(4, 1, 64)), "accepted");
  EXPECT_EQ(said(llama(), degrees(1, 1, 1), work(4, 1, 65)),
            "sequence: 65 tokens are more than the model's 64 positions");
  Model model = llama();
  model.sliding_window = 32;
  EXPECT_EQ(said(model, degrees(1, 1, 1), work(4, 1, 32)), "accepted");
  EXPECT_EQ(
      said(model, degrees(1, 1, 1), work(4, 1, 33)),
      "sequence: 33 tokens are more than the model's sliding window of 32; windowed attention is not available yet");
}

TEST(Validate, SequenceParallelismSplitsTokens) {
  EXPECT_EQ(said(llama(), layout("tp4.sp"), work(4, 2, 6)), "accepted");  // 12 tokens on 4 ranks
  EXPECT_EQ(said(llama(), layout("tp4.sp"), work(4, 1, 6)),
            "sp: tp 4 does not divide the micro-batch's 6 tokens (1 x 6)");
}

TEST(Validate, ZeroAndAbsurdSizes) {
  EXPECT_EQ(said(llama(), degrees(0, 1, 1), work(4, 1)).find("layout: degrees must be at least 1"), 0u);
  EXPECT_EQ(said(llama(), degrees(1, 0, 1), work(4, 1)).find("layout: degrees must be at least 1"), 0u);
  EXPECT_EQ(said(llama(), degrees(1, 1, 0), work(4, 1)).find("layout: degrees must be at least 1"), 0u);
  const std::string zero = "workload: global batch, micro-batch and sequence must be at least 1, got ";
  EXPECT_EQ(said(llama(), degrees(1, 1, 1), work(0, 1)), zero + "0, 1, 16");
  EXPECT_EQ(said(llama(), degrees(1, 1, 1), work(4, 0)), zero + "4, 0, 16");
  EXPECT_EQ(said(llama(), degrees(1, 1, 1), work(4, 1, 0)), zero + "4, 1, 0");
  constexpr uint32_t kMost = 4294967295;
  // (2^32 - 1)^3 would wrap to a small number of ranks in 64 bits.
  EXPECT_NE(said(llama(), degrees(kMost, kMost, kMost), work(4, 1)).find("layout: "), std::string::npos);
  // 2^31 x 2^31 x 4 = 2^64, which 64 bits hold as 0: the degrees themselves must be refused then.
  EXPECT_EQ(said(llama(), degrees(1u << 31, 1u << 31, 4), work(4, 1)),
            "tp: 2147483648 does not divide the model's 8 attention heads");
  EXPECT_NE(said(llama(), degrees(1, 1, 1), work(kMost, kMost, kMost)), "accepted");
  Model model = llama();
  model.max_positions = kMost;
  EXPECT_EQ(said(model, degrees(1, 1, 1), work(kMost, kMost, kMost)),
            "micro-batch: 4294967295 x 4294967295 tokens are more than 67,108,864");
}

TEST(Validate, IsLegalSaysTheSame) {
  std::mt19937 random(5);
  const auto one_of = [&](std::initializer_list<uint32_t> values) { return values.begin()[random() % values.size()]; };
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    Model model = llama();
    model.sliding_window = one_of({0, 0, 0, 32});
    Layout layout =
        degrees(one_of({0, 1, 1, 2, 4, 8, 3, 128}), one_of({0, 1, 2, 4, 5}), one_of({0, 1, 1, 2, 3, 1u << 20}));
    layout.sequence_parallel = random() % 2;
    layout.p2p = random() % 2 ? PointToPoint::paired : PointToPoint::channels;
    Workload w = work(one_of({0, 1, 8, 12, 32, 1u << 20}), one_of({0, 1, 1, 2, 3}));
    w.sequence = one_of({0, 5, 32, 64, 65});
    const std::string message = refusal([&] { validate(model, layout, w); });
    ASSERT_EQ(is_legal(model, layout, w), message == "accepted") << message;
    accepted += is_legal(model, layout, w);
  }
  EXPECT_GT(accepted, 200);
}

TEST(Validate, MicroBatches) {
  EXPECT_EQ(micro_batches(degrees(1, 1, 4), work(64, 2)), 8u);
  EXPECT_EQ(micro_batches(degrees(1, 1, 1), work(1, 1)), 1u);
}

TEST(PartitionLayers, EqualSharesTheRestInTheMiddle) {
  EXPECT_EQ(partition_layers(8, 4), (std::vector<uint32_t>{2, 2, 2, 2}));
  EXPECT_EQ(partition_layers(10, 4), (std::vector<uint32_t>{2, 3, 3, 2}));
  EXPECT_EQ(partition_layers(9, 4), (std::vector<uint32_t>{2, 3, 2, 2}));
  EXPECT_EQ(partition_layers(126, 16), (std::vector<uint32_t>{7, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 7}));
  for (uint32_t layers = 1; layers <= 40; ++layers) {
    for (uint32_t stages = 1; stages <= layers; ++stages) {
      const std::vector<uint32_t> share = partition_layers(layers, stages);
      EXPECT_EQ(share.size(), stages);
      EXPECT_EQ(std::accumulate(share.begin(), share.end(), 0u), layers);
      const auto [least, most] = std::minmax_element(share.begin(), share.end());
      EXPECT_GE(*least, 1u);
      EXPECT_LE(*most - *least, 1u);
    }
  }
}

}  // namespace
}  // namespace pgram
