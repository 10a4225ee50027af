// What the CUDA backend's shared library gives to the program that loads it. No header of CUDA is needed to read this.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "core/cluster/cluster.h"
#include "core/exec/backend.h"
#include "core/plan/plan.h"

namespace pgram {

struct CudaOptions {
  bool deterministic = false;  ///< bit-equal repeats: cuBLAS without atomics, reductions in a fixed order
  bool share_gpu = false;      ///< all ranks on device 0, with own copy and reduce collectives in place of NCCL
  double task_timeout = 120;   ///< seconds that a task may take before the run is aborted, naming it
  double start_timeout = 120;  ///< seconds that ranks wait for each other at the start
  double abort_timeout = 10;   ///< seconds in which an aborted run's streams and communicators must end, or are left
  std::vector<int> devices;    ///< CUDA ordinals of this process's ranks; empty: rank's place among them, 0, 1, ...
};

/// What `pgram doctor` shows of this machine's GPUs.
struct CudaReport {
  struct Gpu {
    std::string name, pci;
    int major = 0, minor = 0, multiprocessors = 0;
    uint64_t memory_bytes = 0;
  };
  std::string error;                                  ///< why no GPU is usable; empty if one is
  int driver = 0, runtime = 0, cublas = 0, nccl = 0;  ///< as the libraries give them: 13000, 13000, 130002, 22809
  std::vector<Gpu> gpus;
};

struct CudaCalibrateOptions {
  double seconds_budget = 60;
  std::vector<const Plan*> plans;  ///< their kernels' exact shapes are measured as well
  int devices = 0;                 ///< for collectives; 0 = all
  std::stop_token stop;
  std::function<void(double fraction, const std::string& what)> progress;
};

/// Raised with every change of this file or of what it includes: the library and the program are built together.
constexpr uint32_t kCudaApiVersion = 2;

struct CudaApi {
  uint32_t version = kCudaApiVersion;
  /// Number of usable GPUs. RunError in one line when there is no driver, no device, or the driver is too old.
  int (*count_devices)() = nullptr;
  /// Everything that can be refused is refused here, before memory is allocated: InputError for too few GPUs, mixed
  /// kinds, a plan that does not fit (with the bytes per kind of buffer) and operations that this backend lacks.
  /// The Plan outlives the backend.
  std::unique_ptr<Backend> (*make_backend)(const Plan&, const CudaOptions&) = nullptr;
  CudaReport (*report)() = nullptr;
  /// One GPU of this machine as a Device, with measured tables.
  Device (*calibrate)(const CudaCalibrateOptions&) = nullptr;
};

constexpr const char* kCudaApiSymbol = "pgram_cuda_api";  ///< extern "C" const CudaApi* pgram_cuda_api();

}  // namespace pgram
