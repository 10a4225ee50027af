// pgram plan: makes a plan and writes it, or shows one.
#include <cstdio>

#include "cli/command.h"
#include "cli/inputs.h"
#include "cli/memory_text.h"
#include "core/base/errors.h"
#include "core/base/units.h"
#include "core/plan/plan_file.h"

namespace pgram::cli {
namespace {

struct Flags {
  PlanFlags plan;
  std::string file, out, body, slot;
  bool text = false;
  int calls = 40;
};

int run(const Flags& flags) {
  Plan plan;
  if (!flags.file.empty()) {
    plan = read_plan(flags.file);
    require_verified(plan, flags.file);
  } else {
    if (flags.plan.cluster.empty())
      throw InputError("--cluster", "missing: where it shall run, for example --cluster dgx-h100:2");
    const uint64_t ranks = flags.plan.find_layout().ranks();
    plan =
        flags.plan.make(find_cluster(flags.plan.cluster, static_cast<uint32_t>(std::min<uint64_t>(ranks, 1u << 20))));
  }
  if (!flags.body.empty()) return write_text("-", body_to_dot(plan, flags.body)), kGood;
  if (!flags.slot.empty()) return write_text("-", slot_to_dot(plan, flags.slot)), kGood;
  if (flags.text) return write_text("-", plan_to_text(plan, flags.calls)), kGood;
  const Cluster cluster = cluster_of(plan, flags.plan.cluster, "");
  if (!flags.out.empty()) write_plan(plan, flags.out);
  std::printf("%s on %s, %s, %s: %s ranks, %s micro-batches, %s tasks in %zu roles\n", plan.facts["model"].c_str(),
              cluster.name.c_str(), plan.facts["layout"].c_str(), plan.facts["schedule"].c_str(),
              format_count(plan.mesh.ranks()).c_str(), plan.facts["micro_batches"].c_str(),
              format_count(plan.tasks()).c_str(), plan.programs.size());
  std::printf("%s", memory_to_text(plan, cluster).c_str());
  if (!flags.out.empty()) {
    std::printf("wrote %s; next: pgram simulate %s --out sim.timeline\n", flags.out.c_str(), flags.out.c_str());
  } else {
    std::printf("nothing written: add --out plan.json to keep it, --text to read it\n");
  }
  return kGood;
}

}  // namespace

void add_plan_command(Command& app, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  Command* command =
      add_command(app, "plan", "Make the execution DAG of a training step and verify it",
                  "pgram plan --model llama-3.1-8b --cluster dgx-h100:2 --layout tp4.pp2.dp2 --global-batch 32 "
                  "--seq 8192 --out plan.json",
                  exit_code, [=] { return run(*flags); });
  command->add_option("FILE", flags->file, "Show this plan file instead of making one");
  flags->plan.add_to(*command);
  command->add_option("--out", flags->out, "Write the plan (JSON)");
  command->add_flag("--text", flags->text, "Print records, bodies and calls");
  command->add_option("--calls", flags->calls, "With --text: calls per role")->capture_default_str();
  command->add_option("--dot-body", flags->body, "Print one body as Graphviz, e.g. layer.f");
  command->add_option("--dot-slot", flags->slot, "Print one slot of the schedule as Graphviz, e.g. 0F0");
}

}  // namespace pgram::cli
