// Comparisons, and selection by what they found.
#include <cmath>

#include "tests/emulation/ptx/statement.h"
#include "tests/emulation/ptx/warp.h"

namespace pgram::emulation::ptx {
namespace {

// The unordered forms, from kEqu on, are also true when a source is NaN. lo, ls, hi, hs are names of the unsigned ones.
enum Comparison : uint8_t { kEq, kNe, kLt, kLe, kGt, kGe, kEqu, kNeu, kLtu, kLeu, kGtu, kGeu, kNum, kNan };
enum Combination : uint8_t { kAlone, kAnd, kOr, kXor };

template <class T>
bool compare(uint8_t comparison, T a, T b) {
  const bool unordered = a != a || b != b;
  if (comparison == kNum || comparison == kNan) return unordered == (comparison == kNan);
  if (unordered) return comparison >= kEqu;
  switch (comparison % kEqu) {
    case kEq:
      return a == b;
    case kNe:
      return a != b;
    case kLt:
      return a < b;
    case kLe:
      return a <= b;
    case kGt:
      return a > b;
    default:
      return a >= b;
  }
}

template <class T>
T read(const Instruction& i, uint64_t bits) {
  if constexpr (std::is_same_v<T, float>) return i.flush ? flushed(from_bits<float>(bits)) : from_bits<float>(bits);
  return from_bits<T>(bits);
}

template <class H>
struct HalfValue {
  uint16_t bits;
  double value() const { return H{bits}.value(); }
  bool operator==(const HalfValue& o) const { return value() == o.value(); }
  bool operator!=(const HalfValue& o) const { return value() != o.value(); }
  auto operator<=>(const HalfValue& o) const { return value() <=> o.value(); }
};

/// d = (a ? b) with c, d2 = !(a ? b) with c. choice: Comparison; count: Combination.
template <class T>
void execute_setp(Warp& w, const Instruction& i, uint32_t lanes) {
  uint64_t *const d = w.slot(i.d), *const d2 = i.d2 == kNoSlot ? nullptr : w.slot(i.d2);
  const uint64_t *const a = w.slot(i.a), *const b = w.slot(i.b), *const c = w.slot(i.c);
  const auto combined = [&](bool found, uint32_t n) -> uint64_t {
    if (i.count == kAnd) return found & c[n] & 1;
    if (i.count == kOr) return (found | c[n]) & 1;
    if (i.count == kXor) return (found ^ c[n]) & 1;
    return found;
  };
  for_each_lane(lanes, [&](uint32_t n) {
    const bool found = compare(i.choice, read<T>(i, a[n]), read<T>(i, b[n]));
    const uint64_t second = combined(!found, n), first = combined(found, n);  // before c is overwritten
    d[n] = first;
    if (d2) d2[n] = second;
  });
}

/// set: all ones, or 1.0 for a floating-point result (offset != 0).
template <class T>
void execute_set(Warp& w, const Instruction& i, uint32_t lanes) {
  uint64_t* const d = w.slot(i.d);
  const uint64_t *const a = w.slot(i.a), *const b = w.slot(i.b);
  const uint64_t yes = i.offset ? to_bits(1.0F) : UINT32_MAX;
  for_each_lane(lanes, [&](uint32_t n) { d[n] = compare(i.choice, read<T>(i, a[n]), read<T>(i, b[n])) ? yes : 0; });
}

template <class T>
void execute_testp(Warp& w, const Instruction& i, uint32_t lanes) {
  uint64_t* const d = w.slot(i.d);
  const uint64_t* const a = w.slot(i.a);
  for_each_lane(lanes, [&](uint32_t n) {
    const T x = from_bits<T>(a[n]);
    const bool answers[] = {std::isfinite(x), std::isinf(x),    !std::isnan(x),
                            std::isnan(x),    std::isnormal(x), std::fpclassify(x) == FP_SUBNORMAL};
    d[n] = answers[i.choice];
  });
}

template <template <class> class Pick>
Execute pick_compared(Type type) {
  Execute execute = nullptr;
  with_integer(type, [&]<class T>() { execute = Pick<T>::value; });
  if (type == Type::f32) execute = Pick<float>::value;
  if (type == Type::f64) execute = Pick<double>::value;
  if (type == Type::f16) execute = Pick<HalfValue<F16>>::value;
  if (type == Type::bf16) execute = Pick<HalfValue<BF16>>::value;
  return execute;
}

template <class T>
struct Setp {
  static constexpr Execute value = execute_setp<T>;
};
template <class T>
struct Set {
  static constexpr Execute value = execute_set<T>;
};

int take_comparison(Statement& s) {
  const int found = s.take_one_of({"eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu", "leu", "gtu", "geu", "num",
                                   "nan", "lo", "ls", "hi", "hs"});
  return found < 14 ? found : kLt + (found - 14);
}

bool decode_setp(Statement& s, Instruction& i) {
  const int comparison = take_comparison(s);
  const int combination = s.take_one_of({"and", "or", "xor"}) + 1;
  i.flush = s.take("ftz");
  i.choice = static_cast<uint8_t>(comparison);
  i.count = static_cast<uint8_t>(combination);
  i.execute = pick_compared<Setp>(s.type());
  if (comparison < 0 || !i.execute || !s.fill(i, combination ? 4 : 3)) return false;
  i.d2 = s.operands[0].second;
  return true;
}

bool decode_set(Statement& s, Instruction& i) {
  const int comparison = take_comparison(s);
  i.flush = s.take("ftz");
  i.choice = static_cast<uint8_t>(comparison);
  if (comparison < 0 || s.types.size() != 2 || bytes_of(s.types[0]) != 4) return false;
  i.offset = s.types[0] == Type::f32;
  i.execute = pick_compared<Set>(s.types[1]);
  return i.execute && s.fill(i, 3);
}

}  // namespace

bool decode_compare(Statement& s, Instruction& i) {
  if (s.name == "setp") return decode_setp(s, i);
  if (s.name == "set") return decode_set(s, i);
  if (s.name == "selp") {
    i.execute = [](Warp& w, const Instruction& self, uint32_t lanes) {
      uint64_t* const d = w.slot(self.d);
      const uint64_t *const a = w.slot(self.a), *const b = w.slot(self.b), *const c = w.slot(self.c);
      for_each_lane(lanes, [=](uint32_t n) { d[n] = c[n] & 1 ? a[n] : b[n]; });
    };
    return s.type() != Type::none && s.fill(i, 4);
  }
  const int test = s.take_one_of({"finite", "infinite", "number", "notanumber", "normal", "subnormal"});
  if (test < 0) return false;
  i.choice = static_cast<uint8_t>(test);
  if (s.type() == Type::f32) i.execute = execute_testp<float>;
  if (s.type() == Type::f64) i.execute = execute_testp<double>;
  return i.execute && s.fill(i, 2);
}

}  // namespace pgram::emulation::ptx
