// Numbers and formulae of NCCL 2.28.9 (graph/tuning.cc, ncclTopoTuneModel, ncclTopoGetAlgoTime; enqueue.cc for
// channels).
#include "core/cost/nccl.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace pgram {

namespace {

constexpr double kMicro = 1e-6, kGiga = 1e9;
using PerProtocol = std::array<double, 3>;  // LL, LL128, Simple

struct Latencies {
  PerProtocol base, nvlink, pcie, net;  // us
};
constexpr Latencies kRing{{6.6, 14.0, 8.4}, {0.6, 1.9, 3.4}, {1.0, 2.5, 5.7}, {2.7, 4.0, 14.0}};
constexpr Latencies kTree{{6.8, 14.0, 8.4}, {0.6, 1.25, 4.0}, {1.0, 1.9, 4.0}, {5.0, 8.5, 14.0}};
constexpr Latencies kNvls{{0, 0, 0}, {25, 25, 25}, {0, 0, 0}, {18, 18, 18}};
constexpr Latencies kNvlsTree{{0, 0, 0}, {25, 25, 25}, {0, 0, 0}, {20.9, 20.9, 20.9}};
constexpr Latencies kPat{{8.0, 8.0, 8.0}, {4.0, 4.0, 4.0}, {4.0, 4.0, 4.0}, {14.0, 14.0, 14.0}};

const Latencies& latencies(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::tree:
      return kTree;
    case Algorithm::nvls:
      return kNvls;
    case Algorithm::nvls_tree:
      return kNvlsTree;
    case Algorithm::pat:
      return kPat;
    default:
      return kRing;
  }
}

// GB/s by architecture (Volta, Ampere, Hopper, Blackwell) and 1, 2, 3 or more nodes.
using PerNodes = std::array<double, 3>;
using PerArchitecture = std::array<PerNodes, 4>;
constexpr std::array<double, 4> kLlInNode{39.0, 87.7, 141.0, 282.0};
constexpr std::array<PerNodes, 2> kLlBetween{{{0, 39.0, 20.4}, {0, 22.5, 19.0}}};  // Intel and others; AMD
constexpr PerArchitecture kRingLl128{{{20.0, 20.0, 20.0}, {20.0, 20.0, 20.0}, {36.7, 36.7, 36.7}, {73.4, 34.6, 73.4}}};
constexpr PerArchitecture kTreeLl128{{{20.0, 20.0, 20.0}, {20.0, 20.0, 20.0}, {36.7, 36.7, 29.0}, {55.6, 31.67, 20.0}}};
constexpr PerArchitecture kTreeChannel{
    {{26.5, 18.5, 10.0}, {24.0, 23.6, 17.8}, {38.7, 41.4, 36.0}, {70.0, 42.8, 24.0}}};
constexpr PerArchitecture kNvlsTreeChannel{{{26.5, 18.5, 10.0}, {24.0, 23.6, 17.8}, {0, 57.7, 45.5}, {0, 96.0, 43.8}}};
constexpr std::array<double, 4> kNvlsEfficiency{0, 0, 0.85, 0.74};

// "Trees are not perfectly sticking to the model for medium sizes": by powers of two from 64 B to 256 MiB.
constexpr std::array<std::array<double, 23>, 3> kTreeCorrection{{
    {1, 1, 1, 1, .9, .8, .7, .7, .7, .7, .6, .5, .4, .4, .5, .6, .7, .8, .9, 1, 1, 1, 1},
    {1, 1, 1, 1, 1, .9, .8, .8, .8, .7, .6, .6, .6, .6, .6, .6, .8, .9, .9, .9, .9, 1, 1},
    {.9, .9, .9, .9, .9, .9, .9, .8, .7, .6, .6, .5, .5, .5, .5, .6, .7, .8, .7, .7, .8, .9, .9},
}};

/// nccl_channels() of what NCCL's search found.
uint32_t channels_over(const ChannelSet& ring, const CollectiveProfile& profile, uint32_t nodes) {
  uint32_t channels = 2 * ring.channels;
  const bool hopper = profile.architecture >= CollectiveProfile::Architecture::hopper;
  if (hopper && nodes > 1 && ring.intra_bytes_per_second > 45 * kGiga && channels < 16) channels *= 2;
  return std::min(channels, 64u);
}

/// One communicator's model of one operation.
class Model {
 public:
  Model(Collective collective, const GroupShape& shape, const CollectiveProfile& profile, double share)
      : collective_(collective),
        shape_(shape),
        profile_(profile),
        search_(profile.channels(shape.nodes, shape.per_node)),
        all_channels_(channels_over(search_.ring, profile, shape.nodes)),
        share_(share),
        architecture_(static_cast<size_t>(profile.architecture)),
        nodes_(std::min(shape.nodes, 3u) - 1) {}

  bool enabled(Algorithm algorithm, Protocol protocol) const {
    if (!nccl_has(collective_, algorithm) || channels(algorithm).channels == 0) return false;
    if (protocol == Protocol::ll128 && !profile_.ll128) return false;
    switch (algorithm) {
      case Algorithm::nvls:
        return shape_.nodes == 1 && search_.nvls.channels >= 2;
      case Algorithm::nvls_tree:
        return shape_.nodes > 1 && search_.nvls.channels >= 2;
      case Algorithm::pat:
        return shape_.nodes > 1 && shape_.nodes == shape_.ranks;
      default:
        return true;
    }
  }

  /// algbw, before the correction for the size.
  double bytes_per_second(Algorithm algorithm, Protocol protocol) const {
    const double bus = bus_bytes_per_second(algorithm, protocol);
    const bool parts = collective_ == Collective::all_gather || collective_ == Collective::reduce_scatter;
    if (algorithm == Algorithm::tree) return bus * 0.5;
    if (parts && algorithm != Algorithm::ring) return bus;
    return bus * shape_.ranks / steps();
  }

  Seconds latency(Algorithm algorithm, Protocol protocol) const {
    const size_t p = static_cast<size_t>(protocol);
    const Latencies& table = latencies(algorithm);
    const double intra = (profile_.nvlink ? table.nvlink : table.pcie)[p];
    // With one device a node nothing hides the network: a tree's latency. Simple also flushes.
    const double inter = (shape_.nodes == shape_.ranks ? kTree.net : table.net)[p] +
                         (protocol == Protocol::simple ? 2 : 1) * profile_.network_latency / kMicro;
    const double levels = std::bit_width(shape_.nodes) - 1;
    switch (algorithm) {
      case Algorithm::tree:
        return kMicro * (table.base[p] + 2 * ((shape_.ranks / shape_.nodes - 1) * intra + levels * inter));
      case Algorithm::nvls:
        return kMicro * intra;
      case Algorithm::nvls_tree:
        return kMicro * (intra + 2 * levels * inter);
      case Algorithm::pat:
        return kMicro * (table.base[p] + levels * inter / 3.5 + 2.8 * shape_.ranks);
      default:
        return kMicro * (table.base[p] + ring_latency(protocol, intra, inter));
    }
  }

  /// Fewer for small sizes: every thread shall have something to do.
  uint32_t channels_of(Algorithm algorithm, Protocol protocol, Bytes bytes) const {
    if (algorithm == Algorithm::nvls || algorithm == Algorithm::nvls_tree) {
      if (profile_.architecture != CollectiveProfile::Architecture::blackwell) return 16;
      return shape_.nodes == 1 ? 24 : 32;
    }
    const bool slow = search_.ring.channels * search_.ring.intra_bytes_per_second <= 12 * kGiga;
    const uint32_t simple = algorithm == Algorithm::pat ? 640 : algorithm == Algorithm::ring && slow ? 256 : 512;
    const Bytes threads = std::array<uint32_t, 3>{512, 640, simple}[static_cast<size_t>(protocol)];
    const Bytes ll = algorithm == Algorithm::ring ? 8 * Bytes{shape_.ranks} : 8;
    const Bytes threshold = std::array<Bytes, 3>{ll, 8, 64}[static_cast<size_t>(protocol)];
    return static_cast<uint32_t>(std::clamp<Bytes>(bytes / (threads * threshold), 1, all_channels_));
  }
  /// nccl_channels().
  uint32_t all_channels() const { return all_channels_; }

 private:
  const ChannelSet& channels(Algorithm algorithm) const {
    switch (algorithm) {
      case Algorithm::tree:
      case Algorithm::pat:
        return search_.tree;
      case Algorithm::nvls:
      case Algorithm::nvls_tree:
        return search_.nvls;
      default:
        return search_.ring;
    }
  }

  double steps() const {
    const double ranks = shape_.ranks;
    if (collective_ == Collective::all_reduce) return 2 * (ranks - 1);
    return collective_ == Collective::broadcast || collective_ == Collective::reduce ? ranks : ranks - 1;
  }

  /// Of a channel, what the fabric between the nodes lets through: `crossings` of its bytes are what NCCL counts once.
  double limited(double bytes_per_second, const ChannelSet& set, double crossings) const {
    if (shape_.nodes == 1) return bytes_per_second;
    return std::min(bytes_per_second, crossings * share_ * shape_.per_node / set.channels);
  }

  double bus_bytes_per_second(Algorithm algorithm, Protocol protocol) const {
    const ChannelSet& set = channels(algorithm);
    const double count = set.channels;
    if (algorithm == Algorithm::nvls || algorithm == Algorithm::nvls_tree) return count * nvls_channel(algorithm);
    // Two nodes exchange halves of a tree: each byte crosses once.
    const double crossings = algorithm == Algorithm::tree && shape_.nodes == 2 ? 2 : 1;
    double bus =
        count * limited(shape_.nodes <= 2 ? set.intra_bytes_per_second : set.inter_bytes_per_second, set, crossings);
    if (algorithm == Algorithm::pat) return bus * 0.75;
    if (algorithm == Algorithm::ring) {
      if (protocol == Protocol::ll) return std::min(ll_limit(), bus * 0.5);
      if (protocol == Protocol::ll128) return std::min(bus * 0.92, count * kRingLl128[architecture_][nodes_] * kGiga);
      return bus;
    }
    bus = std::min(bus * 0.92, count * kTreeChannel[architecture_][nodes_] * kGiga);
    if (protocol == Protocol::ll) bus = std::min(bus / 3.8, ll_limit());
    if (protocol == Protocol::ll128)
      bus = std::min(bus * (shape_.nodes == 1 ? 7.0 / 9 : 120.0 / 128),
                     count * kTreeLl128[architecture_][nodes_] * kGiga);
    return search_.tree_by_one_device ? bus * 0.85 : bus;
  }

  double nvls_channel(Algorithm algorithm) const {
    const ChannelSet& set = search_.nvls;
    const double count = set.channels, members = shape_.ranks / static_cast<double>(shape_.nodes);
    double intra = set.intra_bytes_per_second * kNvlsEfficiency[architecture_] * (count - 1) / count;
    intra *= collective_ == Collective::all_reduce ? 2 : (members - 1) / members;
    const bool tree = algorithm == Algorithm::nvls_tree;
    const double crossings = tree && shape_.nodes <= 2 ? 2 : 1;
    const double inter = limited(crossings * set.inter_bytes_per_second, set, crossings);
    const double limit = tree ? kNvlsTreeChannel[architecture_][nodes_] * kGiga : inter;
    return std::min({intra, inter, limit});
  }

  /// Of a whole communicator: by GPU in one node, by CPU over several.
  double ll_limit() const {
    if (nodes_ == 0) return kLlInNode[architecture_] * kGiga;
    return kLlBetween[profile_.cpu == CollectiveProfile::CpuVendor::amd][nodes_] * kGiga;
  }

  double ring_latency(Protocol protocol, double intra, double inter) const {
    if (collective_ == Collective::broadcast || collective_ == Collective::reduce) {
      const size_t p = static_cast<size_t>(protocol);
      const auto hop = [&](const Latencies& table) {
        return (shape_.nodes > 1 ? table.net : profile_.nvlink ? table.nvlink : table.pcie)[p];
      };
      if (search_.same_channels) return hop(kRing);
      return steps() * hop(protocol == Protocol::simple ? kTree : kRing);
    }
    const double network = shape_.nodes == 1 ? 0 : profile_.cpu == CollectiveProfile::CpuVendor::amd ? 2.0 : 1.0;
    const double crossings = (collective_ == Collective::all_reduce ? 2.0 : 1.0) * (shape_.nodes - 1);
    const double within = std::max(intra, protocol == Protocol::simple ? 3 * network : network);
    return (steps() - crossings) * within + crossings * inter;
  }

  Collective collective_;
  const GroupShape& shape_;
  const CollectiveProfile& profile_;
  ChannelSearch search_;
  uint32_t all_channels_;
  double share_;
  size_t architecture_, nodes_;  // places in the tables
};

}  // namespace

bool nccl_has(Collective collective, Algorithm algorithm) {
  const bool parts = collective == Collective::all_gather || collective == Collective::reduce_scatter;
  switch (algorithm) {
    case Algorithm::ring:
      return collective != Collective::all_to_all && collective != Collective::send_recv;
    case Algorithm::tree:
    case Algorithm::nvls_tree:
      return collective == Collective::all_reduce;
    case Algorithm::nvls:
      return parts || collective == Collective::all_reduce;
    case Algorithm::pat:
      return parts;
    default:
      return false;
  }
}

uint32_t nccl_channels(const CollectiveProfile& profile, uint32_t nodes, uint32_t per_node) {
  return channels_over(profile.channels(nodes, per_node).ring, profile, nodes);
}

Seconds nccl_exchange_latency(Protocol protocol, const CollectiveProfile& profile, bool crosses_nodes) {
  const size_t p = static_cast<size_t>(protocol);
  const double hop =
      crosses_nodes ? kRing.net[p] + profile.network_latency / kMicro : (profile.nvlink ? kRing.nvlink : kRing.pcie)[p];
  return kMicro * (kRing.base[p] + hop);
}

std::optional<CollectiveCost> nccl_cost(Collective collective, Algorithm algorithm, Protocol protocol, Bytes bytes,
                                        const GroupShape& shape, const CollectiveProfile& profile, double share) {
  const bool simple_only =
      algorithm == Algorithm::nvls || algorithm == Algorithm::nvls_tree || algorithm == Algorithm::pat;
  if (simple_only && protocol != Protocol::simple) return std::nullopt;
  const Model model(collective, shape, profile, share);
  if (!model.enabled(algorithm, protocol)) return std::nullopt;
  CollectiveCost cost{algorithm, protocol, model.channels_of(algorithm, protocol, bytes),
                      model.latency(algorithm, protocol), model.bytes_per_second(algorithm, protocol)};
  if (algorithm == Algorithm::tree && bytes >= 64) {
    const size_t size = std::bit_width(bytes / 64) - 1;
    const auto& correction = kTreeCorrection[static_cast<size_t>(protocol)];
    if (size < correction.size()) cost.bytes_per_second *= correction[size];
  }
  const Bytes a_channel = bytes / (Bytes{model.all_channels()} * shape.ranks);
  if (algorithm == Algorithm::ring && protocol == Protocol::simple && collective == Collective::all_reduce &&
      shape.nodes > 1 && a_channel >= 64)
    cost.latency *= profile.architecture == CollectiveProfile::Architecture::volta ? 1.9 : 1.4;
  return cost;
}

}  // namespace pgram
