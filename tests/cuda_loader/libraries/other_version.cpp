// Stands for a backend that was built with another version of plugin.h.
#include "cuda_backend/plugin.h"

extern "C" const pgram::CudaApi* pgram_cuda_api() {
  static const pgram::CudaApi api{pgram::kCudaApiVersion + 1};
  return &api;
}
