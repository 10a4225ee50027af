#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/timeline/lookup.h"
#include "core/timeline/summary.h"
#include "core/timeline/text_table.h"

namespace pgram {

static Picoseconds sum_of(const std::array<Picoseconds, kCategories>& times) {
  return std::accumulate(times.begin(), times.end(), Picoseconds{0}, add_saturated);
}

static std::string headline(const Timeline& timeline, const Summary& summary) {
  std::string step_time = format_time(summary.step_time);
  if (timeline.source == TimelineSource::simulated)
    step_time += "  predicted";
  else
    step_time += "  measured, median of " + std::to_string(timeline.steps.size()) + " steps, spread " +
                 format_percent(summary.step_time_spread);
  std::string text = "step time    " + step_time + "\n";
  if (!summary.ranks.empty())
    text += "bubble       " + format_percent(summary.bubble_of_total) + " of the step (" +
            format_percent(summary.bubble_of_ideal) + " of the busy time); " +
            format_percent(summary.span_idle_of_total) + " between a rank's first and last operation\n";
  if (summary.peak_memory > 0)
    text += "memory       " + format_bytes(summary.peak_memory) + " at most, on rank " +
            std::to_string(summary.peak_memory_rank) + "\n";
  if (summary.tokens_per_second > 0)
    text += "tokens       " + format_count(static_cast<uint64_t>(std::min(summary.tokens_per_second, 1e18) + 0.5)) +
            " per second\n";
  if (summary.model_flops_utilisation > 0)
    text += "utilisation  " + format_percent(summary.model_flops_utilisation) + " of the peak, in model FLOPs\n";
  return text;
}

std::string summary_to_text(const Timeline& timeline, const Summary& summary) {
  std::string text = headline(timeline, summary);
  if (summary.ranks.empty()) return text;

  const auto represented = represented_ranks(timeline);
  TextTable table;
  table.add({"rank", "busy", "idle", "idle share", "exposed comm", "tensor", "data", "pipeline", "memory"});
  uint64_t left_out = 0;
  for (size_t at = 0; at < summary.ranks.size(); ++at) {
    const RankSummary& rank = summary.ranks[at];
    const uint32_t alike = represented[rank.rank] - 1;
    if (at >= kRankLines) {
      left_out += represented[rank.rank];
      continue;
    }
    const auto exposed = [&](Category category) { return format_time(rank.exposed[static_cast<size_t>(category)]); };
    const auto makespan = static_cast<double>(rank.busy) + static_cast<double>(rank.idle);
    table.add({std::to_string(rank.rank) + (alike > 0 ? " (+" + format_count(alike) + " alike)" : ""),
               format_time(rank.busy), format_time(rank.idle),
               format_percent(share_of(static_cast<double>(rank.idle), makespan)), format_time(sum_of(rank.exposed)),
               exposed(Category::tensor_comm), exposed(Category::data_comm), exposed(Category::pipeline_comm),
               rank.peak_memory > 0 ? format_bytes(rank.peak_memory) : "-"});
  }
  text += "\n" + table.text();
  if (left_out > 0) text += "... " + format_count(left_out) + " more ranks (the JSON form lists them)\n";
  return text;
}

static nlohmann::ordered_json by_category(const std::array<Picoseconds, kCategories>& times) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (int category = 0; category < kCategories; ++category) {
    if (times[category] != 0) json[std::string(name_of(static_cast<Category>(category)))] = to_seconds(times[category]);
  }
  return json;
}

std::string summary_to_json(const Timeline& timeline, const Summary& summary) {
  const auto represented = represented_ranks(timeline);
  nlohmann::ordered_json json;
  json["source"] = timeline.source == TimelineSource::simulated ? "simulated" : "measured";
  json["steps"] = timeline.steps.size();
  json["step"] = summary.step;
  json["step_seconds"] = to_seconds(summary.step_time);
  json["step_time_spread"] = summary.step_time_spread;
  json["bubble_of_total"] = summary.bubble_of_total;
  json["bubble_of_ideal"] = summary.bubble_of_ideal;
  json["span_idle_of_total"] = summary.span_idle_of_total;
  json["peak_memory_bytes"] = summary.peak_memory;
  json["peak_memory_rank"] = summary.peak_memory_rank;
  json["tokens_per_second"] = summary.tokens_per_second;
  json["model_flops_utilisation"] = summary.model_flops_utilisation;
  json["ranks"] = nlohmann::ordered_json::array();
  for (const RankSummary& rank : summary.ranks) {
    json["ranks"].push_back({{"rank", rank.rank},
                             {"stands_for", represented[rank.rank]},
                             {"busy_seconds", to_seconds(rank.busy)},
                             {"idle_seconds", to_seconds(rank.idle)},
                             {"span_idle_seconds", to_seconds(rank.span_idle)},
                             {"exposed_seconds", by_category(rank.exposed)},
                             {"time_seconds", by_category(rank.time)},
                             {"peak_memory_bytes", rank.peak_memory}});
  }
  json["facts"] = timeline.facts;
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace pgram
