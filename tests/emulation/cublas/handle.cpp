// cublasCreate and what is set on a handle.
#include "tests/emulation/cublas/handle.h"

#include <mutex>
#include <set>
#include <vector>

#include "tests/emulation/runtime/runtime.h"

namespace pgram::emulation {
namespace {

/// Handles are never freed, so that a destroyed one is known for what it is.
struct Handles {
  std::mutex mutex;
  std::set<cublasHandle_t> live;
  std::vector<cublasHandle_t> destroyed;
};

Handles& handles() {
  static auto& all = *new Handles;
  return all;
}

}  // namespace

cublasStatus_t begin_blas_call(const char* call, cublasHandle_t handle) {
  if (const int planned = enter(call)) return static_cast<cublasStatus_t>(planned);
  std::lock_guard lock(handles().mutex);
  if (handles().live.count(handle)) return CUBLAS_STATUS_SUCCESS;
  report(std::string("no cuBLAS handle: ") + call + (handle ? " on a handle that was destroyed" : " on a null handle"));
  return CUBLAS_STATUS_NOT_INITIALIZED;
}

}  // namespace pgram::emulation

using namespace pgram::emulation;

namespace {

/// Sets `member` of the handle.
template <auto member, class Value>
cublasStatus_t set(const char* call, cublasHandle_t handle, Value value) {
  const cublasStatus_t status = begin_blas_call(call, handle);
  if (status == CUBLAS_STATUS_SUCCESS) handle->*member = value;
  return status;
}

template <auto member, class Value>
cublasStatus_t get(const char* call, cublasHandle_t handle, Value* value) {
  const cublasStatus_t status = begin_blas_call(call, handle);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  if (!value) return CUBLAS_STATUS_INVALID_VALUE;
  *value = handle->*member;
  return status;
}

}  // namespace

extern "C" {

cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  if (const int planned = enter("cublasCreate")) return static_cast<cublasStatus_t>(planned);
  if (!handle) return CUBLAS_STATUS_INVALID_VALUE;
  *handle = new cublasContext;
  (*handle)->device = current_device();
  std::lock_guard lock(handles().mutex);
  handles().live.insert(*handle);
  count_live(1, 0);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
  const cublasStatus_t status = begin_blas_call("cublasDestroy", handle);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  std::lock_guard lock(handles().mutex);
  handles().live.erase(handle);
  handles().destroyed.push_back(handle);
  count_live(-1, 0);
  return status;
}

cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
  const cublasStatus_t status = begin_blas_call("cublasSetStream", handle);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  handle->stream = stream;
  // So says cuBLAS's documentation: the workspace is to be set after the stream, or the library's own is used.
  handle->workspace = nullptr;
  handle->workspace_bytes = 0;
  return status;
}

cublasStatus_t cublasGetStream_v2(cublasHandle_t handle, cudaStream_t* stream) {
  return get<&cublasContext::stream>("cublasGetStream", handle, stream);
}

cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void* workspace, size_t bytes) {
  const cublasStatus_t status = begin_blas_call("cublasSetWorkspace", handle);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  constexpr uintptr_t kAlignment = 256;
  if (reinterpret_cast<uintptr_t>(workspace) % kAlignment) return CUBLAS_STATUS_INVALID_VALUE;
  if (bytes > 0 && device_of_memory(workspace) != handle->device) {
    report("wrong device: the workspace of a cuBLAS handle of device " + std::to_string(handle->device) +
           " is not there");
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  handle->workspace = workspace;
  handle->workspace_bytes = bytes;
  return status;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
  return set<&cublasContext::math>("cublasSetMathMode", handle, mode);
}
cublasStatus_t cublasGetMathMode(cublasHandle_t handle, cublasMath_t* mode) {
  return get<&cublasContext::math>("cublasGetMathMode", handle, mode);
}
cublasStatus_t cublasSetAtomicsMode(cublasHandle_t handle, cublasAtomicsMode_t mode) {
  return set<&cublasContext::atomics>("cublasSetAtomicsMode", handle, mode);
}
cublasStatus_t cublasGetAtomicsMode(cublasHandle_t handle, cublasAtomicsMode_t* mode) {
  return get<&cublasContext::atomics>("cublasGetAtomicsMode", handle, mode);
}
cublasStatus_t cublasSetPointerMode_v2(cublasHandle_t handle, cublasPointerMode_t mode) {
  return set<&cublasContext::pointers>("cublasSetPointerMode", handle, mode);
}
cublasStatus_t cublasGetPointerMode_v2(cublasHandle_t handle, cublasPointerMode_t* mode) {
  return get<&cublasContext::pointers>("cublasGetPointerMode", handle, mode);
}

cublasStatus_t cublasGetVersion_v2(cublasHandle_t handle, int* version) {
  const cublasStatus_t status = begin_blas_call("cublasGetVersion", handle);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  if (!version) return CUBLAS_STATUS_INVALID_VALUE;
  *version = CUBLAS_VERSION;
  return status;
}

cublasStatus_t cublasGetProperty(libraryPropertyType type, int* value) {
  if (const int planned = enter("cublasGetProperty")) return static_cast<cublasStatus_t>(planned);
  if (!value) return CUBLAS_STATUS_INVALID_VALUE;
  *value = type == MAJOR_VERSION ? CUBLAS_VER_MAJOR : type == MINOR_VERSION ? CUBLAS_VER_MINOR : CUBLAS_VER_PATCH;
  return CUBLAS_STATUS_SUCCESS;
}

const char* cublasGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_ARCH_MISMATCH:
      return "CUBLAS_STATUS_ARCH_MISMATCH";
    case CUBLAS_STATUS_MAPPING_ERROR:
      return "CUBLAS_STATUS_MAPPING_ERROR";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_INTERNAL_ERROR:
      return "CUBLAS_STATUS_INTERNAL_ERROR";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
    case CUBLAS_STATUS_LICENSE_ERROR:
      return "CUBLAS_STATUS_LICENSE_ERROR";
  }
  return "<unknown>";
}

const char* cublasGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "success";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "the library was not initialized";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "the resource allocation failed";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "an unsupported value or parameter was passed to the function";
    case CUBLAS_STATUS_ARCH_MISMATCH:
      return "the requested functionality requires a feature absent from the device architecture";
    case CUBLAS_STATUS_MAPPING_ERROR:
      return "an access to GPU memory space failed";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "the function failed to launch on the GPU";
    case CUBLAS_STATUS_INTERNAL_ERROR:
      return "an internal operation failed";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "the functionality requested is not supported";
    case CUBLAS_STATUS_LICENSE_ERROR:
      return "the functionality requested requires some license and an error was detected";
  }
  return "<unknown>";
}

}  // extern "C"
