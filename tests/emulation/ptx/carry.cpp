// Integers longer than a register: sums that leave a carry and take it.
#include "tests/emulation/ptx/statement.h"
#include "tests/emulation/ptx/warp.h"

namespace pgram::emulation::ptx {
namespace {

enum Sum : uint8_t { kAdd, kSub, kMulLow, kMulHigh };

/// choice: Sum, +4 takes the carry, +8 leaves one. A difference's carry is its borrow.
template <class T>
void execute(Warp& w, const Instruction& i, uint32_t lanes) {
  using Wide = unsigned __int128;
  constexpr int kBits = 8 * sizeof(T);
  const int sum = i.choice & 3;
  uint64_t* const d = w.slot(i.d);
  const uint64_t *const a = w.slot(i.a), *const b = w.slot(i.b), *const c = w.slot(i.c);
  for_each_lane(lanes, [&](uint32_t n) {
    const Wide x = from_bits<T>(a[n]), y = from_bits<T>(b[n]), carry = i.choice & 4 ? w.carry[n] : 0;
    Wide r = 0;
    if (sum == kAdd) r = x + y + carry;
    if (sum == kSub) r = x - y - carry;
    if (sum >= kMulLow) r = static_cast<T>(sum == kMulLow ? x * y : x * y >> kBits) + Wide{from_bits<T>(c[n])} + carry;
    if (i.choice & 8) w.carry[n] = static_cast<uint32_t>(r >> kBits) & 1;
    d[n] = static_cast<T>(r);
  });
}

}  // namespace

bool decode_carry(Statement& s, Instruction& i) {
  const bool takes = s.name.ends_with("c");
  const bool leaves = s.take("cc");
  if (!takes && !leaves) return false;
  const bool mad = s.name.starts_with("mad");
  const int half = s.take_one_of({"lo", "hi"});
  if ((half >= 0) != mad) return false;
  const int sum = mad ? kMulLow + half : s.name.starts_with("add") ? kAdd : kSub;
  i.choice = static_cast<uint8_t>(sum | (takes ? 4 : 0) | (leaves ? 8 : 0));
  if (is_float(s.type())) return false;
  // The high half of a signed product is another one; nothing but extended-precision code has these, all unsigned.
  if (sum == kMulHigh && is_signed(s.type())) return false;
  if (bytes_of(s.type()) == 4) i.execute = execute<uint32_t>;
  if (bytes_of(s.type()) == 8) i.execute = execute<uint64_t>;
  return i.execute && s.fill(i, mad ? 4 : 3);
}

}  // namespace pgram::emulation::ptx
