// What a timeline says in numbers: one code path for simulated and measured.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "core/timeline/timeline.h"

namespace pgram {

class StepGraph;

struct RankSummary {
  uint32_t rank = 0;
  uint32_t represented = 1;  ///< ranks that it stands for
  Picoseconds busy = 0;      ///< compute stream busy
  Picoseconds idle = 0;      ///< makespan - busy
  /// Of busy, by the category of the task; where tasks overlap, the one that comes first has it.
  std::array<Picoseconds, kCategories> busy_with{};
  Picoseconds span_idle = 0;  ///< (end of last - start of first op on the compute stream) - busy
  /// Communication (without its waiting) during which this rank's compute stream did nothing, by category.
  std::array<Picoseconds, kCategories> exposed{};
  std::array<Picoseconds, kCategories> time{};  ///< total span time by category
  Bytes peak_memory = 0;
};

struct Summary {
  Picoseconds step_time = 0;       ///< median
  size_t step = 0;                 ///< the step that the rank figures describe
  std::vector<RankSummary> ranks;  ///< representatives only
  double bubble_of_total = 0;      ///< mean idle / makespan over all ranks (weighted by represented ranks)
  double bubble_of_ideal = 0;      ///< mean idle / mean busy (Megatron's (p-1)/m)
  double span_idle_of_total = 0;
  Bytes peak_memory = 0;  ///< highest rank
  uint32_t peak_memory_rank = 0;
  double tokens_per_second = 0;
  double model_flops_utilisation = 0;  ///< 0 when the peak is not known (facts["peak_flops_per_rank"])
  double step_time_spread = 0;         ///< measured: (p90 - p10) / median of the steps
};

Summary summarise(const Timeline&);
/// Of its timeline, in less time. It must be of the median step.
Summary summarise(const StepGraph&);
std::string summary_to_text(const Timeline&, const Summary&);
std::string summary_to_json(const Timeline&, const Summary&);

}  // namespace pgram
