// A Plan without a model, whose ranks a test drives by hand: one thread, stream and set of buffers for each.
#pragma once
#include <cuda_runtime.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/plan/plan.h"
#include "cuda_backend/communication.h"
#include "cuda_backend/handles.h"

namespace pgram::testing {

/// Communicators of a mesh: "tp", "dp", "all"; then, for each pair of neighbouring roles r and r + 1, the channels
/// "f r>r+1" and "b r+1>r". Paired: both on one stream per neighbour.
Plan mesh_plan(uint32_t tp, uint32_t dp, uint32_t pp, bool paired = false);
enum MeshComm : uint16_t { kTensor, kData, kAll, kFirstChannel };
inline uint16_t forward_channel(uint32_t role) {
  return static_cast<uint16_t>(kFirstChannel + 2 * role);
}
inline uint16_t backward_channel(uint32_t role) {
  return static_cast<uint16_t>(kFirstChannel + 2 * role + 1);
}

/// One rank, on its own thread.
class Rank {
 public:
  Rank(const Plan&, uint32_t rank, int device, std::unique_ptr<Communication>);
  ~Rank();

  /// A buffer of the device that holds these numbers.
  Tensor upload(const std::vector<float>&);
  /// The numbers come into it only after much other work of the stream, which this does not wait for.
  Tensor upload_late(const std::vector<float>&);
  Tensor empty(size_t count) { return upload(std::vector<float>(count, -1)); }
  std::vector<float> download(const Tensor&);

  enum Group { kAlone, kOpens, kCloses };
  void issue(Kernel, uint16_t comm, const std::vector<Tensor>& operands, Group = kAlone);
  /// Waits for the stream as a run does. RunError for errors of communication; false when it is not idle in time.
  bool synchronize(double seconds = 20);
  /// The same after an abort, when there is nobody to ask for errors.
  bool idle_within(double seconds);

  uint32_t number() const { return rank_; }
  std::array<uint32_t, kMeshAxes> at() const { return plan_.mesh.coordinates(rank_); }
  Communication& communication() { return *communication_; }

 private:
  const Plan& plan_;
  const uint32_t rank_;
  std::unique_ptr<Communication> communication_;
  CudaStream stream_;
  PinnedMemory pinned_;
  std::vector<DeviceMemory> memory_;
  std::vector<std::unique_ptr<Op>> ops_;
};

/// Opens every rank on a thread of its own, device r for rank r or one for all, and runs `body`. What each ended with.
std::vector<std::string> on_ranks(const Plan&, Connections&, bool one_device, const std::function<void(Rank&)>& body);

}  // namespace pgram::testing
