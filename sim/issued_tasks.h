// What the event loop keeps of tasks that are issued and have not ended, and of the ranks, streams and places they are
// on.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "sim/problem.h"

namespace pgram::sim {

/// What happens to a node at its event's time, in the lower bits of Event::what. kOther: not to a node but what the
/// next bits say.
enum Happening : uint64_t { kOther = 0, kFreed = 1, kEnded = 2, kBoth = 3 };
enum class Other : uint64_t { flow_begins, compute_may_end, link_changes, step_begins };

/// An issued task, one cache line. Its number ("ticket") counts the rank's tasks; its place in the rank's window is
/// used again later, so that a reference holds both. Of a group, whose tasks have tickets in a row, the first stands
/// for all of them where streams and events are concerned.
struct alignas(64) Node {
  Picoseconds arrival = 0;  // the latest of what it waits for; while some are pending, so far
  const OpCost* cost = nullptr;
  Span* span = nullptr;
  uint32_t ticket = 0;
  uint32_t rank = 0, call = 0;
  uint32_t successor = kNone;     // next on its stream, if that is issued and waits for this
  uint32_t waiter = kNone;        // who waits for its end ...
  uint32_t more_waiters = kNone;  // ... and who else: a list of edges
  uint32_t meeting = kNone, partner = kNone;
  uint16_t op = 0, pending = 0;  // pending of a group's first task, once that has come: tasks without an end
  uint8_t stream = 0;
  Kernel kernel = Kernel::opaque;
  uint8_t happened = 0;  // Happening, so far
  bool grouped = false;
};
static_assert(sizeof(Node) == 64);

struct Reference {
  uint32_t node = kNone;
  uint32_t ticket = 0;
};

struct Edge {
  uint32_t node = 0, next = kNone;
};

/// Of a stream whose tasks may end in another order than they begin in.
struct StreamTimes {
  Picoseconds done = 0;        // when all tasks so far have ended, which is what an event says
  Picoseconds group_free = 0;  // when the running group's tasks so far no longer hold it
};

/// What every issue reads of a Body, close together.
struct Steps {
  const Op* ops = nullptr;
  const uint16_t* waits = nullptr;
  uint32_t count = 0;
  uint32_t first_cost = 0;  // into Instance::costs
  bool grouped = false;
};

/// What every task touches comes first: 200 bytes, so that tens of ranks fit the first cache.
struct Rank {
  const Instance* instance = nullptr;
  uint32_t first_node = 0;
  uint32_t window = 0;     // tasks
  uint32_t ring_mask = 0;  // places for them, a power of two, less one
  uint32_t call = 0, op = 0;
  const Sync* sync = nullptr;
  uint32_t oldest = 0, next = 0;  // tickets: first unfinished, and the next to issue
  uint32_t call_ticket = 0;       // of the running call's first op
  std::vector<Reference> events;
  std::array<Reference, kStreams> last{};  // task of each stream
  std::array<StreamTimes, kStreams> times{};
  std::array<Span*, kStreams> spans{};
};

struct Meeting {
  Picoseconds latest = 0;
  uint32_t needed = 0, come = 0;
  uint32_t first_waiting = 0;  // into EventLoop::waiting_: those that have come
};

/// The transfer of a meeting place, once everybody has come.
struct Flow {
  std::vector<uint32_t> running;  // whose transfer is a flow now, or will be after its latency
  bool flows = false;
  Picoseconds alone_end = 0;  // when it would end if it met nobody
};

/// Places that a program needs at most, of a window of so many tasks.
inline uint32_t window_of(const Plan& plan, const Program& program, uint32_t most) {
  uint64_t tasks = 0;
  for (const Call& call : program.calls) {
    tasks += plan.bodies[call.body].ops.size();
    if (tasks >= most) return most;
  }
  return std::max<uint32_t>(1, static_cast<uint32_t>(tasks));
}

/// Tasks that one issue may add to a window: those of the largest group.
inline uint32_t most_issued_at_once(const Plan& plan) {
  size_t most = 1;
  for (const Body& body : plan.bodies) {
    if (body.grouped) most = std::max(most, body.ops.size());
  }
  return static_cast<uint32_t>(most);
}

}  // namespace pgram::sim
