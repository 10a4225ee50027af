// pgram models, pgram clusters: what the library holds.
#include <cstdio>
#include <nlohmann/json.hpp>

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
  std::printf("%-12s %8s %-14s %10s %12s   %s\n", "cluster", "devices", "device", "memory", "peak TFLOP/s",
              "description");
  for (const ClusterEntry& c : library_clusters()) {
    const double peak = c.device.is_cpu ? c.device.fp32_flops_per_second : c.device.bf16_flops_per_second;
    std::printf("%-12s %8u %-14s %10s %12.3g   %s\n", c.name.c_str(), c.devices_per_node, c.device.name.c_str(),
                format_bytes(c.device.memory_bytes).c_str(), peak / 1e12, c.description.c_str());
  }
  std::printf(
      "\nNAME:N is N nodes (dgx-h100:2), NAME:N@K a leaf-spine oversubscribed K to 1, this:R this machine as R "
      "devices.\n");
  return kGood;
}

void add_models_commands(Command& app, int& exit_code) {
  auto json = std::make_shared<bool>(false);
  add_command(app, "models", "List the models of the library", "pgram models --json", exit_code, [=] {
    return print_models(*json);
  })->add_flag("--json", *json, "Machine-readable");
  auto cluster_json = std::make_shared<bool>(false);
  add_command(app, "clusters", "List the clusters of the library, and this machine", "pgram clusters", exit_code, [=] {
    return print_clusters(*cluster_json);
  })->add_flag("--json", *cluster_json, "Machine-readable");
}

}  // namespace pgram::cli
