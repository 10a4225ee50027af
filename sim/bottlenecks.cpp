#include "sim/bottlenecks.h"

#include <algorithm>
#include <bit>

#include "sim/hash.h"

namespace pgram::sim {
namespace {

struct LinkState {
  Topology::LinkEnds ends;
  double capacity = 0;        // bytes per picosecond
  double least_capacity = 0;  // over all changes
  double most = 0;            // that it can be asked for
  uint64_t changes = 0;
  uint32_t link = 0;
  bool kept = false, dropped = false;

  double passes() const { return std::min(capacity, most); }
};

/// Of the links that are used, or of `all`, ascending.
std::vector<LinkState> find_states(std::span<const Asked> asked, std::span<const LinkChange> changes, bool all,
                                   LinkFacts& facts) {
  std::vector<LinkState> states;
  states.reserve(asked.size());
  for (uint32_t i = 0; i < asked.size(); ++i) {
    if (asked[i].most == 0 && !all) continue;
    const LinkFact& fact = facts.of(i);
    states.push_back({fact.ends, fact.capacity, fact.capacity, asked[i].most, 0, i});
  }
  for (const LinkChange& change : changes) {
    const auto state = std::ranges::lower_bound(states, change.link, {}, &LinkState::link);
    if (state == states.end() || state->link != change.link) continue;
    state->least_capacity = std::min(state->least_capacity, state->capacity * change.factor);
    state->changes =
        mix(state->changes ^ mix(static_cast<uint64_t>(change.time) + 1)) + std::bit_cast<uint64_t>(change.factor);
  }
  return states;
}

/// The other direction of its cable; null if it is none of the states. Both have numbers in a row, the first even.
const LinkState* back_of(const LinkState& state, const std::vector<LinkState>& states) {
  const bool first = state.link % 2 == 0;
  if (&state == (first ? &states.back() : &states.front())) return nullptr;
  const LinkState& back = first ? *(&state + 1) : *(&state - 1);
  const bool is_back =
      back.link == (state.link ^ 1) && back.ends.from == state.ends.to && back.ends.to == state.ends.from;
  return is_back ? &back : nullptr;
}

/// Nothing begins or ends at a switch, and nothing turns back there: what leaves it by a link came in by others. So a
/// link is implied by all others into the vertex that it leaves, or out of the one that it enters, if these together
/// let no more through. A link is dropped only for the sake of links that are not dropped yet: each is implied by
/// what remains.
void drop_implied(std::vector<LinkState>& states, uint32_t devices, uint32_t vertices) {
  struct Sum {
    double passes = 0;
    uint32_t dropped = 0;  // links that vouch for no other any more
  };
  std::vector<Sum> in(vertices), out(vertices);
  for (const LinkState& state : states) {
    in[state.ends.to].passes += state.passes();
    out[state.ends.from].passes += state.passes();
  }
  for (LinkState& state : states) {
    if (!state.kept || state.changes != 0) continue;
    const auto [from, to] = state.ends;
    const LinkState* const back = back_of(state, states);
    const auto implied = [&](uint32_t vertex, const Sum& sum) {
      const double others = sum.passes - (back ? back->passes() : 0);
      return vertex >= devices && sum.dropped == (back && back->dropped ? 1 : 0) &&
             others <= state.capacity * (1 + 1e-9);
    };
    if (!implied(from, in[from]) && !implied(to, out[to])) continue;
    state.kept = false;
    state.dropped = true;
    ++in[to].dropped;
    ++out[from].dropped;
  }
}

}  // namespace

std::vector<SharedLink> find_bottlenecks(std::span<const Asked> asked, uint32_t devices,
                                         std::span<const LinkChange> changes, bool every_link, LinkFacts& facts) {
  std::vector<LinkState> states = find_states(asked, changes, every_link, facts);
  size_t kept = 0;
  for (LinkState& state : states) {
    // Noise of adding up must not keep a link that is just full.
    constexpr double kNoise = 1 + 1e-9;
    state.kept = every_link || state.changes != 0 || state.most > state.least_capacity * kNoise;
    kept += state.kept;
  }
  if (kept > 0 && !every_link) drop_implied(states, devices, facts.vertices());
  std::vector<SharedLink> links;
  links.reserve(kept);
  for (const LinkState& state : states) {
    if (state.kept) links.push_back({state.link, state.capacity, state.changes});
  }
  return links;
}

}  // namespace pgram::sim
