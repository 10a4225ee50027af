// The CUDA backend: every rank is a thread with a GPU of its own, in one process or in one process per GPU; or all
// ranks share one GPU.
#pragma once
#include <memory>

#include "core/exec/backend.h"
#include "cuda_backend/cuda_run.h"
#include "cuda_backend/device_choice.h"
#include "cuda_backend/plugin.h"

namespace pgram {

/// Restriction: float32 and int32 fields only; opaque tasks take no time. The Plan outlives the backend.
class CudaBackend : public Backend {
 public:
  /// Refuses what CudaApi::make_backend says. Called by all processes.
  CudaBackend(const Plan&, const CudaOptions&);

  std::string name() const override { return "cuda"; }
  std::vector<uint32_t> local_ranks() const override;
  /// Blocks until all ranks are being opened: their communicators are made together.
  std::unique_ptr<RankDevice> open(uint32_t rank) override;
  Picoseconds now() const override { return run_.now(); }
  ProcessGroup& processes() override { return processes_; }
  std::map<std::string, std::string> facts() const override;
  void abort(const std::string& reason) override { run_.abort(reason); }

 private:
  Processes processes_;
  const DeviceChoice devices_;
  CudaRun run_;
};

}  // namespace pgram
