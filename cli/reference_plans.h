// Small plans of the library's trainable models, whose kernels every calibration measures exactly.
#pragma once
#include <vector>

#include "core/plan/plan.h"

namespace pgram::cli {
std::vector<Plan> reference_plans();
}  // namespace pgram::cli
