// What the folder's files share: a span's op in the plan, the spans of one rank, sums that cannot overflow.
#pragma once
#include <algorithm>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "core/timeline/timeline.h"

namespace pgram {

/// From a span to what it ran. The spans must be inside the plan (check_timeline).
class TaskLookup {
 public:
  explicit TaskLookup(const Plan& plan) : plan_(plan), roles_(plan.mesh.ranks()) {
    for (uint32_t rank = 0; rank < roles_.size(); ++rank) roles_[rank] = plan.role(rank);
  }
  const Call& call(const Span& span) const { return plan_.programs[roles_[span.rank]].calls[span.call]; }
  const Body& body(const Span& span) const { return plan_.bodies[call(span).body]; }
  const Op& op(const Span& span) const { return body(span).ops[span.op]; }
  Category category(const Span& span) const { return category_of(body(span), op(span)); }

 private:
  const Plan& plan_;
  std::vector<uint32_t> roles_;
};

/// The spans of one rank in a step's spans, which are sorted by rank first.
inline std::span<const Span> of_rank(std::span<const Span> step, uint32_t rank) {
  const auto range = std::ranges::equal_range(step, rank, {}, &Span::rank);
  return {range.begin(), range.end()};
}

/// The same where the rank is the first or none before it is asked for; it probably has as many spans as `expected`.
inline std::span<const Span> of_next_rank(std::span<const Span> rest, uint32_t rank, size_t expected) {
  const bool has_as_many = expected > 0 && expected <= rest.size() && rest.front().rank == rank &&
                           rest[expected - 1].rank == rank && (expected == rest.size() || rest[expected].rank != rank);
  return has_as_many ? rest.first(expected) : of_rank(rest, rank);
}

/// Those of one stream of a rank's spans, which are sorted by stream.
inline std::span<const Span> of_stream(std::span<const Span> rank, Stream stream) {
  const auto range = std::ranges::equal_range(rank, static_cast<uint8_t>(stream), {}, &Span::stream);
  return {range.begin(), range.end()};
}

/// How many ranks the spans of each rank stand for; 0 where another rank's spans stand for it.
inline std::vector<uint32_t> represented_ranks(const Timeline& timeline) {
  std::vector<uint32_t> count(timeline.plan->mesh.ranks(), 0);
  for (uint32_t rank = 0; rank < count.size(); ++rank) ++count[timeline.representative_of(rank)];
  return count;
}

/// Sums over many ranks stay at the largest time instead of wrapping.
inline Picoseconds add_saturated(Picoseconds a, Picoseconds b) {
  Picoseconds sum;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<Picoseconds>::max() : sum;
}
inline Picoseconds multiply_saturated(Picoseconds a, Picoseconds b) {
  Picoseconds product;
  return __builtin_mul_overflow(a, b, &product) ? std::numeric_limits<Picoseconds>::max() : product;
}

/// Throws InputError, naming `file` and the first thing that is wrong: steps outside the spans, spans outside the plan
/// or unsorted, representatives that do not stand for themselves, times that no sum could hold.
void check_timeline(const Timeline&, const std::string& file);
constexpr Picoseconds kLatestTime = Picoseconds{1} << 61;  ///< 26 days either way
constexpr uint32_t kMostRanks = 1u << 20;

}  // namespace pgram
