// Linear memory scaling, checked: the largest member of a model's family that some layout fits into a cluster, and what
// takes the memory that is not one copy of its parameters.
#pragma once
#include <array>
#include <map>
#include <string>
#include <tuple>

#include "core/model/model.h"
#include "core/planner/planner.h"

namespace pgram::sweep {

/// Where the memory of all devices is. One copy of the parameters with their gradients and optimizer state is what the
/// ideal would fill it with; the rest is the gap.
enum class MemoryPart : uint8_t { parameters, dp_copies, tp_copies, activations, buffers, imbalance, unused };
constexpr int kMemoryParts = 7;
struct PartName {
  const char* name;  ///< in tables and JSON
  const char* help;
};
PartName name_of(MemoryPart);

struct MemoryPoint {
  uint32_t gpus = 0;
  bool fits = false;  ///< any member of the family
  Model model;
  Layout layout;
  Workload workload;
  uint64_t parameters = 0;
  double ideal_parameters = 0;  ///< all memory / bytes of state per parameter
  /// Bytes of all devices together; they add up to gpus x memory of a device.
  std::array<uint64_t, kMemoryParts> bytes{};
};

/// Bytes that a parameter takes with its gradient and its optimizer state: 18 for bf16 and AdamW.
uint64_t state_bytes(const Workload&);

/// The memory of a plan's fullest rank without the plan. Never more than memory_bill() says, and less only by buffers
/// between blocks: what a block saves for its backward is held once for each micro-batch under way in its stage, as
/// 1F1B has it. Records are taken from plans of one layer a stage, and kept.
class MemoryBound {
 public:
  uint64_t fullest(const Model&, const Layout&, const Workload&);

 private:
  struct Stage {
    uint64_t fixed = 0, layer = 0;                ///< once / for each layer
    uint64_t in_flight = 0, layer_in_flight = 0;  ///< of these for each micro-batch under way
  };
  using Key = std::tuple<uint32_t, uint32_t, uint32_t, bool, uint32_t, uint32_t, uint32_t>;
  const std::vector<Stage>& stages(const Model&, const Layout&, const Workload&);
  std::map<Key, std::vector<Stage>> kept_;
};

/// A step of as few micro-batches as need the same memory (of 1F1B).
Workload shortest_step(const Layout&, const Workload&);

/// `work` is what shall be computed; micro-batches of one sequence and, where tp > 1, sequence parallelism need least.
/// `device_memory`: bytes. Powers of two and any other number of devices: all of them are used.
MemoryPoint largest_model(const Model& family, uint32_t gpus, uint64_t device_memory, const Workload& work);

}  // namespace pgram::sweep
