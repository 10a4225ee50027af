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

/// A field of a formal that tasks of several streams touch; only of those the order is to be proven.
struct SharedAccess {
  enum What : uint8_t { reads, writes, overlaps };  ///< overlaps: what is written shares its bytes
  uint8_t formal = 0;
  What what = reads;
  uint16_t cell = 0;  ///< among the record's shared fields
};

/// An op with shared accesses, waits within its body, or others of the body waiting for it.
struct OrderedOp {
  uint16_t op = 0;
  bool is_awaited = false;
  uint32_t first_access = 0, end_access = 0;
};

struct BodyFacts {
  bool known = false;  ///< false: no call of it can be proven here
  std::vector<FormalFacts> formals;
  std::vector<std::array<uint8_t, 2>> alike;  ///< formals of one record: two names for one slot would be beyond these
  std::vector<OrderedOp> ordered;
  std::vector<SharedAccess> accesses;
  std::vector<uint16_t> number;             ///< of each op on its stream in the body, from 1
  std::array<uint16_t, kStreams> issues{};  ///< ops on each stream
};

/// One for all roles of a plan.
class CallProver {
 public:
  CallProver(const Plan&, const Overlaps&);
  /// True: every rule of verify_buffers holds in the role. False: one does not, or it takes more than this to tell.
  bool holds(size_t role) const;

 private:
  void find_shared(const Overlaps&);
  void learn(size_t body, const Overlaps&);
  bool learn_values(const Body&, const Overlaps&, BodyFacts&) const;
  bool learn_order(const Body&, const Overlaps&, BodyFacts&) const;

  const Plan& plan_;
  std::vector<std::vector<int>> cells_;  ///< record, field -> its number among those that several streams touch, or -1
  std::vector<uint32_t> num_cells_;      ///< by record
  std::vector<BodyFacts> bodies_;
};

}  // namespace pgram
