#include "tests/emulation/nccl/reduce.h"

#include <algorithm>
#include <type_traits>

namespace pgram::emulation {
namespace {

/// Elements as they are computed with: float for bfloat16.
float widen(float value) {
  return value;
}
float widen(__nv_bfloat16 value) {
  return __bfloat162float(value);
}
int32_t widen(int32_t value) {
  return value;
}

template <class T>
using Wide = decltype(widen(T()));

template <class T>
T to(Wide<T> value) {
  if constexpr (std::is_same_v<T, __nv_bfloat16>) {
    return __float2bfloat16(value);
  } else {
    return value;
  }
}

/// Overflow of integers wraps around, as on the device.
float add(float a, float b) {
  return a + b;
}
int32_t add(int32_t a, int32_t b) {
  return int32_t(uint32_t(a) + uint32_t(b));
}

template <class T>
T combine(T a, T b, ncclRedOp_t op) {
  if (op == ncclMax) return widen(a) < widen(b) ? b : a;
  if (op == ncclMin) return widen(b) < widen(a) ? b : a;
  return to<T>(add(widen(a), widen(b)));
}

template <class T>
Bytes reduce_as(const std::vector<const Bytes*>& members, ncclRedOp_t op) {
  constexpr bool is_float = !std::is_same_v<T, int32_t>;
  const auto n = int32_t(members.size());
  const T part = to<T>(Wide<T>(is_float ? 1.0f / float(n) : 1));
  const auto taken = [&](T value) { return op == ncclAvg && is_float ? to<T>(widen(value) * widen(part)) : value; };
  Bytes result(members[0]->size());
  auto* out = reinterpret_cast<T*>(result.data());
  for (size_t i = 0; i < result.size() / sizeof(T); ++i) {
    T value = taken(reinterpret_cast<const T*>(members[0]->data())[i]);
    for (int32_t m = 1; m < n; ++m)
      value = combine(value, taken(reinterpret_cast<const T*>(members[size_t(m)]->data())[i]), op);
    if constexpr (!is_float) {
      if (op == ncclAvg) value /= n;
    }
    out[i] = value;
  }
  return result;
}

}  // namespace

bool can_reduce(ncclDataType_t type, ncclRedOp_t op) {
  const bool known_type = type == ncclFloat32 || type == ncclBfloat16 || type == ncclInt32;
  return known_type && (op == ncclSum || op == ncclMax || op == ncclMin || op == ncclAvg);
}

Bytes reduce(const std::vector<const Bytes*>& members, ncclDataType_t type, ncclRedOp_t op) {
  switch (type) {
    case ncclFloat32:
      return reduce_as<float>(members, op);
    case ncclBfloat16:
      return reduce_as<__nv_bfloat16>(members, op);
    default:
      return reduce_as<int32_t>(members, op);
  }
}

}  // namespace pgram::emulation
