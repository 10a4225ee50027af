// Rotary embedding's angles, shared by all kernel sets.
#pragma once
#include <cstdint>

#include "core/plan/plan.h"

namespace pgram {

/// Radians per position of pair j (of rotary_dims / 2): base^(-2j/rotary_dims) (Su et al. 2021), slowed for long waves
/// as Llama 3.1 does it (Hugging Face transformers, modeling_rope_utils.py, _compute_llama3_parameters).
double rope_frequency(const Attributes&, int64_t pair);

}  // namespace pgram
