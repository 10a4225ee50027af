// Blocks of CUDA threads, see block.h.
#include "tests/emulation/engine/block.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "tests/emulation/engine/fiber.h"

constinit thread_local uint3 threadIdx{}, blockIdx{};
constinit thread_local dim3 blockDim{}, gridDim{};

namespace pgram::emulation {
namespace {

constexpr unsigned kWarp = 32;

enum class State { running, at_barrier, in_warp, done };

/// What a lane wants of its warp: the value of another lane, or (source kVote) everybody's predicate.
struct WarpOperation {
  unsigned mask = 0, source = 0, bytes = 0;
  const void* in = nullptr;
  void* out = nullptr;
};
constexpr unsigned kVote = ~0u;

/// A CUDA thread on its fiber.
struct CudaThread {
  explicit CudaThread(void (*entry)()) : fiber(entry) {}

  Fiber fiber;
  State state = State::done;
  uint3 index{};
  unsigned lane = 0, warp = 0;
  Site site{};
  bool predicate = false;
  WarpOperation operation{};
};

std::string at(const Site& site) {
  const std::string file = site.file;
  return file.substr(file.rfind('/') + 1) + ":" + std::to_string(site.line);
}

/// One block at a time, on one worker thread; kept for the thread's life.
class Block {
 public:
  void run(dim3 grid, dim3 block, const Invocation& thread);

  // Called by the CUDA thread that runs.
  CudaThread& current() { return *current_; }
  int barrier(bool predicate, const Site&);
  void meet_warp(const WarpOperation&, bool predicate, const Site&);
  [[noreturn]] void trap(const Site&);

 private:
  static void fiber_main();
  void run_block();
  CudaThread& fresh();
  void resume(CudaThread&);
  void leave(State);
  bool run_warps();
  unsigned ready_lanes(unsigned warp);
  void answer(const CudaThread&);
  void pass_barrier();
  [[noreturn]] void fail(std::string message);
  unsigned size_of_warp(unsigned warp) const { return std::min(kWarp, count_ - warp * kWarp); }

  dim3 shape_;
  unsigned count_ = 0, next_ = 0, alive_ = 0;
  const Invocation* invocation_ = nullptr;
  std::vector<std::unique_ptr<CudaThread>> pool_;
  std::vector<CudaThread*> idle_, threads_;  // threads_: nullptr has not begun or has ended
  CudaThread* current_ = nullptr;
  Context scheduler_;
  int passed_ = 0;
  std::string trapped_;
  std::array<char, 1 + kWarp> sync_{};  // addresses that the race checker knows barriers by
  char begin_ = 0, end_ = 0;
};

constinit thread_local Block* block = nullptr;

Block& this_block() {
  if (!block) {
    static thread_local std::unique_ptr<Block> owner = std::make_unique<Block>();
    block = owner.get();
  }
  return *block;
}

void Block::fiber_main() {
  Block& b = *block;
  Fiber::entered(b.scheduler_);
  for (;;) {
    while (b.next_ < b.count_) {
      CudaThread& self = *b.current_;
      const unsigned number = b.next_++;
      self.index = {number % b.shape_.x, number / b.shape_.x % b.shape_.y, number / (b.shape_.x * b.shape_.y)};
      self.lane = number % kWarp, self.warp = number / kWarp;
      self.state = State::running;
      b.threads_[number] = &self;
      threadIdx = self.index;
      acquire(&b.begin_);  // what the launch wrote
      acquire(&b.end_);    // blocks use the same shared memory, one after another
      (*b.invocation_)();
      release(&b.end_);
      b.threads_[number] = nullptr;
      --b.alive_;
      if (is_race_checked()) break;
    }
    b.idle_.push_back(b.current_);
    b.leave(State::done);
  }
}

CudaThread& Block::fresh() {
  if (idle_.empty()) {
    pool_.push_back(std::make_unique<CudaThread>(fiber_main));
    idle_.reserve(pool_.size());  // fibers put themselves back, and must not allocate
    return *pool_.back();
  }
  CudaThread* thread = idle_.back();
  idle_.pop_back();
  return *thread;
}

void Block::resume(CudaThread& thread) {
  current_ = &thread;
  threadIdx = thread.index;
  switch_context(scheduler_, thread.fiber.context);
  if (!thread.fiber.is_sound()) fail("stack overflow: a thread needs more local memory than the stand-in gives");
  if (!trapped_.empty()) fail(std::exchange(trapped_, {}));
}

void Block::leave(State state) {
  current_->state = state;
  switch_context(current_->fiber.context, scheduler_);
}

int Block::barrier(bool predicate, const Site& site) {
  current_->site = site;
  current_->predicate = predicate;
  release(&sync_[0]);
  leave(State::at_barrier);
  acquire(&sync_[0]);
  return passed_;
}

void Block::meet_warp(const WarpOperation& operation, bool predicate, const Site& site) {
  current_->operation = operation;
  current_->predicate = predicate;
  current_->site = site;
  char* sync = &sync_[1 + current_->warp];
  release(sync);
  leave(State::in_warp);
  acquire(sync);
}

/// Gives a lane what it waits for; all lanes of its mask have come.
void Block::answer(const CudaThread& self) {
  const WarpOperation& operation = self.operation;
  CudaThread* const* warp = &threads_[self.warp * kWarp];
  if (operation.source == kVote) {
    unsigned votes = 0;
    for (unsigned lane = 0; lane < size_of_warp(self.warp); ++lane)
      if (operation.mask >> lane & 1 && warp[lane] && warp[lane]->predicate) votes |= 1u << lane;
    std::memcpy(operation.out, &votes, sizeof votes);
    return;
  }
  const CudaThread* peer = operation.source < size_of_warp(self.warp) ? warp[operation.source] : nullptr;
  if (!peer || (peer != &self && !(operation.mask >> operation.source & 1)))
    fail("warp divergence: lane " + std::to_string(self.lane) + " reads lane " + std::to_string(operation.source) +
         ", which takes no part, at " + at(self.site));
  std::memcpy(operation.out, peer->operation.in, operation.bytes);
}

void Block::trap(const Site& site) {
  trapped_ = "trap at " + at(site);
  leave(State::done);
  __builtin_unreachable();
}

void Block::fail(std::string message) {
  // Threads that wait are left where they stand: kernels own nothing that would have to be destroyed.
  pool_.clear();
  idle_.clear();
  throw KernelFault{std::move(message)};
}

/// Lanes whose warp operation all of its lanes have reached.
unsigned Block::ready_lanes(unsigned warp) {
  CudaThread* const* threads = &threads_[warp * kWarp];
  unsigned alive = 0, waiting = 0, ready = 0;
  for (unsigned lane = 0; lane < size_of_warp(warp); ++lane) {
    if (!threads[lane]) continue;
    alive |= 1u << lane;
    if (threads[lane]->state == State::in_warp) waiting |= 1u << lane;
  }
  for (unsigned lane = 0; lane < size_of_warp(warp); ++lane) {
    if (!(waiting >> lane & 1)) continue;
    const CudaThread& thread = *threads[lane];
    const unsigned wanted = thread.operation.mask & alive;
    if ((wanted & waiting) != wanted) continue;
    for (unsigned other = 0; other < size_of_warp(warp); ++other)
      if (wanted >> other & 1 &&
          (threads[other]->site.line != thread.site.line || threads[other]->operation.mask != thread.operation.mask))
        fail("warp divergence: lanes " + std::to_string(lane) + " and " + std::to_string(other) +
             " of a warp wait at " + at(thread.site) + " and " + at(threads[other]->site) +
             ", or with different masks");
    ready |= 1u << lane;
  }
  return ready;
}

bool Block::run_warps() {
  bool moved = false;
  for (unsigned warp = 0; warp * kWarp < count_; ++warp) {
    const unsigned ready = ready_lanes(warp);
    if (!ready) continue;
    CudaThread* const* threads = &threads_[warp * kWarp];
    acquire(&sync_[1 + warp]);
    for (unsigned lane = 0; lane < kWarp; ++lane)  // all before one goes on: it would change what it shows
      if (ready >> lane & 1) answer(*threads[lane]);
    release(&sync_[1 + warp]);
    for (unsigned lane = 0; lane < kWarp; ++lane)
      if (ready >> lane & 1) threads[lane]->state = State::running;
    for (unsigned lane = 0; lane < kWarp; ++lane)
      if (ready >> lane & 1) resume(*threads[lane]);
    moved = true;
  }
  return moved;
}

void Block::pass_barrier() {
  const CudaThread* first = nullptr;
  passed_ = 0;
  for (const CudaThread* thread : threads_) {
    if (!thread) continue;
    if (thread->state == State::in_warp)
      fail("warp divergence: " + at(thread->site) + " waits for lanes that never come");
    if (!first) first = thread;
    if (thread->site.id != first->site.id || thread->site.line != first->site.line)
      fail("barrier divergence: threads of one block wait at " + at(first->site) + " and at " + at(thread->site));
    passed_ += thread->predicate;
  }
  if (alive_ != count_)
    fail("barrier divergence: " + std::to_string(count_ - alive_) +
         " threads of the block ended, while others wait at " + at(first->site));
  for (CudaThread* thread : threads_) thread->state = State::running;
  for (unsigned number = 0; number < count_; ++number) resume(*threads_[number]);
}

void Block::run_block() {
  threads_.assign(count_, nullptr);
  next_ = 0;
  alive_ = count_;
  release(&begin_);
  while (next_ < count_) resume(fresh());
  while (alive_)
    if (!run_warps()) pass_barrier();
  acquire(&end_);
}

void Block::run(dim3 grid, dim3 shape, const Invocation& invocation) {
  shape_ = blockDim = shape;
  gridDim = grid;
  count_ = shape.x * shape.y * shape.z;
  invocation_ = &invocation;
  for (blockIdx.z = 0; blockIdx.z < grid.z; ++blockIdx.z)
    for (blockIdx.y = 0; blockIdx.y < grid.y; ++blockIdx.y)
      for (blockIdx.x = 0; blockIdx.x < grid.x; ++blockIdx.x) run_block();
}

}  // namespace

void run_grid(dim3 grid, dim3 shape, const Invocation& thread) {
  this_block().run(grid, shape, thread);
}

unsigned lane() {
  return block->current().lane;
}

int block_barrier(bool predicate, Site site) {
  return block->barrier(predicate, site);
}

void warp_exchange(unsigned mask, const void* in, void* out, unsigned bytes, unsigned source, Site site) {
  block->meet_warp({mask, source, bytes, in, out}, false, site);
}

unsigned warp_vote(unsigned mask, bool predicate, Site site) {
  unsigned votes = 0;
  block->meet_warp({mask, kVote, 0, nullptr, &votes}, predicate, site);
  return votes;
}

void device_trap(Site site) {
  block->trap(site);
}

}  // namespace pgram::emulation
