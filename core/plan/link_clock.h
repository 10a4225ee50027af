// Vector clocks of link: how far each stream is known to have come.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>

#include "core/plan/plan.h"

namespace pgram {

/// Sequences of each stream: a task's is its place in the issue order of its program, from 1; 0 = none. As many lanes
/// as vector instructions like.
constexpr int kClockLanes = 16;
static_assert(kStreams <= kClockLanes);
using LinkClock = std::array<uint32_t, kClockLanes>;

void join(LinkClock& into, const LinkClock& other);

/// What an operation waits for: sequences of a few streams.
struct Needed {
  uint32_t streams = 0;  // bits
  LinkClock sequence;    // of those streams

  void at_least(int stream, uint32_t value) {
    const bool is_new = !(streams >> stream & 1);
    sequence[stream] = is_new ? value : std::max(sequence[stream], value);
    streams |= 1u << stream;
  }
};

/// Last accesses of one field of one slot.
struct FieldState {
  uint32_t write_sequence = 0;
  uint16_t writer = 0;                           // its stream, as a bit; 0: nobody yet
  uint16_t readers = 0;                          // streams that have read since the last write
  std::array<uint32_t, kStreams> read_sequence;  // of those streams

  void write(uint16_t stream_bit, uint32_t sequence) {
    write_sequence = sequence;
    writer = stream_bit;
    readers = 0;
  }
  void read(int stream, uint16_t stream_bit, uint32_t sequence) {
    read_sequence[stream] = sequence;
    readers |= stream_bit;
  }
};

}  // namespace pgram
