#include "cuda_backend/check.h"

#include <string>

namespace pgram {

static std::string failure_text(const char* expression, const char* file, int line, const char* name,
                                const char* text) {
  return std::string(expression) + " failed at " + file + ":" + std::to_string(line) + ": " + name + " (" + text + ")";
}

CudaError::CudaError(const char* expression, const char* file, int line, const char* name, const char* text)
    : RunError(failure_text(expression, file, line, name, text)) {}

void check(cudaError_t status, const char* expression, const char* file, int line) {
  if (status == cudaSuccess) return;
  // What can be forgotten is forgotten, so that it is not found again by a later call that has nothing to do with it.
  static_cast<void>(cudaGetLastError());
  throw CudaError(expression, file, line, cudaGetErrorName(status), cudaGetErrorString(status));
}

void check(cublasStatus_t status, const char* expression, const char* file, int line) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw CudaError(expression, file, line, cublasGetStatusName(status), cublasGetStatusString(status));
}

static const char* name_of(ncclResult_t status) {
  switch (status) {
    case ncclUnhandledCudaError:
      return "ncclUnhandledCudaError";
    case ncclSystemError:
      return "ncclSystemError";
    case ncclInternalError:
      return "ncclInternalError";
    case ncclInvalidArgument:
      return "ncclInvalidArgument";
    case ncclInvalidUsage:
      return "ncclInvalidUsage";
    case ncclRemoteError:
      return "ncclRemoteError";
    default:
      return "an NCCL error";
  }
}

void check(ncclResult_t status, const char* expression, const char* file, int line) {
  // A communicator that does not block says so while it works.
  if (status == ncclSuccess || status == ncclInProgress) return;
  throw CudaError(expression, file, line, name_of(status), ncclGetErrorString(status));
}

}  // namespace pgram
