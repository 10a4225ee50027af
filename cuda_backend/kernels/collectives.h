// Collectives among ranks that share one card: all buffers lie in its memory, so one kernel does the work of all
// members.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

namespace pgram::kernels {

constexpr int kMaxCardRanks = 64;

/// One buffer of every member, in the order of the group.
struct MemberBuffers {
  float* of[kMaxCardRanks];
};

/// x[i] of every member <- the sum (or maximum) of all members' x[i], in the order of the group.
cudaError_t all_reduce(const MemberBuffers& x, int members, uint64_t count, bool maximum, cudaStream_t);
/// whole[m * count + i] of every member <- part[i] of member m.
cudaError_t all_gather(const MemberBuffers& whole, const MemberBuffers& part, int members, uint64_t count,
                       cudaStream_t);
/// part[i] of member m <- the sum of all members' whole[m * count + i].
cudaError_t reduce_scatter(const MemberBuffers& part, const MemberBuffers& whole, int members, uint64_t count,
                           cudaStream_t);

}  // namespace pgram::kernels
