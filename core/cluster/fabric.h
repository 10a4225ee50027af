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

/// Routes by kind of pair; see Cluster::path.
class Topology {
 public:
  explicit Topology(const Fabric&);
  Path path(uint32_t from, uint32_t to) const;
  const ClusterGraph& graph() const;

 private:
  enum Scope { kInside, kLeaf, kSpine };
  enum Relation { kSameRail, kSameSwitch, kOther };
  Relation relation(Scope, uint32_t from, uint32_t to) const;  ///< by index within the node
  Fabric fabric_;
  uint32_t devices_per_node_, devices_per_nic_, devices_per_switch_, nodes_per_leaf_;
  Path paths_[3][3];
  mutable std::once_flag graph_made_;
  mutable ClusterGraph graph_;
};

}  // namespace pgram
