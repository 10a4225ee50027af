// Reports and counted calls, see reports.h.
#include "tests/emulation/runtime/reports.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <map>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

#include "tests/emulation/runtime/runtime.h"

namespace pgram::emulation {
namespace {

constexpr int kExitOfMisuse = 99;

struct Calls {
  uint64_t made = 0;
  // By the number that the call will have:
  std::map<uint64_t, int> failing;
  std::map<uint64_t, double> stalling;  ///< seconds
};

/// Never destroyed: workers outlive main().
struct Records {
  std::mutex mutex;
  std::vector<std::string> reports;
  std::map<std::string, Calls, std::less<>> calls;
};
Records& records() {
  static auto& instance = *new Records;
  return instance;
}

/// Speaks up when the process ends with misuse that no test took.
struct AtExit {
  ~AtExit() {
    const std::vector<std::string> left = take_reports();
    if (left.empty()) return;
    std::fflush(nullptr);
    for (const std::string& line : left) std::fprintf(stderr, "stand-in GPU: %s\n", line.c_str());
    std::fflush(stderr);
    _exit(kExitOfMisuse);
  }
};
const AtExit at_exit;

}  // namespace

void report(const std::string& line) {
  Records& all = records();
  const std::lock_guard lock(all.mutex);
  all.reports.push_back(line);
}

std::vector<std::string> take_reports() {
  Records& all = records();
  const std::lock_guard lock(all.mutex);
  return std::exchange(all.reports, {});
}

int enter(const char* call) {
  Records& all = records();
  std::unique_lock lock(all.mutex);
  auto found = all.calls.find(std::string_view(call));
  if (found == all.calls.end()) found = all.calls.emplace(call, Calls{}).first;
  Calls& calls = found->second;
  ++calls.made;
  const auto planned = calls.failing.find(calls.made);
  const int code = planned == calls.failing.end() ? 0 : planned->second;
  if (const auto stall = calls.stalling.find(calls.made); stall != calls.stalling.end()) {
    const std::chrono::duration<double> time(stall->second);
    lock.unlock();
    std::this_thread::sleep_for(time);
  }
  return code;
}

uint64_t calls_of(const char* name) {
  Records& all = records();
  const std::lock_guard lock(all.mutex);
  const auto found = all.calls.find(std::string_view(name));
  return found == all.calls.end() ? 0 : found->second.made;
}

std::vector<std::string> kinds_of_calls() {
  Records& all = records();
  const std::lock_guard lock(all.mutex);
  std::vector<std::string> kinds;
  for (const auto& [name, calls] : all.calls)
    if (calls.made) kinds.push_back(name);
  return kinds;
}

void plan_failure(const char* name, uint64_t nth, int code) {
  Records& all = records();
  const std::lock_guard lock(all.mutex);
  Calls& calls = all.calls[name];
  calls.failing[calls.made + nth] = code;
}

void plan_stall(const char* name, uint64_t nth, double seconds) {
  Records& all = records();
  const std::lock_guard lock(all.mutex);
  Calls& calls = all.calls[name];
  calls.stalling[calls.made + nth] = seconds;
}

void reset_calls() {
  Records& all = records();
  const std::lock_guard lock(all.mutex);
  all.calls.clear();
}

std::string of_task(const std::string& task) {
  return task.empty() ? std::string() : " of task " + task;
}

}  // namespace pgram::emulation
