// Finds streams that can never move again.
#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "tests/emulation/runtime/stream.h"

namespace pgram::emulation {
namespace {

/// Every stream that has work, if all of them wait; else empty.
std::string all_that_wait() {
  std::string text;
  for (const auto& stream : streams_of_device(-1)) {
    bool busy = false;
    const std::string line = stream->waiting(busy);
    if (busy && line.empty()) return {};
    if (!line.empty()) text += line + "\n";
  }
  return text;
}

void watch(double seconds, const std::function<void(const std::string&)>& found) {
  const std::chrono::duration<double> limit(seconds), period(std::clamp(seconds / 20, 0.001, 0.1));
  auto since = std::chrono::steady_clock::now();
  uint64_t before = progress();
  for (;;) {
    std::this_thread::sleep_for(period);
    const std::string text = all_that_wait();
    const auto now = std::chrono::steady_clock::now();
    if (const uint64_t count = progress(); text.empty() || count != before)
      before = count, since = now;
    else if (now - since >= limit)
      return found(text);
  }
}

}  // namespace

void watch_for_deadlock(double seconds, std::function<void(const std::string& text)> found) {
  std::thread([seconds, found = std::move(found)] { watch(seconds, found); }).detach();
}

}  // namespace pgram::emulation
