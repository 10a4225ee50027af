// mov, with packing and unpacking, and cvta: addresses between the spaces.
#include "tests/emulation/ptx/statement.h"
#include "tests/emulation/ptx/warp.h"

namespace pgram::emulation::ptx {
namespace {

void execute_move(Warp& w, const Instruction& i, uint32_t lanes) {
  uint64_t* const d = w.slot(i.d);
  const uint64_t* const a = w.slot(i.a);
  for_each_lane(lanes, [=](uint32_t n) { d[n] = a[n]; });
}

uint64_t low_bits(uint32_t count) {
  return count >= 64 ? UINT64_MAX : (uint64_t{1} << count) - 1;
}

/// The elements, the first lowest, make the value.
void execute_pack(Warp& w, const Instruction& i, uint32_t lanes) {
  const uint32_t width = 8U * i.bytes;
  uint64_t* const d = w.slot(i.d);
  for_each_lane(lanes, [&](uint32_t n) {
    uint64_t value = 0;
    for (uint32_t k = 0; k < i.count; ++k) value |= (w.slot(i.elements[k])[n] & low_bits(width)) << (k * width);
    d[n] = value;
  });
}

void execute_unpack(Warp& w, const Instruction& i, uint32_t lanes) {
  const uint32_t width = 8U * i.bytes;
  for_each_lane(lanes, [&](uint32_t n) {
    const uint64_t value = w.slot(i.a)[n];
    for (uint32_t k = 0; k < i.count; ++k) w.slot(i.elements[k])[n] = value >> (k * width) & low_bits(width);
  });
}

bool decode_vector_move(Statement& s, Instruction& i) {
  const bool packs = s.operands[1].kind == Operand::vector;
  const Operand &vector = s.operands[packs ? 1 : 0], &single = s.operands[packs ? 0 : 1];
  if (single.kind != Operand::slot || s.types.size() != 1 || !s.modifiers.empty()) return false;
  i.count = vector.count;
  i.elements = vector.elements;
  if (vector.count < 2 || bytes_of(s.type()) % vector.count != 0) return false;
  i.bytes = static_cast<uint8_t>(bytes_of(s.type()) / vector.count);
  (packs ? i.d : i.a) = single.value;
  i.execute = packs ? execute_pack : execute_unpack;
  return true;
}

/// Adds `offset`, the generic address of the space's offset 0, or its negative.
void execute_cvta(Warp& w, const Instruction& i, uint32_t lanes) {
  uint64_t* const d = w.slot(i.d);
  const uint64_t* const a = w.slot(i.a);
  for_each_lane(lanes, [&](uint32_t n) { d[n] = a[n] + static_cast<uint64_t>(i.offset); });
}

bool decode_cvta(Statement& s, Instruction& i) {
  const bool to_space = s.take("to");
  const int space = s.take_one_of({"global", "const", "shared", "shared::cta", "local", "param", "param::entry"});
  if (space < 0 || bytes_of(s.type()) != 8) return false;
  // Variables of the module have generic addresses from the start.
  constexpr uint64_t kWindows[] = {
      0, 0, kSharedWindow, kSharedWindow, kLocalWindow, kParameterWindow, kParameterWindow};
  i.offset = static_cast<int64_t>(to_space ? 0 - kWindows[space] : kWindows[space]);
  i.execute = execute_cvta;
  return s.fill(i, 2);
}

}  // namespace

bool decode_move(Statement& s, Instruction& i) {
  if (s.name == "cvta") return decode_cvta(s, i);
  if (s.operands.size() != 2) return false;
  if (s.operands[0].kind == Operand::vector || s.operands[1].kind == Operand::vector) return decode_vector_move(s, i);
  if (s.type() == Type::pred) {
    i.execute = execute1<[](uint32_t a) { return a & 1; }, uint32_t, uint32_t>;
  } else {
    i.execute = execute_move;
  }
  return s.types.size() == 1 && s.fill(i, 2);
}

}  // namespace pgram::emulation::ptx
