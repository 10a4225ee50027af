#include "cli/sweep/compute_scaling.h"

#include <algorithm>

#include "cli/sweep/run_case.h"
#include "core/base/errors.h"

namespace pgram::sweep {
namespace {

constexpr const char* kModel = "model";
constexpr const char* kCluster = "cluster";

/// What a case's figures say of its step, in seconds.
struct StepFigures {
  double seconds = 0, memory_bytes = 0, flops_utilisation = 0, flops_per_second = 0, dollars = 0;
  TimeParts parts{};
};

StepFigures step_figures(const Case& inputs, Inputs& known) {
  const Outcome outcome = run_case(inputs, plan_case(inputs, known), known);
  if (!outcome.error.empty()) throw RunError(to_text(inputs.layout) + ": " + outcome.error);
  if (!outcome.unfit.empty()) throw RunError(to_text(inputs.layout) + ": " + outcome.unfit);
  const Figures& f = outcome.figures;
  StepFigures figures{f.step_seconds,           f.memory_bytes, f.model_flops_utilisation,
                      f.model_flops_per_second, f.dollars,      {}};
  const auto part = [&](TimePart which) -> double& { return figures.parts[static_cast<size_t>(which)]; };
  part(TimePart::kernels) = f.forward + f.backward;
  part(TimePart::optimizer) = f.optimizer + f.other_compute;
  part(TimePart::bubble) = f.fill + f.steady + f.drain;
  part(TimePart::tensor_parallel) = f.tensor_parallel;
  part(TimePart::data_parallel) = f.data_parallel;
  part(TimePart::pipeline_parallel) = f.pipeline_parallel;
  part(TimePart::shared_links) = f.shared_links;
  part(TimePart::imbalance) = f.imbalance;
  part(TimePart::other) = f.other_idle;
  for (double& share : figures.parts) share *= f.step_seconds;
  return figures;
}

/// Of a chosen layout by the same code as the cases of sweeps: the whole step, or the two shorter ones that it follows
/// from (see Repetition).
class Examiner {
 public:
  Examiner(const Model& model, Cluster cluster, NetworkLevel network) : network_(network) {
    known_.keep(kModel, model);
    cluster.device.memory_bytes = ~Bytes{0} >> 1;  // the search has looked at memory
    known_.keep(kCluster, std::move(cluster));
  }

  StepFigures figures(const ChosenLayout& chosen) {
    const uint32_t whole = micro_batches(chosen.layout, chosen.workload);
    const Repetition steps = repetition(chosen.layout, whole, 0);
    const StepFigures second = figures(chosen, steps.second);
    if (steps.periods == 0) return second;
    const StepFigures first = figures(chosen, steps.first);
    StepFigures all = second;
    const auto more = [&](double a, double b) { return b + steps.periods * (b - a); };
    all.seconds = more(first.seconds, second.seconds);
    for (int i = 0; i < kTimeParts; ++i) all.parts[i] = more(first.parts[i], second.parts[i]);
    const double longer = all.seconds / second.seconds;
    const double work = static_cast<double>(whole) / steps.second;
    all.flops_utilisation *= work / longer;
    all.flops_per_second *= work / longer;
    all.dollars *= longer;
    return all;
  }

 private:
  StepFigures figures(const ChosenLayout& chosen, uint32_t micro_batches) {
    Case inputs;
    inputs.model = kModel;
    inputs.cluster = kCluster;
    inputs.devices = static_cast<uint32_t>(chosen.layout.ranks());
    inputs.layout = chosen.layout;
    inputs.workload = with_micro_batches(chosen.layout, chosen.workload, micro_batches);
    inputs.network = network_ == NetworkLevel::analytic ? "analytic" : "flow";
    return step_figures(inputs, known_);
  }

  Inputs known_;
  NetworkLevel network_;
};

}  // namespace

PartName name_of(TimePart part) {
  static constexpr std::array<PartName, kTimeParts> kNames{{
      {"kernels", "forward and backward, which take longer where they are cut smaller"},
      {"optimizer", "the optimizer, of which every data-parallel replica does all"},
      {"bubble", "the pipeline fills, waits between its stages, and drains"},
      {"tensor parallel", "waiting for tensor-parallel communication"},
      {"data parallel", "waiting for data-parallel communication"},
      {"pipeline parallel", "waiting for what stages send each other"},
      {"shared links", "communication takes longer, as it shares links"},
      {"imbalance", "waiting for the slowest member of a collective"},
      {"other", "other waiting"},
  }};
  return kNames[static_cast<size_t>(part)];
}

ComputePoint compute_point(const Model& model, const std::string& name, const Cluster& cluster, uint32_t gpus,
                           const Workload& work, const LayoutSearch& how, const ParallelFor& parallel_for,
                           std::stop_token stop) {
  ComputePoint point;
  point.gpus = gpus;
  point.cluster = name;
  point.workload = work;
  const BestLayouts found = best_layouts(model, cluster, gpus, work, how, parallel_for, std::move(stop));
  point.legal = found.legal;
  point.simulated = found.simulated;
  if (!found.best) {
    point.unfit = found.legal == 0 ? "no layout is legal" : "no layout fits into memory";
    return point;
  }
  point.layout = found.best->layout;
  point.workload = found.best->workload;
  point.unlimited = *found.unlimited;

  const StepFigures best = Examiner(model, cluster, how.network).figures(*found.best);
  point.step_seconds = best.seconds;
  point.memory_bytes = static_cast<double>(found.best->time.memory_bytes);
  point.flops_per_second = best.flops_per_second;
  point.model_flops_utilisation = best.flops_utilisation;
  const double tokens = static_cast<double>(work.global_batch) * work.sequence;
  point.tokens_per_second = tokens / best.seconds;
  point.dollars_per_million_tokens = best.dollars / tokens * 1e6;
  point.seconds = best.parts;
  return point;
}

void draw_ideal_line(std::vector<ComputePoint>& points) {
  const auto first = std::ranges::find_if(points, [](const ComputePoint& point) { return point.unfit.empty(); });
  if (first == points.end()) return;
  const ComputePoint base = *first;
  for (ComputePoint& point : points) {
    point.ideal_flops_per_second = base.flops_per_second / base.gpus * point.gpus;
    if (!point.unfit.empty()) continue;
    const double efficiency = point.flops_per_second / point.ideal_flops_per_second;
    for (int i = 0; i < kTimeParts; ++i) {
      point.lost[i] =
          point.gpus * (point.seconds[i] / point.step_seconds - efficiency * base.seconds[i] / base.step_seconds);
    }
  }
}

}  // namespace pgram::sweep
