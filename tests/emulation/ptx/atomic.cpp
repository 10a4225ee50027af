// atom and red: also atomic against kernels of other streams, which run on other threads.
#include <algorithm>
#include <atomic>
#include <type_traits>

#include "tests/emulation/ptx/statement.h"
#include "tests/emulation/ptx/warp.h"

namespace pgram::emulation::ptx {
namespace {

enum Update : uint8_t { kAdd, kMin, kMax, kAnd, kOr, kXor, kExchange, kIncrement, kDecrement, kCompareAndSwap };

template <size_t bytes>
using Word = std::conditional_t<bytes == 2, uint16_t, std::conditional_t<bytes == 4, uint32_t, uint64_t>>;

template <class H>
H half_sum(H a, H b) {
  return H::round(sum_to_odd(a.value(), b.value(), Rounding::nearest));
}
template <class H>
Pair<H> half_sum(Pair<H> a, Pair<H> b) {
  return {half_sum(a.low, b.low), half_sum(a.high, b.high)};
}

/// What memory holds afterwards; `value` is the second operand, `other` the third (of cas).
template <Update update, class T>
T updated(T old, T value, T other) {
  if constexpr (update == kExchange) return value;
  if constexpr (update == kCompareAndSwap) return old == value ? other : old;
  if constexpr (update == kAdd && std::is_integral_v<T>) return static_cast<T>(uint64_t(old) + uint64_t(value));
  if constexpr (update == kAdd && std::is_floating_point_v<T>) return old + value;
  if constexpr (update == kAdd && !std::is_arithmetic_v<T>) return half_sum(old, value);
  if constexpr (update == kMin) return std::min(old, value);
  if constexpr (update == kMax) return std::max(old, value);
  if constexpr (update == kAnd) return static_cast<T>(old & value);
  if constexpr (update == kOr) return static_cast<T>(old | value);
  if constexpr (update == kXor) return static_cast<T>(old ^ value);
  if constexpr (update == kIncrement) return old >= value ? 0 : static_cast<T>(old + 1);
  if constexpr (update == kDecrement) return old == 0 || old > value ? value : static_cast<T>(old - 1);
}

/// One lane after the other, so that a sum does not depend on chance.
template <Update update, class T>
void execute(Warp& w, const Instruction& i, uint32_t lanes) {
  using W = Word<sizeof(T)>;
  const Pointers at = w.resolve(i, lanes, sizeof(T), true);
  uint64_t* const d = w.slot(i.d);
  const uint64_t *const value = w.slot(i.b), *const other = w.slot(i.c);
  for_each_lane(lanes, [&](uint32_t n) {
    const std::atomic_ref<W> memory(*reinterpret_cast<W*>(at[n]));
    W old = memory.load();
    W next;
    do {
      next = static_cast<W>(
          to_bits(updated<update, T>(from_bits<T>(old), from_bits<T>(value[n]), from_bits<T>(other[n]))));
    } while (!memory.compare_exchange_weak(old, next));
    d[n] = old;
  });
}

template <class T>
Execute pick_integer(int update) {
  constexpr Execute kUpdates[] = {execute<kAdd, T>,           execute<kMin, T>,       execute<kMax, T>,
                                  execute<kAnd, T>,           execute<kOr, T>,        execute<kXor, T>,
                                  execute<kExchange, T>,      execute<kIncrement, T>, execute<kDecrement, T>,
                                  execute<kCompareAndSwap, T>};
  return kUpdates[update];
}

Execute pick(int update, Type type) {
  switch (type) {
    case Type::b16:
      return update == kCompareAndSwap || update == kExchange ? pick_integer<uint16_t>(update) : nullptr;
    case Type::b32:
    case Type::u32:
      return pick_integer<uint32_t>(update);
    case Type::b64:
    case Type::u64:
      return pick_integer<uint64_t>(update);
    case Type::s32:
      return pick_integer<int32_t>(update);
    case Type::s64:
      return pick_integer<int64_t>(update);
    default:
      break;
  }
  if (update != kAdd) return nullptr;
  if (type == Type::f32) return execute<kAdd, float>;
  if (type == Type::f64) return execute<kAdd, double>;
  if (type == Type::f16) return execute<kAdd, F16>;
  if (type == Type::bf16) return execute<kAdd, BF16>;
  if (type == Type::f16x2) return execute<kAdd, Pair<F16>>;
  if (type == Type::bf16x2) return execute<kAdd, Pair<BF16>>;
  return nullptr;
}

}  // namespace

bool decode_atomic(Statement& s, Instruction& i) {
  const bool returns = s.name == "atom";
  const int space = s.take_one_of({"global", "shared", "shared::cta"});
  i.space = space < 0 ? Space::generic : space == 0 ? Space::global : Space::shared;
  s.take_one_of({"relaxed", "acquire", "release", "acq_rel"});
  s.take_one_of({"cta", "cluster", "gpu", "sys"});
  s.take("noftz");
  const int update = s.take_one_of({"add", "min", "max", "and", "or", "xor", "exch", "inc", "dec", "cas"});
  if (update < 0 || s.types.size() != 1 || !s.modifiers.empty()) return false;
  const size_t sources = update == kCompareAndSwap ? 2 : 1;
  if (s.operands.size() != sources + (returns ? 2 : 1)) return false;
  const Operand* next = s.operands.data();
  if (returns) {
    if (next->kind != Operand::slot) return false;
    i.d = next++->value;
  }
  if (next->kind != Operand::address) return false;
  i.a = next->value;
  i.offset = next++->offset;
  if (next->kind != Operand::slot) return false;
  i.b = next++->value;
  if (sources == 2) {
    if (next->kind != Operand::slot) return false;
    i.c = next->value;
  }
  i.execute = pick(update, s.type());
  return i.execute != nullptr;
}

}  // namespace pgram::emulation::ptx
