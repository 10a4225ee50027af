#include "cuda_backend/nccl_communication.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

#include "core/base/units.h"
#include "cuda_backend/check.h"
#include "cuda_backend/nccl_groups.h"
#include "cuda_backend/processes.h"

namespace pgram {
namespace {

using Clock = std::chrono::steady_clock;
using Duration = std::chrono::duration<double>;

constexpr Duration kLastSeconds{0.5};      ///< for one more rank when the time for aborting is over
constexpr Duration kWhoWasLostSeconds{3};  ///< NCCL knows of a broken connection, the store knows whose it was
constexpr auto kShortestPause = std::chrono::microseconds(20), kLongestPause = std::chrono::microseconds(1000);

std::atomic<bool> hangs{false};

ncclDataType_t type_of(const Tensor& tensor) {
  switch (tensor.dtype) {
    case DType::f32:
      return ncclFloat32;
    case DType::bf16:
      return ncclBfloat16;
    case DType::i32:
      return ncclInt32;
  }
  throw RunError("a tensor of unknown type");
}

/// Communicators that do not block may still be busy when a call returns.
ncclResult_t accepted(ncclResult_t status) {
  return status == ncclInProgress ? ncclSuccess : status;
}
#define PGRAM_CHECK_NCCL(call) check(accepted(call), #call, __FILE__, __LINE__)

/// Calls `end` for each communicator, from a thread of its own, for it may never return. False if that took too long:
/// the threads are left alone.
bool end_all(const std::vector<std::vector<ncclComm_t>>& lists, int device, ncclResult_t (*end)(ncclComm_t),
             Clock::time_point deadline) {
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    size_t left = 0;
  };
  const auto state = std::make_shared<State>();
  state->left = lists.size();
  for (const std::vector<ncclComm_t>& list : lists) {
    std::thread([state, list, device, end] {
      static_cast<void>(cudaSetDevice(device));
      for (ncclComm_t comm : list) static_cast<void>(end(comm));
      std::lock_guard lock(state->mutex);
      --state->left;
      state->changed.notify_all();
    }).detach();
  }
  std::unique_lock lock(state->mutex);
  return state->changed.wait_until(lock, deadline, [&] { return state->left == 0; });
}

/// Communicators that do not block are finalized in the background; destroying them then is local. It has the time of
/// the thread that it is called by: nobody waits for it for longer.
ncclResult_t finish(ncclComm_t comm) {
  ncclResult_t status = ncclCommFinalize(comm);
  while (status == ncclInProgress) {
    std::this_thread::sleep_for(kLongestPause);
    if (ncclCommGetAsyncError(comm, &status) != ncclSuccess) break;
  }
  return ncclCommDestroy(comm);
}

struct OwnedComms {
  int device = 0;
  std::vector<ncclComm_t> comms;
};

/// What the ranks of this process share.
struct World {
  World(const Plan& p, Processes& all, const NcclOptions& o) : plan(p), processes(all), options(o), groups(p) {}
  ~World();

  const Plan& plan;
  Processes& processes;
  const NcclOptions options;
  const NcclGroups groups;
  ncclUniqueId id{};
  std::atomic<bool> aborted{false};
  std::mutex mutex;
  std::vector<OwnedComms> finished;  ///< of ranks that need theirs no more
  Clock::time_point abort_deadline{};

  Clock::duration end_time() const {
    return std::chrono::duration_cast<Clock::duration>(Duration(options.abort_timeout));
  }
  /// The ranks that are aborted one after the other share the time.
  Clock::time_point deadline_of_abort() {
    std::lock_guard lock(mutex);
    if (abort_deadline == Clock::time_point{}) {
      abort_deadline = Clock::now() + end_time();
    }
    return std::max(abort_deadline, Clock::now() + std::chrono::duration_cast<Clock::duration>(kLastSeconds));
  }
};

/// Destroying a communicator may wait for its other ranks in this process, so all ranks do it at once, each in the same
/// order.
World::~World() {
  const auto deadline = Clock::now() + end_time();
  std::vector<std::thread> threads;
  std::atomic<bool> late{false};
  for (const OwnedComms& owned : finished) {
    threads.emplace_back([&owned, &late, deadline] {
      if (!end_all({owned.comms}, owned.device, finish, deadline)) late = true;
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (late) hangs = true;
}

class NcclCommunication : public Communication {
 public:
  NcclCommunication(std::shared_ptr<World> world, uint32_t rank);
  ~NcclCommunication() override;

  void issue(const Launch&, cudaStream_t) override;
  void poll() override;
  void abort() noexcept override;

 private:
  void connect();
  void refuse_aborted() const;
  void open_group();
  void close_group();
  void drop_group() noexcept;
  void settle(const std::vector<ncclComm_t>&, double timeout, const std::string& what);
  void put(const Launch&, ncclComm_t, cudaStream_t);
  [[noreturn]] void fail(ncclComm_t, ncclResult_t);
  [[noreturn]] void fail(const std::string& what);

  const std::shared_ptr<World> world_;
  const uint32_t rank_;
  int device_ = 0;
  std::timed_mutex mutex_;  ///< held during every call of NCCL, so that nothing is aborted within
  std::atomic<bool> aborting_{false};
  std::atomic<bool> aborted_{false};  ///< communicators are gone
  // Under mutex_:
  ncclComm_t all_ = nullptr;       ///< of all ranks
  std::vector<ncclComm_t> comms_;  ///< by NcclGroups' index; null where this rank is no member
  bool in_group_ = false;
  std::thread::id group_thread_;
  std::vector<ncclComm_t> issued_;  ///< by the open group, or the task
};

NcclCommunication::NcclCommunication(std::shared_ptr<World> world, uint32_t rank)
    : world_(std::move(world)), rank_(rank), comms_(world_->groups.first().size()) {
  PGRAM_CHECK(cudaGetDevice(&device_));
  try {
    connect();
  } catch (...) {
    abort();
    throw;
  }
}

void NcclCommunication::connect() {
  const std::string what = "NCCL's communicators were not connected";
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  {
    std::lock_guard lock(mutex_);
    refuse_aborted();
    PGRAM_CHECK_NCCL(ncclCommInitRankConfig(&all_, static_cast<int>(world_->plan.mesh.ranks()), world_->id,
                                            static_cast<int>(rank_), &config));
  }
  settle({all_}, world_->options.start_timeout, what);
  for (size_t group = 0; group < comms_.size(); ++group) {
    const NcclGroups::Place place = world_->groups.place(group, rank_);
    const int colour = place.colour < 0 ? NCCL_SPLIT_NOCOLOR : place.colour;
    {
      std::lock_guard lock(mutex_);
      refuse_aborted();
      PGRAM_CHECK_NCCL(ncclCommSplit(all_, colour, place.key, &comms_[group], &config));
    }
    settle({all_}, world_->options.start_timeout, what);
    if (comms_[group] != nullptr) settle({comms_[group]}, world_->options.start_timeout, what);
  }
}

NcclCommunication::~NcclCommunication() {
  if (all_ == nullptr || aborted_) return;
  OwnedComms owned{device_, {}};
  for (ncclComm_t comm : comms_) {
    if (comm != nullptr) owned.comms.push_back(comm);
  }
  owned.comms.push_back(all_);
  std::lock_guard lock(world_->mutex);
  world_->finished.push_back(std::move(owned));
}

void NcclCommunication::refuse_aborted() const {
  if (!aborting_ && !world_->aborted) return;
  const std::string reason = world_->processes.failure();
  throw RunError(reason.empty() ? "the run was aborted" : reason);
}

/// Until none of them is busy with connecting any more. Elsewhere the host never waits for NCCL.
void NcclCommunication::settle(const std::vector<ncclComm_t>& comms, double timeout, const std::string& what) {
  const Clock::time_point begin = Clock::now();
  auto pause = kShortestPause;
  for (ncclComm_t comm : comms) {
    while (true) {
      ncclResult_t status = ncclSuccess;
      {
        std::lock_guard lock(mutex_);
        refuse_aborted();
        PGRAM_CHECK(ncclCommGetAsyncError(comm, &status));
      }
      if (status == ncclSuccess) break;
      if (status != ncclInProgress) fail(comm, status);
      if (const std::string reason = world_->processes.failure(); !reason.empty()) throw RunError(reason);
      if (Duration(Clock::now() - begin).count() > timeout) {
        throw RunError(what + " within " + format_time(to_picoseconds(timeout)) + ": a member did not come");
      }
      std::this_thread::sleep_for(pause);
      pause = std::min(2 * pause, kLongestPause);
    }
  }
}

void NcclCommunication::issue(const Launch& launch, cudaStream_t stream) {
  const int group = launch.op->comm < world_->plan.comms.size() ? world_->groups.of(launch.op->comm) : -1;
  if (group < 0) throw RunError("has no communicator");
  std::string failed;
  {
    std::lock_guard lock(mutex_);
    try {
      refuse_aborted();
      if (comms_[group] == nullptr) throw RunError("does not belong to its communicator");
      // Several operands are one operation.
      if (launch.group_begin && (!launch.group_end || launch.op->num_operands > 1)) open_group();
      put(launch, comms_[group], stream);
      issued_.push_back(comms_[group]);
      if (launch.group_end) close_group();
    } catch (const CudaError& error) {
      drop_group();
      failed = error.what();
    } catch (...) {
      drop_group();
      throw;
    }
    if (in_group_) return;
  }
  if (!failed.empty()) fail(failed);
  settle(std::exchange(issued_, {}), world_->options.task_timeout, "could not be issued");
}

void NcclCommunication::open_group() {
  PGRAM_CHECK(ncclGroupStart());
  in_group_ = true;
  group_thread_ = std::this_thread::get_id();
}

void NcclCommunication::close_group() {
  if (!std::exchange(in_group_, false)) return;
  PGRAM_CHECK_NCCL(ncclGroupEnd());
}

/// Of the thread that opened it.
void NcclCommunication::drop_group() noexcept {
  issued_.clear();
  if (std::exchange(in_group_, false)) static_cast<void>(ncclGroupEnd());
}

void NcclCommunication::put(const Launch& launch, ncclComm_t comm, cudaStream_t stream) {
  const auto& x = launch.operands;
  switch (launch.op->kernel) {
    case Kernel::all_reduce:
    case Kernel::all_reduce_max:
      for (int i = 0; i < launch.op->num_operands; ++i) {
        PGRAM_CHECK_NCCL(ncclAllReduce(x[i].data, x[i].data, x[i].count(), type_of(x[i]),
                                       launch.op->kernel == Kernel::all_reduce ? ncclSum : ncclMax, comm, stream));
      }
      return;
    case Kernel::all_gather:
      PGRAM_CHECK_NCCL(ncclAllGather(x[1].data, x[0].data, x[1].count(), type_of(x[1]), comm, stream));
      return;
    case Kernel::reduce_scatter:
      PGRAM_CHECK_NCCL(ncclReduceScatter(x[1].data, x[0].data, x[0].count(), type_of(x[0]), ncclSum, comm, stream));
      return;
    case Kernel::send:
    case Kernel::recv: {
      const Communicator& channel = world_->plan.comms[launch.op->comm];
      const bool sends = launch.op->kernel == Kernel::send;
      // A channel's communicator numbers its ranks by role.
      const int peer = (sends ? channel.target : channel.source) > (sends ? channel.source : channel.target) ? 1 : 0;
      for (int i = 0; i < launch.op->num_operands; ++i) {
        PGRAM_CHECK_NCCL(sends ? ncclSend(x[i].data, x[i].count(), type_of(x[i]), peer, comm, stream)
                               : ncclRecv(x[i].data, x[i].count(), type_of(x[i]), peer, comm, stream));
      }
      return;
    }
    default:
      throw RunError("is no communication");
  }
}

void NcclCommunication::poll() {
  ncclComm_t broken = nullptr;
  ncclResult_t status = ncclSuccess;
  {
    std::lock_guard lock(mutex_);
    refuse_aborted();
    for (size_t i = 0; i < comms_.size() && broken == nullptr; ++i) {
      if (comms_[i] == nullptr) continue;
      PGRAM_CHECK(ncclCommGetAsyncError(comms_[i], &status));
      if (status != ncclSuccess && status != ncclInProgress) broken = comms_[i];
    }
  }
  if (broken != nullptr) fail(broken, status);
}

void NcclCommunication::fail(ncclComm_t comm, ncclResult_t status) {
  std::string name = "the ranks";
  for (size_t i = 0; i < comms_.size(); ++i) {
    if (comms_[i] == comm) name = world_->plan.comms[world_->groups.first()[i]].name;
  }
  fail("communicator " + name + ": " + ncclGetErrorString(status));
}

/// Says who was lost, if the store learns of it in time; NCCL only knows that somebody was.
void NcclCommunication::fail(const std::string& what) {
  const Clock::time_point begin = Clock::now();
  while (world_->processes.size() > 1 && Clock::now() - begin < kWhoWasLostSeconds) {
    if (const std::string reason = world_->processes.failure(); !reason.empty()) throw RunError(reason);
    std::this_thread::sleep_for(kLongestPause);
  }
  throw RunError(what);
}

void NcclCommunication::abort() noexcept try {
  aborting_ = true;
  const Clock::time_point deadline = world_->deadline_of_abort();
  std::vector<std::vector<ncclComm_t>> comms;
  {
    // A launch that waits for room in a full queue holds the mutex, or its group, until this has made room: then NCCL's
    // wish that no thread be inside one of its calls cannot be met.
    const Clock::time_point polite = Clock::now() + (deadline - Clock::now()) / 4;
    std::unique_lock lock(mutex_, polite);
    // The issuing thread closes its group with the next call that it makes.
    while (lock && in_group_ && group_thread_ != std::this_thread::get_id()) {
      lock.unlock();
      std::this_thread::sleep_for(kLongestPause);
      if (Clock::now() > polite || !lock.try_lock_until(polite)) break;
    }
    if (lock) drop_group();
    if (aborted_.exchange(true)) return;
    for (ncclComm_t comm : comms_) {
      if (comm != nullptr) comms.push_back({comm});
    }
    if (all_ != nullptr) comms.push_back({all_});
  }
  if (!end_all(comms, device_, ncclCommAbort, deadline)) hangs = true;
} catch (...) {  // no thread or no memory for aborting
  hangs = true;
}

class NcclConnections : public Connections {
 public:
  explicit NcclConnections(std::shared_ptr<World> world) : world_(std::move(world)) {}
  std::unique_ptr<Communication> open(uint32_t rank) override {
    return std::make_unique<NcclCommunication>(world_, rank);
  }
  void abort() noexcept override { world_->aborted = true; }

 private:
  const std::shared_ptr<World> world_;
};

}  // namespace

std::string nccl_version() {
  int version = 0;
  PGRAM_CHECK(ncclGetVersion(&version));
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

std::unique_ptr<Connections> nccl_connections(const Plan& plan, Processes& processes, const NcclOptions& options) {
  processes.agree("NCCL", nccl_version());
  auto world = std::make_shared<World>(plan, processes, options);
  if (processes.index() == 0) PGRAM_CHECK(ncclGetUniqueId(&world->id));
  const std::string id = processes.broadcast(std::string(reinterpret_cast<const char*>(&world->id), sizeof world->id));
  if (id.size() != sizeof world->id) throw RunError("rank 0 has another NCCL");
  std::memcpy(&world->id, id.data(), sizeof world->id);
  return std::make_unique<NcclConnections>(std::move(world));
}

bool nccl_hangs() {
  return hangs;
}

}  // namespace pgram
