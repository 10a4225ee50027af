#include "cuda_backend/plugin.h"

#include "cuda_backend/calibrate.h"
#include "cuda_backend/cuda_backend.h"
#include "cuda_backend/device_choice.h"

namespace pgram {

static const CudaApi kApi = {
    kCudaApiVersion,
    count_devices,
    [](const Plan& plan, const CudaOptions& options) -> std::unique_ptr<Backend> {
      return std::make_unique<CudaBackend>(plan, options);
    },
    report,
    calibrate_cuda,
};

}  // namespace pgram

extern "C" __attribute__((visibility("default"))) const pgram::CudaApi* pgram_cuda_api() {
  return &pgram::kApi;
}
