// Collectives by count and bytes, against Megatron's. n = tokens of a micro-batch, h = hidden, w = bytes of an
// activation element, t = tensor-parallel degree; A = n h w is the whole activation of a tensor-parallel group. Sizes
// are those of nccl-tests: all-reduce = the buffer, all-gather = its output, reduce-scatter = its input.
#include <gtest/gtest.h>

#include <map>
#include <tuple>

#include "core/planner/planner.h"
#include "tests/planner/small_models.h"

namespace pgram {
namespace {

using namespace test;

/// (kernel, communicator, bytes) -> how often.
using Counts = std::map<std::tuple<std::string, std::string, uint64_t>, int>;

void count_op(const Plan& plan, const Op& op, Counts& counts) {
  if (op.comm == kNoComm) return;
  ++counts[{std::string(name_of(op.kernel)), plan.comms[op.comm].name, op.bytes}];
}

Counts of_body(const Plan& plan, const std::string& name) {
  Counts counts;
  for (const Body& body : plan.bodies) {
    if (body.name != name) continue;
    for (const Op& op : body.ops) count_op(plan, op, counts);
  }
  return counts;
}

Counts of_role(const Plan& plan, size_t role) {
  Counts counts;
  for (const Call& call : plan.programs[role].calls) {
    for (const Op& op : plan.bodies[call.body].ops) count_op(plan, op, counts);
  }
  return counts;
}

// micro-batch 2, sequence 16: n = 32; h = 64; bf16: w = 2. A = 32 x 64 x 2 = 4096 B.
constexpr uint64_t kTokens = 32, kA = 4096;

Plan plan_of(const Model& model, const std::string& text) {
  return make_plan(model, layout(text), work(8, 2, 16, Precision::bf16));
}

class Collectives : public ::testing::TestWithParam<Model> {};

TEST_P(Collectives, LayerWithoutSequenceParallelism) {
  // Forward: one all-reduce after the attention's projection, one after the MLP's second matrix. Backward: one before
  // the gradient leaves the QKV matrix, one at the MLP's first.
  for (const char* text : {"tp2", "tp4"}) {
    const Plan plan = plan_of(GetParam(), text);
    EXPECT_EQ(of_body(plan, "layer.f"), (Counts{{{"all_reduce", "tp", kA}, 2}}));
    EXPECT_EQ(of_body(plan, "layer.b"), (Counts{{{"all_reduce", "tp", kA}, 2}}));
  }
}

TEST_P(Collectives, LayerWithSequenceParallelism) {
  // Forward: gather before each column-parallel matrix (2), scatter after each row-parallel one (2). Backward: the
  // mirror (2 gathers of gradients, 2 scatters), and the two gathered inputs once more, because only 1/t is kept: 4
  // + 2.
  for (const char* text : {"tp2.sp", "tp4.sp"}) {
    const Plan plan = plan_of(GetParam(), text);
    EXPECT_EQ(of_body(plan, "layer.f"), (Counts{{{"all_gather", "tp", kA}, 2}, {{"reduce_scatter", "tp", kA}, 2}}));
    EXPECT_EQ(of_body(plan, "layer.b"), (Counts{{{"all_gather", "tp", kA}, 4}, {{"reduce_scatter", "tp", kA}, 2}}));
  }
}

TEST_P(Collectives, Embedding) {
  const Plan plain = plan_of(GetParam(), "tp2"), split = plan_of(GetParam(), "tp2.sp");
  EXPECT_EQ(of_body(plain, "embedding.f"), (Counts{{{"all_reduce", "tp", kA}, 1}}));
  EXPECT_EQ(of_body(plain, "embedding.b"), Counts{});
  EXPECT_EQ(of_body(split, "embedding.f"), (Counts{{{"reduce_scatter", "tp", kA}, 1}}));
  EXPECT_EQ(of_body(split, "embedding.b"), (Counts{{{"all_gather", "tp", kA}, 1}}));
}

TEST_P(Collectives, HeadAndCrossEntropy) {
  // Cross-entropy over a split vocabulary: the maximum, 4 n = 128 B, and both sums (of exp, and the target's logit)
  // fused, 2 x 4 n = 256 B. Head: sequence parallelism gathers its input, and again for the weight's gradient.
  const uint64_t maximum = 4 * kTokens, sums = 8 * kTokens;
  const Plan plain = plan_of(GetParam(), "tp2"), split = plan_of(GetParam(), "tp2.sp");
  EXPECT_EQ(of_body(plain, "head.f"),
            (Counts{{{"all_reduce_max", "tp", maximum}, 1}, {{"all_reduce", "tp", sums}, 1}}));
  EXPECT_EQ(of_body(plain, "head.b"), (Counts{{{"all_reduce", "tp", kA}, 1}}));
  EXPECT_EQ(
      of_body(split, "head.f"),
      (Counts{{{"all_gather", "tp", kA}, 1}, {{"all_reduce_max", "tp", maximum}, 1}, {{"all_reduce", "tp", sums}, 1}}));
  EXPECT_EQ(of_body(split, "head.b"), (Counts{{{"all_gather", "tp", kA}, 1}, {{"reduce_scatter", "tp", kA}, 1}}));
}

TEST_P(Collectives, PointToPointIsAOrItsPart) {
  // Without sequence parallelism t identical copies cross, A each; with it each rank sends its own tokens, A / t.
  for (const auto& [text, bytes] :
       {std::pair{"pp2", kA}, {"tp2.pp2", kA}, {"tp2.pp2.sp", kA / 2}, {"tp4.pp2.sp", kA / 4}}) {
    const Plan plan = plan_of(GetParam(), text);
    for (const char* body : {"send f0>1", "send b1>0", "recv f0>1", "recv b1>0"}) {
      const std::string name(body);
      EXPECT_EQ(of_body(plan, name), (Counts{{{name.substr(0, 4), name.substr(5), bytes}, 1}})) << text;
    }
  }
}

/// Parameters of a layer that every tensor-parallel rank holds whole: norms, biases of row-parallel matrices, the norms
/// of query and key heads. All of their gradients are partial sums under sequence parallelism.
uint64_t replicated(const Model& m) {
  return (m.norm == Norm::layer ? 4 : 2) * uint64_t{m.hidden} + (m.projection_bias ? m.hidden : 0) +
         (m.mlp_bias ? m.hidden : 0) + (m.qk_norm ? 2 * m.head_dim : 0);
}

TEST_P(Collectives, GradientsOfALayer) {
  const Model& m = GetParam();
  const uint64_t whole = replicated(m), split = layer_parameter_count(m) - whole;
  // Data parallel: one all-reduce of 4 N bytes, N = the layer's parameters on this rank.
  EXPECT_EQ(of_body(plan_of(m, "dp2"), "layer.reduce"), (Counts{{{"all_reduce", "dp", 4 * (whole + split)}, 1}}));
  Counts expected{{{"all_reduce", "dp", 4 * (whole + split / 2)}, 1}};
  const Counts with_qk_norm = m.qk_norm ? Counts{{{"all_reduce", "tp", 4 * 2 * m.head_dim}, 1}} : Counts{};
  expected.insert(with_qk_norm.begin(), with_qk_norm.end());
  EXPECT_EQ(of_body(plan_of(m, "tp2.dp2"), "layer.reduce"), expected);
  // Tensor parallel alone: only the norms of heads are partial, since each rank sees only its own heads.
  EXPECT_EQ(of_body(plan_of(m, "tp2"), "layer.reduce"), with_qk_norm);
  // Sequence parallel: everything replicated, in one coalesced all-reduce.
  EXPECT_EQ(of_body(plan_of(m, "tp2.sp"), "layer.reduce"), (Counts{{{"all_reduce", "tp", 4 * whole}, 1}}));
}

TEST_P(Collectives, OfAWholeStep) {
  // tp2.pp2.dp2.sp: batch 8 = dp 2 x micro-batch 2 x M, so M = 2; 4 layers, 2 a stage. On stage 0, a step:
  //   all-gathers of A: M (2 layers x (2 + 4) + embedding 1) = 26; scatters of A: M (2 x (2 + 2) + 1) = 18
  //   sends and receives of A / 2: M each; dp: one bucket a layer and one of the embedding; norm: one of 4 B
  const Model& m = GetParam();
  const Plan plan = plan_of(m, "tp2.pp2.dp2.sp");
  Counts counts = of_role(plan, 0);
  EXPECT_EQ((counts[{"all_gather", "tp", kA}]), 26);
  EXPECT_EQ((counts[{"reduce_scatter", "tp", kA}]), 18);
  EXPECT_EQ((counts[{"send", "f0>1", kA / 2}]), 2);
  EXPECT_EQ((counts[{"recv", "b1>0", kA / 2}]), 2);
  EXPECT_EQ((counts[{"all_reduce", "model", 4}]), 1);
  int buckets = 0, tied = 0;
  uint64_t bytes = 0;
  for (const auto& [key, count] : counts) {
    const auto& [kernel, comm, size] = key;
    if (comm == "dp") {
      EXPECT_EQ(kernel, "all_reduce") << "no sharded optimizer here: nothing is scattered or gathered over dp";
      buckets += count;
      bytes += size * static_cast<uint64_t>(count);
    }
    if (comm == "tied") {
      tied += count;
      EXPECT_EQ(size, 4u * (m.vocabulary / 2) * m.hidden) << "(v / t) h gradients of 4 B";
    }
  }
  const uint64_t layer = replicated(m) + (layer_parameter_count(m) - replicated(m)) / 2;
  const uint64_t embedding =
      uint64_t{m.vocabulary} / 2 * m.hidden + (m.positions == Positions::learned ? m.max_positions * m.hidden : 0);
  EXPECT_EQ(buckets, 3);
  EXPECT_EQ(bytes, 4 * (2 * layer + embedding));
  EXPECT_EQ(tied, m.tied_embeddings ? 1 : 0);
  // The loss, 4 B, is averaged where it is known: on the last stage.
  EXPECT_EQ((counts.count({"all_reduce", "dp", 4})), 0u);
  EXPECT_EQ((of_role(plan, 1)[{"all_reduce", "dp", 4}]), 1);
}

TEST_P(Collectives, NoneOnOneRank) {
  EXPECT_EQ(of_role(plan_of(GetParam(), "tp1"), 0), Counts{});
}

TEST_P(Collectives, BucketsLeaveUnderTheBackward) {
  // The reduction of a block is issued right after its last backward, before earlier blocks have theirs.
  const Plan plan = plan_of(GetParam(), "dp2");
  std::vector<std::string> tail;
  for (const Call& call : plan.programs[0].calls) {
    const std::string& name = plan.bodies[call.body].name;
    if (name == "layer.b" || name == "layer.reduce") tail.push_back(name + std::to_string(call.layer));
  }
  ASSERT_GE(tail.size(), 8u);
  const std::vector<std::string> expected{"layer.b3", "layer.reduce3", "layer.b2", "layer.reduce2",
                                          "layer.b1", "layer.reduce1", "layer.b0", "layer.reduce0"};
  EXPECT_EQ(std::vector<std::string>(tail.end() - 8, tail.end()), expected);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Collectives, ::testing::ValuesIn(all_kinds()), [](const auto& info) {
  std::string name = info.param.name;
  std::erase(name, '-');
  return name;
});

}  // namespace
}  // namespace pgram
