// TensorList: the tensors that one multi-tensor kernel works on. It travels as the kernel's parameter (4 KiB at most),
// so nothing is allocated; more tensors than it holds take more launches.
#pragma once
#include <cstdint>

namespace pgram::kernels {

/// T has a member `count`, of elements. Each tensor is cut into chunks, one block each.
template <class T, int N>
struct TensorList {
  static constexpr int64_t kChunk = 16384;

  // Unused places are zero: kernels get the list as bytes.
  T tensors[N] = {};
  uint32_t first_block[N] = {};
  uint32_t num_tensors = 0, num_blocks = 0;

  bool full() const { return num_tensors == N; }
  static uint32_t blocks_of(int64_t count) { return static_cast<uint32_t>((count + kChunk - 1) / kChunk); }
  void add(const T& tensor) {
    if (tensor.count == 0) return;
    first_block[num_tensors] = num_blocks;
    num_blocks += blocks_of(tensor.count);
    tensors[num_tensors++] = tensor;
  }
};

/// `squares` of a gradient field count `weight` times.
struct SquaresTensor {
  const float* gradient;
  int64_t count;
  double weight;
};
using SquaresList = TensorList<SquaresTensor, 128>;

struct AdamTensor {
  float *weights, *m, *v;
  const float* gradient;
  int64_t count;
  double keep;  ///< 1 - learning rate * weight decay, or 1; a double, so that the structure has no padding
};
using AdamList = TensorList<AdamTensor, 64>;

struct SgdTensor {
  float* weights;
  const float* gradient;
  int64_t count;
};
using SgdList = TensorList<SgdTensor, 128>;

}  // namespace pgram::kernels
