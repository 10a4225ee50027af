#include "cuda_backend/cuda_backend.h"

#include "cuda_backend/cuda_rank.h"
#include "cuda_backend/handles.h"
#include "cuda_backend/nccl_communication.h"
#include "cuda_backend/process_place.h"

namespace pgram {
namespace {

ProcessPlace place_for(const Plan& plan) {
  const ProcessPlace place = process_place();
  require_processes(place, plan.mesh.ranks());
  return place;
}

ProcessesOptions waiting(const CudaOptions& options) {
  ProcessesOptions waiting;
  waiting.start_timeout = options.start_timeout;
  // The others may be in the middle of a task until its time is up.
  waiting.wait_timeout = 2 * options.task_timeout + options.abort_timeout;
  return waiting;
}

std::string version_text(int version, int major_unit, int minor_unit) {
  return std::to_string(version / major_unit) + "." + std::to_string(version % major_unit / minor_unit);
}

}  // namespace

CudaBackend::CudaBackend(const Plan& plan, const CudaOptions& options)
    : processes_(place_for(plan), waiting(options)),
      devices_(choose_devices(plan, options, processes_)),
      run_(plan, options, processes_) {}

std::vector<uint32_t> CudaBackend::local_ranks() const {
  std::vector<uint32_t> ranks;
  for (const auto& [rank, ordinal] : devices_.ordinal) ranks.push_back(rank);
  return ranks;
}

std::unique_ptr<RankDevice> CudaBackend::open(uint32_t rank) {
  const int device = devices_.ordinal.at(rank);
  try {
    use_device(device);
    return std::make_unique<CudaRank>(run_, rank, device, run_.connect(rank));
  } catch (const CudaError& error) {
    throw RunError("rank " + std::to_string(rank) + ": " + error.what());
  }
}

std::map<std::string, std::string> CudaBackend::facts() const {
  const CudaReport machine = library_versions();
  std::string gpus;
  for (const std::string& name : devices_.gpu_names) gpus += (gpus.empty() ? "" : ", ") + name;
  std::map<std::string, std::string> facts = {
      {"gpu", gpus},
      {"driver", "CUDA " + version_text(machine.driver, 1000, 10)},
      {"cuda", version_text(machine.runtime, 1000, 10)},
      {"cublas", version_text(machine.cublas, 10000, 100)},
      {"clock", "events tied to the host's clock after every step, to within " + format_time(run_.clock_uncertainty())},
      {"processes", std::to_string(processes_.size())}};
  if (processes_.index() != 0) {
    const ClockOffset clock = processes_.clock();
    facts["clock offset"] = format_time(clock.offset) + " to process 0's, to within " + format_time(clock.uncertainty);
  }
  if (run_.plan.mesh.ranks() == 1) return facts;
  facts["communication"] =
      run_.options.share_gpu ? "copies and sums on one shared GPU, without NCCL" : "NCCL " + nccl_version();
  return facts;
}

}  // namespace pgram
