// What link looks at: the fields that several streams touch, and which ops touch them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/plan/link_clock.h"
#include "core/plan/plan.h"

namespace pgram {

/// A field that an op touches. Fields that only one stream ever touches cannot need a wait and are left out: most of
/// them.
struct Access {
  uint8_t formal = 0;
  bool writes = false;
  uint16_t field = 0;  ///< among the record's fields that several streams touch
  bool operator==(const Access&) const = default;
};

/// One operation of a stream that touches such fields: an op, or all ops of a grouped body, which waits before its
/// first and is awaited after its last. What touches none neither waits nor is awaited.
struct StreamOperation {
  uint16_t first_op = 0, last_op = 0;
  int stream = 0;
  uint32_t first_access = 0, end_access = 0;  ///< among the body's
  bool operator==(const StreamOperation&) const = default;
};

struct BodyAccesses {
  std::span<const Access> accesses;
  std::span<const StreamOperation> operations;
};

class SharedAccesses {
 public:
  explicit SharedAccesses(const Plan&);

  BodyAccesses operator[](size_t body) const;
  /// How many fields of a record several streams touch.
  uint32_t fields(size_t record) const { return fields_[record]; }
  /// The first body of the plan that does the same to such fields, op by op: to link they are one.
  uint16_t first_alike(size_t body) const { return first_alike_[body]; }

 private:
  void find_shared(const Plan&);
  void find_alike(const Plan&);

  std::vector<std::vector<int>> number_;  ///< record, field -> its number among the shared, or -1
  std::vector<uint32_t> fields_;
  std::vector<Access> accesses_;
  std::vector<StreamOperation> operations_;
  std::vector<uint32_t> first_access_, first_operation_;  ///< of each body, and the end of the last
  std::vector<uint16_t> first_alike_;
};

/// The shared fields of all slots of a program: for each who has touched it last.
class SlotFields {
 public:
  explicit SlotFields(const SharedAccesses& accesses) : accesses_(accesses) {}

  /// Nobody has touched any.
  void start(const Program&);
  /// The first field of the argument's slot.
  FieldState* of(Arg arg) {
    const PoolPlace& pool = pools_[arg.pool()];
    return states_.data() + pool.first_field + size_t{arg.slot()} * pool.per_slot;
  }

 private:
  struct PoolPlace {
    uint32_t first_field = 0, per_slot = 0;
  };

  const SharedAccesses& accesses_;
  std::vector<PoolPlace> pools_;
  std::vector<FieldState> states_;
};

/// An op waits for another, both by their places in the issue order of the program, from 1.
struct LinkWait {
  uint32_t waiter = 0, target = 0;
};

}  // namespace pgram
