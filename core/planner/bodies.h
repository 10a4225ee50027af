// Bodies: from tapes (and a few small lists of ops) to the Plan's Bodies and Records.
#pragma once
#include <array>
#include <span>
#include <string>
#include <vector>

#include "core/planner/tape.h"

namespace pgram {

/// Bodies and Records of one block (embedding, layer, head); -1 where it has none.
struct Block {
  std::string name;
  int forward = -1, backward = -1;  // bodies
  int zero = -1, reduce = -1, sum_squares = -1, optimizer = -1;
  int parameters = -1, gradients = -1, state = -1, saved = -1;  // records
};

/// An operand before it has a formal's index.
struct Placed {
  Formal formal = Formal::scratch;
  uint16_t field = 0;
  uint8_t fields = 1;
};

struct PlacedOp {
  Kernel kernel = Kernel::opaque;
  Stream stream = Stream::compute;
  uint16_t comm = kNoComm;
  std::vector<Placed> writes, reads;
  uint8_t read_writes = 0;
  int32_t micro_batch_offset = 0;
  uint64_t flops = 0, bytes = 0;
  Attributes attributes;
};

class BodyBuilder {
 public:
  explicit BodyBuilder(Plan& plan) : plan_(plan) {}

  int add_record(const std::string& name, RecordKind, std::vector<Field>);  ///< laid out here
  /// `records`: by Formal, -1 where unused.
  int add_body(const std::string& name, Category, std::span<const PlacedOp>, const std::array<int, kFormals>& records);
  /// Bodies `name`.f and `name`.b, and the records of the block's own parameters and of what the backward needs.
  /// `shared`: records that live outside the block (edges, io, misc, tied).
  Block add_block(const std::string& name, const Tape&, std::array<int, kFormals> shared, bool master_copy,
                  bool moments);

  /// What the body's formals are, in their order.
  std::span<const Formal> formals(int body) const {
    return {formals_.data() + first_formal_[body], plan_.bodies[body].formals.size()};
  }
  /// The body's scratch record; -1 if it has none.
  int scratch_record(int body) const { return scratch_[body]; }

 private:
  uint32_t attribute_index(const Attributes&);

  Plan& plan_;
  std::vector<Formal> formals_;  ///< of all bodies
  std::vector<uint32_t> first_formal_;
  std::vector<int> scratch_;
};

}  // namespace pgram
