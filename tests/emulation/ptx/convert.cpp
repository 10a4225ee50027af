// cvt: between any two types, by way of a type that holds every value of both.
#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/emulation/ptx/statement.h"
#include "tests/emulation/ptx/warp.h"

namespace pgram::emulation::ptx {
namespace {

/// long double (64 bits of significand) holds every integer and every floating-point number that there is here.
long double value_of(Type type, uint64_t bits, bool flush) {
  long double value = 0;
  if (with_integer(type, [&]<class T>() { value = from_bits<T>(bits); })) return value;
  switch (type) {
    case Type::f32:
      return flush ? flushed(from_bits<float>(bits)) : from_bits<float>(bits);
    case Type::f64:
      return from_bits<double>(bits);
    case Type::f16:
      return from_bits<F16>(bits).value();
    default:
      return from_bits<BF16>(bits).value();
  }
}

/// NaN as an integer: 0, or only the highest bit where 64 bits are involved.
uint64_t bits_of_nan(Type to, Type from) {
  const bool zero = from != Type::f64 && bytes_of(to) < 8;
  const uint64_t highest = uint64_t{1} << (8 * bytes_of(to) - 1);
  return zero ? 0 : is_signed(to) ? 0 - highest : highest;
}

/// Integers take the nearest of their range; a register wider than the type is extended by its sign.
uint64_t bits_of(Type type, long double value, Rounding rounding, bool flush) {
  uint64_t bits = 0;
  const bool integer = with_integer(type, [&]<class T>() {
    const long double least = std::numeric_limits<T>::min(), most = std::numeric_limits<T>::max();
    const T result = static_cast<T>(std::clamp(to_integer(value, rounding), least, most));
    bits = std::is_signed_v<T> ? static_cast<uint64_t>(static_cast<int64_t>(result)) : static_cast<uint64_t>(result);
  });
  if (integer) return bits;
  switch (type) {
    case Type::f32:
      return to_bits(flush ? flushed(to_float(value, rounding)) : to_float(value, rounding));
    case Type::f64:
      return to_bits(to_double(value, rounding));
    case Type::f16:
      return to_bits(F16::round(value, rounding));
    default:
      return to_bits(BF16::round(value, rounding));
  }
}

// choice of execute_any: where the rounding comes first (.rni and its like, of a float to a float), .relu.
enum : uint8_t { kToInteger = 1, kRelu = 2 };

/// bytes: Type of the result; count: Type of the source.
void execute_any(Warp& w, const Instruction& i, uint32_t lanes) {
  uint64_t* const d = w.slot(i.d);
  const uint64_t* const a = w.slot(i.a);
  const auto to = static_cast<Type>(i.bytes), from = static_cast<Type>(i.count);
  for_each_lane(lanes, [&](uint32_t n) {
    long double value = value_of(from, a[n], i.flush);
    if (i.choice & kToInteger) value = to_integer(value, i.rounding);
    if (i.saturate && is_float(to)) value = value > 0 ? std::min(value, 1.0L) : 0.0L;
    if (i.choice & kRelu && !(value > 0) && !std::isnan(value)) value = 0;
    d[n] = std::isnan(value) && !is_float(to) ? bits_of_nan(to, from) : bits_of(to, value, i.rounding, i.flush);
  });
}

/// Two floats into one register, the first source in the high half. choice: kRelu.
template <class H>
void execute_two(Warp& w, const Instruction& i, uint32_t lanes) {
  uint64_t* const d = w.slot(i.d);
  const uint64_t *const a = w.slot(i.a), *const b = w.slot(i.b);
  const auto half = [&](uint64_t bits) {
    const float value = from_bits<float>(bits);
    return H::round(i.choice & kRelu && value < 0 ? 0 : value, i.rounding);
  };
  for_each_lane(lanes, [&](uint32_t n) { d[n] = to_bits(Pair<H>{half(b[n]), half(a[n])}); });
}

/// Integer to integer: cut off, or extended by the source's sign to the full register.
template <class S>
Execute truncation(Type to) {
  Execute execute = nullptr;
  with_integer(to, [&]<class D>() {
    execute = execute1<[](S a) {
      const auto cut = static_cast<D>(a);
      return std::is_signed_v<D> ? static_cast<uint64_t>(static_cast<int64_t>(cut)) : static_cast<uint64_t>(cut);
    },
                       uint64_t, S>;
  });
  return execute;
}

/// The conversions that kernels are full of, without the detour.
Execute quick(Type to, Type from, const Instruction& i) {
  if (i.saturate || i.flush || i.choice) return nullptr;
  const bool nearest = i.rounding == Rounding::nearest;
  if (to == Type::f32 && nearest) {
    if (from == Type::s32) return execute1<[](int32_t a) { return static_cast<float>(a); }, float, int32_t>;
    if (from == Type::u32) return execute1<[](uint32_t a) { return static_cast<float>(a); }, float, uint32_t>;
    if (from == Type::f64) return execute1<[](double a) { return static_cast<float>(a); }, float, double>;
    if (from == Type::bf16) return execute1<[](uint16_t a) { return uint32_t{a} << 16; }, uint32_t, uint16_t>;
    if (from == Type::f16) return execute1<[](F16 a) { return static_cast<float>(a.value()); }, float, F16>;
  }
  if (to == Type::f64 && from == Type::f32) {
    return execute1<[](float a) { return static_cast<double>(a); }, double, float>;
  }
  return nullptr;
}

}  // namespace

bool decode_convert(Statement& s, Instruction& i) {
  if (s.types.size() != 2) return false;
  const Type to = s.types[0], from = s.types[1];
  const bool to_integer_value = s.take_rounding(i.rounding, "i");
  const bool rounded = to_integer_value || s.take_rounding(i.rounding);
  i.flush = s.take("ftz");
  i.saturate = s.take("sat");
  if (s.take("relu")) i.choice |= kRelu;
  if (to == Type::bf16x2 || to == Type::f16x2) {
    if (from != Type::f32 || i.saturate || i.flush) return false;
    i.execute = to == Type::f16x2 ? execute_two<F16> : execute_two<BF16>;
    return s.fill(i, 3);
  }
  const auto single = [](Type t) {
    return t != Type::none && t != Type::pred && t != Type::f16x2 && t != Type::bf16x2 && t != Type::f32x2;
  };
  if (!single(to) || !single(from)) return false;
  const bool integers = !is_float(to) && !is_float(from);
  if (integers && (rounded || i.flush || i.choice)) return false;
  if (!is_float(to) && is_float(from) && !to_integer_value) return false;
  if (to_integer_value && is_float(to)) i.choice |= kToInteger;
  if (integers && !i.saturate) {
    with_integer(from, [&]<class S>() { i.execute = truncation<S>(to); });
  } else {
    i.execute = quick(to, from, i);
  }
  if (!i.execute) {
    i.bytes = static_cast<uint8_t>(to);
    i.count = static_cast<uint8_t>(from);
    i.execute = execute_any;
  }
  return s.fill(i, 2);
}

}  // namespace pgram::emulation::ptx
