// Matrix products by cuBLAS. Its matrices are column-major: a row-major product is that of the transposed matrices in
// the opposite order, so nothing is copied.
#pragma once
#include "core/exec/backend.h"
#include "cuda_backend/dispatch.h"

namespace pgram {

/// y[n,o] <- x[n,i] W[o,i]^T
void matmul(const Launch&, const DispatchContext&, cudaStream_t);
/// dx[n,i] <- dy[n,o] W[o,i] (+ d)
void matmul_dx(const Launch&, const DispatchContext&, cudaStream_t);
/// dW[o,i] += dy[n,o]^T x[n,i]
void matmul_dw(const Launch&, const DispatchContext&, cudaStream_t);

}  // namespace pgram
