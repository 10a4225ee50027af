// Timeline: what happened or what would happen. Spans per rank and stream, counters; each span names its Task.
#pragma once
#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/units.h"
#include "core/plan/plan.h"

namespace pgram {

struct Span {
  uint32_t rank = 0, call = 0;
  uint16_t op = 0;
  uint8_t stream = 0;
  uint8_t wait_high = 0;  ///< bits 32 to 39 of the waiting in nanoseconds
  uint32_t wait_low = 0;
  Picoseconds start = 0, end = 0;

  /// Communication: how much of the span, from its start, was waiting for other members (in whole nanoseconds).
  Picoseconds wait() const { return static_cast<Picoseconds>(uint64_t{wait_high} << 32 | wait_low) * 1000; }
  bool waits() const { return wait_low != 0 || wait_high != 0; }
  void set_wait(Picoseconds time) {
    const uint64_t ns =
        std::min<uint64_t>(static_cast<uint64_t>(std::max<Picoseconds>(time, 0)) / 1000, (uint64_t{1} << 40) - 1);
    wait_high = static_cast<uint8_t>(ns >> 32);
    wait_low = static_cast<uint32_t>(ns);
  }
  /// Op, stream and waiting in one number, to compare them at once: head_of() where nothing is waited for.
  uint64_t head() const { return op | uint64_t{stream} << 16 | uint64_t{wait_high} << 24 | uint64_t{wait_low} << 32; }
  static constexpr uint64_t head_of(uint16_t op, Stream stream) { return op | static_cast<uint64_t>(stream) << 16; }
  static constexpr uint64_t kNotWaiting = 0xffffff;  ///< the bits of head() that say nothing of waiting
  bool operator==(const Span&) const = default;
};
static_assert(sizeof(Span) == 32);

struct CounterSample {
  uint32_t rank = 0;
  uint32_t counter = 0;  ///< index into Timeline::counter_names
  Picoseconds time = 0;
  int64_t value = 0;
};
static_assert(sizeof(CounterSample) == 24);

/// A communication span that shared links with another task, and what that cost it. A span may have several, one after
/// the other.
struct Contention {
  uint32_t step = 0;
  uint32_t span = 0;            ///< index into the step's spans
  uint32_t rank = 0, call = 0;  ///< the other task ...
  uint16_t op = 0;
  uint16_t reserved[3] = {};  ///< zero
  Picoseconds lost = 0;       ///< how much later the span ended because of it
};
static_assert(sizeof(Contention) == 32);

/// A call that went, from its first compute task to its last task, as all calls with the same pattern did: its spans
/// are theirs, but for the rank, the call and the date. Its communication waited for nobody and had all links for
/// itself.
struct AlikeCall {
  uint32_t rank = 0, call = 0;
  uint32_t pattern = 0;  ///< counted from 0
};

/// One training step: a run of spans (sorted by rank, stream, start) and its wall time.
struct Step {
  uint64_t first_span = 0, num_spans = 0;
  Picoseconds start = 0, end = 0;
  double loss = 0, gradient_norm = 0;  ///< 0 where simulated
};

enum class TimelineSource : uint8_t { simulated, measured };

/// Spans may live in memory or in a mapped file; `spans` views them and `storage` keeps them alive.
struct Timeline {
  std::shared_ptr<const Plan> plan;
  TimelineSource source = TimelineSource::simulated;
  std::map<std::string, std::string> facts;  ///< device, network, launch window, date, warnings ...
  /// Folded simulation: rank -> the rank whose spans stand for it. Empty = every rank has its own.
  std::vector<uint32_t> representative;
  std::vector<Step> steps;
  std::span<const Span> spans;
  std::vector<std::string> counter_names;  ///< "memory" (bytes)
  std::vector<CounterSample> counters;
  std::vector<Contention> contention;  ///< sorted by step and span; empty where nothing was shared or nothing is known
  /// Of the only step of a simulation, sorted by rank and call; what is not known to be alike is missing. No file has
  /// it.
  std::vector<AlikeCall> alike;
  /// Of a simulation, where it is known: what each rank with spans did on a stream are all its tasks there, in the
  /// plan's order, and they end in it. No file has it.
  bool in_plan_order = false;
  std::shared_ptr<const void> storage;

  std::span<const Span> of_step(size_t step) const {
    return spans.subspan(steps[step].first_span, steps[step].num_spans);
  }
  uint32_t representative_of(uint32_t rank) const { return representative.empty() ? rank : representative[rank]; }
  /// The step whose duration is the median (lower one of two); the only one for a simulation.
  size_t median_step() const;
  Picoseconds median_step_time() const;
  /// Takes ownership of the spans, of which neither alike calls nor the order are known.
  void set_spans(std::vector<Span>);
};

/// Versioned binary file, memory-mapped on reading; the Plan travels inside. InputError for other versions, truncation
/// and hostile counts.
void write_timeline(const Timeline&, const std::string& path);
Timeline read_timeline(const std::string& path);

}  // namespace pgram
