// Exchanges between pairs: halving and doubling, everybody with everybody at once, binomial trees.
#include <bit>

#include "sim/collectives/algorithms.h"

namespace pgram::sim {

using Range = StepBuilder::Range;

/// The `bits` lowest bits from the other end.
static uint32_t reversed(uint32_t value, uint32_t bits) {
  uint32_t result = 0;
  for (uint32_t i = 0; i < bits; ++i) result |= (value >> i & 1) << (bits - 1 - i);
  return result;
}

void add_halving_doubling(StepBuilder& builder) {
  StepProgram& program = builder.program();
  const uint32_t n = builder.members(), core = std::bit_floor(n);
  const uint32_t levels = static_cast<uint32_t>(std::bit_width(core)) - 1;
  builder.set_blocks(core * program.chunks);
  for (uint32_t chunk = 0; chunk < program.chunks; ++chunk) {
    builder.chunk = chunk;
    const uint32_t base = chunk * core;
    // Seats are numbered from the other end of the bits, so that the big halves go between near members, and what a
    // message carries lies together.
    const auto member = [&](uint32_t seat) { return reversed(seat, levels); };
    for (uint32_t seat = 0; seat < core; ++seat) program.position[base + seat] = member(seat) * program.chunks + chunk;
    uint32_t round = 0;
    for (uint32_t extra = core; extra < n; ++extra) builder.reduce(round, extra, extra - core, {base, core});
    ++round;
    for (uint32_t half = core / 2; half > 0 && reduces_parts(program.collective); half /= 2, ++round) {
      for (uint32_t seat = 0; seat < core; ++seat)
        builder.reduce(round, member(seat), member(seat ^ half), {base + (seat ^ half) / half * half, half});
    }
    for (uint32_t held = 1; held < core && gathers_parts(program.collective); held *= 2, ++round) {
      for (uint32_t seat = 0; seat < core; ++seat)
        builder.copy(round, member(seat), member(seat ^ held), {base + seat / held * held, held});
    }
    for (uint32_t extra = core; extra < n; ++extra) builder.copy(round, extra - core, extra, {base, core});
  }
}

/// One block for each pair or member, without steps.
static void add_direct_rooted(StepBuilder& builder, uint32_t chunk) {
  const uint32_t n = builder.members();
  const bool to_root = builder.program().collective == Collective::reduce;
  for (uint32_t m = 1; m < n; ++m) {
    if (to_root) {
      builder.reduce(0, m, 0, {chunk, 1});
    } else if (builder.program().collective == Collective::broadcast) {
      builder.copy(0, 0, m, {chunk, 1});
    } else {
      builder.deliver(0, m - 1, m, chunk, {chunk, 1});
    }
  }
}

void add_direct(StepBuilder& builder) {
  StepProgram& program = builder.program();
  const uint32_t n = builder.members(), chunks = program.chunks;
  const Collective collective = program.collective;
  const bool has_parts = collective == Collective::all_to_all || reduces_parts(collective) || gathers_parts(collective);
  builder.set_blocks(has_parts ? n * chunks : chunks);
  for (uint32_t chunk = 0; chunk < chunks; ++chunk) {
    builder.chunk = chunk;
    if (!has_parts) {
      add_direct_rooted(builder, chunk);
      continue;
    }
    const auto part = [&](uint32_t m) { return Range{m * chunks + chunk, 1}; };
    // Each begins with its neighbour, so that not all send to the same member first where messages are told apart.
    for (uint32_t away = 1; away < n; ++away) {
      for (uint32_t m = 0; m < n; ++m) {
        const uint32_t to = (m + away) % n;
        if (collective == Collective::all_to_all) builder.deliver(0, m, to, part(to).first, part(m));
        if (reduces_parts(collective)) builder.reduce(0, m, to, part(to));
        if (gathers_parts(collective)) builder.copy(1, m, to, part(m));
      }
    }
  }
}

void add_pat(StepBuilder& builder) {
  StepProgram& program = builder.program();
  const uint32_t n = builder.members(), chunks = program.chunks;
  const bool gathers = program.collective == Collective::all_gather;
  builder.set_blocks(n * chunks);
  for (uint32_t chunk = 0; chunk < chunks; ++chunk) {
    builder.chunk = chunk;
    // The part of member r goes from r + offset to r + offset + distance, for offsets that the longer distances gave.
    for (uint32_t level = 0, distance = 1; distance < n; ++level, distance *= 2) {
      const uint32_t round = gathers ? 31 - level : level;
      for (uint32_t m = 0; m < n; ++m) {
        for (uint32_t offset = 0; offset + distance < n; offset += 2 * distance) {
          const uint32_t other = (m + distance) % n;
          const Range block{(m + n - offset) % n * chunks + chunk, 1};
          if (gathers) {
            builder.copy(round, m, other, block);
          } else {
            builder.reduce(round, other, m, block);
          }
        }
      }
    }
  }
}

}  // namespace pgram::sim
