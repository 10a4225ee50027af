// The family of a model, and the largest of it that fits: against the slow obvious way, and by hand.
#include "cli/sweep/memory_scaling.h"

#include <gtest/gtest.h>

#include <cmath>

#include "cli/sweep/family.h"
#include "tests/planner/small_models.h"
#include "tests/sweep/all_layouts.h"

namespace pgram::sweep::test {
namespace {

using pgram::test::all_kinds;
using pgram::test::work;

TEST(Family, SizeZeroIsTheModelItself) {
  for (const Model& model : library_models()) EXPECT_EQ(family_member(model, 0), model) << model.name;
}

TEST(Family, WidthAndDepthGrowTogether) {
  // Twice the parameters of the layers: both by 2^(1/3) = 1.26. 64 heads x 1.26 = 80.6, in steps of 8: 80; the layers
  // make up for it: 80 x 2 / (80/64)^2 = 102.4. hidden 128 x 80, ffn 3.5 x hidden.
  const Model model = find_model("llama-3.1-70b"), twice = family_member(model, kSizesPerDoubling);
  EXPECT_EQ(twice.heads, 80u);
  EXPECT_EQ(twice.layers, 102u);
  EXPECT_EQ(twice.hidden, 10240u);
  EXPECT_EQ(twice.ffn, 35840u);
  EXPECT_EQ(twice.kv_heads, 8u);
  EXPECT_EQ(twice.head_dim, 128u);
  EXPECT_EQ(twice.vocabulary, model.vocabulary);
  for (int size = -128; size <= 384; ++size) {
    const Model member = family_member(model, size);
    // Half a layer of 51 or more, and key-value heads that do not grow.
    const double layers = double(member.layers) * double(layer_parameter_count(member));
    const double wanted = double(model.layers) * double(layer_parameter_count(model)) * std::exp2(size / 64.0);
    EXPECT_NEAR(layers / wanted, 1, 0.06) << size;
    EXPECT_EQ(member.heads % 8, 0u);
    EXPECT_NEAR(double(member.hidden) / member.layers, 102.4, 0.3 * 102.4) << size;
  }
}

TEST(Family, HeadsStayDivisibleAsTheModelsOwn) {
  // GPT-2 small has 12 heads, of which 4 is the largest power of two; all heads have their own keys and values.
  const Model gpt2 = find_model("gpt2");
  const SizeRange sizes = family_sizes(gpt2);
  EXPECT_LT(sizes.least, -64);
  EXPECT_GT(sizes.most, 640);
  for (int size = sizes.least; size <= sizes.most; size += 7) {
    const Model member = family_member(gpt2, size);
    EXPECT_EQ(member.heads % 4, 0u);
    EXPECT_EQ(member.kv_heads, member.heads);
    EXPECT_EQ(member.hidden, member.heads * 64);
    EXPECT_GE(member.layers, 1u);
    EXPECT_LE(member.layers, 4096u);
  }
}

TEST(MemoryScaling, BytesOfAParameter) {
  Workload w;
  w.precision = Precision::bf16;
  EXPECT_EQ(state_bytes(w), 18u);  // 2 + gradient 4 + moments 8 + master copy 4
  w.optimizer = Optimizer::sgd;
  EXPECT_EQ(state_bytes(w), 10u);  // 2 + 4 + 4
  w.precision = Precision::fp32;
  EXPECT_EQ(state_bytes(w), 8u);  // 4 + 4
  w.optimizer = Optimizer::adamw;
  EXPECT_EQ(state_bytes(w), 16u);  // 4 + 4 + 8
}

TEST(MemoryScaling, ShortestStepNeedsTheMemoryOfTheWhole) {
  for (const Model& model : all_kinds()) {
    for (const Candidate& c : layouts_of(model, work(32, 1), 8)) {
      EXPECT_EQ(fullest(model, c.layout, shortest_step(c.layout, c.workload)), fullest(model, c.layout, c.workload))
          << model.name << " " << to_text(c.layout) << " mb" << c.workload.micro_batch;
    }
  }
}

TEST(MemoryScaling, BoundIsNeverMoreThanTheBillAndLacksOnlyEdges) {
  int exact = 0, all = 0;
  for (const Model& model : all_kinds()) {
    MemoryBound bound;
    for (const uint32_t devices : {1u, 2u, 8u, 12u}) {
      for (const Candidate& c : layouts_of(model, work(24, 1), devices)) {
        const Plan plan = make_plan(model, c.layout, c.workload);
        const std::vector<MemoryBill> bills = memory_bill(plan);
        const MemoryBill& bill = bills[fullest_role(bills)];
        const uint64_t least = bound.fullest(model, c.layout, c.workload);
        EXPECT_LE(least, bill.total) << model.name << " " << to_text(c.layout);
        EXPECT_GE(least + bill.bytes[static_cast<size_t>(RecordKind::edge)], bill.total)
            << model.name << " " << to_text(c.layout);
        ++all;
        exact += least == bill.total;
      }
    }
  }
  EXPECT_GT(all, 300);
  EXPECT_LT(exact, all);
}

/// The slow obvious way: every layout, every size, the whole step.
int largest_size(const Model& family, uint32_t gpus, uint64_t memory, const Workload& work, int least, int most) {
  int best = least - 1;
  for (int size = least; size <= most; ++size) {
    const Model member = family_member(family, size);
    for (const Candidate& c : layouts_of(member, work, gpus)) {
      if (fullest(member, c.layout, c.workload) <= memory) best = size;
    }
  }
  return best;
}

TEST(MemoryScaling, LargestModelIsTheOneThatTheSlowWayFinds) {
  const Model family = find_model("tiny-llama");
  Workload w = work(8, 1, 128);
  constexpr uint64_t kMemory = 96u << 20;
  for (const uint32_t gpus : {1u, 4u}) {
    const MemoryPoint point = largest_model(family, gpus, kMemory, w);
    ASSERT_TRUE(point.fits);
    const int slow = largest_size(family, gpus, kMemory, w, 0, 200);
    EXPECT_LT(slow, 200);
    EXPECT_EQ(point.model, family_member(family, slow)) << gpus;
    EXPECT_EQ(point.parameters, parameter_count(point.model));
    EXPECT_LE(fullest(point.model, point.layout, point.workload), kMemory);
    EXPECT_EQ(point.layout.ranks(), gpus);
  }
}

uint64_t at(const MemoryPoint& point, MemoryPart part) {
  return point.bytes[static_cast<size_t>(part)];
}

TEST(MemoryScaling, PartsAddUpToAllMemory) {
  const Model family = find_model("tiny-llama");
  constexpr uint64_t kMemory = 64u << 20;
  for (const uint32_t gpus : {1u, 2u, 8u, 64u}) {
    const MemoryPoint point = largest_model(family, gpus, kMemory, work(64, 1, 128));
    ASSERT_TRUE(point.fits);
    uint64_t sum = 0;
    for (const uint64_t bytes : point.bytes) sum += bytes;
    EXPECT_EQ(sum, gpus * kMemory);
    // fp32 and AdamW: 16 bytes a parameter; 64 MiB / 16 = 4,194,304 parameters a device.
    EXPECT_EQ(at(point, MemoryPart::parameters), 16 * point.parameters);
    EXPECT_DOUBLE_EQ(point.ideal_parameters, gpus * 4194304.0);
    EXPECT_LT(static_cast<double>(point.parameters), point.ideal_parameters);
    if (point.layout.dp == 1) {
      EXPECT_EQ(at(point, MemoryPart::dp_copies), 0u);
    }
    if (gpus == 1) {
      EXPECT_LT(at(point, MemoryPart::tp_copies), 64 * 1024u) << "nothing but alignment to 64 bytes";
    }
    if (gpus == 64) {
      EXPECT_GT(point.layout.dp, 1u) << "4 key-value heads and few layers: the rest is copies";
      // dp - 1 copies of all that is held, with the norms that every tensor-parallel rank has.
      EXPECT_EQ(at(point, MemoryPart::dp_copies),
                (point.layout.dp - 1) * (at(point, MemoryPart::parameters) + at(point, MemoryPart::tp_copies)));
    }
  }
}

TEST(MemoryScaling, MoreDevicesOrMemoryNeverTrainLess) {
  const Model family = find_model("tiny-llama");
  uint64_t before = 0;
  for (const uint32_t gpus : {1u, 2u, 4u, 8u, 16u, 32u}) {
    const MemoryPoint point = largest_model(family, gpus, 64u << 20, work(32, 1, 128));
    ASSERT_TRUE(point.fits);
    EXPECT_GE(point.parameters, before) << gpus;
    before = point.parameters;
    EXPECT_GE(largest_model(family, gpus, 80u << 20, work(32, 1, 128)).parameters, before);
  }
  EXPECT_FALSE(largest_model(family, 4, 1u << 16, work(32, 1, 128)).fits) << "64 KiB hold nothing";
}

}  // namespace
}  // namespace pgram::sweep::test
