// pgram models, pgram clusters: what the library holds, and one cluster looked at closely.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/cluster_text.h"
#include "cli/command.h"
#include "core/base/units.h"
#include "core/cluster/cluster.h"
#include "core/model/model.h"

namespace pgram::cli {

static int print_models(bool as_json) {
  if (as_json) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const Model& m : library_models()) {
      list.push_back({{"name", m.name},
                      {"kind", m.kind},
                      {"parameters", parameter_count(m)},
                      {"layers", m.layers},
                      {"hidden", m.hidden},
                      {"heads", m.heads},
                      {"kv_heads", m.kv_heads},
                      {"head_dim", m.head_dim},
                      {"ffn", m.ffn},
                      {"vocabulary", m.vocabulary},
                      {"max_positions", m.max_positions},
                      {"tied_embeddings", m.tied_embeddings},
                      {"source", m.source}});
    }
    std::printf("%s\n", list.dump(2).c_str());
    return kGood;
  }
  std::printf("%-16s %-8s %18s %7s %7s %6s %9s %11s\n", "model", "kind", "parameters", "layers", "hidden", "heads",
              "kv heads", "vocabulary");
  for (const Model& m : library_models()) {
    std::printf("%-16s %-8s %18s %7u %7u %6u %9u %11u\n", m.name.c_str(), m.kind.c_str(),
                format_count(parameter_count(m)).c_str(), m.layers, m.hidden, m.heads, m.kv_heads, m.vocabulary);
  }
  std::printf("\nAny Hugging Face config.json of these kinds works too: --model path/to/config.json\n");
  return kGood;
}

static int print_clusters(bool as_json) {
  if (as_json) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const ClusterEntry& c : library_clusters()) {
      list.push_back({{"name", c.name},
                      {"description", c.description},
                      {"devices_per_node", c.devices_per_node},
                      {"device", c.device.name},
                      {"memory_bytes", c.device.memory_bytes},
                      {"memory_bytes_per_second", c.device.memory_bytes_per_second},
                      {"fp32_flops_per_second", c.device.fp32_flops_per_second},
                      {"bf16_flops_per_second", c.device.bf16_flops_per_second},
                      {"source", c.device.source}});
    }
    std::printf("%s\n", list.dump(2).c_str());
    return kGood;
  }
  std::printf("%-18s %8s %-14s %10s %12s   %s\n", "cluster", "a node", "device", "memory", "peak TFLOP/s",
              "description");
  for (const ClusterEntry& c : library_clusters()) {
    const double peak = c.device.is_cpu ? c.device.fp32_flops_per_second : c.device.bf16_flops_per_second;
    std::printf("%-18s %8u %-14s %10s %12.3g   %s\n", c.name.c_str(), c.devices_per_node, c.device.name.c_str(),
                format_bytes(c.device.memory_bytes).c_str(), peak / 1e12, c.description.c_str());
  }
  std::printf(
      "\nNAME:N is N nodes (dgx-h100:2), NAME:N@K a leaf-spine oversubscribed K to 1, this:R this machine as R "
      "devices.\n"
      "A file is a cluster too: YAML, NCCL's topology of a node (.xml), or what nvidia-smi topo -m prints (.txt).\n"
      "pgram clusters NAME shows one with its links, --route 0:9 the way from device 0 to 9.\n");
  return kGood;
}

static int print_cluster(const std::string& name, const std::string& route, bool as_json) {
  const Cluster cluster = find_cluster(name);
  std::optional<DevicePair> pair;
  if (!route.empty()) pair = parse_route(route, cluster);
  std::fputs((as_json ? cluster_json(cluster, pair) : cluster_text(cluster, pair)).c_str(), stdout);
  return kGood;
}

void add_models_commands(Command& app, int& exit_code) {
  auto json = std::make_shared<bool>(false);
  add_command(app, "models", "List the models of the library", "pgram models --json", exit_code, [=] {
    return print_models(*json);
  })->add_flag("--json", *json, "Machine-readable");
  struct ClusterFlags {
    std::string name, route;
    bool json = false;
  };
  auto flags = std::make_shared<ClusterFlags>();
  Command* clusters = add_command(
      app, "clusters", "List the clusters of the library, and this machine; or show one with its links and routes",
      "pgram clusters torus-4x4x4 --route 0:9", exit_code, [=] {
        if (flags->name.empty()) {
          if (!flags->route.empty()) throw InputError("--route", "expected a cluster: pgram clusters NAME --route 0:9");
          return print_clusters(flags->json);
        }
        return print_cluster(flags->name, flags->route, flags->json);
      });
  clusters->add_option("name", flags->name, "A cluster of the library, this machine, or a file");
  clusters->add_option("--route", flags->route, "Two devices: the links between them, in order (0:9)");
  clusters->add_flag("--json", flags->json, "Machine-readable");
}

}  // namespace pgram::cli
