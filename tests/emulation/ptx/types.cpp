#include "tests/emulation/ptx/types.h"

#include <array>
#include <utility>

namespace pgram::emulation::ptx {
namespace {

struct Row {
  std::string_view name;
  Type type;
  uint32_t bytes;
};

constexpr std::array<Row, 20> kTypes{
    {{"pred", Type::pred, 1},     {"b8", Type::b8, 1},   {"b16", Type::b16, 2},     {"b32", Type::b32, 4},
     {"b64", Type::b64, 8},       {"u8", Type::u8, 1},   {"u16", Type::u16, 2},     {"u32", Type::u32, 4},
     {"u64", Type::u64, 8},       {"s8", Type::s8, 1},   {"s16", Type::s16, 2},     {"s32", Type::s32, 4},
     {"s64", Type::s64, 8},       {"f16", Type::f16, 2}, {"f16x2", Type::f16x2, 4}, {"bf16", Type::bf16, 2},
     {"bf16x2", Type::bf16x2, 4}, {"f32", Type::f32, 4}, {"f32x2", Type::f32x2, 8}, {"f64", Type::f64, 8}}};

}  // namespace

Type type_named(std::string_view name) {
  for (const Row& row : kTypes) {
    if (row.name == name) return row.type;
  }
  return Type::none;
}

uint32_t bytes_of(Type type) {
  for (const Row& row : kTypes) {
    if (row.type == type) return row.bytes;
  }
  return 0;
}

bool is_signed(Type type) {
  return type >= Type::s8 && type <= Type::s64;
}
bool is_float(Type type) {
  return type >= Type::f16;
}

}  // namespace pgram::emulation::ptx
