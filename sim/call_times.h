// When the tasks of a Call run, counted from its beginning: what is known of it once it has run undisturbed.
#pragma once
#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "core/base/units.h"
#include "sim/costs.h"
#include "sim/stream_order.h"

namespace pgram::sim {

/// A Call is closed if its tasks wait for nobody outside of the rank and are alone on their links, all that it waits for
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
  std::vector<Op> ops;
  std::vector<Slowed> slowed;  ///< by time
  Picoseconds end = 0;         ///< of the last task
  uint32_t late = 0;           ///< the rank's streams that are busy until then, as bits

  /// When a stream of the call is past all its tasks up to `op`, which may itself be on another stream.
  Picoseconds passed(const BodyStreams& body, uint8_t stream, uint32_t op) const {
    Picoseconds time = 0;
    for (uint32_t i = body.first[stream]; i < body.first[stream + 1] && body.ops[i] <= op; ++i)
      time = ops[body.ops[i]].end;
    return time;
  }
};

/// A Call of fewer tasks costs more to replay than to simulate.
constexpr uint32_t kFewestReplayed = 3;

/// By costs, Body and share.
using CallMemory = std::map<std::tuple<const OpCost*, uint16_t, double>, CallTimes>;

/// What is known of a rank's calls of a Body.
struct ClosedBody {
  bool known = false, closed = false;
  std::vector<uint32_t> links;  ///< that its transfers use
};

/// A class of links that may be full.
struct CallLink {
  uint32_t flows = 0;         ///< that run one by one
  uint32_t of_calls = kNone;  ///< the rank that may use it in calls that run as one
};

/// What a rank does as one.
struct RankCalls {
  std::vector<ClosedBody> bodies;

  const CallTimes* replay = nullptr;  ///< null: none
  Picoseconds since = 0;
  uint32_t call = kNone, first_ticket = 0, streams = 0;  ///< those of its streams, as bits
  uint16_t body = 0;
  uint32_t disturbed = kNone;  ///< a call that goes on task by task

  bool records = false;  ///< `since`, `call` ... are of a call whose times are written down
  CallTimes times;
  double share = 0;
  uint32_t left = 0;  ///< tasks that have not ended
};

}  // namespace pgram::sim
