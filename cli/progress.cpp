#include "cli/progress.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <thread>

namespace pgram::cli {

using Clock = std::chrono::steady_clock;

Progress::Progress(std::string what)
    : what_(std::move(what)), begin_(Clock::now()), last_(begin_), terminal_(isatty(STDERR_FILENO) != 0) {}

Progress::~Progress() {
  clear();
}

void Progress::clear() {
  if (shown_) std::fprintf(stderr, "\r\033[K");
  shown_ = false;
}

void Progress::show(double fraction, const std::string& detail) {
  const std::lock_guard lock(mutex_);
  const Clock::time_point now = Clock::now();
  const double elapsed = std::chrono::duration<double>(now - begin_).count();
  if (!terminal_ || elapsed < 1 || (now - last_ < std::chrono::milliseconds(100) && fraction < 1)) return;
  last_ = now;
  constexpr int kWidth = 30;
  const int full = static_cast<int>(fraction * kWidth);
  std::string bar(static_cast<size_t>(full), '#');
  bar.resize(kWidth, '.');
  const double left = fraction > 0.01 ? elapsed / fraction - elapsed : 0;
  std::fprintf(stderr, "\r\033[K%s [%s] %3.0f %%  %.0f s left  %s", what_.c_str(), bar.c_str(), fraction * 100, left,
               detail.c_str());
  std::fflush(stderr);
  shown_ = true;
}

static volatile std::sig_atomic_t interrupted = 0;

static void on_interrupt(int signal) {
  interrupted = 1;
  std::signal(signal, SIG_DFL);
}

std::stop_token stop_on_interrupt(bool says) {
  static std::stop_source source;
  static std::jthread watcher([says](std::stop_token ending) {
    // A signal handler may not touch a stop_source; a thread that looks every 50 ms may.
    while (!ending.stop_requested() && !interrupted) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    if (interrupted) {
      if (says) std::fprintf(stderr, "\nstopping; what was found so far is kept (Ctrl-C again ends at once)\n");
      source.request_stop();
    }
  });
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
  return source.get_token();
}

}  // namespace pgram::cli
