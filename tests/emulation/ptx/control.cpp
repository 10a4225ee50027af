// Where a thread goes on: branches, ends, barriers. The machine does what Flow says.
#include "tests/emulation/ptx/statement.h"
#include "tests/emulation/ptx/warp.h"

namespace pgram::emulation::ptx {
namespace {

void execute_trap(Warp&, const Instruction&, uint32_t lanes) {
  throw LaneFault{static_cast<uint32_t>(std::countr_zero(lanes)), "the kernel stops itself"};
}

/// bar.sync, bar.red, and the names that newer versions of PTX give them. All threads of the block take part.
/// choice: 1 + what bar.red reduces by (and, or, popc), 0 for none.
bool decode_barrier(Statement& s, Instruction& i) {
  s.take("cta");
  s.take("aligned");
  i.flow = Flow::barrier;
  if (s.take("sync")) return s.operands.size() == 1 && s.modifiers.empty();
  if (!s.take("red")) return false;
  i.choice = static_cast<uint8_t>(1 + s.take_one_of({"and", "or", "popc"}));
  if (i.choice == 0 || s.operands.size() != 3 || !s.modifiers.empty()) return false;
  if (s.operands[0].kind != Operand::slot || s.operands[2].kind != Operand::slot) return false;
  i.d = s.operands[0].value;
  i.a = s.operands[2].value;
  return true;
}

}  // namespace

void execute_unknown(Warp&, const Instruction&, uint32_t lanes) {
  throw LaneFault{static_cast<uint32_t>(std::countr_zero(lanes)), "the interpreter does not know this instruction"};
}

bool decode_control(Statement& s, Instruction& i) {
  if (s.name == "bar" || s.name == "barrier") return decode_barrier(s, i);
  if (s.name == "trap" || s.name == "brkpt") {
    i.execute = execute_trap;
    return s.operands.empty() && s.modifiers.empty();
  }
  s.take("uni");
  if (s.name == "bra") {
    i.flow = Flow::branch;
    return s.modifiers.empty() && s.operands.size() == 1 && s.operands[0].kind == Operand::label;
  }
  if (s.name == "brx") {
    i.flow = Flow::branch_table;
    i.a = s.operands.empty() ? 0 : s.operands[0].value;
    return s.take("idx") && s.modifiers.empty() && s.operands.size() == 2 && s.operands[0].kind == Operand::slot &&
           s.operands[1].kind == Operand::label;
  }
  i.flow = Flow::exit;  // ret, exit
  return s.operands.empty() && s.modifiers.empty();
}

}  // namespace pgram::emulation::ptx
