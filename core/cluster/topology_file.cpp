#include "core/cluster/topology_file.h"

#include <algorithm>

#include "core/base/errors.h"
#include "core/base/yaml_reader.h"
#include "core/cluster/direct_graph.h"
#include "core/cluster/graph_file.h"
#include "core/cluster/graph_topology.h"
#include "core/cluster/library_files.h"
#include "core/cluster/nccl_xml.h"
#include "core/cluster/nvidia_topo.h"

namespace pgram {

namespace {

const std::vector<std::string> kNetworkKinds{"rail", "fat-tree", "dragonfly"};
const std::vector<std::string> kDirectKinds{"ring", "torus", "full", "graph"};
constexpr uint32_t kMaxDirectDevices = 1 << 14;   // of a torus: its square is kMaxRouteEntries
constexpr uint32_t kMaxFullyConnected = 1 << 10;  // a million links
constexpr uint64_t kMaxGraphLinks = uint64_t{1} << 23;

std::string text_of(const std::vector<uint32_t>& dims) {
  std::string text;
  for (const uint32_t dim : dims) text += (text.empty() ? "" : " x ") + std::to_string(dim);
  return text;
}

uint32_t count(YamlFields& fields, const std::string& key, uint32_t least, uint32_t most) {
  return static_cast<uint32_t>(fields.integer(key, least, most));
}

std::vector<uint32_t> read_dims(YamlFields& fields) {
  const YamlRow row = fields.row("dims");
  if (row.size() < 1 || row.size() > 6) row.fail("expected 1 to 6 dimensions, got " + std::to_string(row.size()));
  std::vector<uint32_t> dims;
  uint64_t devices = 1;
  for (size_t i = 0; i < row.size(); ++i) {
    dims.push_back(static_cast<uint32_t>(row.integer(i, 1, kMaxDirectDevices)));
    devices *= dims.back();
    if (devices > kMaxDirectDevices)
      row.fail("expected at most " + std::to_string(kMaxDirectDevices) + " devices in all");
  }
  if (fields.has("devices") && fields.integer("devices", 1, UINT64_MAX) != devices)
    fields.fail("dims", text_of(dims) + " are " + std::to_string(devices) + " devices, not " + fields.text("devices"));
  return dims;
}

[[noreturn]] void fail_unknown_kind(YamlFields& fields, const std::string& kind) {
  std::vector<std::string> known = kNetworkKinds;
  known.insert(known.end(), kDirectKinds.begin(), kDirectKinds.end());
  try {
    fail_unknown_name("topology", kind, known);
  } catch (const InputError& error) {
    fields.fail("kind", error.what());
  }
}

bool needs_graph(const ClusterFile& cluster) {
  return !cluster.wires.empty() || cluster.network.kind != Network::Kind::rail || cluster.network.spines > 1;
}

std::string shape_of(const ClusterFile& cluster) {
  const Network& network = cluster.network;
  const auto spines = [&] { return std::to_string(network.spines) + (network.spines == 1 ? " spine" : " spines"); };
  if (cluster.fabric.nodes == 1)
    return !cluster.wires.mesh.empty()                  ? "one node, a mesh of devices"
           : cluster.fabric.inside.bytes_per_second > 0 ? "one node, devices around a switch"
                                                        : "one node, PCIe only";
  if (network.kind == Network::Kind::rail) return "leaf and spine by rail, " + spines();
  if (network.kind == Network::Kind::dragonfly)
    return "dragonfly, " + std::to_string(network.groups) + " groups of " + std::to_string(network.routers) +
           " routers";
  if (network.cores == 0) return "fat-tree of 2 levels, " + spines();
  return "fat-tree of 3 levels, " + spines() + " a pod, " + std::to_string(network.cores) + " cores a spine";
}

}  // namespace

bool is_direct(const std::string& kind) {
  return std::find(kDirectKinds.begin(), kDirectKinds.end(), kind) != kDirectKinds.end();
}

ShapedGraph read_direct_topology(YamlFields fields, uint32_t devices_per_node, std::string& shape) {
  const std::string kind = fields.text("kind");
  ShapedGraph shaped;
  if (kind == "graph") {
    shaped = read_graph(fields);
    shape = "graph";
    if (devices_per_node > 0 && devices_per_node != shaped.devices_per_node)
      fields.fail("nodes", "rows of " + std::to_string(shaped.devices_per_node) + " devices, but devices_per_node is " +
                               std::to_string(devices_per_node));
  } else {
    std::vector<uint32_t> dims;
    if (kind == "torus")
      dims = read_dims(fields);
    else
      dims = {count(fields, "devices", 1, kind == "ring" ? kMaxDirectDevices : kMaxFullyConnected)};
    uint32_t devices = 1;
    for (const uint32_t dim : dims) devices *= dim;
    const uint32_t per_node = std::max(1u, devices_per_node);
    if (devices % per_node != 0)
      fields.fail(kind == "torus" ? "dims" : "devices",
                  std::to_string(devices) + " devices are no whole number of nodes of " + std::to_string(per_node));
    const Wire wire = read_wire(fields.fields("link"));
    shaped = kind == "full" ? fully_connected_graph(devices, per_node, wire) : torus_graph(dims, per_node, wire);
    shape = kind == "full"   ? std::to_string(devices) + " devices, fully connected"
            : kind == "ring" ? "ring of " + std::to_string(devices)
                             : "torus " + text_of(dims);
  }
  fields.refuse_unknown();
  return shaped;
}

void read_network(YamlFields fields, ClusterFile& cluster) {
  Network& network = cluster.network;
  const std::string kind = fields.text("kind");
  const auto found = std::find(kNetworkKinds.begin(), kNetworkKinds.end(), kind);
  if (found == kNetworkKinds.end()) fail_unknown_kind(fields, kind);
  network.kind = static_cast<Network::Kind>(found - kNetworkKinds.begin());
  if (network.kind == Network::Kind::dragonfly) {
    network.groups = count(fields, "groups", 2, 1 << 12);
    network.routers = count(fields, "routers", 1, 1 << 12);
    network.global_links = count(fields, "global_links", 1, 1 << 12);
    cluster.fabric.nodes_per_leaf = count(fields, "nodes_per_router", 1, 1 << 12);
    if (network.routers > 1) network.local = read_wire(fields.fields("local"));
    network.global = read_wire(fields.fields("global"));
    const uint64_t links = uint64_t{network.routers} * network.global_links;
    if (links % (network.groups - 1) != 0)
      fields.fail("global_links", "a group's " + std::to_string(links) + " do not spread evenly over " +
                                      std::to_string(network.groups - 1) + " other groups");
    const uint64_t nodes = uint64_t{network.groups} * network.routers * cluster.fabric.nodes_per_leaf;
    if (nodes > kMaxDevices) fields.fail("groups", "expected at most " + std::to_string(kMaxDevices) + " nodes in all");
    cluster.fabric.nodes = static_cast<uint32_t>(nodes);
  } else {
    network.spines = static_cast<uint32_t>(fields.integer_or("spines", 1, 1 << 12, 1));
    if (network.kind == Network::Kind::fat_tree && fields.integer_or("levels", 2, 3, 2) == 3) {
      network.leaves_per_pod = count(fields, "leaves_per_pod", 1, 1 << 12);
      network.cores = count(fields, "cores", 1, 1 << 12);
      network.core_oversubscription = fields.number_or("core_oversubscription", 1, kMaxOversubscription, 1);
    }
  }
  fields.refuse_unknown();
}

void validate_network(const ClusterFile& cluster, const std::string& file) {
  if (!needs_graph(cluster)) return;
  const Fabric& fabric = cluster.fabric;
  const Network& network = cluster.network;
  const uint64_t below = uint64_t{fabric.nodes_per_leaf} * fabric.devices_per_node /
                         (network.kind == Network::Kind::rail ? fabric.nics : 1);
  if (network.kind != Network::Kind::dragonfly && below % network.spines != 0)
    throw InputError(file, 0, "topology.spines",
                     "expected a divisor of " + std::to_string(below) + " devices below a leaf, got " +
                         std::to_string(network.spines));
  if (network.cores > 0 && below / network.spines * network.leaves_per_pod % network.cores != 0)
    throw InputError(file, 0, "topology.cores",
                     "expected a divisor of " + std::to_string(below / network.spines * network.leaves_per_pod) +
                         " devices to a spine, got " + std::to_string(network.cores));
  const GraphSize node = node_size(fabric, cluster.wires), between = network_size(fabric, network);
  const uint64_t devices = uint64_t{fabric.nodes} * fabric.devices_per_node;
  const uint64_t vertices = fabric.nodes * node.vertices + between.vertices;
  if (devices * vertices > kMaxRouteEntries || fabric.nodes * node.links + between.links > kMaxGraphLinks)
    throw InputError(
        file, 0, "nodes",
        std::to_string(devices) + " devices in a graph of " + std::to_string(vertices) +
            " vertices are too many for this kind of topology; a leaf-spine by rail with one spine takes " +
            std::to_string(kMaxDevices) + " devices");
  if (!cluster.wires.mesh.empty() && cluster.wires.cpus == 0) {
    Fabric one = fabric;
    one.nodes = 1;
    if (const Unreachable lost = find_unreachable(network_graph(one, cluster.wires, {}).graph, fabric.devices_per_node);
        lost.found)
      throw InputError(file, 0, "mesh",
                       "device " + std::to_string(lost.to) + " cannot be reached from " + std::to_string(lost.from));
  }
}

ClusterFile read_any_cluster_file(const std::string& path) {
  if (path.ends_with(".xml")) return read_nccl_topology(path);
  if (path.ends_with(".txt")) return read_nvidia_topology(path);
  return read_cluster_file(path);
}

void resize(ClusterFile& cluster, uint64_t nodes, double oversubscription) {
  if (cluster.graph || cluster.network.kind == Network::Kind::dragonfly)
    throw InputError("cluster", cluster.name + " (" + (cluster.graph ? cluster.shape : shape_of(cluster)) +
                                    ") has one size and no oversubscription; write a cluster file for another");
  if (nodes > 0) cluster.fabric.nodes = static_cast<uint32_t>(nodes);
  if (oversubscription > 0) cluster.fabric.oversubscription = oversubscription;
  validate(cluster.fabric, "", "cluster");
  validate_network(cluster, "");
}

void build_topology(const ClusterFile& file, Cluster& cluster) {
  cluster.shape = file.graph ? file.shape : shape_of(file);
  if (!file.graph && !needs_graph(file)) return build_topology(file.fabric, cluster);
  ShapedGraph shaped = file.graph ? *file.graph : network_graph(file.fabric, file.wires, file.network);
  cluster.devices = shaped.devices;
  cluster.devices_per_node = shaped.devices_per_node;
  cluster.topology =
      std::make_shared<const GraphTopology>(std::move(shaped.graph), shaped.devices, std::move(shaped.rule));
}

}  // namespace pgram
