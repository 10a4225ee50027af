#include "tests/emulation/nccl/deadlock.h"

#include <algorithm>
#include <mutex>
#include <set>

#include "tests/emulation/nccl/communicator.h"
#include "tests/emulation/nccl/hub.h"
#include "tests/emulation/runtime/runtime.h"

namespace pgram::emulation {
namespace {

constexpr double kSeconds = 0.3;

using Place = std::pair<std::string, uint64_t>;  // hub, meeting

/// Whether the rank has issued the call, so that it is on a stream behind something.
bool has_issued(ncclComm& c, const Call& call) {
  std::lock_guard lock(c.mutex);
  if (is_management(call.kind)) return false;
  const uint64_t issued = call.kind == Kind::send      ? c.sends[call.root]
                          : call.kind == Kind::receive ? c.receives[call.root]
                                                       : c.collectives;
  return issued > call.sequence;
}

/// Of the communicators that wait; empty if one of them waits for what has not been issued, or is known to be in error.
std::set<Place> closed_circle() {
  std::map<std::pair<Place, int>, std::shared_ptr<ncclComm>> members;
  for (const auto& c : live_communicators()) members[{{c->hub, c->meeting}, c->rank}] = c;
  std::set<Place> places;
  for (const auto& hub : Hub::all()) {
    for (const auto& [number, meeting] : hub->meetings()) {
      for (const auto& [rank, call] : meeting->missing()) {
        const Place place{hub->name(), number};
        const auto found = members.find({place, rank});
        if (found == members.end() || !has_issued(*found->second, call)) return {};
        places.insert(place);
      }
    }
  }
  return places;
}

void found(const std::string& text) {
  const std::set<Place> places = closed_circle();
  bool is_new = false;
  for (const auto& c : live_communicators()) {
    if (!places.count({c->hub, c->meeting})) continue;
    {
      std::lock_guard lock(c->mutex);
      is_new = is_new || c->error == ncclSuccess;
    }
    c->fail(ncclSystemError);
  }
  if (is_new) {
    std::string line = text.substr(0, text.find_last_not_of('\n') + 1);
    std::replace(line.begin(), line.end(), '\n', ';');
    report("deadlock: " + line);
  }
  watch_for_deadlock(kSeconds, found);
}

}  // namespace

void watch_communicators() {
  static std::once_flag once;
  std::call_once(once, [] { watch_for_deadlock(kSeconds, found); });
}

}  // namespace pgram::emulation
