// Gradient norm and optimizer steps: the fields of whole records as the tensor lists of the multi-tensor kernels.
#pragma once
#include "core/exec/backend.h"
#include "cuda_backend/dispatch.h"

namespace pgram {

/// Partial sums (doubles) that sum_squares needs for this record of gradients.
uint64_t square_partials(const Record&);

void sum_squares(const Launch&, const DispatchContext&, cudaStream_t);
void clip(const Launch&, const DispatchContext&, cudaStream_t);
void adamw(const Launch&, const DispatchContext&, cudaStream_t);
void sgd(const Launch&, const DispatchContext&, cudaStream_t);

}  // namespace pgram
