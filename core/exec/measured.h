// The measured timeline: spans and memory counters of the ranks, step by step.
#pragma once
#include <vector>

#include "core/plan/plan.h"
#include "core/timeline/timeline.h"

namespace pgram {

/// Bytes of a role's pools that live through the whole step: parameters, gradients, optimizer state and whatever no
/// call allocates.
uint64_t static_bytes(const Plan&, uint32_t role);

/// Samples of one rank's memory over a step, as its slots come alive (start of the call that allocates) and die (end of
/// the call that frees). `spans` are the rank's.
void add_memory_samples(const Plan&, uint32_t rank, std::span<const Span> spans, Picoseconds step_start,
                        std::vector<CounterSample>&);

/// For backends whose communication cannot tell waiting from moving: sets every communication span's wait to the time
/// from its own start to the last member's, at most its length. `spans` are those of all ranks in one step, in any
/// order; the k-th task of a member on a communicator meets the k-th of each other member. Ranks without spans are left
/// out.
void estimate_waits(const Plan&, std::span<Span> spans);

/// Collects a run. Timeline::spans are sorted by rank, stream and start within a step.
class Measurement {
 public:
  explicit Measurement(std::shared_ptr<const Plan> plan) : plan_(std::move(plan)) {}
  /// `step` says when and with which loss; its span range is filled in here.
  void add_step(Step step, std::vector<Span> spans);
  Timeline finish(std::map<std::string, std::string> facts);

 private:
  std::shared_ptr<const Plan> plan_;
  std::vector<Step> steps_;
  std::vector<Span> spans_;
  std::vector<CounterSample> counters_;
};

}  // namespace pgram
