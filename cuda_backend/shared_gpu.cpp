#include "cuda_backend/shared_gpu.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "core/base/units.h"
#include "cuda_backend/handles.h"
#include "cuda_backend/kernels/collectives.h"

namespace pgram {
namespace {

std::string describe(const Launch& launch) {
  uint64_t bytes = 0;
  for (int i = 0; i < launch.op->num_operands; ++i) bytes += launch.operands[i].bytes;
  return std::string(name_of(launch.op->kernel)) + " of " + std::to_string(bytes) + " bytes";
}

/// One group of ranks, or the two ends of a channel.
class Meeting {
 public:
  Meeting(std::vector<uint32_t> ranks, std::string name)
      : ranks_(std::move(ranks)), name_(std::move(name)), members_(ranks_.size()) {}

  /// Before the member's first task, with the device set.
  void open(uint32_t rank) {
    Member& member = members_[number(rank)];
    if (!member.ready) member.ready = make_event(EventKind::order);
    std::lock_guard lock(mutex_);
    if (!done_) done_ = make_event(EventKind::order);
  }

  /// The member's task has come to its stream. The last member puts the work on its own.
  void arrive(const Launch& launch, cudaStream_t stream) {
    Member& member = members_[number(launch.task.rank)];
    PGRAM_CHECK(cudaEventRecord(member.ready.get(), stream));
    std::lock_guard lock(mutex_);
    member.launch = launch;
    member.arrived = true;
    if (++arrived_ < members_.size()) return;
    try {
      meet(stream);
    } catch (const RunError& error) {
      failure_ = error.what();
    }
    for (Member& each : members_) each.arrived = false;
    arrived_ = 0;
    ++rounds_;
    changed_.notify_all();
  }

  /// After arrive(): what comes next on the stream comes after the work.
  void leave(uint32_t rank, cudaStream_t stream, double timeout, const std::atomic<bool>& aborted) {
    Member& member = members_[number(rank)];
    const uint64_t round = ++member.rounds;
    {
      std::unique_lock lock(mutex_);
      const bool met =
          changed_.wait_for(lock, std::chrono::duration<double>(timeout), [&] { return rounds_ >= round || aborted; });
      if (!failure_.empty()) throw RunError(failure_);
      if (aborted) throw RunError("the run was aborted");
      if (!met)
        throw RunError(absent() + " did not come to " + name_ + " within " + format_time(to_picoseconds(timeout)));
    }
    PGRAM_CHECK(cudaStreamWaitEvent(stream, done_.get(), 0));
  }

  void wake() {
    std::lock_guard lock(mutex_);
    changed_.notify_all();
  }

 private:
  struct Member {
    CudaEvent ready;
    Launch launch;
    bool arrived = false;
    uint64_t rounds = 0;  ///< only its own thread touches it
  };

  size_t number(uint32_t rank) const {
    const auto here = std::find(ranks_.begin(), ranks_.end(), rank);
    if (here == ranks_.end()) throw RunError("does not belong to communicator " + name_);
    return static_cast<size_t>(here - ranks_.begin());
  }

  std::string absent() const {
    std::string text;
    for (size_t m = 0; m < members_.size(); ++m) {
      if (!members_[m].arrived) text += (text.empty() ? "rank " : ", rank ") + std::to_string(ranks_[m]);
    }
    return text;
  }

  void meet(cudaStream_t stream) {
    check_match();
    for (const Member& member : members_) PGRAM_CHECK(cudaStreamWaitEvent(stream, member.ready.get(), 0));
    work(stream);
    PGRAM_CHECK(cudaEventRecord(done_.get(), stream));
  }

  void check_match() const {
    const Launch& first = members_[0].launch;
    const bool channel = is_point_to_point(first.op->kernel);
    for (size_t m = 1; m < members_.size(); ++m) {
      const Launch& other = members_[m].launch;
      bool same = channel ? other.op->kernel != first.op->kernel && is_point_to_point(other.op->kernel)
                          : other.op->kernel == first.op->kernel;
      same &= other.op->num_operands == first.op->num_operands;
      for (int i = 0; same && i < first.op->num_operands; ++i)
        same = other.operands[i].bytes == first.operands[i].bytes;
      if (same) continue;
      throw RunError("meets " + describe(other) + " of rank " + std::to_string(ranks_[m]) + " with " + describe(first) +
                     " of rank " + std::to_string(ranks_[0]) + " on " + name_ +
                     ": the ranks' communication is out of order");
    }
  }

  kernels::MemberBuffers buffers(int operand) const {
    kernels::MemberBuffers buffers{};
    for (size_t m = 0; m < members_.size(); ++m) buffers.of[m] = members_[m].launch.operands[operand].f32();
    return buffers;
  }

  void work(cudaStream_t stream) const {
    const Launch& launch = members_[0].launch;
    const int members = static_cast<int>(members_.size());
    const auto& x = launch.operands;
    for (int i = 0; i < launch.op->num_operands; ++i) {
      if (size_of(x[i].dtype) != sizeof(float)) throw RunError("ranks on one card exchange 4-byte numbers only");
    }
    switch (launch.op->kernel) {
      case Kernel::all_reduce:
      case Kernel::all_reduce_max:
        for (int i = 0; i < launch.op->num_operands; ++i) {
          PGRAM_CHECK(kernels::all_reduce(buffers(i), members, x[i].count(),
                                          launch.op->kernel == Kernel::all_reduce_max, stream));
        }
        return;
      case Kernel::all_gather:
        if (x[1].bytes * members_.size() > x[0].bytes) throw RunError("gathers more than its buffer holds");
        PGRAM_CHECK(kernels::all_gather(buffers(0), buffers(1), members, x[1].count(), stream));
        return;
      case Kernel::reduce_scatter:
        if (x[0].bytes * members_.size() > x[1].bytes) throw RunError("scatters more than its buffer holds");
        PGRAM_CHECK(kernels::reduce_scatter(buffers(0), buffers(1), members, x[0].count(), stream));
        return;
      default: {
        const bool first_sends = launch.op->kernel == Kernel::send;
        const Launch& from = members_[first_sends ? 0 : 1].launch;
        const Launch& to = members_[first_sends ? 1 : 0].launch;
        for (int i = 0; i < launch.op->num_operands; ++i) {
          PGRAM_CHECK(cudaMemcpyAsync(to.operands[i].data, from.operands[i].data, from.operands[i].bytes,
                                      cudaMemcpyDeviceToDevice, stream));
        }
      }
    }
  }

  const std::vector<uint32_t> ranks_;
  const std::string name_;
  std::vector<Member> members_;
  CudaEvent done_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t arrived_ = 0;
  uint64_t rounds_ = 0;
  std::string failure_;
};

/// What all ranks of the card share.
struct Card {
  const Plan& plan;
  const double timeout;
  std::atomic<bool> aborted{false};
  std::map<std::pair<uint16_t, uint32_t>, Meeting> meetings;  ///< by communicator and first member

  Card(const Plan& p, double t) : plan(p), timeout(t) {
    for (uint16_t comm = 0; comm < plan.comms.size(); ++comm) {
      for (uint32_t rank = 0; rank < plan.mesh.ranks(); ++rank) {
        std::vector<uint32_t> ranks = members(plan, comm, rank);
        if (ranks.empty() || ranks.front() != rank) continue;
        if (ranks.size() > kernels::kMaxCardRanks) {
          throw InputError("--share-gpu", "communicator " + plan.comms[comm].name + " has " +
                                              std::to_string(ranks.size()) + " ranks; at most " +
                                              std::to_string(kernels::kMaxCardRanks) + " can share one GPU");
        }
        meetings.try_emplace(std::pair{comm, rank}, std::move(ranks), plan.comms[comm].name);
      }
    }
  }

  void abort() noexcept {
    aborted = true;
    for (auto& [key, meeting] : meetings) meeting.wake();
  }
};

class SharedGpuCommunication : public Communication {
 public:
  SharedGpuCommunication(std::shared_ptr<Card> card, uint32_t rank) : card_(std::move(card)) {
    for (uint16_t comm = 0; comm < card_->plan.comms.size(); ++comm) {
      const std::vector<uint32_t> ranks = members(card_->plan, comm, rank);
      meetings_.push_back(ranks.empty() ? nullptr : &card_->meetings.at({comm, ranks.front()}));
      if (meetings_.back()) meetings_.back()->open(rank);
    }
  }

  void issue(const Launch& launch, cudaStream_t stream) override {
    poll();
    if (!is_communication(launch.op->kernel)) throw RunError("is no communication");
    Meeting* meeting = launch.op->comm < meetings_.size() ? meetings_[launch.op->comm] : nullptr;
    if (meeting == nullptr) throw RunError("does not belong to its communicator");
    // A group's members all arrive before any of them waits: both directions of an exchange progress together.
    meeting->arrive(launch, stream);
    arrived_.push_back(meeting);
    if (!launch.group_end) return;
    for (Meeting* each : std::exchange(arrived_, {})) {
      each->leave(launch.task.rank, stream, card_->timeout, card_->aborted);
    }
  }

  void poll() override {
    if (card_->aborted) throw RunError("the run was aborted");
  }
  void abort() noexcept override { card_->abort(); }

 private:
  const std::shared_ptr<Card> card_;
  std::vector<Meeting*> meetings_;  ///< by communicator; null where this rank is no member
  std::vector<Meeting*> arrived_;   ///< by the group that is being issued
};

class SharedGpuConnections : public Connections {
 public:
  SharedGpuConnections(const Plan& plan, double timeout) : card_(std::make_shared<Card>(plan, timeout)) {}
  std::unique_ptr<Communication> open(uint32_t rank) override {
    return std::make_unique<SharedGpuCommunication>(card_, rank);
  }
  void abort() noexcept override { card_->abort(); }

 private:
  const std::shared_ptr<Card> card_;
};

}  // namespace

std::unique_ptr<Connections> shared_gpu_connections(const Plan& plan, double timeout) {
  return std::make_unique<SharedGpuConnections>(plan, timeout);
}

}  // namespace pgram
