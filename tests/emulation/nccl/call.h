// One rank's NCCL operation, as it meets those of the other ranks.
#pragma once
#include <nccl.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/emulation/control.h"

namespace pgram::emulation {

using Bytes = std::vector<std::byte>;

enum class Kind : uint8_t { join, split, all_reduce, reduce_scatter, all_gather, broadcast, reduce, send, receive };

const char* name_of(Kind);  ///< "ncclAllReduce"
inline bool is_management(Kind kind) {
  return kind <= Kind::split;
}
inline bool is_point_to_point(Kind kind) {
  return kind >= Kind::send;
}

/// Goes from process to process as it is.
struct Call {
  Kind kind = Kind::join;
  ncclDataType_t type = ncclInt8;
  ncclRedOp_t op = ncclSum;
  int root = 0;           ///< of a broadcast or reduce; the other rank of a send or receive
  uint64_t count = 0;     ///< as given to NCCL
  uint64_t sequence = 0;  ///< this rank's how manieth: of management calls, of collectives, or to (from) that peer
  VirtualTime arrival = 0;
};

/// What a call brings to the others, and what it takes home.
uint64_t size_of(ncclDataType_t);
uint64_t sent_bytes(const Call&, int rank, int ranks);
uint64_t received_bytes(const Call&, int rank, int ranks);
/// "ncclAllReduce #2" or "ncclSend #0 to rank 1".
std::string describe(const Call&);
/// "ncclAllReduce of 4 x float, sum": what the members of a collective must agree on.
std::string signature(const Call&);

/// How a call ended: well. One that cannot never ends, and the communicator's listener is told why.
struct Outcome {
  VirtualTime begin = 0;  ///< when the last one had come
  Bytes data;
};
using Done = std::function<void(Outcome)>;
/// Told of a lost rank, or of calls that do not match.
using Listener = std::function<void(ncclResult_t)>;

/// Data of management calls.
struct JoinData {
  int device = 0;
};
struct SplitData {
  int color = 0, key = 0;
};
struct SplitOutcome {
  uint64_t meeting = 0;
  int rank = 0, ranks = 0;  ///< 0 ranks: not a member
};

template <class T>
Bytes to_bytes(const T& value) {
  const auto* first = reinterpret_cast<const std::byte*>(&value);
  return Bytes(first, first + sizeof value);
}
/// The bytes are those of a T.
template <class T>
T from_bytes(const Bytes& bytes) {
  return *reinterpret_cast<const T*>(bytes.data());
}

}  // namespace pgram::emulation
