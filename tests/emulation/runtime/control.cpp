// The functions of control.h.
#include "tests/emulation/control.h"

#include <atomic>

#include "tests/emulation/runtime/clock.h"
#include "tests/emulation/runtime/device.h"
#include "tests/emulation/runtime/event.h"
#include "tests/emulation/runtime/memory.h"
#include "tests/emulation/runtime/reports.h"
#include "tests/emulation/runtime/runtime.h"
#include "tests/emulation/runtime/stream.h"

extern "C" const pgram::emulation::Control* pgram_emulation_control();

namespace pgram::emulation {
namespace {

std::atomic<int64_t> live_blas_handles = 0, live_communicators = 0;

void reset() {
  take_reports();
  reset_calls();
  reset_virtual_clock();
  take_task_times();
  reset_errors();
}

Live live() {
  Live live;
  live.streams = live_streams();
  for (const auto& stream : streams_of_device(-1)) live.urgent_streams += stream->priority == kGreatestPriority;
  live.events = live_events();
  live.allocations = live_allocations();
  live.pinned = PinnedMemory::instance().live();
  live.blas_handles = uint64_t(live_blas_handles.load());
  live.communicators = uint64_t(live_communicators.load());
  return live;
}

std::vector<std::string> blocked() {
  std::vector<std::string> lines;
  for (const auto& stream : streams_of_device(-1)) {
    bool busy = false;
    if (std::string line = stream->waiting(busy); !line.empty()) lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace

void count_live(int64_t blas_handles, int64_t communicators) {
  live_blas_handles += blas_handles;
  live_communicators += communicators;
}

}  // namespace pgram::emulation

const pgram::emulation::Control* pgram_emulation_control() {
  using namespace pgram::emulation;
  static const Control control{.reset = reset,
                               .set_devices = set_device_count,
                               .set_memory = set_memory_capacity,
                               .set_capability = set_capability,
                               .set_queue = set_queue,
                               .take_reports = take_reports,
                               .calls = calls_of,
                               .called = kinds_of_calls,
                               .fail_call = plan_failure,
                               .stall_call = plan_stall,
                               .live = live,
                               .set_cost_model = set_cost_model,
                               .take_task_times = take_task_times,
                               .blocked = blocked};
  return &control;
}
