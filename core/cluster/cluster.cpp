#include "core/cluster/cluster.h"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cmath>

#include "core/base/errors.h"
#include "core/cluster/cluster_file.h"
#include "core/cluster/library_files.h"

namespace pgram {

namespace {

/// "NAME[:COUNT][@OVERSUBSCRIPTION]"
struct Spec {
  std::string name;
  uint64_t count = 0;           ///< 0 = not given
  double oversubscription = 0;  ///< 0 = not given
};

template <class T>
T parse_part(const std::string& spec, const std::string& text, const char* expected) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size())
    throw InputError("cluster", "\"" + spec.substr(0, 60) + "\": expected " + expected);
  return value;
}

Spec parse_spec(const std::string& text) {
  Spec spec;
  const size_t at = std::min(text.find('@'), text.size());
  const size_t colon = std::min(text.find(':'), at);
  spec.name = text.substr(0, colon);
  if (colon < at) {
    spec.count =
        parse_part<uint64_t>(text, text.substr(colon + 1, at - colon - 1), "a whole number of nodes after ':'");
    if (spec.count == 0 || spec.count > kMaxDevices)
      throw InputError("cluster",
                       "\"" + text.substr(0, 60) + "\": expected a count from 1 to " + std::to_string(kMaxDevices));
  }
  if (at < text.size()) {
    spec.oversubscription = parse_part<double>(text, text.substr(at + 1), "an oversubscription (1 or more) after '@'");
    if (!(spec.oversubscription >= 1 && spec.oversubscription <= kMaxOversubscription))
      throw InputError("cluster", "\"" + text.substr(0, 60) + "\": expected an oversubscription from 1 to 64");
  }
  return spec;
}

Cluster make_cluster(const std::string& name, const ClusterFile& file) {
  Cluster cluster;
  cluster.name = name;
  cluster.device = file.device;
  cluster.nccl = file.nccl;
  cluster.operation = file.operation;
  build_topology(file, cluster);
  return cluster;
}

}  // namespace

Path Cluster::path(uint32_t from, uint32_t to) const {
  assert(from < devices && to < devices);
  if (from == to) return {device.memory_bytes_per_second, 0, false, device.memory_bytes_per_second};
  return topology->path(from, to);
}

Cluster find_cluster(const std::string& name_or_path, uint32_t ranks_hint) {
  if (is_path(name_or_path)) return make_cluster(name_or_path, read_any_cluster_file(name_or_path));
  const Spec spec = parse_spec(name_or_path);
  if (spec.name == "this") {
    if (spec.oversubscription > 0) throw InputError("cluster", "\"this\" has no network to oversubscribe");
    Cluster cluster = this_machine(spec.count > 0 ? static_cast<uint32_t>(spec.count) : ranks_hint);
    cluster.name = name_or_path;
    return cluster;
  }
  std::vector<std::string> names = library_names("clusters");
  if (std::find(names.begin(), names.end(), spec.name) == names.end()) {
    names.push_back("this");
    fail_unknown_name("cluster", spec.name, names);
  }
  ClusterFile file = read_cluster_file(library_file("clusters", spec.name, "cluster"));
  if (spec.count > 0 || spec.oversubscription > 0) resize(file, spec.count, spec.oversubscription);
  return make_cluster(name_or_path, file);
}

std::vector<ClusterEntry> library_clusters() {
  std::vector<ClusterEntry> entries;
  for (const std::string& name : library_names("clusters")) {
    ClusterFile file = read_cluster_file(library_file("clusters", name, "cluster"));
    entries.push_back({name, file.description, std::move(file.device),
                       file.graph ? file.graph->devices_per_node : file.fabric.devices_per_node});
  }
  Cluster here = this_machine();
  const std::string description = "this machine: " + std::to_string(here.devices) + " x " + here.device.name;
  entries.push_back({"this", description, std::move(here.device), here.devices});
  return entries;
}

}  // namespace pgram
