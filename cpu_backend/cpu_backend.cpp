#include "cpu_backend/cpu_backend.h"

#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <set>
#include <thread>
#include <utility>

#include "core/base/errors.h"
#include "cpu_backend/group.h"
#include "cpu_backend/stream_worker.h"

namespace pgram {
namespace {

constexpr int kSpins = 2000;             ///< about 20 us
constexpr int kWatchMilliseconds = 250;  ///< how often a synchronising rank looks whether anything moves
constexpr size_t kAlignment = 64;

/// Streams that occur in a role's program.
std::set<Stream> streams_of(const Plan& plan, const Program& program) {
  std::set<uint16_t> bodies;
  for (const Call& call : program.calls) bodies.insert(call.body);
  std::set<Stream> streams;
  for (uint16_t body : bodies) {
    for (const Op& op : plan.bodies[body].ops) streams.insert(op.stream);
  }
  return streams;
}

void pin_thread(uint32_t rank, int threads) {
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int i = 0; i < threads; ++i) CPU_SET((rank * threads + i) % cores, &set);
  // A container may forbid it; the run is right without.
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

uint64_t physical_memory() {
  return static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

struct FreeDeleter {
  void operator()(std::byte* p) const { std::free(p); }
};

}  // namespace

struct CpuBackend::Shared {
  const Plan& plan;
  CpuOptions options;
  int spins = 0;
  AbortState abort;
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  std::atomic<int> kernels_running{0};
  std::atomic<uint64_t> tasks_done{0};
  std::atomic<uint64_t> allocated{0};  ///< bytes of all ranks
  /// By communicator and its first member.
  std::map<std::pair<uint16_t, uint32_t>, std::unique_ptr<Group>> groups;
  std::map<std::pair<uint16_t, uint32_t>, std::unique_ptr<Channel>> channels;

  Shared(const Plan& p, const CpuOptions& o) : plan(p), options(o) {}

  Picoseconds now() const {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count() *
           1000;
  }
};

/// Where a rank stands in one communicator.
struct Place {
  Group* group = nullptr;
  Channel* channel = nullptr;
  uint32_t member = 0;
};

class CpuRank : public RankDevice {
 public:
  CpuRank(CpuBackend::Shared& shared, uint32_t rank);
  ~CpuRank() override;

  std::byte* allocate(uint64_t bytes) override;
  void copy_to_device(std::byte* device, const void* host, uint64_t bytes) override {
    std::memcpy(device, host, bytes);
  }
  void copy_to_host(void* host, const std::byte* device, uint64_t bytes) override { std::memcpy(host, device, bytes); }
  void launch(const Launch&) override;
  void record(uint16_t event, Stream) override;
  void wait(uint16_t event, Stream) override;
  void synchronize() override;
  std::vector<Span> take_spans() override;

 private:
  void place_in_groups();
  void prepare(Stream) const;
  void execute(std::span<const Launch>, std::vector<Span>&);
  void run_group(std::span<const Launch>, std::vector<Span>&);
  void run_task(const Launch&, Span&);
  Span begin(const Launch&, Picoseconds start) const;
  void end(Span&) const;
  Picoseconds communicate(const Launch&, Picoseconds start);
  const Place& place_of(const Launch&) const;
  Channel& channel_of(const Launch&) const;
  template <class Part>
  void attempt(const Launch&, Part&&);
  void watch(const StreamWorker&);

  CpuBackend::Shared& shared_;
  const uint32_t rank_;
  RankInfo info_;
  std::vector<Place> places_;  ///< by communicator
  std::vector<std::unique_ptr<std::byte, FreeDeleter>> memory_;
  uint64_t allocated_ = 0;
  std::vector<StreamPoint> events_;
  std::vector<Launch> group_;  ///< issued so far of the group that is being issued
  std::array<std::unique_ptr<StreamWorker>, kStreams> streams_;
};

CpuRank::CpuRank(CpuBackend::Shared& shared, uint32_t rank) : shared_(shared), rank_(rank) {
  const auto at = shared.plan.mesh.coordinates(rank);
  info_ = {at[0], shared.plan.mesh.size[0], shared.options.threads_per_rank};
  place_in_groups();
  for (Stream stream : streams_of(shared.plan, shared.plan.programs[at[2]])) {
    streams_[static_cast<int>(stream)] = std::make_unique<StreamWorker>(
        shared.abort, shared.spins, [this, stream] { prepare(stream); },
        [this](std::span<const Launch> launches, std::vector<Span>& spans) { execute(launches, spans); });
  }
}

CpuRank::~CpuRank() {
  for (const auto& stream : streams_) {
    if (stream && stream->done().value() < stream->issued()) {
      shared_.abort.abort("rank " + std::to_string(rank_) + " was closed before its tasks had ended");
    }
  }
  // Streams wait on each other's counters: none goes before all are idle.
  for (const auto& stream : streams_) {
    if (stream) stream->done().wait_even_if_aborted(stream->issued());
  }
  shared_.allocated.fetch_sub(allocated_);
}

void CpuRank::place_in_groups() {
  const Plan& plan = shared_.plan;
  places_.resize(plan.comms.size());
  for (uint16_t comm = 0; comm < plan.comms.size(); ++comm) {
    const std::vector<uint32_t> ranks = members(plan, comm, rank_);
    if (ranks.empty()) continue;
    const std::pair key{comm, ranks.front()};
    if (plan.comms[comm].directed) {
      places_[comm].channel = shared_.channels.at(key).get();
    } else {
      places_[comm].group = shared_.groups.at(key).get();
      places_[comm].member = std::find(ranks.begin(), ranks.end(), rank_) - ranks.begin();
    }
  }
}

/// On the stream's own thread. OpenMP's threads inherit the pinning.
void CpuRank::prepare(Stream stream) const {
  if (stream != Stream::compute) {
    omp_set_num_threads(1);
    return;
  }
  omp_set_num_threads(shared_.options.threads_per_rank);
  if (shared_.options.pin) pin_thread(rank_, shared_.options.threads_per_rank);
}

std::byte* CpuRank::allocate(uint64_t bytes) {
  const uint64_t rounded = (std::max<uint64_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
  // Asked beforehand: the kernel promises more than there is and ends the process when it is touched.
  const uint64_t machine = physical_memory(), before = shared_.allocated.fetch_add(rounded);
  const bool fits = rounded >= bytes && rounded <= machine && before <= machine - rounded;
  auto* memory = fits ? static_cast<std::byte*>(std::aligned_alloc(kAlignment, rounded)) : nullptr;
  if (memory == nullptr) {
    shared_.allocated.fetch_sub(rounded);
    throw RunError("rank " + std::to_string(rank_) + ": no memory for " + format_bytes(bytes) + " beside " +
                   format_bytes(before) + " of all ranks; the machine has " + format_bytes(machine) +
                   ": use a smaller model or micro-batch, or fewer micro-batches in flight (1f1b)");
  }
  memory_.emplace_back(memory);
  allocated_ += rounded;
  std::memset(memory, 0, rounded);
  return memory;
}

void CpuRank::launch(const Launch& launch) {
  StreamWorker& stream = *streams_[static_cast<int>(launch.op->stream)];
  if (launch.group_begin && launch.group_end) return stream.launch(launch);
  group_.push_back(launch);
  if (launch.group_end) stream.launch_group(std::exchange(group_, {}));
}

void CpuRank::record(uint16_t event, Stream stream) {
  if (event >= events_.size()) events_.resize(event + 1);
  events_[event] = streams_[static_cast<int>(stream)]->here();
}

void CpuRank::wait(uint16_t event, Stream stream) {
  if (event < events_.size()) streams_[static_cast<int>(stream)]->wait(events_[event]);
}

void CpuRank::execute(std::span<const Launch> launches, std::vector<Span>& spans) {
  if (launches.size() > 1) return run_group(launches, spans);
  const Launch& launch = launches[0];
  Span span = begin(launch, shared_.now());
  attempt(launch, [&] { run_task(launch, span); });
  end(span);
  spans.push_back(span);
}

/// What a task throws ends the run, and this stream's part in it.
template <class Part>
void CpuRank::attempt(const Launch& launch, Part&& part) {
  try {
    part();
  } catch (const Aborted&) {
    throw;
  } catch (const std::exception& error) {
    shared_.abort.abort(to_text(shared_.plan, launch.task) + ": " + error.what());
    shared_.abort.check();
  }
}

Span CpuRank::begin(const Launch& launch, Picoseconds start) const {
  Span span;
  span.rank = rank_;
  span.call = launch.task.call;
  span.op = launch.task.op;
  span.stream = static_cast<uint8_t>(launch.op->stream);
  span.start = start;
  return span;
}

void CpuRank::end(Span& span) const {
  span.end = shared_.now();
  shared_.tasks_done.fetch_add(1, std::memory_order_relaxed);
}

void CpuRank::run_task(const Launch& launch, Span& span) {
  if (shared_.options.before_task) shared_.options.before_task(launch);
  if (is_communication(launch.op->kernel)) {
    span.set_wait(communicate(launch, span.start) - span.start);
  } else if (launch.op->kernel != Kernel::opaque) {
    shared_.kernels_running.fetch_add(1, std::memory_order_relaxed);
    struct Leave {
      std::atomic<int>& count;
      ~Leave() { count.fetch_sub(1, std::memory_order_relaxed); }
    } leave{shared_.kernels_running};
    run_kernel(shared_.options.kernels, launch, info_);
  }
}

/// Everything is posted before anything is waited for, and receives are taken as their senders come, so that no order
/// on the partners' side can block the group.
void CpuRank::run_group(std::span<const Launch> launches, std::vector<Span>& spans) {
  const Picoseconds start = shared_.now();
  const size_t first = spans.size();
  std::vector<size_t> receives, sends;
  for (size_t i = 0; i < launches.size(); ++i) {
    spans.push_back(begin(launches[i], start));
    attempt(launches[i], [&] {
      if (shared_.options.before_task) shared_.options.before_task(launches[i]);
      Channel& channel = channel_of(launches[i]);
      const bool is_send = launches[i].op->kernel == Kernel::send;
      is_send ? channel.begin_send(launches[i], start) : channel.begin_receive();
      (is_send ? sends : receives).push_back(i);
    });
  }
  const auto finish = [&](size_t i, Picoseconds last) {
    spans[first + i].set_wait(last - start);
    end(spans[first + i]);
  };
  while (!receives.empty()) {
    // A last one can be waited for alone; of several the next to come is not known.
    const auto has_come = [&](size_t i) { return receives.size() == 1 || channel_of(launches[i]).wait_for_sender(0); };
    const auto next = std::find_if(receives.begin(), receives.end(), has_come);
    if (next == receives.end()) {
      channel_of(launches[receives[0]]).wait_for_sender(1);
      continue;
    }
    const size_t i = *next;
    receives.erase(next);
    attempt(launches[i], [&] { finish(i, channel_of(launches[i]).end_receive(launches[i], start)); });
  }
  for (size_t i : sends) finish(i, channel_of(launches[i]).end_send(start));
}

const Place& CpuRank::place_of(const Launch& launch) const {
  if (launch.op->comm >= places_.size()) throw RunError("has no communicator");
  const Place& place = places_[launch.op->comm];
  const bool belongs = is_point_to_point(launch.op->kernel) ? place.channel != nullptr : place.group != nullptr;
  if (!belongs) throw RunError("does not belong to communicator " + shared_.plan.comms[launch.op->comm].name);
  return place;
}

Channel& CpuRank::channel_of(const Launch& launch) const {
  if (!is_point_to_point(launch.op->kernel)) throw RunError("is no send or receive, but in a group");
  return *place_of(launch).channel;
}

Picoseconds CpuRank::communicate(const Launch& launch, Picoseconds start) {
  const Place& place = place_of(launch);
  switch (launch.op->kernel) {
    case Kernel::send:
      place.channel->begin_send(launch, start);
      return place.channel->end_send(start);
    case Kernel::recv:
      place.channel->begin_receive();
      return place.channel->end_receive(launch, start);
    default:
      return place.group->run(place.member, launch, start);
  }
}

/// Returns when the stream has done everything. A Plan that was never verified may deadlock: then nothing moves.
void CpuRank::watch(const StreamWorker& stream) {
  uint64_t seen = shared_.tasks_done.load();
  int quiet = 0;
  while (!stream.done().wait_for(stream.issued(), kWatchMilliseconds)) {
    const uint64_t done = shared_.tasks_done.load();
    quiet = done == seen && shared_.kernels_running.load() == 0 ? quiet + 1 : 0;
    seen = done;
    if (quiet * kWatchMilliseconds >= 1000 * shared_.options.deadlock_seconds) {
      const int index =
          std::find_if(streams_.begin(), streams_.end(), [&](const auto& s) { return s.get() == &stream; }) -
          streams_.begin();
      shared_.abort.abort("rank " + std::to_string(rank_) + " waits on its stream " +
                          name_of(static_cast<Stream>(index)) + " for a rank that never comes: a deadlock in the plan");
    }
  }
}

void CpuRank::synchronize() {
  try {
    for (const auto& stream : streams_) {
      if (stream) watch(*stream);
    }
  } catch (const Aborted&) {
    // Streams drop their queues after an abort; the rank is quiet once each has seen it.
    for (const auto& stream : streams_) {
      if (stream) stream->done().wait_even_if_aborted(stream->issued());
    }
  }
  if (shared_.abort.aborted()) throw RunError(shared_.abort.reason());
}

std::vector<Span> CpuRank::take_spans() {
  std::vector<Span> all;
  for (const auto& stream : streams_) {
    if (!stream) continue;
    const std::vector<Span> spans = stream->take_spans();
    all.insert(all.end(), spans.begin(), spans.end());
  }
  return all;
}

CpuBackend::CpuBackend(const Plan& plan, const CpuOptions& options) : shared_(new Shared(plan, options)) {
  if (options.threads_per_rank < 1 || options.threads_per_rank > 1024) {
    throw InputError("threads",
                     "threads per rank are " + std::to_string(options.threads_per_rank) + ", expected 1 to 1024");
  }
  const uint32_t ranks = plan.mesh.ranks();
  size_t threads = 0;
  for (uint32_t rank = 0; rank < ranks; ++rank) {
    threads += streams_of(plan, plan.programs[plan.role(rank)]).size() + options.threads_per_rank - 1;
  }
  shared_->spins = threads <= std::thread::hardware_concurrency() ? kSpins : 0;
  for (uint16_t comm = 0; comm < plan.comms.size(); ++comm) {
    for (uint32_t rank = 0; rank < ranks; ++rank) {
      const std::vector<uint32_t> group = members(plan, comm, rank);
      if (group.empty() || group.front() != rank) continue;
      if (plan.comms[comm].directed) {
        shared_->channels[{comm, rank}] = std::make_unique<Channel>(shared_->abort, shared_->spins);
      } else {
        shared_->groups[{comm, rank}] = std::make_unique<Group>(shared_->abort, shared_->spins, group.size());
      }
    }
  }
}

CpuBackend::~CpuBackend() = default;

std::string CpuBackend::name() const {
  return "cpu";
}

std::vector<uint32_t> CpuBackend::local_ranks() const {
  std::vector<uint32_t> ranks(shared_->plan.mesh.ranks());
  for (uint32_t i = 0; i < ranks.size(); ++i) ranks[i] = i;
  return ranks;
}

std::unique_ptr<RankDevice> CpuBackend::open(uint32_t rank) {
  return std::make_unique<CpuRank>(*shared_, rank);
}

Picoseconds CpuBackend::now() const {
  return shared_->now();
}

void CpuBackend::abort(const std::string& reason) {
  shared_->abort.abort(reason);
}

}  // namespace pgram
