// Kernels of the kinds that training needs, for nvcc to make PTX of. Small, and each with something of its own.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include "corpus_math.h"

namespace {

struct Maximum {
  __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
};
struct Total {
  __device__ float operator()(float a, float b) const { return a + b; }
};

template <class Reduce>
__device__ float over_warp(float value, Reduce reduce) {
  for (int with = 16; with > 0; with /= 2) value = reduce(value, __shfl_xor_sync(0xffffffffu, value, with));
  return value;
}

/// Of all threads of the block, whose size is a multiple of 32; every thread gets it.
template <class Reduce>
__device__ float over_block(float value, float neutral, Reduce reduce) {
  __shared__ float of_warp[32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  value = over_warp(value, reduce);
  __syncthreads();  // an earlier use of of_warp is over
  if (lane == 0) of_warp[warp] = value;
  __syncthreads();
  return over_warp(lane < blockDim.x / 32 ? of_warp[lane] : neutral, reduce);
}

struct Tensors {
  float* data[4];
  int sizes[4];
};

}  // namespace

extern "C" {

__global__ void rms_norm(const float* x, const float* weight, float* y, float* rstd, int width, float epsilon) {
  const float* row = x + size_t(blockIdx.x) * width;
  float squares = 0;
  for (int i = threadIdx.x; i < width; i += blockDim.x) squares += row[i] * row[i];
  const float r = rsqrtf(over_block(squares, 0.0f, Total()) / width + epsilon);
  if (threadIdx.x == 0) rstd[blockIdx.x] = r;
  for (int i = threadIdx.x; i < width; i += blockDim.x) y[size_t(blockIdx.x) * width + i] = row[i] * r * weight[i];
}

__global__ void causal_softmax(const float* scores, float* p, int length, float scale) {
  const int query = blockIdx.x;
  const float* row = scores + size_t(query) * length;
  float most = -INFINITY;
  for (int i = threadIdx.x; i <= query; i += blockDim.x) most = fmaxf(most, row[i] * scale);
  most = over_block(most, -INFINITY, Maximum());
  float sum = 0;
  for (int i = threadIdx.x; i <= query; i += blockDim.x) sum += expf(row[i] * scale - most);
  sum = over_block(sum, 0.0f, Total());
  for (int i = threadIdx.x; i < length; i += blockDim.x) {
    p[size_t(query) * length + i] = i <= query ? expf(row[i] * scale - most) / sum : 0;
  }
}

__global__ void rotate(float* q, const int* positions, int half, float base) {
  float* row = q + size_t(blockIdx.x) * 2 * half;
  for (int i = threadIdx.x; i < half; i += blockDim.x) {
    float sine, cosine;
    sincosf(positions[blockIdx.x] * powf(base, -float(i) / half), &sine, &cosine);
    const float a = row[i], b = row[i + half];
    row[i] = a * cosine - b * sine;
    row[i + half] = a * sine + b * cosine;
  }
}

__global__ void cross_entropy(const float* logits, const int64_t* targets, float* loss, int vocabulary) {
  const float* row = logits + size_t(blockIdx.x) * vocabulary;
  float most = -INFINITY, sum = 0;
  for (int i = threadIdx.x; i < vocabulary; i += blockDim.x) most = fmaxf(most, row[i]);
  most = over_block(most, -INFINITY, Maximum());
  for (int i = threadIdx.x; i < vocabulary; i += blockDim.x) sum += __expf(row[i] - most);
  sum = over_block(sum, 0.0f, Total());
  if (threadIdx.x == 0) loss[blockIdx.x] = logf(sum) + most - row[targets[blockIdx.x]];
}

__global__ void adamw(float* weight, float* m, float* v, const float* gradient, size_t n, float rate, float beta1,
                      float beta2, float epsilon, float decay) {
  const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const float g = gradient[i];
  m[i] = beta1 * m[i] + (1 - beta1) * g;
  v[i] = beta2 * v[i] + (1 - beta2) * g * g;
  weight[i] -= rate * (m[i] / (sqrtf(v[i]) + epsilon) + decay * weight[i]);
}

__global__ void activations(const float4* x, float4* y, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const float4 a = x[i];
  float4 r;
  r.x = a.x / (1 + expf(-a.x));
  r.y = 0.5f * a.y * (1 + tanhf(0.7978845608f * (a.y + 0.044715f * a.y * a.y * a.y)));
  r.z = 0.5f * a.z * (1 + erff(a.z * 0.70710678f));
  r.w = log1pf(expf(a.w)) + cbrtf(a.w);
  y[i] = r;
}

__global__ void embed_backward(const int* tokens, const float* dy, float* table, int width) {
  for (int i = threadIdx.x; i < width; i += blockDim.x) {
    atomicAdd(table + size_t(tokens[blockIdx.x]) * width + i, dy[size_t(blockIdx.x) * width + i]);
  }
}

__global__ void gradient_norm(const float* g, size_t n, double* total, int* not_finite) {
  double sum = 0;
  bool bad = false;
  for (size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += size_t(gridDim.x) * blockDim.x) {
    sum += double(g[i]) * g[i];
    bad |= !isfinite(g[i]);
  }
  for (int by = 16; by > 0; by /= 2) sum += __shfl_down_sync(0xffffffffu, sum, by);
  if (threadIdx.x % 32 == 0) atomicAdd(total, sum);
  if (__syncthreads_or(bad) && threadIdx.x == 0) atomicOr(not_finite, 1);
}

__global__ void transpose(const float* a, float* b, int rows, int columns) {
  __shared__ float tile[32][33];
  int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 32 + threadIdx.y;
  for (int j = 0; j < 32; j += 8) {
    if (x < columns && y + j < rows) tile[threadIdx.y + j][threadIdx.x] = a[(y + j) * columns + x];
  }
  __syncthreads();
  x = blockIdx.y * 32 + threadIdx.x;
  y = blockIdx.x * 32 + threadIdx.y;
  for (int j = 0; j < 32; j += 8) {
    if (x < rows && y + j < columns) b[(y + j) * rows + x] = tile[threadIdx.x][threadIdx.y + j];
  }
}

__global__ void mix_integers(uint32_t* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = mixed(i * 2654435761u);
}

__global__ void plain_floats(const float* x, float* y, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = plain(x[i], i);
}

__global__ void intrinsics(uint32_t* out) {
  const uint32_t x = out[threadIdx.x];
  uint32_t r = __umulhi(x, 0xc2b2ae35u) + __popc(x) + __clz(x) + __ffs(x) + __brev(x);
  r ^= __byte_perm(x, r, 0x5140) + __funnelshift_l(x, r, 5);
  r += __popcll(uint64_t(x) << 7 | r);
  out[threadIdx.x] = r;
}

/// sums[t]: of the lanes up to and with t; counts: how many lanes hold the same value.
__global__ void lanes(const int* x, int* sums, unsigned* counts) {
  const int lane = threadIdx.x;
  int sum = x[lane];
  for (int by = 1; by < 32; by *= 2) {
    const int below = __shfl_up_sync(0xffffffffu, sum, by);
    if (lane >= by) sum += below;
  }
  sums[lane] = sum;
  const unsigned same = __match_any_sync(0xffffffffu, x[lane]);
  unsigned even = __ballot_sync(0xffffffffu, x[lane] % 2 == 0);
  if (lane < 16) even += __shfl_sync(0x0000ffffu, even, 0) - even;
  __syncwarp();
  counts[lane] = __popc(same) + 100 * __popc(even) + 10000 * __reduce_max_sync(0xffffffffu, unsigned(x[lane]));
}

__global__ void half_precision(const __nv_bfloat162* a, const __nv_bfloat162* b, __nv_bfloat162* y, const __half2* c,
                               __half2* z, float* wide) {
  const int i = threadIdx.x;
  y[i] = __hfma2(a[i], b[i], a[i]);
  z[i] = __hadd2(__hmul2(c[i], c[i]), c[i]);
  wide[2 * i] = __bfloat162float(y[i].x) + __half2float(z[i].y);
  wide[2 * i + 1] = __bfloat162float(__float2bfloat16(wide[2 * i] * 1.01f)) + __half2float(__float2half(wide[2 * i]));
}

__global__ void many_tensors(Tensors tensors, float factor) {
  float* data = tensors.data[blockIdx.x];
  for (int i = threadIdx.x; i < tensors.sizes[blockIdx.x]; i += blockDim.x) data[i] *= factor;
}

/// An array that lives in local memory because its index is not known.
__global__ void histogram(const int* x, int* out, int n) {
  int counts[8] = {};
  for (int i = 0; i < n; ++i) counts[x[i] & 7] += i + threadIdx.x;
  for (int i = 0; i < 8; ++i) out[threadIdx.x * 8 + i] = counts[(i + x[0]) & 7];
}

__global__ void rounding(const float* x, float* up, int* whole, double* wide) {
  const int i = threadIdx.x;
  up[i] = __fadd_ru(x[i], 1e-9f) + __fmul_rd(x[i], 1.1f) - __fmaf_rz(x[i], x[i], 0.3f) + floorf(x[i]) + rintf(x[i]);
  whole[i] = __float2int_rd(x[i]) + 1000 * __float2int_rn(x[i]) + 1000000 * __float2int_ru(x[i]);
  wide[i] = exp(double(x[i])) / sqrt(double(i + 1)) + floor(double(x[i]));
}

__global__ void atomics(int* words, unsigned long long* wide, float* most) {
  __shared__ unsigned local;
  if (threadIdx.x == 0) local = 0;
  __syncthreads();
  atomicAdd(&local, threadIdx.x);
  atomicMin(words, -int(threadIdx.x));
  atomicMax(words + 1, int(threadIdx.x));
  atomicXor(words + 2, 1 << (threadIdx.x % 32));
  atomicAdd(wide, 1ull << 33);
  int seen = __float_as_int(*most), expected;  // the greatest float, by compare and swap
  do {
    expected = seen;
    if (__int_as_float(expected) >= threadIdx.x * 0.5f) break;
    seen = atomicCAS(reinterpret_cast<int*>(most), expected, __float_as_int(threadIdx.x * 0.5f));
  } while (seen != expected);
  __syncthreads();
  if (threadIdx.x == 0) words[3] = int(local);
}

}  // extern "C"
