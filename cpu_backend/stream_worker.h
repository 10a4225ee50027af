// StreamWorker: one stream of one rank, a thread that runs its commands in order.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "core/exec/backend.h"
#include "cpu_backend/signal.h"

namespace pgram {

/// Tasks that may be issued ahead of execution on one stream.
constexpr uint32_t kLaunchWindow = 1024;

/// A point in a stream's order: reached once the stream's first `sequence` commands are done.
struct StreamPoint {
  const class StreamWorker* stream = nullptr;  ///< null: never recorded, nothing to wait for
  uint64_t sequence = 0;
};

class StreamWorker {
 public:
  /// `execute` runs a task, or the tasks of a group together, on this thread and appends their spans; it throws nothing
  /// but Aborted. `prepare` runs first on the thread.
  using Execute = std::function<void(std::span<const Launch>, std::vector<Span>&)>;
  StreamWorker(AbortState&, int spins, std::function<void()> prepare, Execute execute);
  /// Waits for all commands; the caller aborts first if they may be stuck.
  ~StreamWorker();

  // Called by the rank's interpreter thread only.
  void launch(const Launch&);
  void launch_group(std::vector<Launch>);
  void wait(StreamPoint);
  StreamPoint here() const { return {this, issued_}; }
  uint64_t issued() const { return issued_; }
  /// Commands done; follows issued().
  Signal& done() const { return done_; }
  /// Spans of finished tasks; call when done() has reached issued().
  std::vector<Span> take_spans();

 private:
  struct Command {
    StreamPoint point;  ///< waited for first
    bool launches = false;
    Launch launch;
    std::vector<Launch> group;  ///< instead of `launch`
  };
  void push(Command);
  bool pop(Command&);
  void work();

  AbortState& abort_;
  const std::function<void()> prepare_;
  const Execute execute_;
  uint64_t issued_ = 0;
  mutable Signal done_;

  std::mutex mutex_;
  std::condition_variable filled_, drained_;
  std::deque<Command> queue_;
  uint32_t launches_queued_ = 0;
  bool closing_ = false;

  std::vector<Span> spans_;
  std::vector<std::unique_ptr<Command>> abandoned_;  ///< ended by an abort; partners may read them still
  std::thread thread_;
};

}  // namespace pgram
