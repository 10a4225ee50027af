#include "cuda_backend/device_choice.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "core/base/errors.h"
#include "core/base/units.h"
#include "core/plan/memory_bill.h"
#include "cuda_backend/cuda_rank.h"
#include "cuda_backend/dispatch.h"
#include "cuda_backend/gpu_statement.h"
#include "cuda_backend/handles.h"
#include "cuda_backend/program_tasks.h"

namespace pgram {
namespace {

/// 13000 -> "13.0"
std::string cuda_version(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string plural(uint64_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

struct Gpu {
  std::string name, pci;
  int major = 0, minor = 0;
  uint64_t free = 0;
};

std::string pci_of(int ordinal) {
  std::array<char, 32> text{};
  PGRAM_CHECK(cudaDeviceGetPCIBusId(text.data(), text.size(), ordinal));
  return text.data();
}

Gpu look_at(int ordinal) {
  use_device(ordinal);
  cudaDeviceProp properties{};
  PGRAM_CHECK(cudaGetDeviceProperties(&properties, ordinal));
  size_t free = 0, total = 0;
  PGRAM_CHECK(cudaMemGetInfo(&free, &total));
  return {properties.name, pci_of(ordinal), properties.major, properties.minor, free};
}

/// Ranks [first, first + count) of the plan.
struct Share {
  uint32_t first = 0, count = 0;
};

/// One process runs all ranks, or each process its own.
Share share_of(const Plan& plan, const Processes& processes) {
  if (processes.size() == 1) return {0, plan.mesh.ranks()};
  return {processes.index(), 1};
}

/// CUDA ordinals of the share's ranks.
std::vector<int> ordinals_of(Share share, const CudaOptions& options, const Processes& processes, int devices) {
  if (options.share_gpu) {
    if (processes.size() > 1) {
      throw InputError("--share-gpu", "shares a GPU between the threads of one process, but " +
                                          std::to_string(processes.size()) + " processes were started; start one");
    }
    const int ordinal = options.devices.empty() ? 0 : options.devices.front();
    if (options.devices.size() > 1 || ordinal < 0 || ordinal >= devices) {
      throw InputError("--devices", "expected one GPU below " + std::to_string(devices) + " with --share-gpu");
    }
    return std::vector<int>(share.count, ordinal);
  }
  std::vector<int> ordinals = options.devices;
  if (ordinals.empty()) {
    // A launcher may show every process only its own GPUs.
    const bool own = static_cast<uint32_t>(devices) == share.count;
    const uint32_t first = own ? 0 : processes.place().local_index * share.count;
    for (uint32_t i = 0; i < share.count; ++i) ordinals.push_back(static_cast<int>(first + i));
    if (first + share.count > static_cast<uint32_t>(devices)) {
      throw InputError("--backend cuda", "the layout needs " + plural(first + share.count, "GPU") +
                                             " on this machine, one for each rank, " + "but there " +
                                             (devices == 1 ? "is " : "are ") + std::to_string(devices) +
                                             "; use a smaller layout, or --share-gpu to run all ranks on one GPU");
    }
    return ordinals;
  }
  if (ordinals.size() != share.count) {
    throw InputError("--devices", "names " + plural(ordinals.size(), "GPU") +
                                      ", expected one for each of this process's " + plural(share.count, "rank"));
  }
  for (int ordinal : ordinals) {
    if (ordinal < 0 || ordinal >= devices || std::count(ordinals.begin(), ordinals.end(), ordinal) > 1) {
      throw InputError("--devices", "GPU " + std::to_string(ordinal) + " is not there or named twice; expected " +
                                        "different numbers below " + std::to_string(devices));
    }
  }
  return ordinals;
}

uint64_t workspace_of(const PreparedPlan& prepared, uint32_t rank, int major) {
  const ProgramTasks tasks(prepared, rank);
  const auto computing =
      std::count_if(tasks.streams.begin(), tasks.streams.end(), [](const StreamUse& use) { return use.computes; });
  return static_cast<uint64_t>(computing) *
         (blas_workspace_bytes(major) + workspace_bytes(prepared.plan, prepared.plan.role(rank)));
}

/// All ranks that one GPU holds, against its free memory.
void refuse_what_does_not_fit(const PreparedPlan& prepared, const std::vector<uint32_t>& ranks, int ordinal,
                              const Gpu& gpu) {
  const std::vector<MemoryBill> bills = memory_bill(prepared.plan);
  MemoryBill sum;
  uint64_t workspace = 0;
  for (uint32_t rank : ranks) {
    const MemoryBill& bill = bills[prepared.plan.role(rank)];
    for (size_t kind = 0; kind < bill.bytes.size(); ++kind) sum.bytes[kind] += bill.bytes[kind];
    sum.total += bill.total;
    workspace += workspace_of(prepared, rank, gpu.major);
  }
  const uint64_t needed = sum.total + workspace;
  if (needed <= gpu.free) return;
  const std::string who =
      ranks.size() == 1
          ? "rank " + std::to_string(ranks[0]) + " (pipeline rank " + std::to_string(prepared.plan.role(ranks[0])) + ")"
          : "ranks " + std::to_string(ranks.front()) + " to " + std::to_string(ranks.back()) + " together";
  throw InputError("memory", format_bytes(needed) + " needed by " + who + ", " + format_bytes(gpu.free) +
                                 " free on GPU " + std::to_string(ordinal) + " (" + gpu.name + "): does not fit, " +
                                 format_bytes(needed - gpu.free) + " too much; of it " + breakdown_text(sum) + ", " +
                                 format_bytes(workspace) + " workspace");
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "?";
}

GpuStatement inspect(const Plan& plan, const CudaOptions& options, const Processes& processes, DeviceChoice& choice) {
  const PreparedPlan prepared(plan);
  if (const std::string lacking = unsupported(plan); !lacking.empty()) {
    throw InputError("plan", "the CUDA backend cannot run it: " + lacking);
  }
  const Share share = share_of(plan, processes);
  const std::vector<int> ordinals = ordinals_of(share, options, processes, count_devices());
  std::map<int, std::vector<uint32_t>> ranks_of;
  for (uint32_t i = 0; i < share.count; ++i) {
    choice.ordinal[share.first + i] = ordinals[i];
    ranks_of[ordinals[i]].push_back(share.first + i);
  }
  GpuStatement statement;
  std::vector<Gpu> gpus;
  for (const auto& [ordinal, ranks] : ranks_of) {
    const Gpu gpu = look_at(ordinal);
    if (gpu.major < kOldestCapability) {
      throw InputError("devices", "GPU " + std::to_string(ordinal) + " (" + gpu.name + ") has compute capability " +
                                      std::to_string(gpu.major) + "." + std::to_string(gpu.minor) + ", expected " +
                                      std::to_string(kOldestCapability) + ".0 or later");
    }
    refuse_what_does_not_fit(prepared, ranks, ordinal, gpu);
    statement.names.push_back(gpu.name);
    statement.places.push_back(host_name() + " " + gpu.pci);
  }
  return statement;
}

}  // namespace

int count_devices() {
  int count = 0, driver = 0, runtime = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess && count > 0) return count;
  static_cast<void>(cudaGetLastError());
  PGRAM_CHECK(cudaRuntimeGetVersion(&runtime));
  if (cudaDriverGetVersion(&driver) != cudaSuccess) driver = 0;
  if (driver == 0) {
    throw RunError("no NVIDIA driver was found on this machine; install one for CUDA " + cuda_version(runtime) +
                   " or later, or use --backend cpu");
  }
  if (status == cudaErrorInsufficientDriver) {
    throw RunError("no NVIDIA driver for CUDA " + cuda_version(runtime) + ": this machine's knows CUDA " +
                   cuda_version(driver) + " only; update it, or use --backend cpu");
  }
  if (status == cudaSuccess || status == cudaErrorNoDevice) {
    throw RunError(
        "no NVIDIA GPU is visible, though there is a driver; look at nvidia-smi and CUDA_VISIBLE_DEVICES, or "
        "use --backend cpu");
  }
  throw RunError(std::string("no NVIDIA driver that works: ") + cudaGetErrorName(status) + " (" +
                 cudaGetErrorString(status) + "); look at nvidia-smi, or use --backend cpu");
}

DeviceChoice choose_devices(const Plan& plan, const CudaOptions& options, Processes& processes) {
  DeviceChoice choice;
  GpuStatement mine;
  try {
    mine = inspect(plan, options, processes, choice);
  } catch (const std::exception& error) {
    if (processes.size() == 1) throw;
    mine.refusal = error.what();
  }
  std::vector<GpuStatement> statements;
  for (const std::string& text : processes.gather(mine.to_text())) statements.push_back(GpuStatement::from_text(text));
  const std::string refusal = processes.broadcast(refusal_of(statements, options.share_gpu));
  if (!refusal.empty()) throw InputError("", refusal);
  std::sort(mine.names.begin(), mine.names.end());
  mine.names.erase(std::unique(mine.names.begin(), mine.names.end()), mine.names.end());
  choice.gpu_names = mine.names;
  return choice;
}

CudaReport library_versions() {
  CudaReport report;
  static_cast<void>(cudaDriverGetVersion(&report.driver));
  static_cast<void>(cudaRuntimeGetVersion(&report.runtime));
  static_cast<void>(ncclGetVersion(&report.nccl));
  int part[3] = {};
  const libraryPropertyType kinds[] = {MAJOR_VERSION, MINOR_VERSION, PATCH_LEVEL};
  for (int i = 0; i < 3; ++i) static_cast<void>(cublasGetProperty(kinds[i], &part[i]));
  report.cublas = part[0] * 10000 + part[1] * 100 + part[2];
  return report;
}

CudaReport report() {
  CudaReport report = library_versions();
  try {
    const int devices = count_devices();
    for (int i = 0; i < devices; ++i) {
      cudaDeviceProp properties{};
      PGRAM_CHECK(cudaGetDeviceProperties(&properties, i));
      report.gpus.push_back({properties.name, pci_of(i), properties.major, properties.minor,
                             properties.multiProcessorCount, properties.totalGlobalMem});
    }
  } catch (const RunError& error) {
    report.error = error.what();
  }
  return report;
}

}  // namespace pgram
