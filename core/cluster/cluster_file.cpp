#include "core/cluster/cluster_file.h"

#include <algorithm>
#include <filesystem>

#include "core/base/errors.h"
#include "core/base/yaml_reader.h"
#include "core/cluster/library_files.h"
#include "core/cluster/topology_file.h"

namespace pgram {

static const std::vector<std::string> kWireKinds{"nvlink", "pcie", "infiniband", "ethernet", "memory"};

Wire read_wire(YamlFields fields) {
  Wire wire;
  wire.kind = fields.text("kind");
  if (std::find(kWireKinds.begin(), kWireKinds.end(), wire.kind) == kWireKinds.end())
    fields.fail("kind",
                "expected nvlink, pcie, infiniband, ethernet or memory, got \"" + wire.kind.substr(0, 20) + "\"");
  wire.bytes_per_second =
      fields.number("bandwidth_gb_per_s", 1e-3, 1e6, 9) * fields.number_or("efficiency", 1e-3, 1, 1);
  wire.latency = fields.number("latency_us", 0, 1e6, -6);
  fields.refuse_unknown();
  return wire;
}

/// PCIe carries one key more than a wire.
static void read_pcie(YamlFields fields, Fabric& fabric) {
  fabric.devices_per_pcie_switch = static_cast<uint32_t>(fields.integer_or("devices_per_switch", 1, kMaxDevices, 1));
  fabric.pcie.kind = "pcie";
  fabric.pcie.bytes_per_second =
      fields.number("bandwidth_gb_per_s", 1e-3, 1e6, 9) * fields.number_or("efficiency", 1e-3, 1, 1);
  fabric.pcie.latency = fields.number("latency_us", 0, 1e6, -6);
  fields.refuse_unknown();
}

static Device read_device_of(YamlFields& fields) {
  const std::string device = fields.text("device");
  if (!is_path(device)) {
    const std::vector<std::string> names = library_names("devices");
    if (std::find(names.begin(), names.end(), device) != names.end()) return find_device(device);
    try {
      fail_unknown_name("device", device, names);
    } catch (const InputError& error) {
      fields.fail("device", error.what());
    }
  }
  // Beside the file that names it.
  return read_device((std::filesystem::path(fields.file()).parent_path() / device).string());
}

/// [a, b, wires side by side], each pair once.
static std::vector<MeshWire> read_mesh(YamlFields& fields, uint32_t devices) {
  std::vector<MeshWire> mesh;
  for (const YamlRow& row : fields.rows("mesh")) {
    if (row.size() != 3) row.fail("expected [device, device, wires]");
    MeshWire wire;
    wire.a = static_cast<uint32_t>(row.integer(0, 0, devices - 1));
    wire.b = static_cast<uint32_t>(row.integer(1, 0, devices - 1));
    wire.count = static_cast<uint32_t>(row.integer(2, 1, 1024));
    if (wire.a == wire.b) row.fail("a wire from device " + std::to_string(wire.a) + " to itself");
    for (const MeshWire& other : mesh)
      if (std::minmax(other.a, other.b) == std::minmax(wire.a, wire.b))
        row.fail("devices " + std::to_string(wire.a) + " and " + std::to_string(wire.b) + " are given twice");
    mesh.push_back(wire);
  }
  return mesh;
}

static void read_cpus(YamlFields fields, NodeWires& wires) {
  wires.cpus = static_cast<uint32_t>(fields.integer("count", 1, 64));
  if (wires.cpus > 1)
    wires.socket = {"socket", fields.number("bandwidth_gb_per_s", 1e-3, 1e6, 9),
                    fields.number("latency_us", 0, 1e6, -6)};
  fields.refuse_unknown();
}

/// What a node file and a cluster file that describes its nodes itself have in common.
static void read_node(YamlFields& fields, const std::string& devices_key, ClusterFile& cluster) {
  Fabric& fabric = cluster.fabric;
  cluster.device = read_device_of(fields);
  fabric.devices_per_node = static_cast<uint32_t>(fields.integer(devices_key, 1, kMaxDevicesPerNode));
  cluster.wires.mesh = read_mesh(fields, fabric.devices_per_node);
  if (fields.has("cpus")) read_cpus(fields.fields("cpus"), cluster.wires);
  const bool needs_inside = !cluster.wires.mesh.empty() || (fabric.devices_per_node > 1 && cluster.wires.cpus == 0);
  if (needs_inside || fields.has("inside")) fabric.inside = read_wire(fields.fields("inside"));
  if (fields.has("between")) fabric.between = read_wire(fields.fields("between"));
  fabric.nics = static_cast<uint32_t>(fields.integer_or("nics", 1, kMaxDevicesPerNode, fabric.devices_per_node));
  if (fields.has("nccl")) cluster.nccl = read_collective_profile(fields.fields("nccl"), fabric.devices_per_node);
  read_node_operation(fields, cluster.operation);
  // Without a word about PCIe it never limits.
  fabric.pcie = {"pcie", fabric.between.bytes_per_second, 0};
  if (fields.has("pcie")) read_pcie(fields.fields("pcie"), fabric);
  const auto nested = [](uint32_t a, uint32_t b) { return a % b == 0 || b % a == 0; };
  const uint32_t devices = fabric.devices_per_node, per_switch = fabric.devices_per_pcie_switch;
  if (devices % fabric.nics != 0)
    fields.fail("nics",
                "expected a divisor of " + std::to_string(devices) + " devices, got " + std::to_string(fabric.nics));
  if (devices % per_switch != 0 || !nested(per_switch, devices / fabric.nics))
    fields.fail("pcie", std::to_string(per_switch) + " devices a switch do not divide " + std::to_string(devices) +
                            " devices with " + std::to_string(fabric.nics) + " NICs evenly");
  if (cluster.wires.cpus > 0 && !fields.has("pcie")) fields.fail("pcie", "missing: it leads to the CPUs");
  if (cluster.wires.cpus > 0 && devices / per_switch % cluster.wires.cpus != 0)
    fields.fail("cpus", "expected a divisor of " + std::to_string(devices / per_switch) + " PCIe switches, got " +
                            std::to_string(cluster.wires.cpus));
}

static void read_node_file(const std::string& path, ClusterFile& cluster) {
  YamlFields fields = read_yaml(path);
  refuse_version(fields, "pgram_node", 1);
  fields.text("name");
  fields.text("source");
  cluster.description = fields.text("description");
  read_node(fields, "devices", cluster);
  fields.refuse_unknown();
}

void validate(const Fabric& fabric, const std::string& file, const std::string& field) {
  const uint32_t most = kMaxDevices / fabric.devices_per_node;
  if (fabric.nodes == 0 || fabric.nodes > most)
    throw InputError(file, 0, field,
                     "expected 1 to " + std::to_string(most) + " nodes of " + std::to_string(fabric.devices_per_node) +
                         " devices, got " + std::to_string(fabric.nodes));
  if (fabric.nodes > 1 && fabric.between.bytes_per_second == 0)
    throw InputError(file, 0, "between",
                     "missing: " + std::to_string(fabric.nodes) + " nodes need a link between them");
}

/// Nodes and what is between them.
static void read_nodes(YamlFields& fields, const std::string& path, ClusterFile& cluster) {
  if (fields.has("node")) {
    const std::string node = fields.text("node");
    const auto beside = std::filesystem::path(path).parent_path() / node;
    read_node_file(is_path(node) ? beside.string() : library_file("nodes", node, "node"), cluster);
  } else {
    read_node(fields, "devices_per_node", cluster);
  }
  Fabric& fabric = cluster.fabric;
  if (fields.has("topology")) read_network(fields.fields("topology"), cluster);
  if (cluster.network.kind != Network::Kind::dragonfly) {
    fabric.nodes = static_cast<uint32_t>(fields.integer("nodes", 1, kMaxDevices));
    fabric.nodes_per_leaf = static_cast<uint32_t>(fields.integer_or("nodes_per_leaf", 1, kMaxDevices, 32));
    fabric.oversubscription = fields.number_or("oversubscription", 1, kMaxOversubscription, 1);
    fabric.spine_latency =
        fields.has("spine_latency_us") ? fields.number("spine_latency_us", 0, 1e6, -6) : fabric.between.latency;
  }
}

ClusterFile read_cluster_file(const std::string& path) {
  YamlFields fields = read_yaml(path);
  refuse_version(fields, "pgram_cluster", 1);
  ClusterFile cluster;
  cluster.name = fields.text("name");
  fields.text_or("source", "");
  const std::string kind = fields.has("topology") ? fields.fields("topology").text("kind") : "";
  if (is_direct(kind)) {
    cluster.device = read_device_of(fields);
    read_node_operation(fields, cluster.operation);
    const uint64_t per_node = fields.integer_or("devices_per_node", 1, kMaxDevices, 0);
    cluster.graph = read_direct_topology(fields.fields("topology"), static_cast<uint32_t>(per_node), cluster.shape);
  } else {
    read_nodes(fields, path, cluster);
  }
  cluster.description = fields.text_or("description", cluster.description);
  read_cluster_operation(fields, cluster.operation);
  fields.refuse_unknown();
  if (!cluster.graph) {
    validate(cluster.fabric, path, "nodes");
    validate_network(cluster, path);
  }
  return cluster;
}

}  // namespace pgram
