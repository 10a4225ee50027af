// When the tasks of a Call run, counted from its first one: what is known of it once it has run undisturbed.
#pragma once
#include <array>
#include <bit>
#include <cstdint>
#include <forward_list>
#include <memory>
#include <vector>

#include "core/base/units.h"
#include "core/timeline/timeline.h"
#include "sim/costs.h"
#include "sim/stream_order.h"

namespace pgram::sim {

/// The tasks of a Call from its first compute task on, and those of the next Call before its first compute task: in a
/// layer of a backward pass that gathers its input while the layer before still computes, these come in between. What
/// was gathered for the Call itself is there when it begins; or all tasks of the Call, where nothing else runs on its
/// streams when the first of them can begin, as in the first layer behind a receive.
///
/// It is closed if its tasks wait for nobody outside of the rank and are alone on their links, all that it waits for
/// has ended when it begins, and its streams are free. Then its times depend only on the costs of its tasks and on the
/// share of the device that others take.
struct CallTimes {
  struct Op {
    Picoseconds begin = 0, end = 0;
  };
  /// From `at` on, when collectives of the call itself came or went, `left` of a compute task's work was to be done.
  struct Slowed {
    uint16_t op = 0;
    Picoseconds at = 0;
    double left = 0;
  };
  /// A task of the next Call waits for one of this Call.
  struct Wait {
    uint16_t op = 0;
    uint32_t ticket = 0;  ///< from the Call's first
    bool operator==(const Wait&) const = default;
  };
  /// What they depend on besides the Call's Body: its costs, and the next Call's Body and costs if tasks of it belong.
  struct Key {
    uint32_t costs = 0, next_costs = 0;  ///< ClosedBody::costs
    uint16_t next_body = kNoBody;
    bool whole = false;  ///< all tasks of the Call
    double share = 0;    ///< that others take of the device
    bool operator==(const Key&) const = default;
  };
  /// The spans of a stream.
  struct Row {
    uint16_t first = 0, count = 0;
    uint16_t own = 0;   ///< those of the Call itself come first
    uint16_t skip = 0;  ///< its ops on the stream before those
  };
  static constexpr uint16_t kNoBody = 0xffff;

  Key key;
  uint32_t number = 0;         ///< of what is known, counted from 0
  std::vector<Op> ops;         ///< the Call's, then the next Call's
  std::vector<Slowed> slowed;  ///< by time
  std::vector<Wait> waits;
  Picoseconds end = 0;               ///< of the last task
  uint32_t late = 0;                 ///< the streams that are busy until then, as bits
  std::vector<Span> spans;           ///< as they will be written, but for rank, call and when it began
  std::array<Row, kStreams> rows{};  ///< of each stream

  /// When a stream has done all its tasks; 0: it has none.
  Picoseconds passed(uint8_t stream) const {
    const Row& row = rows[stream];
    return row.count ? spans[row.first + row.count - 1u].end : 0;
  }
  bool is_late(uint8_t stream) const { return late >> stream & 1; }
};

/// A Call of fewer tasks costs more to replay than to simulate.
constexpr uint32_t kFewestReplayed = 3;

/// What is known of a rank's calls of a Body.
struct ClosedBody {
  bool known = false, closed = false;
  uint16_t num_ops = 0, first_compute = 0;    ///< of the Body
  uint32_t streams = 0, streams_before = 0;   ///< the rank's, as bits; before: those of ops before the first compute op
  std::array<uint16_t, kStreams> ops_from{};  ///< from that one on, by stream of the rank
  std::array<uint32_t, kStreams> first_from{};  ///< the first of those, or one past the others, in StreamOrder::ops
  std::array<int8_t, kStreams> beside{};        ///< the stream's visit is so many behind that of the compute stream
  uint32_t gated = 0;                           ///< streams whose first op of those waits for a compute op of the call
  bool may_be_whole = false;                    ///< nothing but the ops before the first compute op begins before it
  std::vector<uint32_t> links;                  ///< that its transfers use
  uint32_t costs = kNone;                       ///< the first rank whose calls of the Body cost the same
  std::forward_list<CallTimes> times;           ///< if that is this rank: what is known
};

/// The tasks that run as one, or would if they were known.
struct CallPart {
  const StreamOrder::Visit* visit = nullptr;  ///< of the compute stream
  uint32_t call = kNone, next = kNone;        ///< kNone: none of the next call's tasks
  uint16_t body = 0, next_body = CallTimes::kNoBody;
  uint16_t first = 0, count = 0;  ///< ops of the call: those before `first` have ended
  uint16_t next_count = 0;        ///< ops of the next call that belong to it
  uint32_t first_ticket = 0, next_ticket = 0;
  uint32_t streams = 0;  ///< the rank's, as bits

  CallPart() = default;
  /// A call from its first op or its first compute op on.
  CallPart(const StreamOrder::Visit& of, const ClosedBody& its, bool whole)
      : visit(&of),
        call(of.call),
        body(of.body),
        first(whole ? uint16_t{0} : its.first_compute),
        count(its.num_ops),
        first_ticket(of.first_ticket) {}
  /// The tasks of the next call before its first compute op belong to it.
  void add(const StreamOrder::Visit& of_next, const ClosedBody& its) {
    next = of_next.call;
    next_body = of_next.body;
    next_ticket = of_next.first_ticket;
    next_count = its.first_compute;
  }
  /// Place of a task in CallTimes::ops; kNone if it is none of them.
  uint32_t place(uint32_t of_call, uint16_t op) const {
    if (of_call == call && op >= first) return op;
    if (of_call == next && op < next_count) return uint32_t{count} + op;
    return kNone;
  }
  /// The same by ticket.
  uint32_t place(uint32_t ticket) const {
    if (ticket - first_ticket < count) return ticket - first_ticket;
    if (ticket - next_ticket < next_count) return count + (ticket - next_ticket);
    return kNone;
  }
  uint32_t tasks() const { return uint32_t{count} - first + next_count; }
  uint32_t last_ticket() const { return next_count ? next_ticket + next_count - 1 : first_ticket + count - 1; }
};

/// What a rank does as one: a part and those that follow it at once, each when the one before has ended.
struct alignas(64) RankCalls {
  struct Timed {
    CallPart part;
    const CallTimes* times = nullptr;
    Picoseconds begin = 0;
  };
  CallPart part;                           ///< that is replayed or written down
  Picoseconds since = 0;                   ///< when it began
  const CallTimes* replay = nullptr;       ///< null: none
  std::vector<Timed> parts;                ///< that run as one, by call
  size_t at = 0;                           ///< the present one of those
  Picoseconds until = 0;                   ///< when the last of them ends
  std::array<uint32_t, kStreams> after{};  ///< what each of their streams does then, as ticket
  uint32_t held_up = 0;                    ///< those, as bits, that a task of a stream outside keeps from going on then
  uint32_t disturbed = kNone;              ///< a call that goes on task by task
  std::vector<AlikeCall> ended;            ///< those that ran as one until their end; empty where no spans are kept

  std::unique_ptr<CallTimes> records;  ///< what is written down of `part`, if it is
  uint32_t left = 0;                   ///< tasks of it that have not ended

  bool at_last() const { return at + 1 == parts.size(); }
};

template <typename F>
void each_bit(uint32_t bits, const F& f) {
  for (; bits; bits &= bits - 1) f(static_cast<uint32_t>(std::countr_zero(bits)));
}

}  // namespace pgram::sim
