// Workload: how much is computed in one training step.
#pragma once
#include <cstdint>
#include <string>

namespace pgram {

/// fp32: everything 4 bytes. bf16: parameters and activations 2 bytes, gradients and optimizer state fp32, with an
/// fp32 master copy in the optimizer state (Megatron's 18 bytes a parameter).
enum class Precision : uint8_t { fp32, bf16 };
enum class Optimizer : uint8_t { adamw, sgd };

struct Workload {
  uint32_t global_batch = 0;  ///< sequences per step over all data-parallel replicas
  uint32_t micro_batch = 1;   ///< sequences per micro-batch
  uint32_t sequence = 0;      ///< tokens per sequence
  Precision precision = Precision::fp32;
  Optimizer optimizer = Optimizer::adamw;
  bool operator==(const Workload&) const = default;
};

const char* name_of(Precision);
const char* name_of(Optimizer);
Precision parse_precision(const std::string&);  ///< InputError names the known ones
Optimizer parse_optimizer(const std::string&);

}  // namespace pgram
