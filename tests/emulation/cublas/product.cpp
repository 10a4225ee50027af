// Matrix products: C = alpha op(A) op(B) + beta C, column-major, one or many, in fp32 through OpenBLAS on one thread.
#include <cblas.h>
#include <cuda_bf16.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <vector>

#include "tests/emulation/cublas/handle.h"
#include "tests/emulation/runtime/runtime.h"

using namespace pgram::emulation;

namespace {

struct Matrix {
  const void* data = nullptr;
  cudaDataType type = CUDA_R_32F;
  int ld = 0;
  long long stride = 0;  ///< elements from one product's to the next one's
  int rows = 0, columns = 0;

  uint64_t extent() const { return rows && columns ? uint64_t(columns - 1) * ld + rows : 0; }
  uint64_t element() const { return type == CUDA_R_32F ? sizeof(float) : sizeof(__nv_bfloat16); }
  bool well_formed() const {
    return (type == CUDA_R_32F || type == CUDA_R_16BF) && ld >= std::max(1, rows) && (data || !extent());
  }
};

struct Product {
  std::string name;
  cublasOperation_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N;
  int m = 0, n = 0, k = 0, batch = 1;
  Matrix a, b, c;
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
  const float *alpha_at = nullptr, *beta_at = nullptr;  ///< device memory, or null
  float alpha = 0, beta = 0;
  void* workspace = nullptr;
  uint64_t workspace_bytes = 0;
};

CBLAS_TRANSPOSE for_cblas(cublasOperation_t operation) {
  return operation == CUBLAS_OP_N ? CblasNoTrans : CblasTrans;
}

/// Host memory of one matrix of the batch, nullptr with a report if it is not all in one live allocation.
std::byte* memory(const Product& p, const Matrix& matrix, const char* which, int batch) {
  const auto* first = static_cast<const std::byte*>(matrix.data) + batch * matrix.stride * int64_t(matrix.element());
  return device_memory(first, matrix.extent() * matrix.element(), p.name + " (" + which + ")");
}

/// The matrix as floats: itself, or a copy in `copy` made of bf16.
const float* as_floats(const std::byte* memory, const Matrix& matrix, std::vector<float>& copy) {
  if (matrix.type == CUDA_R_32F) return reinterpret_cast<const float*>(memory);
  const auto* from = reinterpret_cast<const __nv_bfloat16*>(memory);
  copy.assign(matrix.extent(), 0);
  for (int column = 0; column < matrix.columns; ++column) {
    const uint64_t first = uint64_t(column) * matrix.ld;
    for (uint64_t i = first; i < first + matrix.rows; ++i) copy[i] = __bfloat162float(from[i]);
  }
  return copy.data();
}

void multiply_one(const Product& p, const std::byte* a, const std::byte* b, std::byte* c) {
  std::vector<float> a_copy, b_copy, c_copy;
  const float* a_floats = p.k ? as_floats(a, p.a, a_copy) : nullptr;
  const float* b_floats = p.k ? as_floats(b, p.b, b_copy) : nullptr;
  float* result = reinterpret_cast<float*>(c);
  if (p.c.type != CUDA_R_32F) {
    as_floats(c, p.c, c_copy);
    result = c_copy.data();
  }
  cblas_sgemm(CblasColMajor, for_cblas(p.transpose_a), for_cblas(p.transpose_b), p.m, p.n, p.k, p.alpha, a_floats,
              p.a.ld, b_floats, p.b.ld, p.beta, result, p.c.ld);
  if (p.c.type == CUDA_R_32F) return;
  auto* to = reinterpret_cast<__nv_bfloat16*>(c);
  for (int column = 0; column < p.n; ++column) {
    const uint64_t first = uint64_t(column) * p.c.ld;
    for (uint64_t i = first; i < first + p.m; ++i) to[i] = __float2bfloat16(result[i]);
  }
}

/// What is in the workspace afterwards is cuBLAS's business: whoever keeps something there is to find it spoilt.
bool use_workspace(const Product& p) {
  if (!p.workspace_bytes) return true;
  std::byte* workspace = device_memory(p.workspace, p.workspace_bytes, p.name + " (workspace)");
  constexpr uint64_t kSpoilt = 4096;
  if (workspace) std::memset(workspace, 0xff, std::min(kSpoilt, p.workspace_bytes));
  return workspace;
}

bool read_scalar(const Product& p, const float* at, float& value) {
  if (!at) return true;
  const std::byte* scalar = device_memory(at, sizeof(float), p.name + " (scalar)");
  if (scalar) std::memcpy(&value, scalar, sizeof(float));
  return scalar;
}

void multiply(Product p, Running& running) {
  static std::once_flag one_thread;
  std::call_once(one_thread, [] { openblas_set_num_threads(1); });
  if (!use_workspace(p) || !read_scalar(p, p.alpha_at, p.alpha) || !read_scalar(p, p.beta_at, p.beta)) {
    return running.fail(cudaErrorIllegalAddress);
  }
  for (int i = 0; i < p.batch; ++i) {
    const std::byte* a = p.k ? memory(p, p.a, "A", i) : nullptr;
    const std::byte* b = p.k ? memory(p, p.b, "B", i) : nullptr;
    std::byte* c = memory(p, p.c, "C", i);
    if ((p.k && (!a || !b)) || !c) return running.fail(cudaErrorIllegalAddress);
    multiply_one(p, a, b, c);
  }
}

/// Where the operands must be, reported at the call.
bool placed_well(const Product& p, int device) {
  for (const auto& [matrix, which] : {std::pair(&p.a, "A"), std::pair(&p.b, "B"), std::pair(&p.c, "C")}) {
    if (!matrix->extent()) continue;
    const int where = device_of_memory(matrix->data);
    if (where == device) continue;
    report((where < 0 ? "host pointer: " : "wrong device: ") + p.name + " on device " + std::to_string(device) +
           " was given an operand " + which + " in " + (where < 0 ? "host memory" : "device " + std::to_string(where)));
    return false;
  }
  if (p.c.data == p.a.data || p.c.data == p.b.data) {
    report("overlap: " + p.name + " writes C over an operand that it reads");
    return false;
  }
  if (p.batch > 1 && p.c.stride == 0) {
    report("overlap: " + p.name + " writes every C of its batch to the same place");
    return false;
  }
  return true;
}

/// How alpha and beta are passed: values on the host now, or device memory read when the product runs.
bool take_scalars(Product& p, const cublasContext& handle, const void* alpha, const void* beta) {
  const auto *alpha_at = static_cast<const float*>(alpha), *beta_at = static_cast<const float*>(beta);
  const bool on_device = handle.pointers == CUBLAS_POINTER_MODE_DEVICE;
  if ((device_of_memory(alpha) >= 0) != on_device || (device_of_memory(beta) >= 0) != on_device) {
    report("pointer mode: " + p.name + " was given alpha and beta on the " + (on_device ? "host" : "device") +
           " against its handle's pointer mode");
    return false;
  }
  if (on_device) {
    p.alpha_at = alpha_at;
    p.beta_at = beta_at;
  } else {
    p.alpha = *alpha_at;
    p.beta = *beta_at;
  }
  return true;
}

/// fp32 or bf16 in, fp32 within; the combinations of other types that cuBLAS has are not the stand-in's.
bool computes_in_fp32(const Product& p) {
  const bool fp32 = p.compute == CUBLAS_COMPUTE_32F || p.compute == CUBLAS_COMPUTE_32F_PEDANTIC ||
                    p.compute == CUBLAS_COMPUTE_32F_FAST_TF32 || p.compute == CUBLAS_COMPUTE_32F_FAST_16BF;
  return fp32 && p.a.type == p.b.type && (p.c.type == CUDA_R_32F || p.c.type == p.a.type);
}

struct Scalars {
  const void *alpha, *beta;
};

cublasStatus_t product(cublasHandle_t handle, Product p, Scalars scalars) {
  const cublasStatus_t status = begin_blas_call(p.name.c_str(), handle);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  if (!computes_in_fp32(p)) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (p.m < 0 || p.n < 0 || p.k < 0 || p.batch < 0 || !scalars.alpha || !scalars.beta)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (p.m == 0 || p.n == 0 || p.batch == 0) return CUBLAS_STATUS_SUCCESS;
  const bool a_is_plain = p.transpose_a == CUBLAS_OP_N, b_is_plain = p.transpose_b == CUBLAS_OP_N;
  p.a.rows = a_is_plain ? p.m : p.k, p.a.columns = a_is_plain ? p.k : p.m;
  p.b.rows = b_is_plain ? p.k : p.n, p.b.columns = b_is_plain ? p.n : p.k;
  p.c.rows = p.m, p.c.columns = p.n;
  if (!p.a.well_formed() || !p.b.well_formed() || !p.c.well_formed()) return CUBLAS_STATUS_INVALID_VALUE;
  if (!take_scalars(p, *handle, scalars.alpha, scalars.beta)) return CUBLAS_STATUS_INVALID_VALUE;
  if (!placed_well(p, handle->device)) return CUBLAS_STATUS_INVALID_VALUE;
  if (handle->device != current_device()) {
    report("wrong device: " + p.name + " on a handle of device " + std::to_string(handle->device) + " while device " +
           std::to_string(current_device()) + " is current");
    return CUBLAS_STATUS_EXECUTION_FAILED;
  }
  p.workspace = handle->workspace;
  p.workspace_bytes = handle->workspace_bytes;
  Operation operation;
  operation.name = p.name;
  operation.run = [p](Running& running) { multiply(p, running); };
  return enqueue(handle->stream, std::move(operation)) == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                                                      : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // namespace

extern "C" {

cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t transpose_a, cublasOperation_t transpose_b,
                              int m, int n, int k, const float* alpha, const float* a, int lda, const float* b, int ldb,
                              const float* beta, float* c, int ldc) {
  const Product p{.name = "cublasSgemm",
                  .transpose_a = transpose_a,
                  .transpose_b = transpose_b,
                  .m = m,
                  .n = n,
                  .k = k,
                  .a = {a, CUDA_R_32F, lda},
                  .b = {b, CUDA_R_32F, ldb},
                  .c = {c, CUDA_R_32F, ldc}};
  return product(handle, p, {alpha, beta});
}

cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t handle, cublasOperation_t transpose_a,
                                         cublasOperation_t transpose_b, int m, int n, int k, const float* alpha,
                                         const float* a, int lda, long long stride_a, const float* b, int ldb,
                                         long long stride_b, const float* beta, float* c, int ldc, long long stride_c,
                                         int batch) {
  const Product p{.name = "cublasSgemmStridedBatched",
                  .transpose_a = transpose_a,
                  .transpose_b = transpose_b,
                  .m = m,
                  .n = n,
                  .k = k,
                  .batch = batch,
                  .a = {a, CUDA_R_32F, lda, stride_a},
                  .b = {b, CUDA_R_32F, ldb, stride_b},
                  .c = {c, CUDA_R_32F, ldc, stride_c}};
  return product(handle, p, {alpha, beta});
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t transpose_a, cublasOperation_t transpose_b, int m,
                            int n, int k, const void* alpha, const void* a, cudaDataType a_type, int lda, const void* b,
                            cudaDataType b_type, int ldb, const void* beta, void* c, cudaDataType c_type, int ldc,
                            cublasComputeType_t compute, cublasGemmAlgo_t) {
  const Product p{.name = "cublasGemmEx",
                  .transpose_a = transpose_a,
                  .transpose_b = transpose_b,
                  .m = m,
                  .n = n,
                  .k = k,
                  .a = {a, a_type, lda},
                  .b = {b, b_type, ldb},
                  .c = {c, c_type, ldc},
                  .compute = compute};
  return product(handle, p, {alpha, beta});
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t transpose_a,
                                          cublasOperation_t transpose_b, int m, int n, int k, const void* alpha,
                                          const void* a, cudaDataType a_type, int lda, long long stride_a,
                                          const void* b, cudaDataType b_type, int ldb, long long stride_b,
                                          const void* beta, void* c, cudaDataType c_type, int ldc, long long stride_c,
                                          int batch, cublasComputeType_t compute, cublasGemmAlgo_t) {
  const Product p{.name = "cublasGemmStridedBatchedEx",
                  .transpose_a = transpose_a,
                  .transpose_b = transpose_b,
                  .m = m,
                  .n = n,
                  .k = k,
                  .batch = batch,
                  .a = {a, a_type, lda, stride_a},
                  .b = {b, b_type, ldb, stride_b},
                  .c = {c, c_type, ldc, stride_c},
                  .compute = compute};
  return product(handle, p, {alpha, beta});
}

}  // extern "C"
