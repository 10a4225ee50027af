// What each stream of a Program runs, in order, and which task each wait of a Call waits for.
#pragma once
#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/base/units.h"
#include "core/plan/plan.h"
#include "sim/groups.h"

namespace pgram::sim {

/// Some of a rank's streams, ascending.
class StreamSet {
 public:
  class Iterator {
   public:
    explicit Iterator(uint32_t left) : left_(left) {}
    uint8_t operator*() const { return static_cast<uint8_t>(std::countr_zero(left_)); }
    Iterator& operator++() {
      left_ &= left_ - 1;
      return *this;
    }
    bool operator==(const Iterator&) const = default;

   private:
    uint32_t left_;
  };
  Iterator begin() const { return Iterator(bits_); }
  Iterator end() const { return Iterator(0); }
  uint32_t size() const { return static_cast<uint32_t>(std::popcount(bits_)); }
  void add(uint8_t stream) { bits_ |= uint32_t{1} << stream; }
  void add(StreamSet others) { bits_ |= others.bits_; }

 private:
  static_assert(kStreams <= 32);
  uint32_t bits_ = 0;
};

/// Ops of a Body by the stream they are on. A grouped body is one operation of its stream: its first op stands for it.
struct BodyStreams {
  std::vector<uint16_t> ops;
  std::array<uint16_t, kStreams + 1> first{};  ///< into ops, by stream
  StreamSet streams;                           ///< those that have any
};
std::vector<BodyStreams> streams_of_bodies(const Plan&);

/// A task's number ("ticket") counts the tasks of its program in issue order.
constexpr uint32_t kNoTicket = ~0u;

/// All that a task reads of its op and what that costs. Those of a call on one stream lie in a row, those of a program
/// near one another.
struct StreamOp {
  Picoseconds hold = 0, tail = 0;  // of the Instance
  uint32_t cost = 0;               // place in Instance::costs and Instance::transfers
  uint32_t first_wait = 0;
  uint16_t op = 0, comm = kNoComm;
  uint8_t num_waits = 0;
  Kernel kernel = Kernel::opaque;
  bool last : 1 = false;     // of its call on its stream
  bool grouped : 1 = false;  // those of its group follow
  bool opens : 1 = false;    // the first of its call, where that computes, or its first compute op
};
static_assert(sizeof(StreamOp) == 32);

/// Of one Program. Its streams are numbered densely, in the order of Stream. All lies in the order of the program, for
/// the streams of a rank are about as far as one another, and few places at once can be kept near.
struct StreamOrder {
  /// A Call that has something for the stream.
  struct Visit {
    uint32_t call, first_ticket;
    uint32_t first_wait;
    uint32_t next;             ///< the stream's next visit is so many further; 0: it was the last
    uint32_t first_op;         ///< of the call's on the stream, in `ops`
    uint16_t body, num_waits;  ///< those of all streams of the call
  };
  /// Before `op` another call's task must have ended.
  struct Wait {
    uint32_t ticket;
    uint16_t op, stream;  ///< dense
  };
  /// Before an op another one of its call must have ended.
  struct OwnWait {
    uint16_t op, stream;  ///< dense
  };
  struct Own {
    uint8_t name = 0;  ///< as core/plan numbers it
    uint32_t first = 0;
  };
  std::vector<Own> streams;
  std::array<uint8_t, kStreams> dense{};  ///< place in `streams`
  std::unique_ptr<Visit[]> visits;
  std::unique_ptr<Wait[]> waits;
  std::vector<OwnWait> own_waits;
  struct Used {
    uint16_t body = 0;
    uint32_t first_op = 0;
  };
  std::vector<Used> bodies;   ///< ascending
  std::vector<StreamOp> ops;  ///< of each of those; yet without their costs

  StreamOrder(const Plan&, const std::vector<BodyStreams>&, const Usage&, uint32_t role);

 private:
  void add_ops(const Body&, const BodyStreams&, uint32_t first_cost, uint32_t first_own_wait);
};

}  // namespace pgram::sim
