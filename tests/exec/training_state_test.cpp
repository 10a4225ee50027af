// Weights belong to the model, not to the layout: initialised, gathered and scattered alike under every layout.
#include "core/exec/training_state.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <set>

#include "core/base/errors.h"
#include "core/layout/layout.h"
#include "core/planner/planner.h"

namespace pgram {
namespace {

Plan plan_of(const std::string& kind, const std::string& layout) {
  Model m;
  m.name = "test", m.kind = kind;
  m.layers = 4, m.hidden = 16, m.heads = 4, m.kv_heads = kind == "gpt2" ? 4 : 2, m.head_dim = 4, m.ffn = 24;
  m.vocabulary = 13, m.max_positions = 8, m.rotary_dims = 4;
  if (kind == "gpt2") {
    m.norm = Norm::layer, m.activation = Activation::gelu_tanh, m.positions = Positions::learned, m.rotary_dims = 0;
    m.qkv_bias = m.projection_bias = m.mlp_bias = m.tied_embeddings = true;
  }
  Workload w;
  w.global_batch = 4, w.sequence = 8;
  return make_plan(m, parse_layout(layout), w);
}

/// Calls f(rank coordinates, slot, field) for every parameter tensor of every rank.
template <typename F>
void for_each_field(const Plan& plan, const F& f) {
  for (uint32_t rank = 0; rank < plan.mesh.ranks(); ++rank) {
    const auto at = plan.mesh.coordinates(rank);
    for (const ParameterSlot& slot : parameter_slots(plan, at[2])) {
      for (const Field& field : slot.weights.record->fields) f(at, slot, field);
    }
  }
}

Gathered gather_initial(const Plan& plan, uint64_t seed) {
  Gathered gathered;
  for_each_field(plan, [&](const auto& at, const ParameterSlot& slot, const Field& field) {
    std::vector<float> values(field.count());
    initialise_field(plan, at, slot, field, seed, count_layers(plan), values.data());
    gathered.add(plan, at, slot, field, "", values.data());
  });
  return gathered;
}

bool equal(const Gathered& a, const Gathered& b) {
  if (a.tensors().size() != b.tensors().size()) return false;
  for (const auto& [name, tensor] : a.tensors()) {
    const auto other = b.tensors().find(name);
    if (other == b.tensors().end() || other->second.shape != tensor.shape || other->second.values != tensor.values) {
      return false;
    }
  }
  return true;
}

class TrainingState : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Kinds, TrainingState, ::testing::Values("llama", "gpt2"));

TEST_P(TrainingState, SlotsHaveGradientsAndState) {
  const Plan plan = plan_of(GetParam(), "pp2");
  EXPECT_EQ(count_layers(plan), 4u);
  for (uint32_t role : {0u, 1u}) {
    const auto slots = parameter_slots(plan, role);
    EXPECT_EQ(slots.size(), 3u);  // embedding or head, and two layers
    for (const ParameterSlot& slot : slots) {
      ASSERT_NE(slot.gradients.record, nullptr);
      ASSERT_NE(slot.state.record, nullptr);
      EXPECT_EQ(slot.weights.record->kind, RecordKind::parameter);
      EXPECT_EQ(slot.gradients.record->kind, RecordKind::gradient);
      EXPECT_EQ(slot.state.record->kind, RecordKind::optimizer);
      EXPECT_EQ(slot.state.record->fields.size(), 2 * slot.weights.record->fields.size());
    }
  }
}

TEST_P(TrainingState, SameWeightsUnderEveryLayout) {
  const Gathered one = gather_initial(plan_of(GetParam(), "tp1"), 1);
  for (const char* layout : {"tp2", "tp2.sp", "pp2", "pp4", "dp2.tp2.pp2"}) {
    EXPECT_TRUE(equal(one, gather_initial(plan_of(GetParam(), layout), 1))) << layout;
  }
  EXPECT_FALSE(equal(one, gather_initial(plan_of(GetParam(), "tp1"), 2)));
}

/// Standard deviation 0.02 (0.02 / sqrt(2 * 4) for wo and wd), mean 0, gains 1, biases 0.
TEST_P(TrainingState, Distribution) {
  const Plan plan = plan_of(GetParam(), "tp1");
  std::map<std::string, std::pair<double, uint64_t>> squares;
  for_each_field(plan, [&](const auto& at, const ParameterSlot& slot, const Field& field) {
    std::vector<float> values(field.count());
    initialise_field(plan, at, slot, field, 1, 4, values.data());
    for (float v : values) {
      squares[field.name].first += double{v} * v;
      ++squares[field.name].second;
    }
  });
  for (const auto& [name, sum] : squares) {
    const double rms = std::sqrt(sum.first / sum.second);
    const double expected = name.rfind("norm", 0) == 0     ? 1
                            : name.rfind("bias", 0) == 0   ? 0
                            : name == "wo" || name == "wd" ? 0.02 / std::sqrt(8.0)
                                                           : 0.02;
    // The root mean square of n normal values is right within about 1 / sqrt(2 n); 4 of those.
    EXPECT_NEAR(rms, expected, expected * 4 / std::sqrt(2.0 * sum.second)) << name;
  }
}

TEST(TrainingStateNames, StoredAndOwn) {
  const Plan plan = plan_of("gpt2", "tp2");
  std::map<std::string, std::string> names;
  for_each_field(plan, [&](const auto&, const ParameterSlot& slot, const Field& field) {
    names[own_name(*slot.weights.record, field, slot.layer)] = stored_name(*slot.weights.record, field, slot.layer);
  });
  EXPECT_EQ(names.at("layer.3.wq"), "h.3.attn.c_attn.weight");
  EXPECT_EQ(names.at("layer.3.wv"), "h.3.attn.c_attn.weight");
  EXPECT_EQ(names.at("embedding.wte"), "wte.weight");
  EXPECT_EQ(names.at("head.normf"), "ln_f.weight");
}

/// GPT-2 keeps [in, out] and the three projections as one: element (row, column) of wk lies at
/// [column][hidden + row] of a [16, 48] tensor. The vocabulary of 13 is padded to 14 for tp2: row 13 is not stored.
TEST(TrainingStateNames, StoredForm) {
  const Plan plan = plan_of("gpt2", "tp2");
  Gathered gathered;
  for_each_field(plan, [&](const auto& at, const ParameterSlot& slot, const Field& field) {
    const ShardPlace place = shard_place(plan.mesh, field, at);
    std::vector<float> values(field.count());
    for (uint32_t r = 0; r < field.dims[0]; ++r) {
      for (uint32_t c = 0; c < field.dims[1]; ++c) {
        values[r * field.dims[1] + c] =
            100.0f * (place.first_row + r) + (place.first_column + c) + 0.25f * field.stored_part;
      }
    }
    gathered.add(plan, at, slot, field, "", values.data());
  });
  const FloatTensor& qkv = gathered.tensors().at("h.2.attn.c_attn.weight");
  ASSERT_EQ(qkv.shape, (std::vector<uint64_t>{16, 48}));
  EXPECT_EQ(qkv.values[5 * 48 + 16 + 11], 100 * 11 + 5 + 0.25f);  // wk[11][5]
  EXPECT_EQ(qkv.values[15 * 48 + 32 + 0], 15 + 0.5f);             // wv[0][15]
  const FloatTensor& down = gathered.tensors().at("h.0.mlp.c_proj.weight");
  ASSERT_EQ(down.shape, (std::vector<uint64_t>{24, 16}));
  EXPECT_EQ(down.values[23 * 16 + 3], 100 * 3 + 23);  // wd[3][23]
  EXPECT_EQ(gathered.tensors().at("wte.weight").shape, (std::vector<uint64_t>{13, 16}));
  EXPECT_EQ(gathered.tensors().at("h.1.attn.c_attn.bias").shape, (std::vector<uint64_t>{48}));
}

class TrainingFileTest : public TrainingState {
 protected:
  ~TrainingFileTest() override { std::filesystem::remove(path_); }
  /// Tests run beside each other: each has a file of its own.
  std::string path_ =
      ::testing::TempDir() + "training_state_" + GetParam() + "_" + std::to_string(getpid()) + ".safetensors";
};
INSTANTIATE_TEST_SUITE_P(Kinds, TrainingFileTest, ::testing::Values("llama", "gpt2"));

/// Saved under one layout, scattered under another, gathered again: the same file.
TEST_P(TrainingFileTest, ScatterUndoesGather) {
  const Gathered saved = gather_initial(plan_of(GetParam(), "tp2.pp2"), 7);
  write_safetensors(path_, saved.tensors(), {{"step", "42"}});
  const TrainingFile file(path_);
  EXPECT_EQ(file.step(), 42u);
  EXPECT_FALSE(file.has_optimizer());
  for (const char* layout : {"tp1", "tp2.pp4", "dp2.tp2.sp"}) {
    const Plan plan = plan_of(GetParam(), layout);
    Gathered again;
    for_each_field(plan, [&](const auto& at, const ParameterSlot& slot, const Field& field) {
      std::vector<float> values(field.count(), NAN);
      file.scatter(plan, at, slot, field, "", values.data());
      for (float v : values) EXPECT_FALSE(std::isnan(v));  // padding is filled too
      again.add(plan, at, slot, field, "", values.data());
    });
    EXPECT_TRUE(equal(saved, again)) << layout;
  }
}

TEST_P(TrainingFileTest, MissingAndMisshapenTensorsAreNamed) {
  const Plan plan = plan_of(GetParam(), "tp1");
  const Gathered good = gather_initial(plan, 1);
  const std::string name =
      GetParam() == std::string("gpt2") ? "h.1.attn.c_proj.weight" : "model.layers.1.self_attn.o_proj.weight";
  const auto expect_refused = [&](const std::map<std::string, FloatTensor>& tensors, const std::string& part) {
    write_safetensors(path_, tensors, {});
    const TrainingFile file(path_);
    try {
      for_each_field(plan, [&](const auto& at, const ParameterSlot& slot, const Field& field) {
        std::vector<float> values(field.count());
        file.scatter(plan, at, slot, field, "", values.data());
      });
      FAIL() << part;
    } catch (const InputError& error) {
      EXPECT_EQ(error.file(), path_);
      EXPECT_EQ(error.field(), name);
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  };
  std::map<std::string, FloatTensor> tensors = good.tensors();
  tensors.erase(name);
  expect_refused(tensors, "missing");
  tensors[name] = {{256}, std::vector<float>(256)};
  expect_refused(tensors, "[16, 16]");
}

TEST_P(TrainingFileTest, StepMustBeANumber) {
  for (const char* step : {"", "-1", "3x", "99999999999999999999", "1e3"}) {
    write_safetensors(path_, {}, {{"step", step}});
    EXPECT_THROW(TrainingFile{path_}, InputError) << step;
  }
}

}  // namespace
}  // namespace pgram
