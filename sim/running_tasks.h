// What the event loop keeps of the tasks at the heads of streams, and of the streams, ranks and places they are on.
#pragma once
#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "sim/problem.h"
#include "sim/stream_order.h"

namespace pgram::sim {

/// What happens at an event's time, in the lower bits of Event::what. kFreed: the task at the head of a stream holds it
/// no longer; kEnded: a stream's tasks before a ticket have ended; kOther: what the next bits say.
enum Happening : uint64_t { kOther = 0, kFreed = 1, kEnded = 2 };
enum class Other : uint64_t {
  flow_begins,
  flow_may_end,
  compute_may_end,
  link_changes,
  step_begins,
  replay_passes,
  replay_ends
};

/// A task at the head of its stream. A stream has one at a time, which has the stream's number; those of a group have
/// further numbers in a row, and the stream's own stands for all.
struct Running {
  const StreamOp* op = nullptr;
  Span* span = nullptr;  // null: none are kept
  uint32_t stream = 0, rank = 0;
};

/// A stream of a rank and the task at its head, which waits, has arrived or runs. One cache line.
struct alignas(64) StreamHead {
  Running task;
  const StreamOrder::Visit* visit = nullptr;
  Picoseconds done = 0;         // all tasks so far have ended, which is what an event says
  uint32_t ticket = kNoTicket;  // kNoTicket: nothing is left
  uint32_t unended = 0;         // the first task that has not ended
  uint32_t awaited = 0;         // the task that the head waits for, if it does
  uint32_t wake = kNoTicket;    // the first task of this stream that a head of `blocked` waits for
  uint16_t blocked = 0;         // streams of the rank whose heads wait for a task of this one, as bits
  uint16_t waits_met = 0;       // so many of the head's
  uint8_t name = 0;             // as core/plan numbers it
  uint8_t dense = 0;            // among the rank's streams
  bool arrived = false;         // the head has, and runs or waits for partners
};
static_assert(sizeof(StreamHead) == 64);

/// The group at the head of a stream.
struct Group {
  uint32_t left = 0;     // tasks whose end is not known yet
  Picoseconds free = 0;  // those so far no longer hold it
};

struct RankCalls;

/// What every task reads of its rank is in one cache line.
struct alignas(64) Rank {
  const StreamOp* ops = nullptr;
  const uint32_t* meetings = nullptr;
  const StreamOrder::Wait* waits = nullptr;
  const StreamOrder::OwnWait* own_waits = nullptr;
  const StreamOrder* order = nullptr;
  const Instance* instance = nullptr;
  RankCalls* calls = nullptr;  // null: none run as one
  uint32_t first_stream = 0;
  uint32_t oldest = 0;  // the first task that has not ended is not before this

  uint32_t num_streams() const { return static_cast<uint32_t>(order->streams.size()); }
};
static_assert(sizeof(Rank) == 64);

/// Who has come to a meeting place: two are kept here, of more the first number says where in EventLoop::waiting_.
struct Meeting {
  uint32_t needed = 0, come = 0;
  std::array<uint32_t, 2> waiting{};
};

/// The network's dates are whole picoseconds up to twice this: a flow may be handed to it later than it began.
constexpr Picoseconds kExactDates = Picoseconds{1} << 52;

/// The transfer of a meeting place, once everybody has come; those who wait there stay until it is over.
struct Flow {
  // Of the last transfer, as which mostly the next one is.
  double bytes = 0, limit = 0;  // 0: nothing is known
  uint32_t lane = 0;
  std::span<const LinkUse> uses;
  Picoseconds takes = 0;    // on links without others
  bool unhindered = false;  // the links are fast enough for that

  bool flows = false;
  bool alone = false;                    // nobody is on its links, so that no rates need working out
  Picoseconds begin = 0, alone_end = 0;  // when it would end if it met nobody
};

/// A class of links that may be full.
struct LinkUsers {
  uint32_t flows = 0;         // that run one by one
  uint32_t alone = kNone;     // the place of the only one, if it is alone on all its links
  uint32_t of_calls = kNone;  // the stream whose transfers may use it in calls that run as one
};

}  // namespace pgram::sim
