#include "cli/inputs.h"

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "core/base/errors.h"
#include "core/plan/plan_file.h"
#include "core/plan/verify.h"

namespace pgram::cli {

void PlanFlags::add_to(Command& app) {
  app.add_option("--model", model, "Model: a name of `pgram models`, or a path to a Hugging Face config.json");
  app.add_option("--cluster", cluster, "Cluster: dgx-h100, dgx-h100:2 (nodes), this, or a path; see `pgram clusters`");
  app.add_option("--layout", layout,
                 "Degrees, e.g. tp4.pp2.dp2; .sp adds sequence parallelism, .paired is --p2p paired")
      ->capture_default_str();
  app.add_option("--schedule", schedule, "1f1b, gpipe, or a file of rows")->capture_default_str();
  add_p2p_to(app);
  app.add_option("--global-batch", global_batch, "Sequences per step, all replicas together");
  app.add_option("--micro-batch", micro_batch, "Sequences per micro-batch")->capture_default_str();
  app.add_option("--seq", sequence, "Tokens per sequence");
  app.add_option("--precision", precision, "fp32 or bf16 (default: bf16 on GPUs, fp32 on CPUs)");
  app.add_option("--optimizer", optimizer, "adamw or sgd")->capture_default_str();
}

void PlanFlags::add_p2p_to(Command& app) {
  app.add_option("--p2p", p2p,
                 "How stages send and receive: channels (a stream per channel end, the default) or paired (both "
                 "directions of an exchange in one group call)");
}

Model PlanFlags::find_model() const {
  if (model.empty()) throw InputError("--model", "missing: name a model, for example --model llama-3.1-8b");
  return pgram::find_model(model);
}

Layout PlanFlags::find_layout() const {
  Layout result = parse_layout(layout);
  result.schedule = schedule;
  if (p2p.empty()) return result;
  const PointToPoint chosen = parse_point_to_point(p2p);
  if (result.p2p == PointToPoint::paired && chosen != result.p2p) {
    throw InputError("--p2p", "says channels, but the layout '" + layout + "' says paired; leave one of them out");
  }
  result.p2p = chosen;
  return result;
}

Workload PlanFlags::workload(const Cluster& where) const {
  if (!global_batch) throw InputError("--global-batch", "missing: sequences per step, for example --global-batch 32");
  if (!sequence) throw InputError("--seq", "missing: tokens per sequence, for example --seq 4096");
  Workload work;
  work.global_batch = global_batch;
  work.micro_batch = micro_batch;
  work.sequence = sequence;
  work.precision = !precision.empty()    ? parse_precision(precision)
                   : where.device.is_cpu ? Precision::fp32
                                         : Precision::bf16;
  work.optimizer = parse_optimizer(optimizer);
  return work;
}

Plan PlanFlags::make(const Cluster& where) const {
  Plan plan = make_plan(find_model(), find_layout(), workload(where));
  plan.facts["cluster"] = cluster;
  require_verified(plan, "");
  return plan;
}

Plan plan_of(const std::string& file, const PlanFlags& flags) {
  if (!file.empty()) {
    Plan plan = read_plan(file);
    require_verified(plan, file);
    return plan;
  }
  if (flags.model.empty())
    throw InputError("FILE",
                     "name a plan file (pgram plan --out writes one), or describe a plan with --model, --cluster, ...");
  if (flags.cluster.empty())
    throw InputError("--cluster", "missing: where it shall run, for example --cluster dgx-h100:2");
  const uint64_t ranks = flags.find_layout().ranks();
  return flags.make(find_cluster(flags.cluster, static_cast<uint32_t>(std::min<uint64_t>(ranks, 1u << 20))));
}

Cluster cluster_of(const Plan& plan, const std::string& name, const std::string& device_file) {
  const auto fact = plan.facts.find("cluster");
  if (name.empty() && fact == plan.facts.end()) {
    throw InputError("--cluster", "missing, and the plan names none; for example --cluster dgx-h100:2");
  }
  Cluster cluster = find_cluster(name.empty() ? fact->second : name, plan.mesh.ranks());
  if (cluster.devices < plan.mesh.ranks()) {
    throw InputError("cluster",
                     cluster.name + " has " + std::to_string(cluster.devices) + " devices, the layout needs " +
                         std::to_string(plan.mesh.ranks()) + "; add nodes, for example " + cluster.name + ":" +
                         std::to_string((plan.mesh.ranks() + cluster.devices_per_node - 1) / cluster.devices_per_node));
  }
  if (!device_file.empty()) {
    const Bytes memory = cluster.device.memory_bytes;
    cluster.device = find_device(device_file);
    if (cluster.device.is_cpu) cluster.device.memory_bytes = memory;  // ranks share the machine's memory
  }
  return cluster;
}

void require_verified(const Plan& plan, const std::string& file) {
  if (const std::string error = verify(plan); !error.empty()) throw InputError(file, 0, "the plan is not valid", error);
}

void write_text(const std::string& path, const std::string& text) {
  if (path == "-") {
    std::fwrite(text.data(), 1, text.size(), stdout);
    return;
  }
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush())
    throw InputError(path, 0, "", "cannot write this file; is the folder there and the disk not full?");
}

}  // namespace pgram::cli
