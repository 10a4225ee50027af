// Ranks of a communicator as threads of the test, each with a device, a stream and a communicator.
#pragma once
#include <nccl.h>

#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include "tests/emulation_tests/device_array.h"

namespace pgram::emulation {

/// Polls as users of communicators that do not block do; ncclInProgress if that goes on for `seconds`.
inline ncclResult_t settle(ncclComm_t communicator, double seconds = 20) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  ncclResult_t state = ncclInProgress;
  while (state == ncclInProgress && std::chrono::steady_clock::now() < deadline) {
    if (const ncclResult_t result = ncclCommGetAsyncError(communicator, &state); result != ncclSuccess) return result;
    if (state == ncclInProgress) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return state;
}

/// Waits for an error that comes by itself; ncclSuccess if none does within `seconds`.
inline ncclResult_t wait_for_error(ncclComm_t communicator, double seconds = 20) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  ncclResult_t state = ncclSuccess;
  while (state == ncclSuccess && std::chrono::steady_clock::now() < deadline) {
    if (const ncclResult_t result = ncclCommGetAsyncError(communicator, &state); result != ncclSuccess) return result;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return state;
}

inline bool is_idle_within(cudaStream_t stream, double seconds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (cudaStreamQuery(stream) == cudaErrorNotReady) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

struct Rank {
  int rank = 0, ranks = 0;
  ncclComm_t comm = nullptr;
  cudaStream_t stream = nullptr;

  void synchronize() const { EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess); }
  int next() const { return (rank + 1) % ranks; }
  int previous() const { return (rank + ranks - 1) % ranks; }
};

/// Communicators left in the ranks are destroyed with it; a test that aborts one sets it to null.
class Ranks {
 public:
  explicit Ranks(int count, bool blocking = true) : ranks_(size_t(count)) {
    ncclUniqueId id;
    EXPECT_EQ(ncclGetUniqueId(&id), ncclSuccess);
    run([&](Rank& r) {
      EXPECT_EQ(cudaStreamCreateWithFlags(&r.stream, cudaStreamNonBlocking), cudaSuccess);
      ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
      config.blocking = blocking;
      const ncclResult_t result = ncclCommInitRankConfig(&r.comm, count, id, r.rank, &config);
      EXPECT_EQ(result, blocking ? ncclSuccess : ncclInProgress);
      if (!blocking) {
        EXPECT_EQ(settle(r.comm), ncclSuccess);
      }
    });
  }
  ~Ranks() {
    run([](Rank& r) {
      EXPECT_EQ(cudaStreamSynchronize(r.stream), cudaSuccess);
      if (r.comm) {
        EXPECT_EQ(ncclCommDestroy(r.comm), ncclSuccess);
      }
      EXPECT_EQ(cudaStreamDestroy(r.stream), cudaSuccess);
    });
  }
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  /// On a thread per rank, whose device is current there.
  void run(const std::function<void(Rank&)>& what) {
    std::vector<std::thread> threads;
    for (int i = 0; i < int(ranks_.size()); ++i) {
      threads.emplace_back([&, i] {
        Rank& r = ranks_[size_t(i)];
        r.rank = i, r.ranks = int(ranks_.size());
        EXPECT_EQ(cudaSetDevice(i), cudaSuccess);
        what(r);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  Rank& operator[](int rank) { return ranks_[size_t(rank)]; }

 private:
  std::vector<Rank> ranks_;
};

}  // namespace pgram::emulation
