#include "cli/cluster_text.h"

#include <algorithm>
#include <charconv>
#include <cstdarg>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "core/base/errors.h"

namespace pgram::cli {

namespace {

using Json = nlohmann::ordered_json;

const char* name_of(VertexKind kind) {
  return kind == VertexKind::device ? "device" : kind == VertexKind::nic ? "NIC" : "switch";
}

/// Links that differ in nothing but their place.
struct LinkGroup {
  const Link* link;
  VertexKind from, to;
  uint32_t count;
};

/// In the order in which the graph has them.
std::vector<LinkGroup> groups_of(const ClusterGraph& graph) {
  std::vector<LinkGroup> groups;
  std::map<std::tuple<std::string, VertexKind, VertexKind, double, double, uint32_t>, size_t> known;
  for (const Link& link : graph.links) {
    const VertexKind from = graph.vertices[link.from].kind, to = graph.vertices[link.to].kind;
    const auto [place, is_new] = known.emplace(
        std::tuple(link.kind, from, to, link.bytes_per_second, link.latency, link.shared_by), groups.size());
    if (is_new) groups.push_back({&link, from, to, 0});
    ++groups[place->second].count;
  }
  return groups;
}

uint32_t count_of(const ClusterGraph& graph, VertexKind kind) {
  return static_cast<uint32_t>(
      std::count_if(graph.vertices.begin(), graph.vertices.end(), [&](const Vertex& v) { return v.kind == kind; }));
}

__attribute__((format(printf, 1, 2))) std::string print(const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  return line;
}

std::string time_text(Seconds seconds) {
  return seconds > 0 ? format_time(to_picoseconds(seconds)) : "0";
}

std::string route_text(const Cluster& cluster, const DevicePair& pair) {
  const ClusterGraph& graph = cluster.graph();
  std::vector<uint32_t> links;
  cluster.route(pair.first, pair.second, links);
  const Path path = cluster.path(pair.first, pair.second);
  std::string text = print("\nroute %u to %u: %zu links, %s, %.4g GB/s for each device when all send\n", pair.first,
                           pair.second, links.size(), time_text(path.latency).c_str(), path.bytes_per_second / 1e9);
  for (const uint32_t i : links) {
    const Link& link = graph.links[i];
    text += print("  %-16s -> %-16s %-10s %9.4g GB/s  %8s\n", graph.vertices[link.from].name.c_str(),
                  graph.vertices[link.to].name.c_str(), link.kind.c_str(), link.bytes_per_second / 1e9,
                  time_text(link.latency).c_str());
  }
  return text;
}

Json route_json(const Cluster& cluster, const DevicePair& pair) {
  const ClusterGraph& graph = cluster.graph();
  std::vector<uint32_t> links;
  cluster.route(pair.first, pair.second, links);
  const Path path = cluster.path(pair.first, pair.second);
  Json list = Json::array();
  for (const uint32_t i : links) {
    const Link& link = graph.links[i];
    list.push_back({{"link", i},
                    {"from", graph.vertices[link.from].name},
                    {"to", graph.vertices[link.to].name},
                    {"kind", link.kind},
                    {"bytes_per_second", link.bytes_per_second},
                    {"latency_seconds", link.latency},
                    {"shared_by", link.shared_by}});
  }
  return {{"from", pair.first},
          {"to", pair.second},
          {"latency_seconds", path.latency},
          {"bytes_per_second", path.bytes_per_second},
          {"crosses_nodes", path.crosses_nodes},
          {"links", std::move(list)}};
}

/// Power, price and failures, what of it is known.
std::string operation_text(const Cluster& cluster) {
  const Operation& operation = cluster.operation;
  const Device::Watts& watts = cluster.device.watts;
  std::string text;
  if (watts.known()) {
    text += print("a device takes %.6g W idle, %.6g W computing, %.6g W communicating", watts.idle, watts.compute,
                  watts.communication);
    if (operation.node_watts > 0) text += print(", the rest of a node %.6g W", operation.node_watts);
    if (operation.pue > 1) text += print(", the building %.6g times all of it", operation.pue);
    text += "\n";
  }
  if (operation.dollars_per_gpu_hour > 0) text += print("a GPU costs $%.6g an hour\n", operation.dollars_per_gpu_hour);
  if (operation.failures) {
    const Failures& failures = *operation.failures;
    text += print("a node fails every %.6g h in the mean; a restart takes %.6g s, checkpoints %.4g GB/s a node\n",
                  failures.node_mtbf / 3600, failures.restart, failures.checkpoint_bytes_per_second / 1e9);
  }
  return text;
}

/// Only what is known.
Json operation_json(const Cluster& cluster) {
  const Operation& operation = cluster.operation;
  const Device::Watts& watts = cluster.device.watts;
  Json json = Json::object();
  if (watts.known())
    json["watts"] = {{"idle", watts.idle}, {"compute", watts.compute}, {"communication", watts.communication}};
  if (operation.node_watts > 0) json["node_watts"] = operation.node_watts;
  if (operation.pue > 1) json["pue"] = operation.pue;
  if (operation.dollars_per_gpu_hour > 0) json["dollars_per_gpu_hour"] = operation.dollars_per_gpu_hour;
  if (operation.failures) {
    const Failures& failures = *operation.failures;
    json["failures"] = {{"node_mtbf_seconds", failures.node_mtbf},
                        {"restart_seconds", failures.restart},
                        {"checkpoint_bytes_per_second_per_node", failures.checkpoint_bytes_per_second}};
  }
  return json;
}

}  // namespace

DevicePair parse_route(const std::string& text, const Cluster& cluster) {
  const auto device = [&](const std::string& part) {
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (part.empty() || error != std::errc() || end != part.data() + part.size() || value >= cluster.devices)
      throw InputError("--route", "\"" + text.substr(0, 60) + "\": expected two devices like 0:" +
                                      std::to_string(std::min(9u, cluster.devices - 1)) + ", each from 0 to " +
                                      std::to_string(cluster.devices - 1));
    return value;
  };
  const size_t colon = std::min(text.find(':'), text.size());
  return {device(text.substr(0, colon)), device(colon < text.size() ? text.substr(colon + 1) : "")};
}

std::string cluster_text(const Cluster& cluster, const std::optional<DevicePair>& route) {
  const ClusterGraph& graph = cluster.graph();
  const Device& device = cluster.device;
  const double peak = device.is_cpu ? device.fp32_flops_per_second : device.bf16_flops_per_second;
  std::string text = cluster.name + ": " + cluster.shape + "\n";
  const uint32_t nodes = cluster.devices / cluster.devices_per_node;
  text +=
      print("%u devices (%u %s of %u): %s, %s, %.4g TFLOP/s\n", cluster.devices, nodes, nodes == 1 ? "node" : "nodes",
            cluster.devices_per_node, device.name.c_str(), format_bytes(device.memory_bytes).c_str(), peak / 1e12);
  text += operation_text(cluster);
  text += print("%u switch%s, %u NICs, %zu links (one way):\n", count_of(graph, VertexKind::switch_),
                count_of(graph, VertexKind::switch_) == 1 ? "" : "es", count_of(graph, VertexKind::nic),
                graph.links.size());
  for (const LinkGroup& group : groups_of(graph))
    text += print("  %8u x %-10s %9.4g GB/s  %8s  %s to %s%s\n", group.count, group.link->kind.c_str(),
                  group.link->bytes_per_second / 1e9, time_text(group.link->latency).c_str(), name_of(group.from),
                  name_of(group.to),
                  group.link->shared_by > 1 ? print(", shared by %u devices", group.link->shared_by).c_str() : "");
  if (route) text += route_text(cluster, *route);
  return text;
}

std::string cluster_json(const Cluster& cluster, const std::optional<DevicePair>& route) {
  const ClusterGraph& graph = cluster.graph();
  Json links = Json::array();
  for (const LinkGroup& group : groups_of(graph))
    links.push_back({{"kind", group.link->kind},
                     {"from", name_of(group.from)},
                     {"to", name_of(group.to)},
                     {"count", group.count},
                     {"bytes_per_second", group.link->bytes_per_second},
                     {"latency_seconds", group.link->latency},
                     {"shared_by", group.link->shared_by}});
  Json json = {{"name", cluster.name},
               {"shape", cluster.shape},
               {"device", cluster.device.name},
               {"devices", cluster.devices},
               {"devices_per_node", cluster.devices_per_node},
               {"nodes", cluster.devices / cluster.devices_per_node},
               {"switches", count_of(graph, VertexKind::switch_)},
               {"nics", count_of(graph, VertexKind::nic)},
               {"links", std::move(links)}};
  if (Json operation = operation_json(cluster); !operation.empty()) json["operation"] = std::move(operation);
  if (route) json["route"] = route_json(cluster, *route);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace pgram::cli
