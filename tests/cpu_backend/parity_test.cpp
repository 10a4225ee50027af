// Parity: every layout trains like one rank. Gradients of the first step decide; losses and norms follow for 20 steps.
#include "tests/cpu_backend/parity.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>

#include "core/plan/verify.h"
#include "tests/cpu_backend/training.h"

namespace pgram::testing {
namespace {

constexpr uint32_t kSteps = 20;

bool any_starts_with(const std::vector<std::string>& lines, const std::string& prefix) {
  for (const std::string& line : lines) {
    if (line.rfind(prefix, 0) == 0) return true;
  }
  return false;
}

struct Case {
  const char* name;
  Model model;
  Optimizer optimizer;
};
void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

class Parity : public ::testing::TestWithParam<Case> {
 protected:
  void expect_parity(const std::vector<std::string>& layouts, const std::string& schedule, KernelSet kernels,
                     uint32_t steps = kSteps) {
    const Workload workload = tiny_workload(GetParam().optimizer);
    CpuOptions cpu;
    cpu.kernels = kernels;
    const RunResult one = train(tiny_plan(GetParam().model, "tp1", workload), tiny_options(steps), cpu);
    ASSERT_EQ(one.losses.size(), steps);
    if (GetParam().optimizer == Optimizer::adamw && steps == kSteps) {
      EXPECT_LT(one.losses.back(), one.losses.front());
    }
    for (const std::string& layout : layouts) {
      const Plan plan = tiny_plan(GetParam().model, layout, workload, schedule);
      for (const std::string& line : differences(one, train(plan, tiny_options(steps), cpu))) {
        ADD_FAILURE() << layout << " " << schedule << ": " << line;
      }
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Kinds, Parity,
                         ::testing::Values(Case{"LlamaAdamw", tiny_llama(), Optimizer::adamw},
                                           Case{"LlamaSgd", tiny_llama(), Optimizer::sgd},
                                           Case{"Gpt2Adamw", tiny_gpt2(), Optimizer::adamw},
                                           Case{"Gpt2Sgd", tiny_gpt2(), Optimizer::sgd}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(Parity, DataAndTensor) {
  expect_parity({"dp2", "dp4", "dp8", "tp2", "tp2.sp", "tp4", "tp4.sp", "tp2.dp2", "tp2.dp2.sp"}, "1f1b",
                KernelSet::fast);
}

TEST_P(Parity, PipelineOneForwardOneBackward) {
  expect_parity({"pp2", "pp4", "tp2.pp2", "tp2.pp2.sp", "dp2.pp2", "dp2.tp2.pp2", "tp4.pp2.sp", "dp2.pp4"}, "1f1b",
                KernelSet::fast);
}

TEST_P(Parity, PipelineGpipe) {
  expect_parity({"pp2", "pp4", "tp2.pp2", "tp2.pp2.sp", "dp2.tp2.pp2"}, "gpipe", KernelSet::fast);
}

TEST_P(Parity, PipelinePaired) {
  expect_parity({"pp2.paired", "pp4.paired", "tp2.pp2.paired"}, "1f1b", KernelSet::fast);
}

TEST_P(Parity, PlainKernels) {
  expect_parity({"dp2.tp2.pp2"}, "1f1b", KernelSet::plain, 3);
}

/// The fast kernels against the obvious ones.
TEST_P(Parity, FastAgainstOracle) {
  const Plan plan = tiny_plan(GetParam().model, "tp1", tiny_workload(GetParam().optimizer));
  CpuOptions plain;
  plain.kernels = KernelSet::plain;
  EXPECT_EQ(differences(train(plan, tiny_options(kSteps), plain), train(plan, tiny_options(kSteps))),
            std::vector<std::string>{});
}

/// Rank order changes who talks to whom, not what is computed.
TEST_P(Parity, RankOrder) {
  const Workload workload = tiny_workload(GetParam().optimizer);
  Layout layout = parse_layout("dp2.tp2.pp2");
  layout.order = {Axis::pp, Axis::dp, Axis::tp};
  const RunResult megatron = train(tiny_plan(GetParam().model, "dp2.tp2.pp2", workload), tiny_options(3));
  const RunResult reversed = train(make_plan(GetParam().model, layout, workload), tiny_options(3));
  EXPECT_EQ(megatron.losses, reversed.losses);
  EXPECT_EQ(megatron.gradients, reversed.gradients);
}

std::string file_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_P(Parity, TwiceIsBitEqual) {
  const Plan plan = tiny_plan(GetParam().model, "dp2.tp2.pp2.sp", tiny_workload(GetParam().optimizer));
  std::string bytes[2];
  RunResult results[2];
  for (int i = 0; i < 2; ++i) {
    RunOptions options = tiny_options(kSteps);
    options.save = ::testing::TempDir() + "twice_" + GetParam().name + std::to_string(i) + ".safetensors";
    results[i] = train(plan, options);
    bytes[i] = file_bytes(options.save);
  }
  EXPECT_EQ(results[0].losses, results[1].losses);
  EXPECT_EQ(results[0].gradient_norms, results[1].gradient_norms);
  EXPECT_EQ(results[0].gradients, results[1].gradients);
  ASSERT_FALSE(bytes[0].empty());
  EXPECT_TRUE(bytes[0] == bytes[1]);
}

/// Defects planted in a good plan must show.
class PlantedDefect : public ::testing::Test {
 protected:
  static std::vector<std::string> difference_of(const Model& model, const Plan& defect, Optimizer optimizer) {
    const RunResult one = train(tiny_plan(model, "tp1", tiny_workload(optimizer)), tiny_options(kSteps));
    return differences(one, train(defect, tiny_options(kSteps)));
  }

  /// Makes every op of `kernel` in the body do nothing; streams and waits stay.
  static void silence(Plan& plan, const std::string& body_name, Kernel kernel, Stream stream) {
    int silenced = 0;
    for (Body& body : plan.bodies) {
      if (body.name != body_name) continue;
      for (Op& op : body.ops) {
        if (op.kernel != kernel || op.stream != stream) continue;
        op.kernel = Kernel::opaque;
        ++silenced;
      }
    }
    ASSERT_GT(silenced, 0) << body_name;
  }
};

/// dp2: each replica's gradients are scaled for its own half of the batch, so the sum over both is twice the mean.
TEST_F(PlantedDefect, DataParallelSumForMean) {
  for (Optimizer optimizer : {Optimizer::adamw, Optimizer::sgd}) {
    Plan plan = tiny_plan(tiny_llama(), "dp2", tiny_workload(optimizer));
    for (Body& body : plan.bodies) {
      for (Op& op : body.ops) {
        if (op.kernel != Kernel::ce_bwd) continue;
        plan.attributes.push_back(plan.attributes[op.attributes]);
        plan.attributes.back().scale *= 2;
        op.attributes = static_cast<uint32_t>(plan.attributes.size()) - 1;
      }
    }
    const auto found = difference_of(tiny_llama(), plan, optimizer);
    EXPECT_TRUE(any_starts_with(found, "norm of step 0"));
    EXPECT_TRUE(any_starts_with(found, "gradient layer.0.wq"));
    EXPECT_FALSE(any_starts_with(found, "loss of step 0"));  // the loss alone would not show it
  }
}

/// The tied matrix lies on two ranks; its gradient's norm must be counted on one of them.
TEST_F(PlantedDefect, NormCountedTwice) {
  Plan plan = tiny_plan(tiny_gpt2(), "pp2");
  int copies = 0;
  for (Record& record : plan.records) {
    if (record.kind != RecordKind::gradient) continue;
    for (Field& field : record.fields) {
      copies += field.duplicate;
      field.duplicate = false;
    }
  }
  ASSERT_EQ(copies, 1);
  EXPECT_TRUE(any_starts_with(difference_of(tiny_gpt2(), plan, Optimizer::adamw), "norm of step 0"));
}

TEST_F(PlantedDefect, TiedGradientNotSummed) {
  Plan plan = tiny_plan(tiny_gpt2(), "pp2");
  silence(plan, "embedding.tied", Kernel::all_reduce, Stream::misc);
  silence(plan, "head.tied", Kernel::all_reduce, Stream::misc);
  EXPECT_NE(verify(plan), "");
  EXPECT_TRUE(any_starts_with(difference_of(tiny_gpt2(), plan, Optimizer::adamw), "gradient embedding.wte"));
}

TEST_F(PlantedDefect, GradientAllReduceMissing) {
  Plan plan = tiny_plan(tiny_llama(), "dp2");
  silence(plan, "layer.reduce", Kernel::all_reduce, Stream::data);
  EXPECT_NE(verify(plan), "");  // who runs it nevertheless gets wrong gradients
  EXPECT_TRUE(any_starts_with(difference_of(tiny_llama(), plan, Optimizer::sgd), "gradient layer.0.wq"));
}

TEST_F(PlantedDefect, TensorAllReduceMissing) {
  Plan plan = tiny_plan(tiny_llama(), "tp2");
  silence(plan, "layer.f", Kernel::all_reduce, Stream::tensor);
  EXPECT_TRUE(any_starts_with(difference_of(tiny_llama(), plan, Optimizer::sgd), "loss of step 0"));
}

TEST_F(PlantedDefect, NormGradientNotSummedWithSequenceParallel) {
  Plan plan = tiny_plan(tiny_llama(), "tp2.sp");
  silence(plan, "layer.reduce", Kernel::all_reduce, Stream::tensor);
  EXPECT_TRUE(any_starts_with(difference_of(tiny_llama(), plan, Optimizer::sgd), "gradient layer.0.norm1"));
}

}  // namespace
}  // namespace pgram::testing
