// What a collective costs: NCCL's own model of its algorithms and protocols, and what it would choose; closed forms
// over the links where the cluster is not one that NCCL knows.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/base/units.h"
#include "core/cluster/cluster.h"
#include "core/cost/group_shape.h"

namespace pgram {

enum class Collective : uint8_t { all_reduce, reduce_scatter, all_gather, broadcast, reduce, all_to_all, send_recv };
enum class Algorithm : uint8_t { ring, tree, halving_doubling, direct, nvls, nvls_tree, hierarchical, pat };
enum class Protocol : uint8_t { ll, ll128, simple };
const char* name_of(Collective);
const char* name_of(Algorithm);
const char* name_of(Protocol);
/// InputError with the names there are.
Collective parse_collective(const std::string&);
Algorithm parse_algorithm(const std::string&);
Protocol parse_protocol(const std::string&);

/// What the user insists on; what is left out is chosen as NCCL chooses.
struct CollectiveOptions {
  std::optional<Algorithm> algorithm;
  std::optional<Protocol> protocol;
};

struct CollectiveCost {
  Algorithm algorithm = Algorithm::ring;
  Protocol protocol = Protocol::simple;
  uint32_t channels = 1;        ///< thread blocks, and so SMs, that it takes of every device
  Seconds latency = 0;          ///< whatever the size
  double bytes_per_second = 0;  ///< nccl-tests' algbw once the latency has passed; infinity where nothing moves
  Seconds time(Bytes bytes) const { return latency + static_cast<double>(bytes) / bytes_per_second; }
};

/// Alone on its links (of one that several devices hang on, only with its members' share: Path), of `bytes` as
/// nccl-tests counts them (all-gather, reduce-scatter: the parts of all ranks together; all-to-all: what one rank holds
/// for all). `group`: devices, each once. nullopt where this algorithm or protocol cannot do that.
/// - Where the cluster has a profile for NCCL (Cluster::nccl): NCCL's own ring, tree, nvls, nvls_tree and pat by
///   core/cost/nccl.h; send_recv and all_to_all over the links plus the start of NCCL's kernel.
/// - Everything else over the links alone, protocol simple: core/cost/closed_forms.h.
std::optional<CollectiveCost> collective_cost(Collective, Algorithm, Protocol, Bytes, std::span<const uint32_t> group,
                                              const Cluster&);
/// The fastest by that model of what `options` leaves open, of what NCCL would enable; what no one but the user asks
/// for (halving_doubling, direct, hierarchical, and trees that NCCL lacks) is taken only by name. NCCL chooses without
/// a look at the fabric between the nodes: a narrow one makes its choice slower, not another. InputError where nothing
/// is left.
CollectiveCost choose_collective(Collective, Bytes, std::span<const uint32_t> group, const Cluster&,
                                 const CollectiveOptions& = {});

/// One group on one cluster, both of which must live on: collective_cost and choose_collective for several operations.
class GroupCosts {
 public:
  GroupCosts(std::span<const uint32_t> devices, const Cluster&);
  std::optional<CollectiveCost> cost(Collective, Algorithm, Protocol, Bytes) const;
  CollectiveCost choose(Collective, Bytes, const CollectiveOptions&) const;

 private:
  std::optional<CollectiveCost> cost_with(Collective, Algorithm, Protocol, Bytes, double share) const;
  bool considered(Collective, Algorithm) const;
  GroupShape shape_for(Collective) const;
  Bytes message(Collective, Bytes) const;
  std::optional<CollectiveCost> exchange_cost(Collective, Protocol, Bytes) const;
  bool has_switch() const;
  [[noreturn]] void refuse(Collective, Bytes, const CollectiveOptions&) const;

  std::span<const uint32_t> devices_;
  const Cluster& cluster_;
  GroupShape shape_;
  const CollectiveProfile* profile_ = nullptr;  // null: NCCL does not know such a cluster
};

/// nccl-tests' busbw over algbw: 2(n-1)/n, (n-1)/n or 1.
double bus_factor(Collective, uint32_t ranks);

}  // namespace pgram
