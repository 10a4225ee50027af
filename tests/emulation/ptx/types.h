// The types of PTX values, and how a value of each lies in a 64-bit register.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace pgram::emulation::ptx {

// clang-format off
enum class Type : uint8_t { none, pred, b8, b16, b32, b64, u8, u16, u32, u64, s8, s16, s32, s64, f16, f16x2, bf16, bf16x2, f32, f32x2, f64 };
// clang-format on

/// none if there is no such type.
Type type_named(std::string_view);
uint32_t bytes_of(Type);
bool is_signed(Type);
bool is_float(Type);

/// Two values packed into one register, the first in the low half.
template <class T>
struct Pair {
  T low, high;
};

/// Low bytes of a register as a T.
template <class T>
T from_bits(uint64_t bits) {
  T value;
  static_assert(sizeof value <= sizeof bits && std::endian::native == std::endian::little);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// The other way; the bytes above are zero.
template <class T>
uint64_t to_bits(T value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}

/// Calls f.operator()<T>() with the C++ integer of this type (of the same width for .b types); false for other types.
template <class F>
bool with_integer(Type type, F&& f) {
  switch (type) {
    case Type::b8:
    case Type::u8:
      f.template operator()<uint8_t>();
      return true;
    case Type::b16:
    case Type::u16:
      f.template operator()<uint16_t>();
      return true;
    case Type::b32:
    case Type::u32:
      f.template operator()<uint32_t>();
      return true;
    case Type::b64:
    case Type::u64:
      f.template operator()<uint64_t>();
      return true;
    case Type::s8:
      f.template operator()<int8_t>();
      return true;
    case Type::s16:
      f.template operator()<int16_t>();
      return true;
    case Type::s32:
      f.template operator()<int32_t>();
      return true;
    case Type::s64:
      f.template operator()<int64_t>();
      return true;
    default:
      return false;
  }
}

}  // namespace pgram::emulation::ptx
