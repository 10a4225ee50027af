// What a plan's parameter records hold is the model: every matrix once, however it is split.
#include <gtest/gtest.h>

#include "core/planner/planner.h"
#include "tests/planner/small_models.h"

namespace pgram {
namespace {

using namespace test;

/// Elements of the whole tensor of which a rank holds this field: the split dim at its full size before padding.
uint64_t whole_count(const Field& field, const Mesh& mesh) {
  uint64_t dim = field.dims[field.shard_dim];
  if (field.shard_axes) {
    EXPECT_EQ(field.shard_axes, kTp);
    dim = field.full_dim ? field.full_dim : dim * mesh.size[0];
  }
  return dim * field.dims[1 - field.shard_dim];
}

uint64_t parameters_of(const Plan& plan) {
  uint64_t count = 0;
  for (const Program& program : plan.programs) {
    for (const Pool& pool : program.pools) {
      const Record& record = plan.records[pool.record];
      if (record.kind != RecordKind::parameter) continue;
      for (const Field& field : record.fields) {
        if (!field.duplicate) count += pool.slots * whole_count(field, plan.mesh);
      }
    }
  }
  return count;
}

TEST(Parameters, AddUpToTheModel) {
  for (Model model : all_kinds()) {
    for (const uint32_t vocabulary : {100u, 103u}) {  // 103: padded to 104 for tp 2 and tp 4
      model.vocabulary = vocabulary;
      for (const uint32_t tp : {1u, 2u, 4u}) {
        for (const uint32_t pp : {1u, 2u, 3u, 4u}) {
          Layout l;
          l.tp = tp;
          l.pp = pp;
          EXPECT_EQ(parameters_of(make_plan(model, l, work(4, 1))), parameter_count(model))
              << model.name << " vocabulary " << vocabulary << " " << to_text(l);
        }
      }
    }
  }
}

TEST(Parameters, EveryTensorHasOneStoredPlace) {
  // Names in weight files: within a record, (name, part) is unique, and all parts of a sliced tensor are there.
  for (const Model& model : all_kinds()) {
    const Plan plan = make_plan(model, layout("tp2.pp2"), work(4, 1));
    for (const Record& record : plan.records) {
      if (record.kind != RecordKind::parameter) continue;
      std::map<std::string, std::vector<uint8_t>> parts;
      for (const Field& field : record.fields) {
        EXPECT_NE(field.stored_name, "") << model.name << " " << record.name << "." << field.name;
        EXPECT_LT(field.stored_part, field.stored_parts);
        EXPECT_EQ(record.name == "layer.parameters", field.stored_name.find("{}") != std::string::npos)
            << field.stored_name << ": only layers are numbered";
        parts[field.stored_name].resize(field.stored_parts);
        ++parts[field.stored_name][field.stored_part];
      }
      for (const auto& [name, seen] : parts) {
        for (const uint8_t count : seen) EXPECT_EQ(count, 1) << model.name << " " << name;
      }
    }
  }
}

TEST(Parameters, TiedCopiesAreOneTensor) {
  // pp 2: embedding and head hold a copy each; the head's is marked so that norm and count take it once. pp 1: one
  // copy.
  for (const Model& model : {gpt2(), tied_llama()}) {
    const auto copies = [&](const char* text) {
      int n = 0, marked = 0;
      const Plan plan = make_plan(model, layout(text), work(4, 1));
      for (const Record& record : plan.records) {
        for (const Field& field : record.fields) {
          if (record.kind == RecordKind::parameter && field.name == "wte") ++n, marked += field.duplicate;
        }
      }
      return std::pair(n, marked);
    };
    EXPECT_EQ(copies("tp2.pp2"), std::pair(2, 1)) << model.name;
    EXPECT_EQ(copies("tp2"), std::pair(1, 0)) << model.name;
  }
}

TEST(Parameters, GradientsAndOptimizerStateMirrorThem) {
  const Plan plan = make_plan(gpt2(), layout("tp2"), work(4, 1, 16, Precision::bf16));
  const auto find = [&](const std::string& name) -> const Record& {
    for (const Record& record : plan.records) {
      if (record.name == name) return record;
    }
    ADD_FAILURE() << name;
    return plan.records.front();
  };
  const Record &weights = find("layer.parameters"), &gradients = find("layer.gradients"),
               &state = find("layer.optimizer");
  ASSERT_EQ(gradients.fields.size(), weights.fields.size());
  ASSERT_EQ(state.fields.size(), 3 * weights.fields.size()) << "two moments and a master copy";
  for (size_t i = 0; i < weights.fields.size(); ++i) {
    EXPECT_EQ(weights.fields[i].dtype, DType::bf16);
    EXPECT_EQ(gradients.fields[i].dtype, DType::f32);
    EXPECT_EQ(gradients.fields[i].dims, weights.fields[i].dims);
    for (size_t copy = 0; copy < 3; ++copy) {
      EXPECT_EQ(state.fields[copy * weights.fields.size() + i].dims, weights.fields[i].dims);
      EXPECT_EQ(state.fields[copy * weights.fields.size() + i].dtype, DType::f32);
    }
  }
}

}  // namespace
}  // namespace pgram
