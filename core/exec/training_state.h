// The training state of a Plan: its weights and optimizer state, initialised, gathered from the ranks that hold shards
// of them into whole tensors, and scattered again, whatever the layout.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/exec/checkpoint.h"
#include "core/plan/plan.h"

namespace pgram {

/// A slot of a parameter record in a role's arena, with the slots of its gradient and optimizer state.
struct ParameterSlot {
  struct Place {
    uint16_t pool = 0;
    uint32_t slot = 0;
    const Record* record = nullptr;  ///< null: there is none
  };
  Place weights, gradients, state;
  uint16_t layer = 0;
};
/// In order of pool and slot. Gradients and state are found through the role's optimizer tasks.
std::vector<ParameterSlot> parameter_slots(const Plan&, uint32_t role);

/// Layers of the model: what "{}" of a stored name counts over.
uint32_t count_layers(const Plan&);

/// "layer.3.wq", or "head.normf" for tensors outside the layers.
std::string own_name(const Record& parameters, const Field&, uint16_t layer);
/// The name in safetensors files, "{}" replaced by the layer; own_name() for fields without one.
std::string stored_name(const Record& parameters, const Field&, uint16_t layer);

/// Where a rank's shard lies in the whole tensor (without padding).
struct ShardPlace {
  uint64_t rows = 0, columns = 0;            ///< of the whole
  uint64_t first_row = 0, first_column = 0;  ///< of the shard
};
ShardPlace shard_place(const Mesh&, const Field&, const std::array<uint32_t, kMeshAxes>& coordinates);

/// Fills one rank's shard of a parameter with its initial values: a pure function of seed, stored name and position in
/// the whole tensor, so every layout starts from the same weights. Gains 1, biases 0, matrices normal with standard
/// deviation 0.02, those that write to the residual stream (wo, wd) divided by sqrt(2 * layers) (GPT-2, section 2.3).
void initialise_field(const Plan&, const std::array<uint32_t, kMeshAxes>& coordinates, const ParameterSlot&,
                      const Field&, uint64_t seed, uint32_t layers, float* values);

/// Whole tensors of a checkpoint, filled shard by shard.
class Gathered {
 public:
  /// `suffix`: "" for weights, ".m" and ".v" for optimizer state, which goes under "optimizer.<name>.m".
  void add(const Plan&, const std::array<uint32_t, kMeshAxes>& coordinates, const ParameterSlot&, const Field&,
           const std::string& suffix, const float* values);
  const std::map<std::string, FloatTensor>& tensors() const { return tensors_; }

 private:
  std::map<std::string, FloatTensor> tensors_;
};

/// A checkpoint being read.
class TrainingFile {
 public:
  explicit TrainingFile(const std::string& path);
  uint64_t step() const { return step_; }  ///< 0 for plain weights
  bool has_optimizer() const { return has_optimizer_; }
  /// Fills one rank's shard. InputError names file and tensor when it is missing or has another shape.
  void scatter(const Plan&, const std::array<uint32_t, kMeshAxes>& coordinates, const ParameterSlot&, const Field&,
               const std::string& suffix, float* values) const;

 private:
  std::string path_;
  SafetensorsFile file_;
  uint64_t step_ = 0;
  bool has_optimizer_ = false;
};

}  // namespace pgram
