// What the lanes of a warp tell each other: shuffles, votes, matches, reductions. The machine brings the members
// together.
#include <algorithm>

#include "tests/emulation/ptx/statement.h"
#include "tests/emulation/ptx/warp.h"

namespace pgram::emulation::ptx {
namespace {

enum Shuffle : uint8_t { kUp, kDown, kButterfly, kIndex };
enum Vote : uint8_t { kAny, kAll, kUniform, kBallot };
enum Reduction : uint8_t { kAdd, kMin, kMax, kAnd, kOr, kXor };

/// The rules of PTX for c: bits 0-4 clamp the lane, bits 8-12 cut the warp into segments. A value from a lane that does
/// not take part is undefined; here it is all ones, a NaN.
void execute_shuffle(Warp& w, const Instruction& i, uint32_t lanes) {
  const uint64_t *const a = w.slot(i.a), *const b = w.slot(i.b), *const c = w.slot(i.c);
  uint64_t result[kLanes];
  bool found[kLanes];
  for_each_lane(lanes, [&](uint32_t n) {
    const uint32_t by = b[n] & 31, clamp = c[n] & 31, segment = c[n] >> 8 & 31;
    const uint32_t least = n & segment, most = least | (clamp & ~segment);
    uint32_t from = n;
    if (i.choice == kUp) from = n - by;
    if (i.choice == kDown) from = n + by;
    if (i.choice == kButterfly) from = n ^ by;
    if (i.choice == kIndex) from = least | (by & ~segment);
    found[n] = i.choice == kUp ? static_cast<int32_t>(from) >= static_cast<int32_t>(most) : from <= most;
    if (!found[n]) from = n;
    result[n] = lanes >> from & 1 ? static_cast<uint32_t>(a[from]) : UINT32_MAX;
  });
  uint64_t* const d = w.slot(i.d);
  for_each_lane(lanes, [&](uint32_t n) {
    d[n] = result[n];
    if (i.d2 != kNoSlot) w.slot(i.d2)[n] = found[n];
  });
}

void execute_vote(Warp& w, const Instruction& i, uint32_t lanes) {
  uint32_t ballot = 0;
  for_each_lane(lanes, [&](uint32_t n) { ballot |= static_cast<uint32_t>(w.slot(i.a)[n] & 1) << n; });
  const uint32_t answers[] = {ballot != 0, ballot == lanes, ballot == 0 || ballot == lanes, ballot};
  for_each_lane(lanes, [&](uint32_t n) { w.slot(i.d)[n] = answers[i.choice]; });
}

/// choice: all (else any).
template <class T>
void execute_match(Warp& w, const Instruction& i, uint32_t lanes) {
  uint32_t equal[kLanes];
  for_each_lane(lanes, [&](uint32_t n) {
    equal[n] = 0;
    for_each_lane(lanes, [&](uint32_t m) {
      equal[n] |= uint32_t{from_bits<T>(w.slot(i.a)[n]) == from_bits<T>(w.slot(i.a)[m])} << m;
    });
  });
  for_each_lane(lanes, [&](uint32_t n) {
    const bool all = equal[n] == lanes;
    w.slot(i.d)[n] = i.choice && !all ? 0 : equal[n];
    if (i.d2 != kNoSlot) w.slot(i.d2)[n] = all;
  });
}

template <class T>
void execute_reduction(Warp& w, const Instruction& i, uint32_t lanes) {
  const auto value = [&](uint32_t n) { return from_bits<T>(w.slot(i.a)[n]); };
  const auto first = static_cast<uint32_t>(std::countr_zero(lanes));
  T result = value(first);
  for_each_lane(lanes & (lanes - 1), [&](uint32_t n) {
    const T x = value(n);
    const T results[] = {static_cast<T>(uint64_t(result) + uint64_t(x)),
                         std::min(result, x),
                         std::max(result, x),
                         static_cast<T>(result & x),
                         static_cast<T>(result | x),
                         static_cast<T>(result ^ x)};
    result = results[i.choice];
  });
  for_each_lane(lanes, [&](uint32_t n) { w.slot(i.d)[n] = to_bits(result); });
}

/// The last operand is the member mask.
bool fill_meeting(Statement& s, Instruction& i, size_t operands) {
  if (s.operands.size() != operands || s.operands.back().kind != Operand::slot) return false;
  i.flow = Flow::meet;
  i.members = s.operands.back().value;
  s.operands.pop_back();
  return s.fill(i, operands - 1);
}

}  // namespace

bool decode_warp(Statement& s, Instruction& i) {
  if (s.name == "activemask") {
    i.execute = [](Warp& w, const Instruction& self, uint32_t lanes) {
      for_each_lane(lanes, [&](uint32_t n) { w.slot(self.d)[n] = lanes; });
    };
    return s.fill(i, 1);
  }
  if (s.name == "bar") {  // bar.warp.sync
    i.execute = [](Warp&, const Instruction&, uint32_t) {};
    return s.take("warp") && s.take("sync") && fill_meeting(s, i, 1);
  }
  if (!s.operands.empty()) i.d2 = s.operands[0].second;
  const bool redux = s.name == "redux";
  if (!s.take("sync")) return false;
  if (s.name == "shfl") {
    const int kind = s.take_one_of({"up", "down", "bfly", "idx"});
    i.choice = static_cast<uint8_t>(kind);
    i.execute = execute_shuffle;
    return kind >= 0 && s.type() == Type::b32 && fill_meeting(s, i, 5);
  }
  const int kind =
      redux ? s.take_one_of({"add", "min", "max", "and", "or", "xor"}) : s.take_one_of({"any", "all", "uni", "ballot"});
  if (kind < 0) return false;
  i.choice = static_cast<uint8_t>(kind);
  if (s.name == "vote") {
    i.execute = execute_vote;
    return s.type() == (kind == kBallot ? Type::b32 : Type::pred) && fill_meeting(s, i, 3);
  }
  if (s.name == "match" && kind <= kAll) {
    if (bytes_of(s.type()) == 4) i.execute = execute_match<uint32_t>;
    if (bytes_of(s.type()) == 8) i.execute = execute_match<uint64_t>;
  }
  if (redux && bytes_of(s.type()) == 4 && !is_float(s.type())) {
    i.execute = is_signed(s.type()) ? execute_reduction<int32_t> : execute_reduction<uint32_t>;
  }
  return i.execute && fill_meeting(s, i, 3);
}

}  // namespace pgram::emulation::ptx
