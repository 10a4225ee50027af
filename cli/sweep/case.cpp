#include "cli/sweep/case.h"

namespace pgram::sweep {
namespace {

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ";") + part;
  return text;
}

}  // namespace

std::span<const InputColumn> input_columns() {
  static constexpr InputColumn kColumns[] = {
      {"model", "its name or file", true, [](const Case& c) { return c.model; }},
      {"cluster", "its name or file, with its size", false, [](const Case& c) { return c.cluster; }},
      {"devices", "of the cluster", true, nullptr, [](const Case& c) -> uint64_t { return c.devices; }},
      {"devices_per_node", "of the cluster", false, nullptr,
       [](const Case& c) -> uint64_t { return c.devices_per_node; }},
      {"nodes", "of the cluster", false, nullptr,
       [](const Case& c) -> uint64_t {
         return c.devices_per_node ? (uint64_t{c.devices} + c.devices_per_node - 1) / c.devices_per_node : 0;
       }},
      {"layout", "as text: tp8.pp4.dp2.sp", true, [](const Case& c) { return to_text(c.layout); }},
      {"tp", "tensor-parallel degree", true, nullptr, [](const Case& c) -> uint64_t { return c.layout.tp; }},
      {"pp", "pipeline stages", true, nullptr, [](const Case& c) -> uint64_t { return c.layout.pp; }},
      {"dp", "data-parallel replicas", true, nullptr, [](const Case& c) -> uint64_t { return c.layout.dp; }},
      {"sp", "1 with sequence parallelism", true, nullptr,
       [](const Case& c) -> uint64_t { return c.layout.sequence_parallel; }},
      {"schedule", "of the pipeline", true, [](const Case& c) { return c.layout.schedule; }},
      {"p2p", "channels or paired", true, [](const Case& c) -> std::string { return name_of(c.layout.p2p); }},
      {"global_batch", "sequences of a step", true, nullptr,
       [](const Case& c) -> uint64_t { return c.workload.global_batch; }},
      {"micro_batch", "sequences of a micro-batch", true, nullptr,
       [](const Case& c) -> uint64_t { return c.workload.micro_batch; }},
      {"micro_batches", "of a step and replica", true, nullptr,
       [](const Case& c) -> uint64_t {
         const uint64_t at_once = uint64_t{c.layout.dp} * c.workload.micro_batch;
         return at_once ? c.workload.global_batch / at_once : 0;
       }},
      {"sequence", "tokens", true, nullptr, [](const Case& c) -> uint64_t { return c.workload.sequence; }},
      {"precision", "fp32 or bf16", true, [](const Case& c) -> std::string { return name_of(c.workload.precision); }},
      {"optimizer", "adamw or sgd", true, [](const Case& c) -> std::string { return name_of(c.workload.optimizer); }},
      {"network", "analytic, flow or step", false, [](const Case& c) { return c.network; }},
      {"disturbance", "its name", false, [](const Case& c) { return c.disturbance.name; }},
      {"slow", "ranks that are slower, with ';' between", false,
       [](const Case& c) { return joined(c.disturbance.slow); }},
      {"links", "that get slower, with ';' between", false, [](const Case& c) { return joined(c.disturbance.links); }},
      {"jitter", "of compute tasks", false, [](const Case& c) { return c.disturbance.jitter; }},
  };
  return kColumns;
}

std::span<const FigureColumn> figure_columns() {
  static constexpr FigureColumn kColumns[] = {
      {"step_time", "s", "time of a training step", &Figures::step_seconds},
      {"tokens_per_second", "tokens/s", "over all devices", &Figures::tokens_per_second, true},
      {"model_flops", "FLOP/s", "model FLOPs a second over all devices", &Figures::model_flops_per_second, true},
      {"mfu", "", "model FLOPs utilisation", &Figures::model_flops_utilisation, true},
      {"memory", "bytes", "of the fullest rank", &Figures::memory_bytes},
      {"memory_headroom", "bytes", "what the fullest rank's device has left", &Figures::memory_headroom, true},
      {"forward", "share", "busy with the forward", &Figures::forward, true},
      {"backward", "share", "busy with the backward", &Figures::backward, true},
      {"optimizer_step", "share", "busy with the optimizer", &Figures::optimizer},
      {"other_compute", "share", "busy with other compute", &Figures::other_compute},
      {"tensor_parallel", "share", "waits for tensor-parallel communication", &Figures::tensor_parallel},
      {"data_parallel", "share", "waits for data-parallel communication", &Figures::data_parallel},
      {"pipeline_parallel", "share", "waits for sends and receives of the pipeline", &Figures::pipeline_parallel},
      {"shared_links", "share", "communication takes longer because links are shared", &Figures::shared_links},
      {"fill", "share", "pipeline bubble before the first forward", &Figures::fill},
      {"steady", "share", "pipeline bubble between first forward and last backward", &Figures::steady},
      {"drain", "share", "pipeline bubble after the last backward", &Figures::drain},
      {"imbalance", "share", "waits for the slowest member of a collective", &Figures::imbalance},
      {"other_idle", "share", "idle for another reason", &Figures::other_idle},
      {"joules", "J", "energy of a step", &Figures::joules, false, true},
      {"watts_per_device", "W", "mean power of a device", &Figures::watts_per_device, false, true},
      {"dollars", "$", "price of a step", &Figures::dollars, false, true},
      {"cost_per_token", "$/million tokens", "price of a million tokens", &Figures::dollars_per_million_tokens, false,
       true},
      {"goodput", "share", "time not lost to failures and checkpoints", &Figures::goodput, true, true},
      {"checkpoint_interval", "s", "between checkpoints, the best one", &Figures::checkpoint_interval_seconds, false,
       true},
  };
  return kColumns;
}

}  // namespace pgram::sweep
