#include "core/cluster/operation.h"

#include "core/base/yaml_reader.h"

namespace pgram {

constexpr double kSecondsPerHour = 3600;

void read_node_operation(YamlFields& fields, Operation& operation) {
  operation.node_watts = fields.number_or("node_watts", 1, 1e6, 0);
}

static Failures read_failures(YamlFields fields) {
  Failures failures;
  failures.node_mtbf = fields.number("node_mtbf_hours", 1e-3, 1e9) * kSecondsPerHour;
  failures.restart = fields.number("restart_seconds", 0, 1e7);
  failures.checkpoint_bytes_per_second = fields.number("checkpoint_gb_per_s_per_node", 1e-3, 1e6, 9);
  fields.refuse_unknown();
  return failures;
}

void read_cluster_operation(YamlFields& fields, Operation& operation) {
  operation.pue = fields.number_or("pue", 1, 10, 1);
  operation.dollars_per_gpu_hour = fields.number_or("dollars_per_gpu_hour", 1e-6, 1e6, 0);
  if (fields.has("failures")) operation.failures = read_failures(fields.fields("failures"));
}

}  // namespace pgram
