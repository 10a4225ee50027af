#include "gui/model/session.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "core/base/errors.h"
#include "core/planner/planner.h"
#include "sim/simulate.h"

namespace pgram::gui {
namespace {

bool is_valid(const Model& model, const Layout& layout, const Workload& work) {
  try {
    validate(model, layout, work);
    return true;
  } catch (const InputError&) {
    return false;
  }
}

/// What remains of the inputs when only the values before some field count: no other degree can be in the way.
Workload smallest_work(const SessionInputs& inputs, uint32_t dp) {
  Workload work = inputs.work;
  work.micro_batch = 1;
  work.global_batch = std::max(dp, inputs.work.global_batch);
  return work;
}

std::vector<uint32_t> keep(uint32_t limit, auto&& good) {
  std::vector<uint32_t> values;
  for (uint32_t value = 1; value <= limit; ++value) {
    if (good(value)) values.push_back(value);
  }
  return values;
}

uint32_t nearest(const std::vector<uint32_t>& values, uint32_t wanted) {
  uint32_t best = values.empty() ? 1 : values.front();
  for (const uint32_t value : values) {
    if (value <= wanted) best = value;
  }
  return best;
}

std::vector<uint32_t> sequences(const Model& model) {
  uint32_t longest = model.max_positions;
  if (model.sliding_window) longest = std::min(longest, model.sliding_window);
  std::vector<uint32_t> values;
  for (uint64_t length = 16; length <= longest; length *= 2) values.push_back(static_cast<uint32_t>(length));
  if (values.empty()) values.push_back(longest);
  return values;
}

std::vector<uint32_t> tp_choices(const Model& model, const SessionInputs& inputs, uint32_t devices) {
  return keep(std::min(devices, model.heads), [&](uint32_t tp) {
    Layout layout{.tp = tp};
    return is_valid(model, layout, smallest_work(inputs, 1));
  });
}

std::vector<uint32_t> pp_choices(const Model& model, const SessionInputs& inputs, uint32_t devices) {
  return keep(std::min(devices / inputs.layout.tp, model.layers), [&](uint32_t pp) {
    Layout layout{.tp = inputs.layout.tp, .pp = pp};
    return is_valid(model, layout, smallest_work(inputs, 1));
  });
}

std::vector<uint32_t> dp_choices(const Model& model, const SessionInputs& inputs, uint32_t devices) {
  const uint32_t most = devices / (inputs.layout.tp * inputs.layout.pp);
  return keep(std::min(most, inputs.work.global_batch), [&](uint32_t dp) {
    if (inputs.work.global_batch % dp != 0) return false;
    Layout layout{.tp = inputs.layout.tp, .pp = inputs.layout.pp, .dp = dp};
    return is_valid(model, layout, smallest_work(inputs, dp));
  });
}

std::vector<uint32_t> micro_batch_choices(const Model& model, const SessionInputs& inputs) {
  Layout layout = inputs.layout;
  layout.sequence_parallel = false;
  const uint32_t per_replica = std::max(1u, inputs.work.global_batch / layout.dp);
  return keep(per_replica, [&](uint32_t size) {
    if (per_replica % size != 0) return false;
    Workload work = inputs.work;
    work.micro_batch = size;
    return is_valid(model, layout, work);
  });
}

bool allows_sequence_parallel(const Model& model, const SessionInputs& inputs) {
  Layout layout = inputs.layout;
  layout.sequence_parallel = true;
  return layout.tp > 1 && is_valid(model, layout, inputs.work);
}

void state_memory(SessionResult& result) {
  for (uint32_t role = 0; role < result.plan->programs.size(); ++role) {
    result.memory_needed = std::max<Bytes>(result.memory_needed, result.plan->memory_bytes(role));
  }
  const Bytes available = result.cluster.device.memory_bytes;
  if (available > 0 && result.memory_needed > available) {
    result.does_not_fit = "Does not fit: the fullest rank needs " + format_bytes(result.memory_needed) + ", " +
                          format_bytes(result.memory_needed - available) + " more than the " + format_bytes(available) +
                          " of " + result.cluster.device.name;
  }
}

}  // namespace

SessionInputs nearest_valid(const Model& model, SessionInputs inputs, uint32_t devices) {
  inputs.work.global_batch = std::max(1u, inputs.work.global_batch);
  inputs.work.sequence = nearest(sequences(model), inputs.work.sequence);
  inputs.layout.tp = nearest(tp_choices(model, inputs, devices), inputs.layout.tp);
  inputs.layout.pp = nearest(pp_choices(model, inputs, devices), inputs.layout.pp);
  inputs.layout.dp = nearest(dp_choices(model, inputs, devices), inputs.layout.dp);
  inputs.work.micro_batch = nearest(micro_batch_choices(model, inputs), inputs.work.micro_batch);
  inputs.layout.sequence_parallel = inputs.layout.sequence_parallel && allows_sequence_parallel(model, inputs);
  return inputs;
}

Choices choices(const Model& model, const SessionInputs& inputs, uint32_t devices) {
  return {tp_choices(model, inputs, devices),
          pp_choices(model, inputs, devices),
          dp_choices(model, inputs, devices),
          micro_batch_choices(model, inputs),
          sequences(model),
          allows_sequence_parallel(model, inputs)};
}

uint32_t available_devices(const Cluster& cluster) {
  return cluster.device.is_cpu ? std::max(cluster.devices, kMostLocalRanks) : cluster.devices;
}

Cluster Session::cluster(const std::string& name, uint32_t ranks) {
  const bool local = name == "this";  // its devices are made for the ranks that share it
  const auto key = std::pair(name, local ? ranks : 0);
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = clusters_.find(key); found != clusters_.end()) return found->second;
  }
  Cluster made = find_cluster(name, key.second);
  const std::lock_guard lock(mutex_);
  constexpr size_t kMostKept = 16;
  if (clusters_.size() >= kMostKept) clusters_.clear();
  return clusters_.emplace(key, std::move(made)).first->second;
}

SessionResult Session::plan_and_simulate(const SessionInputs& inputs) {
  const Model model = find_model(inputs.model);
  SessionResult result;
  result.inputs = inputs;
  result.cluster = cluster(inputs.cluster, static_cast<uint32_t>(inputs.layout.ranks()));
  if (!inputs.device.empty()) result.cluster.device = find_device(inputs.device);

  const auto begin = std::chrono::steady_clock::now();
  Plan plan = make_plan(model, inputs.layout, inputs.work);
  plan.facts["cluster"] = inputs.cluster;
  result.plan = std::make_shared<const Plan>(std::move(plan));
  SimulationResult simulated = simulate(*result.plan, result.cluster);
  if (!simulated.error.empty()) throw RunError(simulated.error);
  simulated.timeline.plan = result.plan;
  result.timeline = std::make_shared<const Timeline>(std::move(simulated.timeline));
  result.tasks = simulated.tasks;
  result.milliseconds = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();

  state_memory(result);
  return result;
}

std::optional<SessionResult> result_of(Session& session, std::shared_ptr<const Timeline> timeline) {
  const auto inputs = inputs_of(*timeline);
  if (!inputs) return std::nullopt;
  SessionResult result;
  result.inputs = *inputs;
  result.plan = timeline->plan;
  result.timeline = std::move(timeline);
  try {
    result.cluster = session.cluster(inputs->cluster, static_cast<uint32_t>(inputs->layout.ranks()));
  } catch (const InputError&) {
    return std::nullopt;
  }
  state_memory(result);
  return result;
}

std::string why_not_runnable(const SessionResult& result) {
  if (!result.cluster.device.is_cpu) {
    return "Only plans for the cluster \"this\" run here; this one is for " + result.cluster.name;
  }
  if (result.inputs.work.precision != Precision::fp32) return "The CPU backend computes in fp32 only";
  const Mesh& mesh = result.plan->mesh;
  if (mesh.ranks() > kMostLocalRanks) {
    return std::to_string(mesh.ranks()) + " ranks are more than the " + std::to_string(kMostLocalRanks) +
           " that run on one machine";
  }
  Bytes total = 0;
  for (uint32_t rank = 0; rank < mesh.ranks(); ++rank) total += result.plan->memory_bytes(result.plan->role(rank));
  const Bytes available = result.cluster.device.memory_bytes * std::max(1u, result.cluster.devices);
  if (available > 0 && total > available / 2) {
    return "All ranks together need " + format_bytes(total) + "; half of this machine's memory is " +
           format_bytes(available / 2);
  }
  return "";
}

std::optional<SessionInputs> inputs_of(const Timeline& timeline) {
  const auto fact = [&](const char* name) {
    for (const auto* facts : {&timeline.plan->facts, &timeline.facts}) {
      if (const auto found = facts->find(name); found != facts->end()) return found->second;
    }
    return std::string();
  };
  const auto number = [&](const char* name) {
    return static_cast<uint32_t>(std::strtoul(fact(name).c_str(), nullptr, 10));
  };
  SessionInputs inputs;
  inputs.model = fact("model");
  inputs.cluster = fact("cluster");
  if (inputs.cluster.rfind("this", 0) == 0) inputs.cluster = "this";
  inputs.work.global_batch = number("global_batch");
  inputs.work.micro_batch = number("micro_batch");
  inputs.work.sequence = number("sequence");
  try {
    inputs.layout = parse_layout(fact("layout"));
    inputs.work.precision = parse_precision(fact("precision"));
    inputs.work.optimizer = parse_optimizer(fact("optimizer"));
    inputs.layout.schedule = fact("schedule");
    if (inputs.cluster.empty()) inputs.cluster = "this";
    validate(find_model(inputs.model), inputs.layout, inputs.work);
  } catch (const InputError&) {
    return std::nullopt;
  }
  return inputs;
}

}  // namespace pgram::gui
