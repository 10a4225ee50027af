// What the evaluator walks: the ops of each role with what they cost.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "sim/problem.h"

namespace pgram::sim {

/// An op of one kind of rank: all that a walk needs to know, in half a cache line.
struct TableOp {
  Picoseconds hold = 0, tail = 0;  ///< as OpCost
  uint32_t first_wait = 0;         ///< into Ops::waits
  uint16_t comm = 0;               ///< 0: none, else 1 + its index into OpTable::comms
  uint16_t op = 0;                 ///< of its body
  uint8_t stream = 0;              ///< index into Ops::streams
  uint8_t num_waits = 0;
  bool last = true;      ///< of its body
  bool grouped = false;  ///< its body is
  bool alone = false;    ///< the only op of its body, which is not grouped: all that a call of it waits for or records
  bool operator==(const TableOp&) const = default;
};
static_assert(sizeof(TableOp) == 32);
inline constexpr TableOp kNoOp;  ///< of a body without ops

/// Streams and communicators are numbered as the role uses them: roles that do the same share their ops, and what a
/// walk reads lies close together however large the plan is.
struct Ops {
  std::vector<TableOp> tasks;
  std::vector<uint16_t> waits;  ///< ops of the task's body
  std::vector<uint8_t> streams;
  std::vector<Picoseconds> tails;  ///< of each stream, the longest; where streams end in order they are all the same
  uint32_t most_ops = 0;           ///< of a body
  bool operator==(const Ops&) const = default;
};

/// What ranks with one role and one table of costs walk.
struct OpTable {
  /// `before`: a table that may have the same ops, or null.
  OpTable(const Problem&, const Instance&, const OpTable* before);

  std::shared_ptr<const Ops> ops;
  std::vector<const TableOp*> bodies;  ///< of the plan: their first tasks; kNoOp: none, or the role does not use it
  const std::vector<uint16_t>* comms = nullptr;  ///< of the role, as Usage
};

}  // namespace pgram::sim
