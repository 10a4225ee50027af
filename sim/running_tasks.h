// What the event loop keeps of the tasks at the heads of streams, and of the streams, ranks and places they are on.
#pragma once
#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "sim/problem.h"
#include "sim/stream_order.h"

namespace pgram::sim {

/// What happens at an event's time, in the lower bits of Event::what. kFreed: the task at the head of a stream holds it
/// no longer; kEnded: a stream's tasks before a ticket have ended; kOther: what the next bits say.
enum Happening : uint64_t { kOther = 0, kFreed = 1, kEnded = 2 };
enum class Other : uint64_t { flow_begins, compute_may_end, link_changes, step_begins, replay_passes, replay_ends };

/// A task that has arrived at the head of its stream, one cache line. A stream has one at a time, which has the
/// stream's number; those of a group have further numbers in a row, and the first one's stream stands for all.
struct alignas(64) Running {
  Picoseconds arrival = 0;
  const OpCost* cost = nullptr;
  Span* span = nullptr;
  uint32_t rank = 0, call = 0;
  uint32_t stream = 0;
  uint32_t meeting = kNone, partner = kNone;
  uint16_t op = 0;
  Kernel kernel = Kernel::opaque;
  bool grouped = false;
};
static_assert(sizeof(Running) == 64);

/// A stream of a rank and the task at its head, which waits, has arrived or runs. One cache line.
struct alignas(64) StreamHead {
  const StreamOrder::Visit* visit = nullptr;
  const uint16_t* op = nullptr;  // of the visit's ops on this stream
  uint32_t ticket = kNoTicket;   // kNoTicket: nothing is left
  uint32_t unended = 0;          // the first task that has not ended
  uint32_t awaited = 0;          // the task that the head waits for, if it does
  uint32_t wake = kNoTicket;     // the first task of this stream that a head of `blocked` waits for
  uint32_t rank = 0;
  uint16_t ops_left = 0;    // of the visit, the head's included
  uint16_t blocked = 0;     // streams of the rank whose heads wait for a task of this one, as bits
  uint16_t group_left = 0;  // of the running group's tasks: those whose end is not known yet
  uint8_t name = 0;         // as core/plan numbers it
  bool arrived = false;     // the head has, and runs or waits for partners
  // Where tasks may end in another order than they begin in, and in groups:
  Picoseconds done = 0;        // all tasks so far have ended, which is what an event says
  Picoseconds group_free = 0;  // the running group's tasks so far no longer hold it
};
static_assert(sizeof(StreamHead) == 64);

/// What every task reads of a Body, close together.
struct Steps {
  const Op* ops = nullptr;
  const BodyStreams* streams = nullptr;
  uint32_t count = 0;
  uint32_t first_cost = 0;  // into Instance::costs
  bool grouped = false;
  uint16_t first_compute = 0;  // op; `count` if there is none
};

/// What every task reads of its rank is in one cache line.
struct alignas(64) Rank {
  const OpCost* costs = nullptr;
  const uint32_t* meetings = nullptr;
  const StreamOrder::Visit* visits = nullptr;
  const StreamOrder::Wait* waits = nullptr;
  const StreamOrder* order = nullptr;
  const Instance* instance = nullptr;
  uint32_t first_stream = 0, num_streams = 0;
  uint32_t oldest = 0;  // the first task that has not ended is not before this
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

/// Tasks of the largest group; 0 where there are none.
inline uint32_t largest_group(const Plan& plan) {
  size_t most = 0;
  for (const Body& body : plan.bodies) {
    if (body.grouped) most = std::max(most, body.ops.size());
  }
  return static_cast<uint32_t>(most);
}

}  // namespace pgram::sim
