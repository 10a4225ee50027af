#include "core/cluster/cluster_file.h"

#include <algorithm>
#include <filesystem>

#include "core/base/errors.h"
#include "core/base/yaml_reader.h"
#include "core/cluster/library_files.h"

namespace pgram {

static const std::vector<std::string> kWireKinds{"nvlink", "pcie", "infiniband", "ethernet", "memory"};

static Wire read_wire(YamlFields fields) {
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

/// What a node file and a cluster file that describes its nodes itself have in common.
static void read_node(YamlFields& fields, const std::string& devices_key, ClusterFile& cluster) {
  Fabric& fabric = cluster.fabric;
  cluster.device = read_device_of(fields);
  fabric.devices_per_node = static_cast<uint32_t>(fields.integer(devices_key, 1, kMaxDevicesPerNode));
  if (fabric.devices_per_node > 1 || fields.has("inside")) fabric.inside = read_wire(fields.fields("inside"));
  if (fields.has("between")) fabric.between = read_wire(fields.fields("between"));
  fabric.nics = static_cast<uint32_t>(fields.integer_or("nics", 1, kMaxDevicesPerNode, fabric.devices_per_node));
  if (fields.has("nccl")) cluster.nccl = read_collective_profile(fields.fields("nccl"), fabric.devices_per_node);
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

ClusterFile read_cluster_file(const std::string& path) {
  YamlFields fields = read_yaml(path);
  refuse_version(fields, "pgram_cluster", 1);
  ClusterFile cluster;
  cluster.name = fields.text("name");
  fields.text_or("source", "");
  if (fields.has("node")) {
    const std::string node = fields.text("node");
    const auto beside = std::filesystem::path(path).parent_path() / node;
    read_node_file(is_path(node) ? beside.string() : library_file("nodes", node, "node"), cluster);
  } else {
    read_node(fields, "devices_per_node", cluster);
  }
  cluster.description = fields.text_or("description", cluster.description);
  Fabric& fabric = cluster.fabric;
  fabric.nodes = static_cast<uint32_t>(fields.integer("nodes", 1, kMaxDevices));
  fabric.nodes_per_leaf = static_cast<uint32_t>(fields.integer_or("nodes_per_leaf", 1, kMaxDevices, 32));
  fabric.oversubscription = fields.number_or("oversubscription", 1, kMaxOversubscription, 1);
  fabric.spine_latency =
      fields.has("spine_latency_us") ? fields.number("spine_latency_us", 0, 1e6, -6) : fabric.between.latency;
  fields.refuse_unknown();
  validate(fabric, path, "nodes");
  return cluster;
}

}  // namespace pgram
