// One instruction as parsed, and how it becomes a decoded one.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tests/emulation/ptx/program.h"

namespace pgram::emulation::ptx {

struct Operand {
  enum Kind { slot, vector, address, label } kind = slot;
  uint32_t value = 0;         ///< slot; of an address: its base; of a label: nothing, the parser has it
  uint32_t second = kNoSlot;  ///< q of "p|q"
  int64_t offset = 0;         ///< of an address
  uint8_t count = 0;          ///< of a vector
  std::array<uint32_t, kMaxElements> elements{};
};

/// A modifier or operand that no decoder asks for makes the instruction unknown: nothing is ignored by accident.
class Statement {
 public:
  explicit Statement(std::string_view opcode);

  std::string_view name;
  std::vector<std::string_view> modifiers;  ///< those not taken yet
  std::vector<Type> types;
  std::vector<Operand> operands;

  /// Whether the modifier is there; it counts as understood then.
  bool take(std::string_view modifier);
  /// Index of the one modifier of the list that is there, which it takes; -1 if there is none.
  int take_one_of(std::initializer_list<std::string_view> list);
  /// .rn .rz .rm .rp (or .rni ... with `suffix` "i"); false if none is there.
  bool take_rounding(Rounding&, std::string_view suffix = "");
  /// Everything is understood, and the operands are this many slots: into d, a, b, c, e in order.
  bool fill(Instruction&, size_t operands) const;
  Type type() const { return types.empty() ? Type::none : types[0]; }
};

/// Whether there are decoders for what has this name; operands of others are not even parsed.
bool is_known(const Statement&);
/// False if the instruction, or this form of it, is not known.
bool decode(Statement&, Instruction&);

// The groups; each is a file of its own.
using Decoder = bool (*)(Statement&, Instruction&);
bool decode_float_sum(Statement&, Instruction&);       ///< add sub mul fma
bool decode_float_function(Statement&, Instruction&);  ///< div rcp sqrt rsqrt ex2 lg2 sin cos tanh neg abs min max
bool decode_integer(Statement&, Instruction&);         ///< add ... min max, mad, popc clz
bool decode_carry(Statement&, Instruction&);           ///< add.cc addc sub.cc subc mad.cc madc
bool decode_bits(Statement&, Instruction&);            ///< and or xor not shl shr shf lop3 bfi bfe brev bfind prmt
bool decode_compare(Statement&, Instruction&);         ///< setp set selp testp
bool decode_move(Statement&, Instruction&);            ///< mov, cvta
bool decode_convert(Statement&, Instruction&);         ///< cvt
bool decode_memory(Statement&, Instruction&);          ///< ld st, fences, prefetches
bool decode_atomic(Statement&, Instruction&);          ///< atom red
bool decode_control(Statement&, Instruction&);         ///< bra brx ret exit bar trap
bool decode_warp(Statement&, Instruction&);            ///< shfl vote match redux activemask, bar.warp.sync

/// What runs in place of an instruction that is not known: a Fault.
void execute_unknown(Warp&, const Instruction&, uint32_t lanes);

}  // namespace pgram::emulation::ptx
