// Kernels for the tests of the stand-in: right ones, and each with one defect.
#pragma once
#include <cuda_runtime.h>

namespace pgram::planted {

struct Slots {
  int count = 0;
  float* address[3];
};

/// x[i] += value, n threads in blocks of 64.
cudaError_t add(float* x, int n, float value, cudaStream_t);
/// *address[i] += 1, for count of them: pointers inside a structure. The others hold anything.
cudaError_t bump(const Slots&, cudaStream_t);
/// out[block] = sum of 256 elements of x: shuffles, shared memory and a barrier; 128 threads.
cudaError_t sums(float* out, const float* x, int blocks, cudaStream_t);
/// out[i] = x[i ^ 1] + count of positive x in its warp, n = 64: a shuffle with which a thread ends, and a vote.
cudaError_t neighbours(float* out, const float* x, cudaStream_t);

/// Writes x[n].
cudaError_t write_behind(float* x, int n, cudaStream_t);
/// Two __syncthreads, each reached by half of the threads.
cudaError_t two_barriers(float* x, cudaStream_t);
/// Half of the threads return before the others' __syncthreads.
cudaError_t deserted_barrier(float* x, cudaStream_t);
/// Half of a warp waits in a shuffle for the other half, which waits at a barrier.
cudaError_t deserted_shuffle(float* x, cudaStream_t);
/// Reads shared memory of other threads without a barrier in between; `with_barrier`: rightly.
cudaError_t rotate(float* x, bool with_barrier, cudaStream_t);

}  // namespace pgram::planted
