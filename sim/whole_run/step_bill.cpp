#include "sim/whole_run/step_bill.h"

#include <numeric>

#include "core/timeline/text_table.h"

namespace pgram {

constexpr double kSecondsPerHour = 3600;

uint32_t nodes_of(uint32_t ranks, const Cluster& cluster) {
  return (ranks + cluster.devices_per_node - 1) / cluster.devices_per_node;
}

/// Power at the meter of devices that take `watts` and of the rest of their nodes.
static double at_the_meter(double watts, uint32_t ranks, const Cluster& cluster) {
  return (watts + nodes_of(ranks, cluster) * cluster.operation.node_watts) * cluster.operation.pue;
}

double idle_watts(uint32_t ranks, const Cluster& cluster) {
  if (!cluster.device.watts.known()) return 0;
  return at_the_meter(ranks * cluster.device.watts.idle, ranks, cluster);
}

/// Mean power of all devices by themselves.
static double device_watts(const Timeline& timeline, const Summary& summary, const Device::Watts& watts) {
  double joules = 0, seconds = 0;
  for (const RankSummary& rank : summary.ranks) {
    const Picoseconds exposed = std::accumulate(rank.exposed.begin(), rank.exposed.end(), Picoseconds{0});
    joules += rank.represented * (watts.compute * to_seconds(rank.busy) + watts.communication * to_seconds(exposed) +
                                  watts.idle * to_seconds(rank.idle - exposed));
    seconds += rank.represented * to_seconds(rank.busy + rank.idle);
  }
  return share_of(joules, seconds) * timeline.plan->mesh.ranks();
}

StepBill step_bill(const Timeline& timeline, const Summary& summary, const Cluster& cluster) {
  StepBill bill;
  const uint32_t ranks = timeline.plan->mesh.ranks();
  const double seconds = to_seconds(summary.step_time);
  if (cluster.device.watts.known() && !summary.ranks.empty()) {
    const double watts = device_watts(timeline, summary, cluster.device.watts);
    bill.watts_per_device = watts / ranks;
    bill.joules = at_the_meter(watts, ranks, cluster) * seconds;
  }
  bill.dollars = cluster.operation.dollars_per_gpu_hour * ranks * seconds / kSecondsPerHour;
  const double tokens = summary.tokens_per_second * seconds;
  bill.joules_per_token = share_of(bill.joules, tokens);
  bill.dollars_per_million_tokens = share_of(bill.dollars * 1e6, tokens);
  return bill;
}

}  // namespace pgram
