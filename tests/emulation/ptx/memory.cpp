// Loads and stores of one to eight elements, and what only orders or hints.
#include <atomic>

#include "tests/emulation/ptx/statement.h"
#include "tests/emulation/ptx/warp.h"

namespace pgram::emulation::ptx {
namespace {

/// Registers wider than T are extended by its sign.
template <class T>
void execute_load(Warp& w, const Instruction& i, uint32_t lanes) {
  const Pointers from = w.resolve(i, lanes, i.bytes * uint32_t{i.count}, false);
  for (uint32_t k = 0; k < i.count; ++k) {
    uint64_t* const d = w.slot(i.elements[k]);
    for_each_lane(lanes, [&](uint32_t n) {
      T value;
      std::memcpy(&value, from[n] + k * sizeof value, sizeof value);
      d[n] = std::is_signed_v<T> ? static_cast<uint64_t>(static_cast<int64_t>(value)) : static_cast<uint64_t>(value);
    });
  }
}

template <class T>
void execute_store(Warp& w, const Instruction& i, uint32_t lanes) {
  const Pointers to = w.resolve(i, lanes, i.bytes * uint32_t{i.count}, true);
  for (uint32_t k = 0; k < i.count; ++k) {
    const uint64_t* const value = w.slot(i.elements[k]);
    for_each_lane(lanes, [&](uint32_t n) { std::memcpy(to[n] + k * sizeof(T), &value[n], sizeof(T)); });
  }
}

void execute_fence(Warp&, const Instruction&, uint32_t) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
}
void execute_hint(Warp&, const Instruction&, uint32_t) {}

bool take_space(Statement& s, Instruction& i) {
  const int space = s.take_one_of({"global", "shared", "shared::cta", "local", "param", "param::entry", "const"});
  constexpr Space kSpaces[] = {Space::generic, Space::global,    Space::shared,    Space::shared,
                               Space::local,   Space::parameter, Space::parameter, Space::constant};
  i.space = kSpaces[space + 1];
  return true;
}

/// How long a value is worth caching, and who shall see it when: nothing is cached or reordered here.
void take_hints(Statement& s) {
  for (const std::string_view hint : {"volatile",
                                      "weak",
                                      "relaxed",
                                      "acquire",
                                      "release",
                                      "cta",
                                      "cluster",
                                      "gpu",
                                      "sys",
                                      "nc",
                                      "ca",
                                      "cg",
                                      "cs",
                                      "lu",
                                      "cv",
                                      "wb",
                                      "wt",
                                      "L1::evict_normal",
                                      "L1::evict_unchanged",
                                      "L1::evict_first",
                                      "L1::evict_last",
                                      "L1::no_allocate",
                                      "L2::evict_normal",
                                      "L2::evict_first",
                                      "L2::evict_last",
                                      "L2::64B",
                                      "L2::128B",
                                      "L2::256B"}) {
    s.take(hint);
  }
}

bool decode_ordering(Statement& s, Instruction& i) {
  const bool hint = s.name == "prefetch" || s.name == "prefetchu" || s.name == "nanosleep";
  i.execute = hint ? execute_hint : execute_fence;
  if (s.name == "nanosleep") return true;
  take_hints(s);
  s.take_one_of({"acq_rel", "sc"});
  s.take_one_of({"gl", "cta", "sys"});
  s.take_one_of({"L1", "L2"});
  take_space(s, i);
  return s.modifiers.empty();
}

}  // namespace

bool decode_memory(Statement& s, Instruction& i) {
  if (s.name != "ld" && s.name != "st" && s.name != "ldu") return decode_ordering(s, i);
  const bool stores = s.name == "st";
  take_space(s, i);
  take_hints(s);
  const int vector = s.take_one_of({"v2", "v4", "v8"});
  if (s.operands.size() != 2 || s.types.size() != 1 || !s.modifiers.empty()) return false;
  const Operand &address = s.operands[stores ? 0 : 1], &value = s.operands[stores ? 1 : 0];
  if (address.kind != Operand::address || (value.kind == Operand::vector) != (vector >= 0)) return false;
  i.count = static_cast<uint8_t>(vector < 0 ? 1 : 2 << vector);
  if (value.kind != Operand::slot && (value.kind != Operand::vector || value.count != i.count)) return false;
  i.elements = value.elements;
  if (vector < 0) i.elements[0] = value.value;
  i.bytes = static_cast<uint8_t>(bytes_of(s.type()));
  i.a = address.value;
  i.offset = address.offset;
  if (i.bytes * i.count > 32 || s.type() == Type::pred || (stores && i.space == Space::parameter)) return false;
  // Floating-point numbers are moved as bits of their width.
  const Type raw[] = {Type::none, Type::b8,   Type::b16,  Type::none, Type::b32,
                      Type::none, Type::none, Type::none, Type::b64};
  return with_integer(is_float(s.type()) ? raw[i.bytes] : s.type(),
                      [&]<class T>() { i.execute = stores ? execute_store<T> : execute_load<T>; });
}

}  // namespace pgram::emulation::ptx
