// CollectiveProfile: what NCCL finds in a kind of node, as its tuning needs it; the section `nccl:` of a node file.
#pragma once
#include <cstdint>
#include <optional>

#include "core/base/units.h"

namespace pgram {

class YamlFields;

/// NCCL's search ends in so many channels, each a ring (or tree) over all devices of its own; bytes/s are those of one
/// channel, between devices of a node and through a NIC.
struct ChannelSet {
  uint32_t channels = 0;  ///< 0: NCCL has no such algorithm here
  double intra_bytes_per_second = 0, inter_bytes_per_second = 0;
};

/// The channels over all devices of one node, or of each of several nodes.
struct ChannelSearch {
  ChannelSet ring, tree, nvls;
  bool tree_by_one_device = false;  ///< pattern TREE: all network traffic of a channel passes one device
  bool same_channels = false;       ///< every channel goes through the devices in the same order
};

struct CollectiveProfile {
  enum class Architecture : uint8_t { volta, ampere, hopper, blackwell };
  enum class CpuVendor : uint8_t { intel, amd, other };

  Architecture architecture = Architecture::hopper;
  CpuVendor cpu = CpuVendor::intel;
  bool nvlink = true;  ///< devices of a node reach each other by NVLink; else by PCIe
  bool ll128 = true;   ///< the links keep the order of 128-byte stores
  Seconds network_latency = 0;
  uint32_t devices_per_node = 8;  ///< whom the channels go over
  ChannelSearch one_node;
  std::optional<ChannelSearch> several_nodes;

  /// The channels of a communicator with `members` devices in each of its nodes (in the node with fewest of them), by a
  /// rule from those over all devices:
  /// - in one node rings and trees stay: a device's links are as fast however many peers it has;
  /// - over several nodes `members` devices bring their share of the NICs: fewer channels, each as fast as before;
  /// - NVLS has a channel for every member, that carries its part of what a device's links carry, in steps of NCCL's
  ///   search up to 60 GB/s (Hopper) or 90 GB/s (Blackwell); none with two members or fewer.
  /// NCCL itself would search again: it may find other channels x speeds with nearly the same product, and NICs of
  /// devices outside of the communicator where they hang on a member's PCIe switch.
  ChannelSearch channels(uint32_t nodes, uint32_t members) const;
};

/// The section's fields; `devices` of the node. InputError names file, line and field.
CollectiveProfile read_collective_profile(YamlFields, uint32_t devices);

}  // namespace pgram
