#include "core/cost/closed_forms.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace pgram {

namespace {

/// Latency, and seconds a byte.
struct Line {
  Seconds latency = 0, per_byte = 0;
};

bool passes_parts(Collective collective) {
  return collective == Collective::all_gather || collective == Collective::reduce_scatter;
}
bool has_root(Collective collective) {
  return collective == Collective::broadcast || collective == Collective::reduce;
}

double levels(uint32_t count) {
  return count <= 1 ? 0 : std::bit_width(count - 1);  // ceil(log2)
}

struct Forms {
  Collective collective;
  Bytes bytes;
  const GroupShape& shape;
  double n, k, m;          ///< ranks, per node, nodes
  double inside, between;  ///< seconds a byte of a member; 0 where no such hop is

  std::optional<Line> ring() const {
    if (has_root(collective)) return pipeline(1 / shape.ring_bytes_per_second());
    if (!passes_parts(collective) && collective != Collective::all_reduce) return std::nullopt;
    const double steps = passes_parts(collective) ? n - 1 : 2 * (n - 1);
    // Of the k rings each leaves a node in place of another one of its k hops.
    const double turns = m > 1 && shape.even ? (k - 1) / k : 1;
    return Line{steps * shape.hop_latency, steps / n * std::max(turns * inside, between / k)};
  }

  /// (n-2+c)(a + S/(cB)) with c = sqrt((n-2)S/(aB)) chunks is (sqrt((n-2)a) + sqrt(S/B))^2; one chunk at least.
  Line pipeline(double per_byte) const {
    const double whole = static_cast<double>(bytes) * per_byte, a = shape.hop_latency;
    const double chunks = a > 0 ? std::sqrt((n - 2) * whole / a) : std::numeric_limits<double>::infinity();
    if (chunks < 1) return {(n - 1) * a, (n - 1) * per_byte};
    return {(n - 2) * a + 2 * std::sqrt((n - 2) * a * whole), per_byte};
  }

  Seconds tree_latency() const { return levels(shape.per_node) * shape.inside_latency + between_levels(); }
  Seconds between_levels() const { return levels(shape.nodes) * shape.between_latency; }

  std::optional<Line> tree() const {
    if (has_root(collective))
      return Line{tree_latency(), levels(shape.per_node) * inside + levels(shape.nodes) * between};
    if (collective != Collective::all_reduce) return std::nullopt;
    return Line{2 * tree_latency(), 2 / shape.ring_bytes_per_second()};
  }

  std::optional<Line> halving_doubling() const {
    if (!shape.even || !std::has_single_bit(shape.per_node) || !std::has_single_bit(shape.nodes)) return std::nullopt;
    return both_phases({tree_latency(), (k - 1) / k * inside + (m - 1) / n * between});
  }

  std::optional<Line> hierarchical() const {
    if (!shape.even || shape.nodes < 2 || shape.per_node < 2) return std::nullopt;
    if (collective == Collective::all_to_all)
      return Line{shape.inside_latency + shape.between_latency, (k - 1) / k * inside + (n - k) / n * between};
    return both_phases({(k - 1) * shape.inside_latency + (m - 1) * shape.between_latency,
                        (k - 1) / k * inside + (m - 1) / n * between});
  }

  /// A reduce-scatter's phase, and an all-gather's after it for an all-reduce.
  std::optional<Line> both_phases(Line line) const {
    if (passes_parts(collective)) return line;
    if (collective != Collective::all_reduce) return std::nullopt;
    return Line{2 * line.latency, 2 * line.per_byte};
  }

  std::optional<Line> direct() const {
    const Seconds latency = shape.nodes > 1 ? shape.between_latency : shape.inside_latency;
    if (collective == Collective::send_recv) return Line{latency, shape.nodes > 1 ? between : inside};
    const double part = std::max((k - 1) / n * inside, (n - k) / n * between);
    if (collective == Collective::all_to_all) return Line{latency, part};
    // The root's links carry all of it.
    if (has_root(collective)) return Line{latency, n * part};
    return both_phases({latency, part});
  }

  std::optional<Line> nvls() const {
    if (shape.nodes > 1) return std::nullopt;
    if (collective == Collective::all_reduce) return Line{2 * shape.inside_latency, (1 + 1 / n) * inside};
    if (passes_parts(collective)) return Line{shape.inside_latency, (n - 1) / n * inside};
    return std::nullopt;
  }

  std::optional<Line> nvls_tree() const {
    if (shape.nodes < 2 || collective != Collective::all_reduce) return std::nullopt;
    return Line{2 * shape.inside_latency + 2 * between_levels(),
                std::max((1 + 1 / k) * inside, (shape.nodes == 2 ? 1 : 2) / k * between)};
  }

  std::optional<Line> pat() const {
    if (!passes_parts(collective)) return std::nullopt;
    return Line{tree_latency(), (n - 1) / n / shape.ring_bytes_per_second()};
  }

  std::optional<Line> line(Algorithm algorithm, bool has_switch) const {
    switch (algorithm) {
      case Algorithm::ring:
        return ring();
      case Algorithm::tree:
        return tree();
      case Algorithm::halving_doubling:
        return halving_doubling();
      case Algorithm::direct:
        return direct();
      case Algorithm::nvls:
        return has_switch ? nvls() : std::nullopt;
      case Algorithm::nvls_tree:
        return has_switch ? nvls_tree() : std::nullopt;
      case Algorithm::hierarchical:
        return hierarchical();
      case Algorithm::pat:
        return pat();
    }
    return std::nullopt;
  }
};

}  // namespace

std::optional<CollectiveCost> closed_form(Collective collective, Algorithm algorithm, Bytes bytes,
                                          const GroupShape& shape, bool has_switch) {
  const double n = shape.ranks, k = shape.per_node, m = shape.nodes;
  const Forms forms{collective, bytes, shape, n, k, m, 1 / shape.inside, 1 / shape.between};
  const std::optional<Line> line = forms.line(algorithm, has_switch);
  if (!line) return std::nullopt;
  return CollectiveCost{algorithm, Protocol::simple, 1, line->latency, 1 / line->per_byte};
}

}  // namespace pgram
