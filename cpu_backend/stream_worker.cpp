#include "cpu_backend/stream_worker.h"

#include <utility>

namespace pgram {

StreamWorker::StreamWorker(AbortState& abort, int spins, std::function<void()> prepare, Execute execute)
    : abort_(abort), prepare_(std::move(prepare)), execute_(std::move(execute)), done_(abort, spins), thread_([this] {
        work();
      }) {}

StreamWorker::~StreamWorker() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  filled_.notify_one();
  thread_.join();
}

void StreamWorker::launch(const Launch& launch) {
  push({{}, true, launch, {}});
}

void StreamWorker::launch_group(std::vector<Launch> group) {
  push({{}, true, {}, std::move(group)});
}

void StreamWorker::wait(StreamPoint point) {
  if (point.stream == nullptr || point.stream == this) return;  // in order anyway
  push({point, false, {}, {}});
}

void StreamWorker::push(Command command) {
  abort_.check();
  std::unique_lock lock(mutex_);
  if (command.launches) {
    // The worker drains its queue after an abort too, so this ends.
    drained_.wait(lock, [this] { return launches_queued_ < kLaunchWindow; });
    ++launches_queued_;
  }
  const bool was_empty = queue_.empty();
  queue_.push_back(std::move(command));
  ++issued_;
  lock.unlock();
  if (was_empty) filled_.notify_one();
}

bool StreamWorker::pop(Command& command) {
  std::unique_lock lock(mutex_);
  filled_.wait(lock, [this] { return !queue_.empty() || closing_; });
  if (queue_.empty()) return false;
  command = std::move(queue_.front());
  queue_.pop_front();
  if (command.launches && launches_queued_-- == kLaunchWindow) drained_.notify_one();
  return true;
}

void StreamWorker::work() {
  prepare_();
  auto command = std::make_unique<Command>();
  uint64_t done = 0;
  while (pop(*command)) {
    try {
      if (!abort_.aborted()) {
        if (command->launches) {
          execute_(command->group.empty() ? std::span<const Launch>(&command->launch, 1) : command->group, spans_);
        } else {
          command->point.stream->done().wait(command->point.sequence);
        }
      }
    } catch (const Aborted&) {
      // The rest of the queue is dropped; a partner may still be reading what this command posted.
      abandoned_.push_back(std::exchange(command, std::make_unique<Command>()));
    }
    done_.set(++done);
  }
}

std::vector<Span> StreamWorker::take_spans() {
  return std::exchange(spans_, {});
}

}  // namespace pgram
