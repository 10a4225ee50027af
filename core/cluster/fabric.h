// Fabric: a cluster in a few numbers, from which the graph of its devices, switches, NICs and links is made.
#pragma once
#include <mutex>
#include <string>

#include "core/cluster/cluster.h"

namespace pgram {

/// Both directions of a cable; `bytes_per_second` is of one direction, protocol overhead taken off.
struct Wire {
  std::string kind;
  double bytes_per_second = 0;
  Seconds latency = 0;
};

/// `nodes` equal nodes. In a node every device has a wire to one inside switch (NVSwitch, or the memory of a CPU) and
/// reaches its NIC through a PCIe switch. NIC r of every node is on rail r: one leaf switch a rail for each
/// `nodes_per_leaf` nodes. Where there are more nodes than that, a spine joins all leaves.
struct Fabric {
  uint32_t devices_per_node = 1, nodes = 1;
  Wire inside;                ///< device to inside switch; unused with one device a node
  Wire pcie;                  ///< device to PCIe switch, and switch to NIC with a quarter of the latency
  Wire between;               ///< NIC to leaf; unused with one node
  Seconds spine_latency = 0;  ///< leaf to spine
  uint32_t nics = 1;          ///< of a node
  uint32_t devices_per_pcie_switch = 1;
  uint32_t nodes_per_leaf = 32;
  double oversubscription = 1;  ///< NIC bandwidth below a leaf over bandwidth to the spine
};

constexpr uint32_t kMaxDevices = 1 << 18;
constexpr uint32_t kMaxDevicesPerNode = 1024;

/// Sets devices, devices_per_node and topology. The fabric's numbers have been checked: NICs and PCIe
/// switches divide the devices of a node evenly, and one into the other.
void build_topology(const Fabric&, Cluster&);

/// The graph of some of the fabric's nodes (ascending numbers) and of the switches between them. Links come in the
/// order that FabricTopology numbers them by: what is inside each node, PCIe and NICs of each node, leaf to spine.
ClusterGraph fabric_graph(const Fabric&, const std::vector<uint32_t>& nodes);

/// Links and routes by arithmetic; the graph is made only for who looks at it.
///
/// Routes are the shortest by latency, of equals the widest. Across nodes that is up on the sender's rail and down on
/// the receiver's; where no spine is on the way, the data change to the receiver's rail inside the sender's node (as
/// NCCL does it, PXN).
class FabricTopology final : public Topology {
 public:
  explicit FabricTopology(const Fabric&);
  uint32_t num_links() const override { return num_links_; }
  LinkSpeed link(uint32_t) const override;
  LinkEnds ends(uint32_t) const override;
  void route(uint32_t from, uint32_t to, std::vector<uint32_t>& links) const override;
  /// Through no third node.
  bool route_around(uint32_t from, uint32_t to, std::span<const uint32_t> down,
                    std::vector<uint32_t>& links) const override;
  Path path(uint32_t from, uint32_t to) const override;
  const ClusterGraph& graph() const override;

 private:
  enum Scope { kInside, kLeaf, kSpine };
  enum Relation { kSameRail, kSameSwitch, kOther };
  struct Pair {
    Scope scope;
    Relation relation;
    uint32_t node_from, node_to, from, to;  ///< nodes, and devices by their number within the node
  };
  /// Divides numbers of devices and nodes, which are below 2^18, exactly: routes are asked for so often that divisions
  /// would be most of it.
  class Divider {
   public:
    explicit Divider(uint32_t divisor) : factor_((uint64_t{1} << 40) / divisor + 1) {}
    uint32_t operator()(uint32_t number) const { return static_cast<uint32_t>(number * factor_ >> 40); }

   private:
    uint64_t factor_;
  };
  Pair pair(uint32_t from, uint32_t to) const;
  const Link& kind_of(uint32_t link) const;

  // Numbers of links. `down`: 0 away from the device, 1 towards it.
  uint32_t inside_link(uint32_t node, uint32_t device, uint32_t down) const {
    return node * node_links_ + 2 * device + down;
  }
  uint32_t pcie_link(uint32_t node, uint32_t device, uint32_t down) const {
    return first_network_link_ + node * network_links_ + 2 * device + down;
  }
  uint32_t nic_link(uint32_t node, uint32_t device, uint32_t rail, uint32_t down) const {  ///< NIC to PCIe switch
    const uint32_t switch_of_nic = switches_per_nic_ == 1 ? 0 : by_pcie_switch_(device - rail * devices_per_nic_);
    return first_nic_link(node, rail) + 2 * switch_of_nic + down;
  }
  uint32_t leaf_link(uint32_t node, uint32_t rail, uint32_t down) const {
    return first_nic_link(node, rail) + 2 * switches_per_nic_ + down;
  }
  uint32_t first_nic_link(uint32_t node, uint32_t rail) const {
    return first_network_link_ + node * network_links_ + 2 * fabric_.devices_per_node +
           2 * (rail * (switches_per_nic_ + 1));
  }
  uint32_t spine_link(uint32_t node, uint32_t rail, uint32_t down) const {
    return first_spine_link_ + 2 * (by_leaf_(node) * fabric_.nics + rail) + down;
  }

  Fabric fabric_;
  uint32_t devices_per_nic_, switches_per_nic_;
  Divider by_node_, by_leaf_, by_nic_, by_pcie_switch_;
  uint32_t node_links_, network_links_;  ///< of one node
  uint32_t first_network_link_, first_spine_link_, num_links_;
  Link inside_, pcie_, nic_, leaf_, spine_;  ///< one of each kind
  bool switch_mates_by_pcie_ = false, rails_by_spine_ = false;
  Path paths_[3][3];
  mutable std::once_flag graph_made_;
  mutable ClusterGraph graph_;
};

}  // namespace pgram
