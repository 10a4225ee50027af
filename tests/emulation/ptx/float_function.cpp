// Functions of floating point. The .approx forms, which a GPU computes to within an ulp or two, are the host's.
#include <cmath>
#include <limits>

#include "tests/emulation/ptx/statement.h"
#include "tests/emulation/ptx/warp.h"

namespace pgram::emulation::ptx {
namespace {

/// f32 of one source, with .ftz and .sat.
template <auto f>
void execute_f32(Warp& w, const Instruction& i, uint32_t lanes) {
  uint64_t* const d = w.slot(i.d);
  const uint64_t* const a = w.slot(i.a);
  for_each_lane(lanes, [&](uint32_t n) {
    const float x = from_bits<float>(a[n]);
    float r = static_cast<float>(f(i.flush ? flushed(x) : x));
    if (i.flush) r = flushed(r);
    d[n] = to_bits(i.saturate ? saturated(r) : r);
  });
}

template <auto f, class T>
T of_half(T x) {
  return T::round(f(x.value()));
}

template <auto f>
Execute pick(Type type) {
  switch (type) {
    case Type::f32:
      return execute_f32<f>;
    case Type::f64:
      return execute1<[](double x) { return static_cast<double>(f(x)); }, double, double>;
    case Type::f16:
      return execute1<[](F16 x) { return of_half<f>(x); }, F16, F16>;
    case Type::bf16:
      return execute1<[](BF16 x) { return of_half<f>(x); }, BF16, BF16>;
    case Type::f16x2:
      return execute1<[](Pair<F16> x) {
        return Pair<F16>{of_half<f>(x.low), of_half<f>(x.high)};
      },
                      Pair<F16>, Pair<F16>>;
    case Type::bf16x2:
      return execute1<[](Pair<BF16> x) {
        return Pair<BF16>{of_half<f>(x.low), of_half<f>(x.high)};
      },
                      Pair<BF16>, Pair<BF16>>;
    default:
      return nullptr;
  }
}

constexpr auto kReciprocal = [](auto x) { return 1 / x; };
// In double: two roundings of float in a row would be off by more than the hardware is.
constexpr auto kInverseRoot = [](auto x) { return 1 / std::sqrt(static_cast<double>(x)); };
constexpr auto kRoot = [](auto x) { return std::sqrt(x); };
constexpr auto kPowerOfTwo = [](auto x) { return std::exp2(x); };
constexpr auto kLogarithm = [](auto x) { return std::log2(x); };
constexpr auto kSine = [](auto x) { return std::sin(x); };
constexpr auto kCosine = [](auto x) { return std::cos(x); };
constexpr auto kTangent = [](auto x) { return std::tanh(x); };

/// What only exists as an approximation, and for which types.
Execute approximate(std::string_view name, Type type) {
  const bool f32 = type == Type::f32, not_f64 = type != Type::f64;
  if (name == "rsqrt" && (f32 || type == Type::f64)) return pick<kInverseRoot>(type);
  if (name == "lg2" && f32) return pick<kLogarithm>(type);
  if (name == "sin" && f32) return pick<kSine>(type);
  if (name == "cos" && f32) return pick<kCosine>(type);
  if (name == "ex2" && not_f64) return pick<kPowerOfTwo>(type);
  if (name == "tanh" && not_f64) return pick<kTangent>(type);
  return nullptr;
}

/// IEEE 754 minimumNumber and maximumNumber: a number wins against NaN, -0 is less than +0. propagate: NaN wins.
template <bool maximum, class T>
T extreme(T a, T b, bool propagate) {
  if (std::isnan(a) || std::isnan(b)) {
    if (propagate || (std::isnan(a) && std::isnan(b))) return std::numeric_limits<T>::quiet_NaN();
    return std::isnan(a) ? b : a;
  }
  if (a == b) return std::signbit(a) == maximum ? b : a;
  return (a > b) == maximum ? a : b;
}

/// choice: NaN propagates. The third source, where there is one, is `c`.
template <bool maximum, class T>
void execute_extreme(Warp& w, const Instruction& i, uint32_t lanes) {
  uint64_t* const d = w.slot(i.d);
  const uint64_t *const a = w.slot(i.a), *const b = w.slot(i.b), *const c = w.slot(i.c);
  const auto read = [&](uint64_t bits) {
    if constexpr (std::is_same_v<T, float>) return i.flush ? flushed(from_bits<float>(bits)) : from_bits<float>(bits);
    if constexpr (std::is_same_v<T, double>) return from_bits<double>(bits);
    if constexpr (!std::is_floating_point_v<T>) return from_bits<T>(bits).value();
  };
  for_each_lane(lanes, [&](uint32_t n) {
    auto r = extreme<maximum>(read(a[n]), read(b[n]), i.choice);
    if (i.count == 3) r = extreme<maximum>(r, read(c[n]), i.choice);
    if constexpr (std::is_floating_point_v<T>) d[n] = to_bits<T>(r);
    if constexpr (!std::is_floating_point_v<T>) d[n] = to_bits(T::round(r));
  });
}

template <bool maximum, class H>
Pair<H> extreme_of_pair(Pair<H> a, Pair<H> b) {
  return {H::round(extreme<maximum>(a.low.value(), b.low.value(), false)),
          H::round(extreme<maximum>(a.high.value(), b.high.value(), false))};
}

template <bool maximum>
bool decode_extreme(Statement& s, Instruction& i) {
  i.flush = s.take("ftz");
  i.choice = s.take("NaN");
  i.count = s.operands.size() == 4 ? 3 : 2;
  if (s.type() == Type::f32) i.execute = execute_extreme<maximum, float>;
  if (s.type() == Type::f64) i.execute = execute_extreme<maximum, double>;
  if (s.type() == Type::f16) i.execute = execute_extreme<maximum, F16>;
  if (s.type() == Type::bf16) i.execute = execute_extreme<maximum, BF16>;
  if (i.choice == 0 && i.count == 2 && s.type() == Type::f16x2) {
    i.execute = execute2<[](Pair<F16> a, Pair<F16> b) { return extreme_of_pair<maximum>(a, b); }, Pair<F16>, Pair<F16>>;
  }
  if (i.choice == 0 && i.count == 2 && s.type() == Type::bf16x2) {
    i.execute =
        execute2<[](Pair<BF16> a, Pair<BF16> b) { return extreme_of_pair<maximum>(a, b); }, Pair<BF16>, Pair<BF16>>;
  }
  return i.execute && s.fill(i, i.count + 1U);
}

void execute_divide(Warp& w, const Instruction& i, uint32_t lanes) {
  uint64_t* const d = w.slot(i.d);
  const uint64_t *const a = w.slot(i.a), *const b = w.slot(i.b);
  for_each_lane(lanes, [&](uint32_t n) {
    const float x = from_bits<float>(a[n]), y = from_bits<float>(b[n]);
    d[n] = to_bits(i.flush ? flushed(flushed(x) / flushed(y)) : x / y);
  });
}

/// neg, abs, copysign work on the sign bit; `bits` has one for each value of the type.
bool decode_sign(Statement& s, Instruction& i) {
  i.flush = s.take("ftz");
  if (i.flush && s.type() == Type::f32 && s.name != "copysign") {
    i.execute =
        s.name == "neg" ? execute_f32<[](float x) { return -x; }> : execute_f32<[](float x) { return std::fabs(x); }>;
    return s.fill(i, 2);
  }
  if (i.flush || !is_float(s.type())) return false;
  const auto pick_sign = [&]<class U, U sign>() {
    if (s.name == "neg") i.execute = execute1<[](U a) { return static_cast<U>(a ^ sign); }, U, U>;
    if (s.name == "abs") i.execute = execute1<[](U a) { return static_cast<U>(a & ~sign); }, U, U>;
    if (s.name == "copysign") {
      i.execute = execute2<[](U a, U b) { return static_cast<U>((a & sign) | (b & ~sign)); }, U, U>;
    }
  };
  if (s.type() == Type::f32) pick_sign.template operator()<uint32_t, 0x8000'0000>();
  if (s.type() == Type::f64) pick_sign.template operator()<uint64_t, 0x8000'0000'0000'0000>();
  if (s.type() == Type::f32x2) pick_sign.template operator()<uint64_t, 0x8000'0000'8000'0000>();
  if (s.type() == Type::f16 || s.type() == Type::bf16) pick_sign.template operator()<uint16_t, 0x8000>();
  if (s.type() == Type::f16x2 || s.type() == Type::bf16x2) pick_sign.template operator()<uint32_t, 0x8000'8000>();
  return i.execute && s.fill(i, s.name == "copysign" ? 3 : 2);
}

}  // namespace

bool decode_float_function(Statement& s, Instruction& i) {
  if (s.name == "min") return decode_extreme<false>(s, i);
  if (s.name == "max") return decode_extreme<true>(s, i);
  if (s.name == "neg" || s.name == "abs" || s.name == "copysign") return decode_sign(s, i);
  const bool approximates = s.take_one_of({"approx", "full"}) >= 0;
  const bool exact = s.take_rounding(i.rounding);
  if (approximates == exact || i.rounding != Rounding::nearest) return false;
  i.flush = s.take("ftz");
  i.saturate = s.take("sat");
  if (i.saturate && s.type() != Type::f32) return false;
  if (s.name == "div") {
    if (s.type() == Type::f32 && !i.saturate) i.execute = execute_divide;
    if (s.type() == Type::f64 && exact) i.execute = execute2<[](double a, double b) { return a / b; }, double, double>;
    return i.execute && s.fill(i, 3);
  }
  const bool single_or_double = s.type() == Type::f32 || s.type() == Type::f64;
  if (s.name == "rcp" && single_or_double) i.execute = pick<kReciprocal>(s.type());
  if (s.name == "sqrt" && single_or_double) i.execute = pick<kRoot>(s.type());
  if (approximates && !i.execute) i.execute = approximate(s.name, s.type());
  return i.execute && s.fill(i, 2);
}

}  // namespace pgram::emulation::ptx
