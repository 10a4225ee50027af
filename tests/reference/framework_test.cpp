// Loss and every gradient of one step against PyTorch's, stored by make_reference.py beside this file.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/exec/checkpoint.h"
#include "core/exec/interpreter.h"
#include "core/exec/training_state.h"
#include "core/planner/planner.h"
#include "cpu_backend/cpu_backend.h"

namespace pgram {
namespace {

constexpr uint32_t kBatch = 2, kSequence = 16;

std::string reference(const std::string& file) {
  return std::string(PGRAM_SOURCE_DIR) + "/tests/reference/" + file;
}

/// The part of a stored tensor that is this field, [out, in]: files keep GPT-2's matrices as [in, out], and queries,
/// keys and values as one.
std::vector<float> field_of(const Field& field, const StoredTensor& stored, const std::vector<float>& values) {
  const bool matrix = stored.shape.size() == 2;
  const uint64_t rows = stored.shape[0], columns = matrix ? stored.shape[1] : 1;
  const uint64_t outputs = (field.stored_transposed ? columns : rows) / field.stored_parts;
  const uint64_t inputs = field.stored_transposed ? rows : columns;
  std::vector<float> part;
  for (uint64_t o = field.stored_part * outputs; o < (field.stored_part + 1u) * outputs; ++o)
    for (uint64_t i = 0; i < inputs; ++i)
      part.push_back(field.stored_transposed ? values[i * columns + o] : values[o * columns + i]);
  return part;
}

double norm(const std::vector<float>& values) {
  double sum = 0;
  for (float v : values) sum += double{v} * v;
  return std::sqrt(sum);
}

class Framework : public testing::TestWithParam<std::tuple<std::string, std::string, KernelSet>> {};

/// PyTorch computed in float64: what differs is float32's rounding, about 1e-6 of a gradient.
TEST_P(Framework, LossAndGradientsAgree) {
  const auto& [model_name, layout, kernels] = GetParam();
  const SafetensorsFile file(reference(model_name + ".safetensors"));
  const std::vector<float> tokens = file.read_floats("tokens");
  Workload workload;
  workload.global_batch = kBatch;
  workload.sequence = kSequence;
  const Plan plan =
      make_plan(read_huggingface_config(reference(model_name + ".config.json")), parse_layout(layout), workload);

  RunOptions options;
  options.load = reference(model_name + ".safetensors");
  options.keep_gradients = true;
  options.keep_spans = false;
  options.tokens = [&](uint64_t, uint32_t index, uint32_t sequence, int32_t* in, int32_t* out) {
    for (uint32_t i = 0; i < sequence; ++i) {
      in[i] = static_cast<int32_t>(tokens[index * (kSequence + 1) + i]);
      out[i] = static_cast<int32_t>(tokens[index * (kSequence + 1) + i + 1]);
    }
  };
  CpuOptions cpu;
  cpu.kernels = kernels;
  CpuBackend backend(plan, cpu);
  const RunResult result = run(plan, backend, options);

  const double loss = file.read_floats("loss")[0];
  EXPECT_NEAR(result.losses[0], loss, 1e-5 * loss);
  std::map<std::string, bool> seen;
  for (uint32_t role = 0; role < plan.programs.size(); ++role)
    for (const ParameterSlot& slot : parameter_slots(plan, role))
      for (const Field& field : slot.weights.record->fields) {
        const std::string own = own_name(*slot.weights.record, field, slot.layer);
        const std::string stored = "grad." + stored_name(*slot.weights.record, field, slot.layer);
        ASSERT_TRUE(file.tensors().count(stored)) << stored;
        seen[stored] = true;
        if (field.duplicate) continue;
        ASSERT_TRUE(result.gradients.count(own)) << own;
        const std::vector<float>& ours = result.gradients.at(own);
        std::vector<float> difference = field_of(field, file.tensors().at(stored), file.read_floats(stored));
        ASSERT_EQ(ours.size(), difference.size()) << own;
        const double expected = norm(difference);
        for (size_t i = 0; i < ours.size(); ++i) difference[i] -= ours[i];
        // A key's bias shifts all scores of a query alike: its gradient is zero but for rounding.
        EXPECT_TRUE(expected > 1e-3 || field.name == "bias_k") << own;
        EXPECT_LE(norm(difference), 1e-5 * expected + 1e-7 * result.gradient_norms[0]) << own;
      }
  size_t stored_gradients = 0;
  for (const auto& [name, tensor] : file.tensors()) stored_gradients += name.rfind("grad.", 0) == 0;
  EXPECT_EQ(seen.size(), stored_gradients);
}

INSTANTIATE_TEST_SUITE_P(Tiny, Framework,
                         testing::Combine(testing::Values("llama", "gpt2"), testing::Values("tp1", "tp2.pp2.sp"),
                                          testing::Values(KernelSet::plain, KernelSet::fast)),
                         [](const auto& info) {
                           std::string name = std::get<0>(info.param) + "_" + std::get<1>(info.param) +
                                              (std::get<2>(info.param) == KernelSet::plain ? "_plain" : "_fast");
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

}  // namespace
}  // namespace pgram
