// Cluster: where. Devices, switches, NICs and links as a graph; knows nothing of models.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/units.h"
#include "core/cluster/collective_profile.h"
#include "core/cluster/operation.h"

namespace pgram {

/// One measured duration of a kernel on a shape, written by `pgram calibrate`.
/// `busy`: how many of the machine's device slots ran the same kernel at the same time (1 = alone).
struct MeasuredKernel {
  std::string kernel;               ///< name_of(Kernel)
  std::array<uint64_t, 4> shape{};  ///< as kernel_shape() in core/plan/kernel.h; unused places 0
  Seconds seconds = 0;
  uint32_t busy = 1;
  uint32_t threads = 1;  ///< cores that each of those slots used
};

/// A collective or copy measured between `ranks` devices of this machine: seconds against bytes.
struct MeasuredTransfer {
  std::string operation;  ///< all_reduce, all_gather, reduce_scatter, send; GPUs: also copy_device, _to_device, _peer
  uint32_t ranks = 2;
  Bytes bytes = 0;  ///< nccl-tests' size: whole buffer
  Seconds seconds = 0;
  uint32_t busy = 1;
};

/// A kind of processor: data sheet figures, efficiencies, and (after calibration) measured tables.
struct Device {
  std::string name;    ///< "h100-sxm"
  std::string source;  ///< where the numbers come from
  bool is_cpu = false;
  Bytes memory_bytes = 0;
  double memory_bytes_per_second = 0;
  double fp32_flops_per_second = 0;  ///< dense peak of matrix products
  double bf16_flops_per_second = 0;
  double matmul_efficiency = 0.75;    ///< share of peak a large matrix product reaches
  double attention_efficiency = 0.5;  ///< of peak, with the FLOPs of a causal mask counted (half of the square)
  double memory_efficiency = 0.85;    ///< share of bandwidth an element-wise kernel reaches
  /// Which efficiencies were fitted to measurements of this kind of processor (arithmetic: in bf16).
  struct Fitted {
    bool matmul = false, attention = false, memory = false;
  } fitted;
  Seconds launch_seconds = 0;  ///< added to every kernel on its stream
  uint32_t sms = 0;            ///< streaming multiprocessors of a GPU; 0: not known
  /// Mean power by what the compute stream does: nothing, a task, nothing while the device communicates. 0: not known.
  struct Watts {
    double idle = 0, compute = 0, communication = 0;
    bool known() const { return compute > 0; }
  } watts;
  double copy_bytes_per_second = 0;      ///< CPU: memory copies between ranks
  Seconds transfer_latency_seconds = 0;  ///< CPU: one rendezvous
  std::vector<MeasuredKernel> kernels;
  std::vector<MeasuredTransfer> transfers;
};

/// A one-way direction of a cable or bus.
struct Link {
  uint32_t from = 0, to = 0;  ///< vertices
  uint32_t shared_by = 1;     ///< devices that use it together when all devices send across it at once
  double bytes_per_second = 0;
  Seconds latency = 0;
  std::string kind;  ///< nvlink, pcie, infiniband, ethernet, memory
};

enum class VertexKind : uint8_t { device, nic, switch_ };
struct Vertex {
  VertexKind kind = VertexKind::device;
  std::string name;
  uint32_t node = 0;  ///< index of the node that holds it; ~0u for switches between nodes
};

/// What a transfer between two devices crosses, in one direction.
struct Path {
  double bytes_per_second = 0;  ///< a device's share (bytes_per_second / shared_by) of the narrowest link
  Seconds latency = 0;          ///< sum
  bool crosses_nodes = false;
  double alone_bytes_per_second = 0;  ///< all of the narrowest link
};

/// Every device, switch, NIC and link. Devices come first: vertex i is device i.
struct ClusterGraph {
  std::vector<Vertex> vertices;
  std::vector<Link> links;
};

/// Devices, switches and links by number, and the one route between two devices that traffic takes. The same route
/// every time; all members are thread-safe.
class Topology {
 public:
  virtual ~Topology() = default;

  /// A link with nothing else on it.
  struct LinkSpeed {
    double bytes_per_second = 0;
    Seconds latency = 0;
  };
  virtual uint32_t num_links() const = 0;
  virtual LinkSpeed link(uint32_t) const = 0;  ///< graph().links[i] is link i
  struct LinkEnds {
    uint32_t from = 0, to = 0;  ///< vertices
  };
  virtual LinkEnds ends(uint32_t link) const { return {graph().links[link].from, graph().links[link].to}; }
  /// Replaces `links` by the links in order; none from a device to itself.
  virtual void route(uint32_t from, uint32_t to, std::vector<uint32_t>& links) const = 0;
  /// The same without the links that are down (ascending); false where there is no way.
  virtual bool route_around(uint32_t from, uint32_t to, std::span<const uint32_t> down,
                            std::vector<uint32_t>& links) const = 0;
  /// What route() crosses; `from` and `to` differ.
  virtual Path path(uint32_t from, uint32_t to) const = 0;
  /// Everything, made when first asked for (51,000 vertices for 2,048 nodes of 8 GPUs).
  virtual const ClusterGraph& graph() const = 0;
};

struct Cluster {
  std::string name;  ///< as asked for: "dgx-h100:2", "this"
  Device device;     ///< every device is of this kind
  uint32_t devices = 0;
  uint32_t devices_per_node = 0;
  /// Devices that share processors: `cores` threads serve all devices together (0 = each device has its own).
  /// Set for `this` when more ranks are asked for than there are cores.
  uint32_t shared_cores = 0;
  uint32_t cores_per_device = 0;  ///< CPU threads of one device (0 for a GPU)
  std::string shape;              ///< for people: "torus 4 x 4 x 4"
  std::shared_ptr<const Topology> topology;
  std::optional<CollectiveProfile> nccl;  ///< what NCCL knows of its nodes
  Operation operation;                    ///< power, price, failures

  const ClusterGraph& graph() const { return topology->graph(); }
  uint32_t node_of(uint32_t device_index) const { return device_index / devices_per_node; }
  /// The links that traffic crosses, in order; see Topology. Traffic inside a node never leaves through a NIC.
  void route(uint32_t from, uint32_t to, std::vector<uint32_t>& links) const { topology->route(from, to, links); }
  /// What that route is worth. A device to itself: its own memory, no latency.
  Path path(uint32_t from, uint32_t to) const;
};

/// "dgx-h100", "dgx-h100:2" (2 nodes), "dgx-h100:2048@3" (oversubscription 3 of the leaf-spine), "this", "this:4"
/// (4 devices), or a path (it has a '/' or ends in .yaml, .xml or .txt) to a cluster file, to NCCL's topology of a node
/// (.xml), or to what `nvidia-smi topo -m` printed (.txt). `ranks_hint`: for "this", how many
/// devices to make (0 = one per core). InputError for anything else, with the nearest known name.
Cluster find_cluster(const std::string& name_or_path, uint32_t ranks_hint = 0);
/// This machine through hwloc, within the processors and memory that this process may use: `devices` groups of cores
/// (0 = one device per core). More devices than cores: each has one thread, and all share the cores (`shared_cores`).
Cluster this_machine(uint32_t devices = 0);

struct ClusterEntry {
  std::string name, description;
  Device device;
  uint32_t devices_per_node = 0;
};
/// models/clusters/*.yaml by name, then "this".
std::vector<ClusterEntry> library_clusters();

/// Device files (models/devices/*.yaml and what `pgram calibrate` writes).
Device read_device(const std::string& path);
Device find_device(const std::string& name_or_path);
/// Replaces the file at once; read_device gives back exactly the same Device.
void write_device(const Device&, const std::string& path);

}  // namespace pgram
