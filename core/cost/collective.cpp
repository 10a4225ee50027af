#include "core/cost/collective.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <limits>
#include <vector>

#include "core/base/errors.h"
#include "core/cost/closed_forms.h"
#include "core/cost/group_shape.h"
#include "core/cost/nccl.h"

namespace pgram {

namespace {

constexpr std::array<const char*, 7> kCollectives{"all_reduce", "reduce_scatter", "all_gather", "broadcast",
                                                  "reduce",     "all_to_all",     "send_recv"};
constexpr std::array<const char*, 8> kAlgorithms{"ring", "tree",      "halving_doubling", "direct",
                                                 "nvls", "nvls_tree", "hierarchical",     "pat"};
constexpr std::array<const char*, 3> kProtocols{"ll", "ll128", "simple"};

template <class T, size_t N>
T parse(const std::string& text, const std::array<const char*, N>& names, const char* what) {
  std::string list;
  for (size_t i = 0; i < N; ++i) {
    if (text == names[i]) return static_cast<T>(i);
    list += (i == 0 ? "" : ", ") + std::string(names[i]);
  }
  std::string shown = text.substr(0, 40);
  for (char& c : shown) c = static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  throw InputError(what, "unknown " + std::string(what) + " \"" + shown + "\"; expected one of " + list);
}

template <class T, size_t N, class F>
void for_each_of(const std::optional<T>& wanted, const std::array<const char*, N>&, F f) {
  for (size_t i = 0; i < N; ++i) {
    if (!wanted || *wanted == static_cast<T>(i)) f(static_cast<T>(i));
  }
}

}  // namespace

const char* name_of(Collective collective) {
  return kCollectives[static_cast<size_t>(collective)];
}
const char* name_of(Algorithm algorithm) {
  return kAlgorithms[static_cast<size_t>(algorithm)];
}
const char* name_of(Protocol protocol) {
  return kProtocols[static_cast<size_t>(protocol)];
}
Collective parse_collective(const std::string& text) {
  return parse<Collective>(text, kCollectives, "collective");
}
Algorithm parse_algorithm(const std::string& text) {
  return parse<Algorithm>(text, kAlgorithms, "algorithm");
}
Protocol parse_protocol(const std::string& text) {
  return parse<Protocol>(text, kProtocols, "protocol");
}

GroupCosts::GroupCosts(std::span<const uint32_t> devices, const Cluster& cluster)
    : devices_(devices), cluster_(cluster), shape_(shape_of(devices, cluster)) {
  const bool known = cluster.nccl && (shape_.nodes == 1 || cluster.nccl->several_nodes);
  profile_ = known ? &*cluster.nccl : nullptr;
}

std::optional<CollectiveCost> GroupCosts::cost(Collective collective, Algorithm algorithm, Protocol protocol,
                                               Bytes bytes) const {
  return cost_with(collective, algorithm, protocol, bytes, shape_.between);
}

static bool is_exchange(Collective collective) {
  return collective == Collective::send_recv || collective == Collective::all_to_all;
}

static CollectiveCost nothing(Algorithm algorithm, Protocol protocol) {
  return {algorithm, protocol, 0, 0, std::numeric_limits<double>::infinity()};
}

/// `share`: see nccl_cost.
std::optional<CollectiveCost> GroupCosts::cost_with(Collective collective, Algorithm algorithm, Protocol protocol,
                                                    Bytes bytes, double share) const {
  if (shape_.ranks < 2) return nothing(algorithm, protocol);
  if (collective == Collective::send_recv && shape_.ranks != 2) return std::nullopt;
  if (profile_ != nullptr && nccl_has(collective, algorithm))
    return nccl_cost(collective, algorithm, protocol, bytes, shape_, *profile_, share);
  // NCCL enables these on no system that the profile describes.
  if (profile_ != nullptr && (algorithm == Algorithm::nvls || algorithm == Algorithm::nvls_tree)) return std::nullopt;
  if (profile_ != nullptr && is_exchange(collective) && algorithm == Algorithm::direct)
    return exchange_cost(collective, protocol, bytes);
  if (protocol != Protocol::simple) return std::nullopt;
  const bool needs_switch = algorithm == Algorithm::nvls || algorithm == Algorithm::nvls_tree;
  return closed_form(collective, algorithm, bytes, shape_for(collective), needs_switch && has_switch());
}

/// By NCCL, or by what stands for it where the cluster is not one of NCCL's.
bool GroupCosts::considered(Collective collective, Algorithm algorithm) const {
  if (is_exchange(collective)) return algorithm == Algorithm::direct;
  if (!nccl_has(collective, algorithm)) return false;
  if (profile_ != nullptr) return true;
  if (cluster_.device.is_cpu) return algorithm == Algorithm::ring;
  // That a switch can add is known only from a profile.
  if (algorithm == Algorithm::nvls || algorithm == Algorithm::nvls_tree) return false;
  return algorithm != Algorithm::pat || shape_.per_node == 1;
}

/// A send goes one way only.
GroupShape GroupCosts::shape_for(Collective collective) const {
  GroupShape shape = shape_;
  if (collective != Collective::send_recv) return shape;
  const Path path = hop(devices_[0], devices_[1], cluster_);
  shape.inside = shape.between = path.bytes_per_second;
  shape.inside_latency = shape.between_latency = path.latency;
  return shape;
}

/// Bytes that one member sends to another.
Bytes GroupCosts::message(Collective collective, Bytes bytes) const {
  return collective == Collective::all_to_all ? bytes / shape_.ranks : bytes;
}

/// NCCL's chunks of an exchange: 512 KiB a channel over NVLink, 128 KiB else.
std::optional<CollectiveCost> GroupCosts::exchange_cost(Collective collective, Protocol protocol, Bytes bytes) const {
  if (protocol == Protocol::ll128) return std::nullopt;
  std::optional<CollectiveCost> cost = closed_form(collective, Algorithm::direct, bytes, shape_for(collective), false);
  if (!cost) return cost;
  const bool crosses = shape_.nodes > 1;
  cost->protocol = protocol;
  cost->latency = nccl_exchange_latency(protocol, *profile_, crosses);
  // Half of what LL sends are flags.
  if (protocol == Protocol::ll) cost->bytes_per_second /= 2;
  const Bytes chunk = (profile_->nvlink && !crosses ? 512u : 128u) * Bytes{1024};
  cost->channels = static_cast<uint32_t>(
      std::clamp<Bytes>((bytes + chunk - 1) / chunk, 1, nccl_channels(*profile_, shape_.nodes, shape_.per_node)));
  return cost;
}

/// Every member hangs on a switch by its own NVLink.
bool GroupCosts::has_switch() const {
  const ClusterGraph& graph = cluster_.graph();
  std::vector<char> hangs(cluster_.devices);
  for (const Link& link : graph.links) {
    if (link.kind == "nvlink" && graph.vertices[link.to].kind == VertexKind::switch_ && link.from < hangs.size())
      hangs[link.from] = 1;
  }
  return std::all_of(devices_.begin(), devices_.end(), [&](uint32_t device) { return hangs[device] != 0; });
}

CollectiveCost GroupCosts::choose(Collective collective, Bytes bytes, const CollectiveOptions& options) const {
  std::optional<Protocol> wanted = options.protocol;
  if (is_exchange(collective) && !options.algorithm && !wanted) {
    const bool ll = profile_ != nullptr && message(collective, bytes) <= kNcclExchangeLlBytes;
    wanted = ll ? Protocol::ll : Protocol::simple;
  }
  std::optional<CollectiveCost> best;
  for_each_of(options.algorithm, kAlgorithms, [&](Algorithm algorithm) {
    if (!options.algorithm && !considered(collective, algorithm)) return;
    for_each_of(wanted, kProtocols, [&](Protocol protocol) {
      const auto cost = cost_with(collective, algorithm, protocol, bytes, std::numeric_limits<double>::infinity());
      if (cost && (!best || cost->time(bytes) < best->time(bytes))) best = cost;
    });
  });
  if (!best) refuse(collective, bytes, options);
  return *cost(collective, best->algorithm, best->protocol, bytes);
}

void GroupCosts::refuse(Collective collective, Bytes bytes, const CollectiveOptions& options) const {
  std::string asked;
  if (options.algorithm) asked += " by " + std::string(name_of(*options.algorithm));
  if (options.protocol) asked += " with protocol " + std::string(name_of(*options.protocol));
  std::string possible;
  for_each_of(std::optional<Algorithm>(), kAlgorithms, [&](Algorithm algorithm) {
    std::string protocols;
    for_each_of(std::optional<Protocol>(), kProtocols, [&](Protocol protocol) {
      if (cost_with(collective, algorithm, protocol, bytes, 1))
        protocols += (protocols.empty() ? "" : ", ") + std::string(name_of(protocol));
    });
    if (!protocols.empty())
      possible += (possible.empty() ? "" : "; ") + std::string(name_of(algorithm)) + " (" + protocols + ")";
  });
  throw InputError("collective", std::string(name_of(collective)) + " over " + std::to_string(devices_.size()) +
                                     " devices of " + cluster_.name + " cannot be done" + asked + "; there is " +
                                     (possible.empty() ? "no way" : possible));
}

std::optional<CollectiveCost> collective_cost(Collective collective, Algorithm algorithm, Protocol protocol,
                                              Bytes bytes, std::span<const uint32_t> devices, const Cluster& cluster) {
  return GroupCosts(devices, cluster).cost(collective, algorithm, protocol, bytes);
}

CollectiveCost choose_collective(Collective collective, Bytes bytes, std::span<const uint32_t> devices,
                                 const Cluster& cluster, const CollectiveOptions& options) {
  return GroupCosts(devices, cluster).choose(collective, bytes, options);
}

double bus_factor(Collective collective, uint32_t ranks) {
  const double n = ranks;
  switch (collective) {
    case Collective::all_reduce:
      return n > 0 ? 2 * (n - 1) / n : 0;
    case Collective::all_gather:
    case Collective::reduce_scatter:
    case Collective::all_to_all:
      return n > 0 ? (n - 1) / n : 0;
    default:
      return 1;
  }
}

}  // namespace pgram
