// A 64-bit mixer for hashes that never leave a run: colours of ranks and groups.
#pragma once
#include <cstdint>

namespace pgram::sim {

/// MurmurHash3's finaliser: a bijection that spreads every bit.
constexpr uint64_t mix(uint64_t x) {
  x = (x ^ x >> 33) * 0xff51afd7ed558ccdull;
  x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53ull;
  return x ^ x >> 33;
}

}  // namespace pgram::sim
