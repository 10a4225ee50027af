// Bits: logic, shifts, fields, permutations.
#include <algorithm>

#include "tests/emulation/ptx/statement.h"
#include "tests/emulation/ptx/warp.h"

namespace pgram::emulation::ptx {
namespace {

template <class U>
constexpr uint32_t kBits = 8 * sizeof(U);

template <class U>
U reversed(U a) {
  U r = 0;
  for (uint32_t bit = 0; bit < kBits<U>; ++bit) r = static_cast<U>(r << 1 | (a >> bit & 1));
  return r;
}

template <class U>
Execute pick_logic(std::string_view name) {
  if (name == "and") return execute2<[](U a, U b) { return static_cast<U>(a & b); }, U, U>;
  if (name == "or") return execute2<[](U a, U b) { return static_cast<U>(a | b); }, U, U>;
  if (name == "xor") return execute2<[](U a, U b) { return static_cast<U>(a ^ b); }, U, U>;
  if (name == "not") return execute1<[](U a) { return static_cast<U>(~a); }, U, U>;
  if (name == "cnot") return execute1<[](U a) { return static_cast<U>(a == 0); }, U, U>;
  if (name == "brev") return execute1<[](U a) { return reversed(a); }, U, U>;
  return nullptr;
}

/// The amount is a u32 whatever the type; from the width on nothing is left but the sign.
template <class T, bool left>
void execute_shift(Warp& w, const Instruction& i, uint32_t lanes) {
  uint64_t* const d = w.slot(i.d);
  const uint64_t *const a = w.slot(i.a), *const b = w.slot(i.b);
  for_each_lane(lanes, [=](uint32_t n) {
    const auto amount = static_cast<uint32_t>(b[n]);
    const T x = from_bits<T>(a[n]);
    if constexpr (left) d[n] = amount < kBits<T> ? static_cast<T>(uint64_t(x) << amount) : 0;
    if constexpr (!left && std::is_signed_v<T>) d[n] = to_bits(static_cast<T>(x >> std::min(amount, kBits<T> - 1)));
    if constexpr (!left && !std::is_signed_v<T>) d[n] = amount < kBits<T> ? x >> amount : 0;
  });
}

/// shf: 32 bits out of {b, a} shifted; choice 1: left, 2: the amount is taken modulo 32.
void execute_funnel(Warp& w, const Instruction& i, uint32_t lanes) {
  uint64_t* const d = w.slot(i.d);
  const uint64_t *const a = w.slot(i.a), *const b = w.slot(i.b), *const c = w.slot(i.c);
  for_each_lane(lanes, [&](uint32_t n) {
    const auto asked = static_cast<uint32_t>(c[n]);
    const uint32_t amount = i.choice & 2 ? asked & 31 : std::min(asked, 32U);
    const uint64_t both = (b[n] << 32) | (a[n] & UINT32_MAX);
    // A left shift takes the upper word of both << amount, which is both >> (32 - amount).
    d[n] = static_cast<uint32_t>(both >> (i.choice & 1 ? 32 - amount : amount));
  });
}

/// lop3: the truth table in i.e's lowest byte.
void execute_lop3(Warp& w, const Instruction& i, uint32_t lanes) {
  uint64_t* const d = w.slot(i.d);
  const uint64_t *const a = w.slot(i.a), *const b = w.slot(i.b), *const c = w.slot(i.c), *const e = w.slot(i.e);
  for_each_lane(lanes, [=](uint32_t n) {
    uint64_t r = 0;
    for (uint32_t row = 0; row < 8; ++row) {
      if (e[n] >> row & 1) r |= (row & 4 ? a[n] : ~a[n]) & (row & 2 ? b[n] : ~b[n]) & (row & 1 ? c[n] : ~c[n]);
    }
    d[n] = static_cast<uint32_t>(r);
  });
}

/// bfi: the lowest bits of a into b from position c, as many as e says.
template <class U>
void execute_insert(Warp& w, const Instruction& i, uint32_t lanes) {
  uint64_t* const d = w.slot(i.d);
  const uint64_t *const a = w.slot(i.a), *const b = w.slot(i.b), *const c = w.slot(i.c), *const e = w.slot(i.e);
  for_each_lane(lanes, [=](uint32_t n) {
    const uint32_t position = c[n] & 255, length = e[n] & 255;
    const uint64_t ones = length >= 64 ? UINT64_MAX : (uint64_t{1} << length) - 1;
    const uint64_t mask = position < 64 ? ones << position : 0;
    const uint64_t value = position < 64 ? a[n] << position : 0;
    d[n] = static_cast<U>((b[n] & ~mask) | (value & mask));
  });
}

/// bfe: c bits of a from position b, extended by the sign that the field's last bit is (of those that are there).
template <class T>
void execute_extract(Warp& w, const Instruction& i, uint32_t lanes) {
  uint64_t* const d = w.slot(i.d);
  const uint64_t *const a = w.slot(i.a), *const b = w.slot(i.b), *const c = w.slot(i.c);
  for_each_lane(lanes, [=](uint32_t n) {
    const uint32_t position = b[n] & 255, length = c[n] & 255;
    const T x = from_bits<T>(a[n]);
    const bool negative =
        std::is_signed_v<T> && length > 0 && (x >> std::min(position + length - 1, kBits<T> - 1) & 1) != 0;
    uint64_t r = 0;
    for (uint32_t bit = 0; bit < kBits<T>; ++bit) {
      const bool there = bit < length && position + bit < kBits<T>;
      if (there ? (x >> (position + bit) & 1) != 0 : negative) r |= uint64_t{1} << bit;
    }
    d[n] = r;
  });
}

/// bfind: position of the highest bit that differs from the sign, or all ones; choice: the shift that would bring it
/// up.
template <class T>
void execute_find(Warp& w, const Instruction& i, uint32_t lanes) {
  uint64_t* const d = w.slot(i.d);
  const uint64_t* const a = w.slot(i.a);
  for_each_lane(lanes, [&](uint32_t n) {
    using Unsigned = std::make_unsigned_t<T>;
    const T x = from_bits<T>(a[n]);
    const auto above = static_cast<uint32_t>(std::countl_zero(static_cast<Unsigned>(x < 0 ? ~x : x)));
    d[n] = above == kBits<T> ? UINT32_MAX : i.choice ? above : kBits<T> - 1 - above;
  });
}

/// prmt: each result byte picks one of the eight of {b, a}, or eight times its sign.
void execute_permute(Warp& w, const Instruction& i, uint32_t lanes) {
  uint64_t* const d = w.slot(i.d);
  const uint64_t *const a = w.slot(i.a), *const b = w.slot(i.b), *const c = w.slot(i.c);
  for_each_lane(lanes, [=](uint32_t n) {
    const uint64_t both = (b[n] << 32) | (a[n] & UINT32_MAX);
    uint64_t r = 0;
    for (int byte = 0; byte < 4; ++byte) {
      const uint64_t selector = c[n] >> (4 * byte) & 15, picked = both >> (8 * (selector & 7)) & 255;
      r |= (selector & 8 ? (picked & 128 ? 255 : 0) : picked) << (8 * byte);
    }
    d[n] = r;
  });
}

bool decode_funnel(Statement& s, Instruction& i) {
  const int left = s.take_one_of({"r", "l"}), wrap = s.take_one_of({"clamp", "wrap"});
  if (left < 0 || wrap < 0 || s.type() != Type::b32) return false;
  i.choice = static_cast<uint8_t>(left | wrap << 1);
  i.execute = execute_funnel;
  return s.fill(i, 4);
}

/// A predicate is the lowest bit of its slot, the others are zero; a constant may be -1.
bool decode_predicate(Statement& s, Instruction& i) {
  using U = uint32_t;
  if (s.name == "and") i.execute = execute2<[](U a, U b) { return a & b & 1; }, U, U>;
  if (s.name == "or") i.execute = execute2<[](U a, U b) { return (a | b) & 1; }, U, U>;
  if (s.name == "xor") i.execute = execute2<[](U a, U b) { return (a ^ b) & 1; }, U, U>;
  if (s.name == "not") i.execute = execute1<[](U a) { return ~a & 1; }, U, U>;
  return i.execute && s.fill(i, s.name == "not" ? 2 : 3);
}

}  // namespace

bool decode_bits(Statement& s, Instruction& i) {
  if (s.name == "shf") return decode_funnel(s, i);
  if (s.name == "bfind") i.choice = s.take("shiftamt");
  if (s.type() == Type::pred) return decode_predicate(s, i);
  size_t operands = 0;
  with_integer(s.type(), [&]<class T>() {
    if ((i.execute = pick_logic<std::make_unsigned_t<T>>(s.name))) {
      operands = s.name == "and" || s.name == "or" || s.name == "xor" ? 3 : 2;
    } else if (s.name == "shl" || s.name == "shr") {
      i.execute = s.name == "shl" ? execute_shift<T, true> : execute_shift<T, false>;
      operands = 3;
    } else if (s.name == "bfi") {
      i.execute = execute_insert<std::make_unsigned_t<T>>;
      operands = 5;
    } else if (s.name == "bfe") {
      i.execute = execute_extract<T>;
      operands = 4;
    } else if (s.name == "bfind") {
      i.execute = execute_find<T>;
      operands = 2;
    }
  });
  if (s.name == "lop3" && s.type() == Type::b32) i.execute = execute_lop3, operands = 5;
  if (s.name == "prmt" && s.type() == Type::b32) i.execute = execute_permute, operands = 4;
  return i.execute && s.fill(i, operands);
}

}  // namespace pgram::emulation::ptx
