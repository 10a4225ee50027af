// Shards of the training state on their way to process 0, which puts whole tensors together from those of all ranks.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/exec/backend.h"
#include "core/exec/training_state.h"

namespace pgram {

/// The bytes of one ParameterSlot of a rank.
struct Shard {
  uint32_t rank = 0, slot = 0;    ///< index into parameter_slots() of the rank's role
  std::vector<std::byte> values;  ///< its weights, or gradients
  std::vector<std::byte> state;   ///< of the optimizer, if it has one and it is wanted

  std::string encode() const;
  static Shard decode(const std::string&);
};

/// At process 0 calls `take` with the shards of all processes, one of each at a time so that not all of them are in
/// memory at once; elsewhere sends its own. Called by all processes.
void gather_shards(ProcessGroup&, uint32_t mine, const std::function<Shard(uint32_t)>& shard,
                   const std::function<void(const Shard&)>& take);

/// Puts shards in their places. RunError for one that does not fit the Plan.
class ShardPlacer {
 public:
  explicit ShardPlacer(const Plan& plan) : plan_(plan) {}
  void add_checkpoint(const Shard&, Gathered&);
  void add_gradients(const Shard&, std::map<std::string, FloatTensor>&);

 private:
  const ParameterSlot& slot_of(const Shard&);

  const Plan& plan_;
  std::map<uint32_t, std::vector<ParameterSlot>> slots_;  ///< by role
};

}  // namespace pgram
