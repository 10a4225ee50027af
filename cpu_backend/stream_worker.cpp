#include "cpu_backend/stream_worker.h"

#include <utility>

namespace pgram {

StreamWorker::StreamWorker(AbortState& abort, int spins, std::function<void()> prepare,
                           std::function<Span(const Launch&)> execute,
                           std::function<void(const Launch&, const std::string&)> failed)
    : abort_(abort),
      prepare_(std::move(prepare)),
      execute_(std::move(execute)),
      failed_(std::move(failed)),
      done_(abort, spins),
      thread_([this] { work(); }) {}

StreamWorker::~StreamWorker() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  filled_.notify_one();
  thread_.join();
}

void StreamWorker::launch(const Launch& launch) {
  push({{}, true, launch});
}

void StreamWorker::wait(StreamPoint point) {
  if (point.stream == nullptr || point.stream == this) return;  // in order anyway
  push({point, false, {}});
}

void StreamWorker::push(const Command& command) {
  abort_.check();
  std::unique_lock lock(mutex_);
  if (command.launches) {
    // The worker drains its queue after an abort too, so this ends.
    drained_.wait(lock, [this] { return launches_queued_ < kLaunchWindow; });
    ++launches_queued_;
  }
  const bool was_empty = queue_.empty();
  queue_.push_back(command);
  ++issued_;
  lock.unlock();
  if (was_empty) filled_.notify_one();
}

bool StreamWorker::pop(Command& command) {
  std::unique_lock lock(mutex_);
  filled_.wait(lock, [this] { return !queue_.empty() || closing_; });
  if (queue_.empty()) return false;
  command = queue_.front();
  queue_.pop_front();
  if (command.launches && launches_queued_-- == kLaunchWindow) drained_.notify_one();
  return true;
}

void StreamWorker::work() {
  prepare_();
  Command command;
  uint64_t done = 0;
  while (pop(command)) {
    try {
      if (!abort_.aborted()) {
        if (command.launches) {
          spans_.push_back(execute_(command.launch));
        } else {
          command.point.stream->done().wait(command.point.sequence);
        }
      }
    } catch (const Aborted&) {
      // Somebody else failed; the rest of the queue is dropped.
    } catch (const std::exception& error) {
      failed_(command.launch, error.what());
    }
    done_.set(++done);
  }
}

std::vector<Span> StreamWorker::take_spans() {
  return std::exchange(spans_, {});
}

}  // namespace pgram
