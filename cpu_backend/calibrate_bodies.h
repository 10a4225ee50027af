// Micro-benchmarks of a Body's compute ops; private to calibration.
#pragma once
#include <array>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <stop_token>
#include <thread>
#include <vector>

#include "core/exec/backend.h"
#include "cpu_backend/kernels/kernels.h"

namespace pgram {

/// A body with operands of its own, whose compute ops run in the body's order on the calling thread. Communication is
/// left out. Every pass takes the next slots, as the calls of a program do.
class BodyBench {
 public:
  /// `slots`: by formal, how many slots of its record take turns. RunError if there is no memory for them.
  BodyBench(const Plan&, uint16_t body, const std::vector<uint32_t>& slots, KernelSet, int threads);

  /// Runs every compute op once; seconds by op of the body, 0 for communication.
  const std::vector<Seconds>& pass();

 private:
  struct Buffer {
    uint16_t record = 0;
    uint32_t slots = 0;
    uint64_t bytes = 0;  ///< of a slot
    std::unique_ptr<std::byte, void (*)(void*)> memory{nullptr, nullptr};
    std::vector<std::byte> fresh;  ///< an edge's content, written again before every pass
  };
  struct Step {
    Launch launch;
    uint32_t op = 0;
    std::array<uint8_t, kMaxOperands> formal{};
    std::array<uint64_t, kMaxOperands> offset{};
  };
  void make_buffers(const std::vector<uint32_t>& slots);
  void fill(std::byte*, const Record&);
  void make_steps();
  std::byte* address(uint32_t formal) const;

  const Plan& plan_;
  const Body& body_;
  const KernelSet kernels_;
  const RankInfo rank_;
  Hyperparameters hyperparameters_;
  std::minstd_rand random_{1};
  std::vector<Buffer> buffers_;
  std::vector<uint32_t> buffer_of_, place_of_;  ///< by formal; place: how many formals before it share the buffer
  std::vector<Step> steps_;
  std::vector<int32_t> host_tokens_;
  std::vector<Seconds> seconds_;
  uint64_t passes_ = 0;
};

/// How many threads a device has, and how many devices work at the same time.
struct Team {
  uint32_t threads = 1, busy = 1;
  auto operator<=>(const Team&) const = default;
};

/// Threads that live through a calibration, so that their OpenMP teams and places on the cores are settled.
class Crew {
 public:
  explicit Crew(uint32_t size);
  ~Crew();
  /// Runs `work` on the first `busy` threads at once and waits for them. Rethrows what one threw.
  void run(uint32_t busy, const std::function<void()>& work);

 private:
  void live(uint32_t index);
  std::mutex mutex_;
  std::condition_variable changed_;
  const std::function<void()>* work_ = nullptr;
  uint64_t job_ = 0;
  uint32_t busy_ = 0, running_ = 0;
  bool closing_ = false;
  std::exception_ptr failure_;
  std::vector<std::thread> threads_;
};

struct BodyCase {
  const Plan* plan = nullptr;
  uint16_t body = 0;
  std::vector<uint32_t> slots;  ///< by formal, how many slots of its record take turns
  Bytes flushed = 0;            ///< other memory that is touched between two passes
};

/// Samples by op of the body: passes of `team.busy` benches at once for about `seconds`, but a few passes at least.
std::vector<std::vector<Seconds>> measure_body(Crew&, const BodyCase&, KernelSet, Team, Seconds seconds,
                                               const std::stop_token&);

/// Mean of what is at most twice the median. A step is the sum of many tasks, so that means count; what interrupts a
/// task once in a while (another program) does not belong to it.
Seconds typical(std::vector<Seconds>);

}  // namespace pgram
