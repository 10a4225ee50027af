// RankRun: one rank's share of a run: its arenas, and the walk over its Program that issues every task of a step.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "core/exec/backend.h"
#include "core/exec/interpreter.h"
#include "core/exec/prepared_plan.h"
#include "core/exec/shards.h"
#include "core/exec/step_report.h"
#include "core/exec/training_state.h"

namespace pgram {

class RankRun {
 public:
  RankRun(const PreparedPlan&, uint32_t rank, Backend&, const RunOptions&);

  // On the rank's own thread, in this order: open, load or initialise once; then fill_tokens and run_step per step.
  void open();
  void initialise(uint32_t layers);
  void load(const TrainingFile&);
  void fill_tokens(uint64_t step);
  /// Issues the step and waits for all streams. Throws what a task threw.
  void run_step(uint64_t step);
  /// Waits until the device touches no memory any more; after an abort.
  void quiesce() noexcept;

  // Of the finished step.
  std::vector<Span> take_spans() { return device_->take_spans(); }
  RankReport report() const;

  /// Its parameters; those of the first replica are the ones that are saved.
  uint32_t slots() const { return first_replica() ? static_cast<uint32_t>(parameters_.size()) : 0; }
  Shard checkpoint_shard(uint32_t slot) const;
  Shard gradient_shard(uint32_t slot) const;

  uint32_t rank() const { return rank_; }
  uint32_t role() const { return at_[2]; }

 private:
  bool first_replica() const { return at_[1] == 0; }
  const Program& program() const { return prepared_.plan.programs[role()]; }
  std::byte* address(uint32_t pool, uint32_t slot) const {
    return arenas_[pool] + uint64_t{slot} * prepared_.plan.records[program().pools[pool].record].bytes;
  }
  std::vector<std::byte> fetch(const ParameterSlot::Place&) const;
  double read_misc(const std::string& field) const;
  void find_inputs();
  void issue_call(uint32_t call, uint64_t step);

  const PreparedPlan& prepared_;
  const uint32_t rank_;
  const std::array<uint32_t, kMeshAxes> at_;
  Backend& backend_;
  const RunOptions& options_;
  std::unique_ptr<RankDevice> device_;
  std::vector<std::byte*> arenas_;  ///< by pool
  std::vector<ParameterSlot> parameters_;
  bool computes_loss_ = false;
  struct Input {
    uint32_t sequence = 0, samples = 0;
    std::vector<int32_t> tokens;  ///< of all samples, then the targets
  };
  std::map<uint16_t, Input> inputs_;  ///< by micro-batch
  Picoseconds step_end_ = 0;
};

}  // namespace pgram
