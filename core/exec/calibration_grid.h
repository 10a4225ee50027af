// The kernels and shapes that a calibration measures for any plan, on any backend.
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

/// How large the shapes are: a processor core does some GFLOP in the time that a case may take, a GPU a thousand times
/// that.
enum class GridScale { core, gpu };

/// Levels of refinement, coarse first: every level has new shapes of every kernel.
std::vector<std::vector<GridCase>> calibration_grid(GridScale);

/// A plan whose only body holds the one op, every operand in a record of its own, and whose program calls it once.
Plan grid_plan(const GridCase&);

}  // namespace pgram
