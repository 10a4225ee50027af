#include "cli/sweep/scale.h"

#include <algorithm>
#include <charconv>

#include "core/base/errors.h"

namespace pgram::sweep {
namespace {

constexpr uint32_t kMostGpus = 1u << 20;

uint32_t parse_count(const std::string& whole, std::string_view text) {
  uint32_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end != text.data() + text.size() || count < 1 || count > kMostGpus) {
    throw InputError("--gpus", "expected FIRST:LAST, numbers of GPUs from 1 to 1,048,576 such as 8:16384; got '" +
                                   whole.substr(0, 60) + "'");
  }
  return count;
}

}  // namespace

std::vector<uint32_t> parse_gpus(const std::string& text) {
  const size_t colon = text.find(':');
  const uint32_t first = parse_count(text, std::string_view(text).substr(0, colon));
  const uint32_t last =
      colon == std::string::npos ? first : parse_count(text, std::string_view(text).substr(colon + 1));
  if (first > last) throw InputError("--gpus", "'" + text + "' begins above its end; expected for example 8:16384");
  std::vector<uint32_t> gpus{first};
  for (uint32_t power = 1; power <= last; power *= 2) {
    if (power > first) gpus.push_back(power);
  }
  if (gpus.back() != last) gpus.push_back(last);
  return gpus;
}

std::string cluster_with(const std::string& cluster, uint32_t gpus) {
  const Cluster one = find_cluster(cluster);
  if (cluster.find(':') != std::string::npos) {
    throw InputError("--cluster", "'" + cluster + "' says how many nodes; --gpus says how many GPUs, so name it '" +
                                      cluster.substr(0, cluster.find(':')) + "'");
  }
  if (one.devices >= gpus && one.devices - gpus < one.devices_per_node) return cluster;
  const size_t at = std::min(cluster.find('@'), cluster.size());
  const uint32_t nodes = (gpus + one.devices_per_node - 1) / one.devices_per_node;
  const uint32_t count = cluster == "this" ? gpus : nodes;
  const std::string name = cluster.substr(0, at) + ":" + std::to_string(count) + cluster.substr(at);
  try {
    find_cluster(name);
    return name;
  } catch (const InputError& error) {  // of a fixed size
    if (one.devices >= gpus) return cluster;
    throw InputError("--gpus", cluster + " cannot grow to " + std::to_string(gpus) + " devices (" + error.what() + ")");
  }
}

uint32_t weak_batch(const ScaleQuestion& question, uint32_t gpus) {
  const uint32_t most = question.gpus.back(), batch = question.workload.global_batch;
  if (gpus == most) return batch;
  const uint64_t exact = uint64_t{batch} * gpus / most;
  const uint64_t power = gpus & (~gpus + 1);  // the largest power of two that divides gpus
  return static_cast<uint32_t>(std::max<uint64_t>(1, exact >= power ? exact / power * power : exact));
}

ScaleAnswer answer(const ScaleQuestion& question, const ParallelFor& parallel_for,
                   const std::function<void(double)>& progress, std::stop_token stop) {
  const Model model = find_model(question.model);
  std::vector<std::string> clusters;
  for (const uint32_t gpus : question.gpus) clusters.push_back(cluster_with(question.cluster, gpus));
  const uint64_t memory = find_cluster(clusters.front()).device.memory_bytes;

  ScaleAnswer answer;
  const size_t parts = 3 * question.gpus.size();
  size_t done = 0;
  const auto advance = [&] { progress(static_cast<double>(++done) / static_cast<double>(parts)); };
  for (const uint32_t gpus : question.gpus) {
    if (stop.stop_requested()) break;
    answer.memory.push_back(largest_model(model, gpus, memory, question.workload));
    advance();
  }
  for (size_t i = 0; i < question.gpus.size() && !stop.stop_requested(); ++i) {
    const Cluster cluster = find_cluster(clusters[i]);
    for (std::vector<ComputePoint>* points : {&answer.strong, &answer.weak}) {
      Workload work = question.workload;
      if (points == &answer.weak) work.global_batch = weak_batch(question, question.gpus[i]);
      ComputePoint point =
          compute_point(model, clusters[i], cluster, question.gpus[i], work, question.search, parallel_for, stop);
      if (stop.stop_requested()) break;  // the search was cut short
      points->push_back(std::move(point));
      advance();
    }
  }
  draw_ideal_line(answer.strong);
  draw_ideal_line(answer.weak);
  answer.stopped = stop.stop_requested();
  return answer;
}

}  // namespace pgram::sweep
