#include "cli/reference_plans.h"

#include "core/planner/planner.h"

namespace pgram::cli {

std::vector<Plan> reference_plans() {
  struct Reference {
    const char* model;
    uint32_t sequence;
  };
  std::vector<Plan> plans;
  for (const Reference& reference :
       {Reference{"tiny-llama", 128}, Reference{"demo-llama", 256}, Reference{"tiny-gpt2", 128}}) {
    const Model model = find_model(reference.model);
    // Pipeline and data parallelism leave the shapes of kernels as they are; tensor parallelism divides them.
    for (uint32_t tp : {1u, 2u, 4u}) {
      Layout layout;
      layout.tp = tp;
      Workload work;
      work.global_batch = 1;
      work.sequence = reference.sequence;
      plans.push_back(make_plan(model, layout, work));
    }
  }
  return plans;
}

}  // namespace pgram::cli
