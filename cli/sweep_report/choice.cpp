#include "cli/sweep_report/choice.h"

#include <algorithm>
#include <limits>
#include <map>

namespace pgram::sweep_report {

std::string shell_word(const std::string& word) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@,+=%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string short_text(const Row& row) {
  return to_text(row.inputs.layout) + " " + row.inputs.layout.schedule + " mb" +
         std::to_string(row.inputs.workload.micro_batch);
}

std::string layout_text(const Row& row) {
  return to_text(row.inputs.layout) + ", " + row.inputs.layout.schedule + ", micro-batch " +
         std::to_string(row.inputs.workload.micro_batch);
}

std::string simulate_command(const Row& row) {
  const sweep::Case& c = row.inputs;
  std::string command = "pgram simulate";
  const auto flag = [&](const char* name, const std::string& value) {
    command += std::string(" --") + name + " " + shell_word(value);
  };
  flag("model", c.model);
  flag("cluster", c.cluster);
  flag("layout", to_text(c.layout));
  flag("schedule", c.layout.schedule);
  flag("global-batch", std::to_string(c.workload.global_batch));
  flag("micro-batch", std::to_string(c.workload.micro_batch));
  flag("seq", std::to_string(c.workload.sequence));
  flag("precision", name_of(c.workload.precision));
  flag("optimizer", name_of(c.workload.optimizer));
  flag("network", c.network);
  for (const std::string& slow : c.disturbance.slow) flag("slow", slow);
  if (!c.disturbance.jitter.empty()) flag("jitter", c.disturbance.jitter);
  for (const std::string& link : c.disturbance.links) flag("link", link);
  return command;
}

bool has_cost(const Row& row) {
  return row.outcome.figures.dollars_per_million_tokens > 0;
}

double cost_of(const Row& row) {
  return has_cost(row) ? row.outcome.figures.dollars_per_million_tokens : std::numeric_limits<double>::infinity();
}

std::vector<Point> best_points(const std::vector<const Row*>& rows) {
  std::map<std::string, size_t> kinds;
  std::map<std::pair<size_t, uint32_t>, Point> points;
  std::string last, kind;
  for (const Row* row : rows) {
    if (kind.empty() || row->inputs.cluster != last) {
      last = row->inputs.cluster;
      kind = kind_of_cluster(last);
    }
    const size_t order = kinds.emplace(kind, kinds.size()).first->second;
    Point& point =
        points.try_emplace({order, row->inputs.devices}, Point{kind, row->inputs.devices, row, 0}).first->second;
    ++point.fits;
    if (row->outcome.figures.step_seconds < point.fastest->outcome.figures.step_seconds) point.fastest = row;
  }
  std::vector<Point> sorted;
  for (auto& [key, point] : points) sorted.push_back(std::move(point));
  return sorted;
}

Best best_of(const std::vector<const Row*>& rows) {
  Best best;
  const auto better = [](const Row* row, const Row*& than, auto&& key) {
    if (!than || key(*row) < key(*than)) than = row;
  };
  for (const Row* row : rows) {
    better(row, best.step_time, [](const Row& r) { return r.outcome.figures.step_seconds; });
    if (has_cost(*row)) better(row, best.cost, cost_of);
    // Many layouts need the same: the fastest of them.
    better(row, best.memory,
           [](const Row& r) { return std::pair(r.outcome.figures.memory_bytes, r.outcome.figures.step_seconds); });
  }
  return best;
}

std::string device_word(const std::vector<Topic>& topics) {
  for (const Topic& topic : topics) {
    for (const Row& row : topic.fits) {
      if (kind_of_cluster(row.inputs.cluster) == "this") return "devices";
    }
  }
  return "GPUs";
}

}  // namespace pgram::sweep_report
