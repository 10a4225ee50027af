#include "cli/sweep/memory_scaling.h"

#include <algorithm>

#include "cli/sweep/family.h"

namespace pgram::sweep {
namespace {

/// Every way to use all devices that could need least memory: sequence parallelism wherever there is tp.
std::vector<Layout> layouts_of(uint32_t gpus, const Workload& work) {
  std::vector<Layout> layouts;
  for (uint32_t tp = 1; tp <= gpus; ++tp) {
    if (gpus % tp) continue;
    for (uint32_t pp = 1; pp <= gpus / tp; ++pp) {
      const uint32_t dp = gpus / tp / pp;
      if ((gpus / tp) % pp || work.global_batch % dp) continue;
      Layout layout;
      layout.tp = tp;
      layout.pp = pp;
      layout.dp = dp;
      layout.sequence_parallel = tp > 1 && work.sequence % tp == 0;
      layouts.push_back(layout);
    }
  }
  return layouts;
}

/// The largest size whose state alone does not fill the devices.
int size_by_state(const Model& family, const SizeRange& sizes, double parameters) {
  const auto too_large = [&](int size) {
    return static_cast<double>(parameter_count(family_member(family, size))) > parameters;
  };
  int low = sizes.least, high = sizes.most + 1;  // low may fit, high does not
  while (high - low > 1) {
    const int middle = low + (high - low) / 2;
    (too_large(middle) ? high : low) = middle;
  }
  // Rounding of layers may turn the order of two neighbours around.
  return std::min(low + 2, sizes.most);
}

struct Fit {
  Layout layout;
  int size = 0, most = 0;
};

void divide_up(const Plan& plan, uint64_t device_memory, MemoryPoint& point) {
  const auto at = [&](MemoryPart part) -> uint64_t& { return point.bytes[static_cast<size_t>(part)]; };
  const std::vector<MemoryBill> bills = memory_bill(plan);
  const uint64_t fullest = bills[fullest_role(bills)].total;
  const uint64_t ranks = uint64_t{point.layout.tp} * point.layout.dp;  // of a role
  uint64_t state = 0;
  for (const MemoryBill& bill : bills) {
    const auto of = [&](RecordKind kind) { return bill.bytes[static_cast<size_t>(kind)]; };
    state += of(RecordKind::parameter) + of(RecordKind::gradient) + of(RecordKind::optimizer);
    at(MemoryPart::activations) += ranks * (of(RecordKind::saved) + of(RecordKind::edge));
    at(MemoryPart::buffers) += ranks * (of(RecordKind::scratch) + of(RecordKind::input) + of(RecordKind::misc));
    at(MemoryPart::imbalance) += ranks * (fullest - bill.total);
  }
  const uint64_t copy = state * point.layout.tp;
  at(MemoryPart::parameters) = point.parameters * state_bytes(point.workload);
  at(MemoryPart::dp_copies) = copy * (point.layout.dp - 1);
  at(MemoryPart::tp_copies) = copy - at(MemoryPart::parameters);
  at(MemoryPart::unused) = point.gpus * (device_memory - fullest);
}

}  // namespace

PartName name_of(MemoryPart part) {
  static constexpr std::array<PartName, kMemoryParts> kNames{{
      {"parameters", "one copy of parameters, gradients and optimizer state"},
      {"dp copies", "every data-parallel replica holds them again"},
      {"tp copies", "what tensor parallelism does not split (norms), a tied matrix on two stages, padding"},
      {"activations", "saved for the backward, and what stages send each other"},
      {"buffers", "scratch of the kernels, tokens"},
      {"imbalance", "stages with less to hold than the fullest: embedding, head, layers that do not divide"},
      {"unused", "the next larger model does not fit"},
  }};
  return kNames[static_cast<size_t>(part)];
}

uint64_t state_bytes(const Workload& work) {
  const uint64_t parameter = work.precision == Precision::bf16 ? 2 : 4, gradient = 4;
  const uint64_t moments = work.optimizer == Optimizer::adamw ? 8 : 0;
  return parameter + gradient + moments + (work.precision == Precision::bf16 ? 4 : 0);
}

Workload shortest_step(const Layout& layout, const Workload& work) {
  // The first stage has pp micro-batches under way; two more use every spare buffer between stages.
  Workload shortest = work;
  const uint32_t steps = std::min(micro_batches(layout, work), layout.pp + 2);
  shortest.global_batch = steps * layout.dp * work.micro_batch;
  return shortest;
}

const std::vector<MemoryBound::Stage>& MemoryBound::stages(const Model& model, const Layout& layout,
                                                           const Workload& work) {
  const uint32_t kinds = std::min(layout.pp, 3u);  // first, middle, last
  const Key key{model.hidden, model.heads, layout.tp, layout.sequence_parallel, kinds, work.micro_batch, work.sequence};
  const auto [found, added] = kept_.try_emplace(key);
  if (!added) return found->second;
  Model small = model;
  small.layers = kinds;
  Layout of_kinds = layout;
  of_kinds.pp = kinds;
  of_kinds.dp = 1;
  Workload one = work;
  one.global_batch = work.micro_batch;
  const Plan plan = make_unlinked_plan(small, of_kinds, one);
  for (const Program& program : plan.programs) {
    Stage stage;
    for (const Pool& pool : program.pools) {
      const Record& record = plan.records[pool.record];
      const bool of_layer = record.name.starts_with("layer.");
      const uint64_t bytes = record.bytes * pool.slots;
      switch (record.kind) {
        case RecordKind::saved:
          (of_layer ? stage.layer_in_flight : stage.in_flight) += bytes;
          break;
        case RecordKind::edge:
          break;  // below
        case RecordKind::input:
          stage.in_flight += bytes;
          break;
        case RecordKind::scratch:
        case RecordKind::misc:
          stage.fixed += bytes;
          break;
        default:
          (of_layer ? stage.layer : stage.fixed) += bytes;
      }
    }
    // Each layer's input is kept for its backward.
    for (const Record& record : plan.records) {
      if (record.kind == RecordKind::edge) stage.layer_in_flight += record.bytes;
    }
    found->second.push_back(stage);
  }
  return found->second;
}

uint64_t MemoryBound::fullest(const Model& model, const Layout& layout, const Workload& work) {
  const std::vector<Stage>& kinds = stages(model, layout, work);
  const std::vector<uint32_t> layers = partition_layers(model.layers, layout.pp);
  const uint32_t steps = micro_batches(layout, work);
  uint64_t most = 0;
  for (uint32_t s = 0; s < layout.pp; ++s) {
    const Stage& stage = s == 0 ? kinds.front() : s + 1 == layout.pp ? kinds.back() : kinds[1];
    const uint64_t in_flight = std::min(layout.pp - s, steps);
    most = std::max(most, stage.fixed + layers[s] * stage.layer +
                              in_flight * (stage.in_flight + layers[s] * stage.layer_in_flight));
  }
  return most;
}

MemoryPoint largest_model(const Model& family, uint32_t gpus, uint64_t device_memory, const Workload& work) {
  MemoryPoint point;
  point.gpus = gpus;
  point.workload = work;
  point.workload.micro_batch = 1;
  const double all_memory = static_cast<double>(gpus) * static_cast<double>(device_memory);
  point.ideal_parameters = all_memory / static_cast<double>(state_bytes(work));

  const SizeRange sizes = family_sizes(family);
  std::vector<Fit> candidates;
  for (const Layout& layout : layouts_of(gpus, point.workload)) {
    candidates.push_back({layout, 0, size_by_state(family, sizes, point.ideal_parameters / layout.dp)});
  }
  std::ranges::stable_sort(candidates, std::ranges::greater(), &Fit::most);

  MemoryBound bound;
  int best = sizes.least - 1;
  for (const Fit& candidate : candidates) {
    const Layout& layout = candidate.layout;
    for (int size = candidate.most; size > best; --size) {
      const Model member = family_member(family, size);
      if (layout.pp > member.layers) break;  // smaller ones have fewer yet
      if (!is_legal(member, layout, point.workload)) continue;
      if (bound.fullest(member, layout, point.workload) > device_memory) continue;
      const std::vector<MemoryBill> bills =
          memory_bill(make_unlinked_plan(member, layout, shortest_step(layout, point.workload)));
      if (bills[fullest_role(bills)].total > device_memory) continue;
      best = size;
      point.fits = true;
      point.layout = layout;
    }
  }
  if (!point.fits) return point;
  point.model = family_member(family, best);
  point.parameters = parameter_count(point.model);
  divide_up(make_unlinked_plan(point.model, point.layout, shortest_step(point.layout, point.workload)), device_memory,
            point);
  return point;
}

}  // namespace pgram::sweep
