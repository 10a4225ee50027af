#include "cli/sweep/case.h"

namespace pgram::sweep {

std::span<const FigureColumn> figure_columns() {
  static constexpr FigureColumn kColumns[] = {
      {"step_time", "s", "time of a training step", &Figures::step_seconds},
      {"tokens_per_second", "tokens/s", "over all devices", &Figures::tokens_per_second},
      {"model_flops", "FLOP/s", "model FLOPs a second over all devices", &Figures::model_flops_per_second},
      {"mfu", "", "model FLOPs utilisation", &Figures::model_flops_utilisation},
      {"memory", "bytes", "of the fullest rank", &Figures::memory_bytes},
      {"memory_headroom", "bytes", "what the fullest rank's device has left", &Figures::memory_headroom},
      {"forward", "share", "busy with the forward", &Figures::forward},
      {"backward", "share", "busy with the backward", &Figures::backward},
      {"optimizer", "share", "busy with the optimizer", &Figures::optimizer},
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
      {"joules", "J", "energy of a step", &Figures::joules},
      {"watts_per_device", "W", "mean power of a device", &Figures::watts_per_device},
      {"dollars", "$", "price of a step", &Figures::dollars},
      {"cost_per_token", "$/million tokens", "price of a million tokens", &Figures::dollars_per_million_tokens},
      {"goodput", "share", "time not lost to failures and checkpoints", &Figures::goodput},
      {"checkpoint_interval", "s", "between checkpoints, the best one", &Figures::checkpoint_interval_seconds},
  };
  return kColumns;
}

}  // namespace pgram::sweep
