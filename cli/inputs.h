// Inputs that several commands share: the flags that describe a plan, and where a plan comes from.
#pragma once
#include <string>

#include "cli/command_line.h"
#include "core/cluster/cluster.h"
#include "core/plan/plan.h"
#include "core/planner/planner.h"

namespace pgram::cli {

/// Flags of `plan` and `simulate --model`: what is computed, where, how it is split.
struct PlanFlags {
  std::string model, cluster, layout = "tp1", schedule = "1f1b", p2p, precision, optimizer = "adamw";
  uint32_t global_batch = 0, micro_batch = 1, sequence = 0;

  void add_to(Command&);
  void add_p2p_to(Command&);
  Model find_model() const;
  Layout find_layout() const;
  /// Precision left out: fp32 on CPUs, bf16 on GPUs.
  Workload workload(const Cluster&) const;
  /// Verified; facts["cluster"] names the cluster.
  Plan make(const Cluster&) const;
};

/// The plan of a file, verified, or that of the flags where `file` is empty.
Plan plan_of(const std::string& file, const PlanFlags&);

/// The cluster of a plan (its own or `name`), its device replaced by `device_file` if that is given. InputError when it
/// has fewer devices than the plan has ranks.
Cluster cluster_of(const Plan&, const std::string& name, const std::string& device_file);

/// Throws InputError with verify()'s line if the plan is not good.
void require_verified(const Plan&, const std::string& file);

/// Writes text to a file, or to standard output where the path is "-".
void write_text(const std::string& path, const std::string& text);

}  // namespace pgram::cli
