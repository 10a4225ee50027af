// The quick way through verify_buffers(): a role's calls proven with what is true in every call of a body.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/plan/plan.h"

namespace pgram {

/// Fields of each record that share bytes with a field (packed scratch).
using Overlaps = std::vector<std::vector<std::vector<uint16_t>>>;
Overlaps overlaps_of(const Plan&);

/// The long way, task by task: empty, or the first thing that is wrong.
std::string verify_tasks(const Plan&, size_t role, const Overlaps&);

/// What a body does with one formal: a bit for each of the record's fields.
struct FormalFacts {
  static constexpr int kAxes = 3;
  uint64_t needs = 0;    ///< read before the body writes them: must be defined
  uint64_t defines = 0;  ///< defined at its end
  /// Of gradients, by axis: must not be or must be summed over it before the body; are and are not after it.
  std::array<uint64_t, kAxes> unsummed{}, summed{}, sums{}, zeroes{};
};

/// An op, with what it knows of the body's others when it starts (its waits within the body are over).
struct OpFacts {
  uint16_t number = 0;  ///< on its stream in the body, from 1
  uint16_t knows = 0;   ///< streams of which it knows an op of the body, and its own: bits
  uint8_t stream = 0;
  std::array<uint16_t, kStreams> latest{};  ///< of those: the number that it knows
};

/// What the body alone does not order: that an op comes after those who used a field before the call. Only of fields
/// that tasks of several streams touch, and of streams of which it does not know anyway.
struct OrderCheck {
  uint16_t op = 0, cell = 0;  ///< cell: among the record's shared fields
  uint8_t formal = 0;
  uint16_t writers = 0, readers = 0;  ///< streams: bits
};

/// The last write of a shared field, or the last read by a stream since.
struct LastAccess {
  uint16_t cell = 0, number = 0, stream_bit = 0;
  uint8_t formal = 0, stream = 0;
};

struct BodyFacts {
  struct OnStream {
    uint8_t stream = 0;
    uint16_t last_op = 0, ops = 0;
  };

  bool known = false;  ///< false: no call of it can be proven here
  std::vector<FormalFacts> formals;
  std::vector<std::array<uint8_t, 2>> alike;  ///< formals of one record: two names for one slot would be beyond these
  std::vector<OpFacts> ops;
  std::vector<char> informs;  ///< from op, to op: what the one learns the other knows
  std::vector<OnStream> streams;
  bool streams_meet = false;  ///< several; the last op of each knows an op of every other
  std::vector<OrderCheck> checks;
  std::vector<LastAccess> writes, reads;

  bool informed(size_t from, size_t to) const { return informs[from * ops.size() + to] != 0; }
};

/// What is true in every call of a body, for all bodies of a plan.
class PlanFacts {
 public:
  PlanFacts(const Plan&, const Overlaps&);
  const BodyFacts& operator[](size_t body) const { return facts_[index_[body]]; }
  /// Whether the same is true of both.
  bool are_alike(size_t body, size_t other) const { return index_[body] == index_[other]; }
  uint32_t cells(size_t record) const { return num_cells_[record]; }

 private:
  void find_shared(const Overlaps&);
  BodyFacts learn(const Body&, const Overlaps&) const;

  const Plan& plan_;
  std::vector<std::vector<int>> cells_;  ///< record, field -> its number among those that several streams touch, or -1
  std::vector<uint32_t> num_cells_;      ///< by record
  std::vector<BodyFacts> facts_;
  std::vector<uint16_t> index_;  ///< by body
};

/// One for all roles of a plan.
class CallProver {
 public:
  CallProver(const Plan& plan, const Overlaps& overlaps) : plan_(plan), facts_(plan, overlaps) {}
  /// True: every rule of verify_buffers holds in the role. False: one does not, or it takes more than this to tell.
  bool holds(size_t role) const;
  /// Whether both roles do the same with the same slots and events: then the answer is the same.
  bool are_alike(size_t role, size_t other) const;

 private:
  const Plan& plan_;
  PlanFacts facts_;
};

}  // namespace pgram
