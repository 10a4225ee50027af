#include "sim/bottlenecks.h"

#include <algorithm>
#include <bit>

#include "sim/hash.h"

namespace pgram::sim {
namespace {

/// Nothing begins or ends at a switch, and nothing turns back there: what leaves it by a link came in by others. So a
/// link is implied by all others into the vertex that it leaves, or out of the one that it enters, if these together
/// let no more through. A link is dropped only for the sake of links that are not dropped yet: each is implied by
/// what remains. `kept` ascending; those with changes stay.
void drop_implied(std::vector<SharedLink>& kept, std::span<const Asked> asked, uint32_t devices,
                  const LinkFacts& facts) {
  struct Sum {
    double passes = 0;
    uint32_t dropped = 0;  // links that vouch for no other any more
  };
  const auto passes = [&](uint32_t link) { return std::min(facts.known(link).capacity, asked[link].most); };
  std::vector<Sum> in(facts.vertices()), out(facts.vertices());
  for (uint32_t i = 0; i < asked.size(); ++i) {
    if (asked[i].most == 0) continue;
    const auto [from, to] = facts.known(i).ends;
    const double own = passes(i);
    in[to].passes += own;
    out[from].passes += own;
  }
  size_t count = 0;
  uint32_t last_dropped = ~0u;
  for (const SharedLink& shared : kept) {
    const uint32_t link = shared.link, back = link ^ 1;
    const auto [from, to] = facts.known(link).ends;
    // The other direction of its cable: both have numbers in a row, the first even.
    double back_passes = 0;
    uint32_t back_dropped = 0;
    if (back < asked.size() && asked[back].most != 0) {
      const Topology::LinkEnds ends = facts.known(back).ends;
      if (ends.from == to && ends.to == from) {
        back_passes = passes(back);
        back_dropped = back == last_dropped ? 1 : 0;
      }
    }
    const double most = shared.capacity * (1 + 1e-9);
    const auto implied = [&](uint32_t vertex, const Sum& sum) {
      return vertex >= devices && sum.dropped == back_dropped && sum.passes - back_passes <= most;
    };
    if (shared.changes == 0 && (implied(from, in[from]) || implied(to, out[to]))) {
      last_dropped = link;
      ++in[to].dropped;
      ++out[from].dropped;
    } else {
      kept[count++] = shared;
    }
  }
  kept.resize(count);
}

/// Keeps the links that will change, if they are used or `all` are kept, and says what will happen to them.
void add_changes(std::vector<SharedLink>& kept, std::span<const Asked> asked, std::span<const LinkChange> changes,
                 bool all, LinkFacts& facts) {
  for (const LinkChange& change : changes) {
    if (asked[change.link].most == 0 && !all) continue;
    auto at = std::ranges::lower_bound(kept, change.link, {}, &SharedLink::link);
    if (at == kept.end() || at->link != change.link)
      at = kept.insert(at, {change.link, facts.of(change.link).capacity, 0});
    at->changes =
        mix(at->changes ^ mix(static_cast<uint64_t>(change.time) + 1)) + std::bit_cast<uint64_t>(change.factor);
  }
}

}  // namespace

std::vector<SharedLink> find_bottlenecks(std::span<const Asked> asked, uint32_t devices,
                                         std::span<const LinkChange> changes, bool every_link, LinkFacts& facts) {
  std::vector<SharedLink> kept;
  kept.reserve(asked.size());
  for (uint32_t i = 0; i < asked.size(); ++i) {
    if (asked[i].most == 0 && !every_link) continue;
    // Noise of adding up must not keep a link that is just full.
    constexpr double kNoise = 1 + 1e-9;
    const double capacity = facts.of(i).capacity;
    if (every_link || asked[i].most > capacity * kNoise) kept.push_back({i, capacity, 0});
  }
  add_changes(kept, asked, changes, every_link, facts);
  if (!kept.empty() && !every_link) drop_implied(kept, asked, devices, facts);
  return kept;
}

}  // namespace pgram::sim
