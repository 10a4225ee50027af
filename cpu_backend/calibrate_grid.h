// The kernels and shapes that calibration measures for any plan; private to calibration.
#pragma once
#include <cstdint>
#include <vector>

#include "core/plan/plan.h"

namespace pgram {

/// One kernel on one shape. By kernel: matmul* tokens x out x in; attention* sequence x heads x head_dim; element-wise,
/// norms, rotation, embedding and loss rows x columns; zero, sum_squares, adamw, sgd rows elements.
struct GridCase {
  Kernel kernel = Kernel::matmul;
  uint32_t a = 1, b = 1, c = 1;
};

/// Levels of refinement, coarse first: every level has new shapes of every kernel.
std::vector<std::vector<GridCase>> calibration_grid();

/// A plan whose only body holds the one op, every operand in a record of its own.
Plan grid_plan(const GridCase&);

}  // namespace pgram
