#include "cli/cuda.h"

#include "cli/command.h"
#include "cuda_backend/loader.h"

namespace pgram::cli {

const CudaApi& usable_cuda() {
  const LoadedCuda cuda = load_cuda_backend();
  if (!cuda) throw InputError("--backend cuda", cuda.reason);
  try {
    cuda.api->count_devices();
  } catch (const RunError& error) {
    throw NoDevice(error.what());
  }
  return *cuda.api;
}

}  // namespace pgram::cli
