// RankRun: one rank's share of a run: its arenas, and the walk over its Program that issues every task of a step.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "core/exec/backend.h"
#include "core/exec/interpreter.h"
#include "core/exec/prepared_plan.h"
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
  Picoseconds step_end() const { return step_end_; }
  std::vector<Span> take_spans() { return device_->take_spans(); }
  /// Share of the loss that this rank's program wrote; 0 where it computes none.
  double loss() const { return computes_loss_ ? read_misc("loss") : 0; }
  double gradient_norm() const { return read_misc("norm"); }

  /// Adds this rank's shards.
  void gather(Gathered&) const;
  void gather_gradients(std::map<std::string, FloatTensor>&) const;

  uint32_t rank() const { return rank_; }
  uint32_t role() const { return at_[2]; }
  bool first_replica() const { return at_[1] == 0; }  ///< its shards are the ones that are saved

 private:
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
