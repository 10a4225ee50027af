// Integer arithmetic: wraps around, never traps.
#include <algorithm>
#include <type_traits>

#include "tests/emulation/ptx/statement.h"
#include "tests/emulation/ptx/warp.h"

namespace pgram::emulation::ptx {
namespace {

/// The full product of two values of up to 64 bits.
template <class T>
auto product(T a, T b) {
  using Wide = std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>;
  return static_cast<Wide>(a) * static_cast<Wide>(b);
}

template <class T>
constexpr int kBits = 8 * sizeof(T);

/// What no C++ operator may be asked: x / 0 is all ones, as on the hardware; the smallest number / -1 is itself.
template <class T>
T quotient(T a, T b) {
  if (b == 0) return static_cast<T>(-1);
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return static_cast<T>(0 - static_cast<uint64_t>(a));
  }
  return static_cast<T>(a / b);
}

template <class T>
T remainder_of(T a, T b) {
  if (b == 0) return a;
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return 0;
  }
  return static_cast<T>(a % b);
}

template <class T>
Execute pick2(std::string_view name) {
  if (name == "add") return execute2<[](T a, T b) { return static_cast<T>(uint64_t(a) + uint64_t(b)); }, T, T>;
  if (name == "sub") return execute2<[](T a, T b) { return static_cast<T>(uint64_t(a) - uint64_t(b)); }, T, T>;
  if (name == "mul.lo") return execute2<[](T a, T b) { return static_cast<T>(uint64_t(a) * uint64_t(b)); }, T, T>;
  if (name == "mul.hi") return execute2<[](T a, T b) { return static_cast<T>(product(a, b) >> kBits<T>); }, T, T>;
  if (name == "mul.wide") return execute2<[](T a, T b) { return static_cast<uint64_t>(product(a, b)); }, uint64_t, T>;
  if (name == "div") return execute2<[](T a, T b) { return quotient(a, b); }, T, T>;
  if (name == "rem") return execute2<[](T a, T b) { return remainder_of(a, b); }, T, T>;
  if (name == "min") return execute2<[](T a, T b) { return std::min(a, b); }, T, T>;
  if (name == "max") return execute2<[](T a, T b) { return std::max(a, b); }, T, T>;
  return nullptr;
}

template <class T>
Execute pick1(std::string_view name) {
  using Unsigned = std::make_unsigned_t<T>;
  if (name == "neg") return execute1<[](T a) { return static_cast<T>(0 - uint64_t(a)); }, T, T>;
  if (name == "abs") return execute1<[](T a) { return static_cast<T>(a < 0 ? 0 - uint64_t(a) : uint64_t(a)); }, T, T>;
  if (name == "popc") return execute1<[](T a) { return uint32_t(std::popcount(Unsigned(a))); }, uint32_t, T>;
  if (name == "clz") return execute1<[](T a) { return uint32_t(std::countl_zero(Unsigned(a))); }, uint32_t, T>;
  return nullptr;
}

/// a * b + c; the wide form adds to a value of twice the width.
template <class T>
Execute pick_mad(std::string_view form) {
  if (form == "lo") {
    return execute3<[](T a, T b, T c) { return static_cast<T>(uint64_t(a) * uint64_t(b) + uint64_t(c)); }, T, T>;
  }
  if (form == "hi") {
    return execute3<[](T a, T b, T c) { return static_cast<T>(uint64_t(product(a, b) >> kBits<T>) + uint64_t(c)); }, T,
                    T>;
  }
  return [](Warp& w, const Instruction& i, uint32_t lanes) {
    uint64_t* const d = w.slot(i.d);
    const uint64_t *const a = w.slot(i.a), *const b = w.slot(i.b), *const c = w.slot(i.c);
    for_each_lane(lanes, [=](uint32_t n) {
      d[n] = static_cast<uint64_t>(product(from_bits<T>(a[n]), from_bits<T>(b[n]))) + c[n];
    });
  };
}

int32_t clamped(int64_t x) {
  return static_cast<int32_t>(std::clamp<int64_t>(x, INT32_MIN, INT32_MAX));
}

/// add.sat.s32, sub.sat.s32
bool decode_saturated(Statement& s, Instruction& i) {
  if (s.type() != Type::s32) return false;
  if (s.name == "add") {
    i.execute = execute2<[](int32_t a, int32_t b) { return clamped(int64_t{a} + b); }, int32_t, int32_t>;
  }
  if (s.name == "sub") {
    i.execute = execute2<[](int32_t a, int32_t b) { return clamped(int64_t{a} - b); }, int32_t, int32_t>;
  }
  return i.execute && s.fill(i, 3);
}

}  // namespace

bool decode_integer(Statement& s, Instruction& i) {
  if (s.take("sat")) return decode_saturated(s, i);
  const int form = s.take_one_of({"lo", "hi", "wide"});
  constexpr std::string_view kForms[] = {"lo", "hi", "wide"};
  if ((form >= 0) != (s.name == "mul" || s.name == "mad")) return false;
  if (form == 2 && bytes_of(s.type()) == 8) return false;
  const std::string name = s.name == "mul" ? "mul." + std::string(kForms[form]) : std::string(s.name);
  size_t operands = 3;
  with_integer(s.type(), [&]<class T>() {
    if (s.name == "mad") {
      i.execute = pick_mad<T>(kForms[form]);
      operands = 4;
    } else if ((i.execute = pick2<T>(name)) == nullptr) {
      i.execute = pick1<T>(name);
      operands = 2;
    }
  });
  return i.execute && s.fill(i, operands);
}

}  // namespace pgram::emulation::ptx
