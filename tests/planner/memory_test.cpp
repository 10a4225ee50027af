// Memory of a plan against closed forms: slots of saved activations, 18 bytes a parameter, bytes a token and layer.
#include <gtest/gtest.h>

#include "core/planner/planner.h"
#include "tests/planner/small_models.h"

namespace pgram {
namespace {

using namespace test;

const Record& record_named(const Plan& plan, const std::string& name) {
  for (const Record& record : plan.records) {
    if (record.name == name) return record;
  }
  ADD_FAILURE() << "no record " << name;
  return plan.records.front();
}

uint32_t slots(const Plan& plan, size_t role, const std::string& name) {
  uint32_t n = 0;
  for (const Pool& pool : plan.programs[role].pools) {
    if (plan.records[pool.record].name == name) n += pool.slots;
  }
  return n;
}

TEST(Memory, SavedActivationsOfOneForwardOneBackward) {
  // min(P - r, M) micro-batches are in flight on rank r, each with one slot a layer; GPipe keeps all M.
  for (const uint32_t pp : {1u, 2u, 4u}) {
    for (const uint32_t m : {1u, 2u, 3u, 4u, 8u}) {
      const Plan one = make_plan(llama(), layout("pp" + std::to_string(pp), "1f1b"), work(m, 1));
      const Plan all = make_plan(llama(), layout("pp" + std::to_string(pp), "gpipe"), work(m, 1));
      for (uint32_t r = 0; r < pp; ++r) {
        const uint32_t layers = 4 / pp;
        EXPECT_EQ(slots(one, r, "layer.saved"), layers * std::min(pp - r, m)) << pp << " " << m << " " << r;
        EXPECT_EQ(slots(all, r, "layer.saved"), layers * m) << pp << " " << m << " " << r;
        EXPECT_EQ(slots(one, r, "head.saved"), r + 1 == pp ? 1u : 0u);
      }
    }
  }
}

/// n = 256 tokens (4 x 64), h = 256, a = 4 heads, f = 4 h.
Model round_sizes() {
  Model m = gpt2();
  m.hidden = 256;
  m.heads = m.kv_heads = 4;
  m.head_dim = 64;
  m.ffn = 1024;
  m.vocabulary = 1024;
  return m;
}

TEST(Memory, ActivationsOfALayerPerToken) {
  // Korthikanti et al. (arXiv:2205.05198): a layer keeps s b h (10 + 24/t) bytes under tensor parallelism, 34/t of them
  // with sequence parallelism, attention scores recomputed (as our tiled attention never stores them). Two of the ten
  // are dropout masks of one byte each, and there is no dropout here: 8 + 24/t and 32/t. Two of the eight are the
  // layer's input, which lies in the edge record, so `saved` holds 6 + 24/t and (30 + 2 - 2)/t:
  //   outside tp, 2 bytes each: both norms' outputs and the sum before the second norm       3 x 2 h = 6 h
  //   inside tp: qkv 3 x 2 h, attention's output 2 h, the first matrix's output 8 h, GELU's 8 h       = 24 h
  // and what tiled attention and the norms add: 4 bytes a head, and a mean and a deviation, 8 bytes, a norm.
  const uint64_t n = 256, h = 256, a = 4;
  const auto saved = [&](const char* text) {
    return record_named(make_plan(round_sizes(), layout(text), work(4, 4, 64, Precision::bf16)), "layer.saved").bytes;
  };
  EXPECT_EQ(saved("tp1"), n * (30 * h + 4 * a + 16));
  EXPECT_EQ(saved("tp2"), n * (6 * h + 24 * h / 2 + 4 * a / 2 + 16));
  EXPECT_EQ(saved("tp4"), n * (6 * h + 24 * h / 4 + 4 * a / 4 + 16));
  EXPECT_EQ(saved("tp2.sp"), n * (30 * h / 2 + 4 * a / 2 + 16 / 2));
  EXPECT_EQ(saved("tp4.sp"), n * (30 * h / 4 + 4 * a / 4 + 16 / 4));
}

TEST(Memory, EighteenBytesAParameter) {
  // bf16 with AdamW: weight 2, gradient 4, two moments 8, master copy 4. fp32: 4 + 4 + 8 = 16. fp32 with SGD: 8. All
  // sizes are multiples of 64 bytes here, so nothing is padding.
  const uint64_t count = parameter_count(round_sizes());
  const auto bytes = [&](Precision precision, Optimizer optimizer) {
    Workload w = work(4, 1, 16, precision);
    w.optimizer = optimizer;
    const MemoryBill bill = memory_bill(make_plan(round_sizes(), layout("tp1"), w))[0];
    const auto of = [&](RecordKind kind) { return bill.bytes[static_cast<size_t>(kind)]; };
    return of(RecordKind::parameter) + of(RecordKind::gradient) + of(RecordKind::optimizer);
  };
  EXPECT_EQ(bytes(Precision::bf16, Optimizer::adamw), 18 * count);
  EXPECT_EQ(bytes(Precision::fp32, Optimizer::adamw), 16 * count);
  EXPECT_EQ(bytes(Precision::fp32, Optimizer::sgd), 8 * count);
}

TEST(Memory, BillAddsUpToTheArena) {
  for (const Model& model : all_kinds()) {
    const Plan plan = make_plan(model, layout("tp2.pp2.sp"), work(8, 1));
    const std::vector<MemoryBill> bills = memory_bill(plan);
    ASSERT_EQ(bills.size(), 2u);
    for (uint32_t role = 0; role < 2; ++role) {
      uint64_t sum = 0;
      for (const uint64_t bytes : bills[role].bytes) sum += bytes;
      EXPECT_EQ(bills[role].total, sum);
      EXPECT_EQ(bills[role].total, plan.memory_bytes(role));
    }
  }
}

TEST(Memory, WholeBillOfALargeModel) {
  // The 22B model of arXiv:2205.05198 table 3: 48 layers, h = 6144, 64 heads, s = 2048, b = 4, tp 8, here on pp 2.
  Model m = gpt2();
  m.layers = 48;
  m.hidden = 6144;
  m.heads = m.kv_heads = 64;
  m.head_dim = 96;
  m.ffn = 4 * 6144;
  m.vocabulary = 51200;
  m.max_positions = 2048;
  const Plan plan = make_plan(m, layout("tp8.pp2.sp"), work(32, 4, 2048, Precision::bf16));
  const std::vector<MemoryBill> bills = memory_bill(plan);
  // Stage 0: 24 layers of 12 h^2 and the embedding, v h, all over t; positions s h, whole. 18 bytes each. Biases and
  // norms, 13 h a layer, are below 0.1 %.
  const double h = 6144, t = 8, n = 4 * 2048, layers = 24;
  const double states = 18 * (layers * 12 * h * h / t + 51200 * h / t + 2048 * h);
  // min(P, M) = 2 micro-batches in flight, 32 n h / t bytes a layer.
  const double activations = 2 * layers * 32 * n * h / t;
  // Beside them: scratch of one layer, edges, tokens. Stated tolerance: at most a tenth more, never less.
  EXPECT_GE(static_cast<double>(bills[0].total), states + activations);
  EXPECT_LE(static_cast<double>(bills[0].total), 1.1 * (states + activations));
  // One micro-batch fewer in flight on the last stage.
  const auto saved = [&](size_t role) { return slots(plan, role, "layer.saved"); };
  EXPECT_EQ(saved(0), 48u);
  EXPECT_EQ(saved(1), 24u);
}

TEST(Memory, ScratchIsPackedByLiveness) {
  // One backward layer: what lives at once is less than the sum of all temporaries.
  const Plan plan = make_plan(round_sizes(), layout("tp1"), work(4, 1, 64, Precision::bf16));
  const Record& scratch = record_named(plan, "layer.b.scratch");
  uint64_t sum = 0, largest = 0;
  for (const Field& field : scratch.fields) {
    sum += field.bytes();
    largest = std::max(largest, field.bytes());
    EXPECT_LE(field.offset + field.bytes(), scratch.bytes);
  }
  EXPECT_LT(scratch.bytes, sum);
  EXPECT_GE(scratch.bytes, largest);
}

}  // namespace
}  // namespace pgram
