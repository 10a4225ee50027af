// add, sub, mul and fma of floating point: all are a * b + c, rounded once.
#include <cmath>
#include <type_traits>

#include "tests/emulation/ptx/statement.h"
#include "tests/emulation/ptx/warp.h"

namespace pgram::emulation::ptx {
namespace {

enum class Sum { add, sub, mul, fma };

// Sources in order: add, sub and mul have no third.
template <Sum kind, class T>
T nearest(T a, T b, T c) {
  if constexpr (std::is_same_v<T, F16> || std::is_same_v<T, BF16>) {
    const double x = a.value(), y = b.value();
    if constexpr (kind == Sum::add) return T::round(sum_to_odd(x, y, Rounding::nearest));
    if constexpr (kind == Sum::sub) return T::round(sum_to_odd(x, -y, Rounding::nearest));
    if constexpr (kind == Sum::mul) return T::round(x * y);
    return T::round(sum_to_odd(x * y, c.value(), Rounding::nearest));
  } else {
    if constexpr (kind == Sum::add) return a + b;
    if constexpr (kind == Sum::sub) return a - b;
    if constexpr (kind == Sum::mul) return a * b;
    return std::fma(a, b, c);
  }
}

template <Sum kind, class T>
Pair<T> nearest(Pair<T> a, Pair<T> b, Pair<T> c) {
  return {nearest<kind>(a.low, b.low, c.low), nearest<kind>(a.high, b.high, c.high)};
}

template <Sum kind, class T>
void execute_nearest(Warp& w, const Instruction& i, uint32_t lanes) {
  if constexpr (kind == Sum::fma) {
    execute3<[](T a, T b, T c) { return nearest<kind>(a, b, c); }, T, T>(w, i, lanes);
  } else {
    execute2<[](T a, T b) { return nearest<kind>(a, b, T{}); }, T, T>(w, i, lanes);
  }
}

/// A product of two floats is exact in double.
template <Sum kind>
float directed(float a, float b, float c, Rounding rounding) {
  if constexpr (kind == Sum::add) return to_float(sum_to_odd(a, b, rounding), rounding);
  if constexpr (kind == Sum::sub) return to_float(sum_to_odd(a, -static_cast<double>(b), rounding), rounding);
  const double product = static_cast<double>(a) * b;
  if constexpr (kind == Sum::mul) return to_float(product, rounding);
  return to_float(sum_to_odd(product, c, rounding), rounding);
}

/// f32 with .ftz, .sat or a rounding other than to nearest.
template <Sum kind>
void execute_modified(Warp& w, const Instruction& i, uint32_t lanes) {
  uint64_t* const d = w.slot(i.d);
  const uint64_t *const a = w.slot(i.a), *const b = w.slot(i.b), *const c = w.slot(i.c);
  for_each_lane(lanes, [&](uint32_t n) {
    float x = from_bits<float>(a[n]), y = from_bits<float>(b[n]), z = from_bits<float>(c[n]);
    if (i.flush) x = flushed(x), y = flushed(y), z = flushed(z);
    float r = i.rounding == Rounding::nearest ? nearest<kind>(x, y, z) : directed<kind>(x, y, z, i.rounding);
    if (i.flush) r = flushed(r);
    d[n] = to_bits(i.saturate ? saturated(r) : r);
  });
}

template <Sum kind>
Execute pick(Type type, const Instruction& i) {
  const bool modified = i.flush || i.saturate || i.rounding != Rounding::nearest;
  if (modified) return type == Type::f32 ? execute_modified<kind> : nullptr;
  switch (type) {
    case Type::f32:
      return execute_nearest<kind, float>;
    case Type::f64:
      return execute_nearest<kind, double>;
    case Type::f32x2:
      return execute_nearest<kind, Pair<float>>;
    case Type::f16:
      return execute_nearest<kind, F16>;
    case Type::bf16:
      return execute_nearest<kind, BF16>;
    case Type::f16x2:
      return execute_nearest<kind, Pair<F16>>;
    case Type::bf16x2:
      return execute_nearest<kind, Pair<BF16>>;
    default:
      return nullptr;
  }
}

}  // namespace

bool decode_float_sum(Statement& s, Instruction& i) {
  s.take_rounding(i.rounding);
  i.flush = s.take("ftz");
  i.saturate = s.take("sat");
  const bool fma = s.name == "fma";
  if (s.name == "add") i.execute = pick<Sum::add>(s.type(), i);
  if (s.name == "sub") i.execute = pick<Sum::sub>(s.type(), i);
  if (s.name == "mul") i.execute = pick<Sum::mul>(s.type(), i);
  if (fma) i.execute = pick<Sum::fma>(s.type(), i);
  return i.execute && s.fill(i, fma ? 4 : 3);
}

}  // namespace pgram::emulation::ptx
