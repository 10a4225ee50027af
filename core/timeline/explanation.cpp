#include "core/timeline/explanation.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/errors.h"
#include "core/timeline/lookup.h"
#include "core/timeline/text_table.h"

namespace pgram {
namespace {

using nlohmann::ordered_json;

std::string host_text(const Timeline& timeline) {
  return timeline.source == TimelineSource::simulated ? "launch window" : "host or jitter";
}

std::string label(const Timeline& timeline, IdleReason reason) {
  switch (reason) {
    case IdleReason::task:
      break;  // by category
    case IdleReason::sender:
      return "message not sent yet";
    case IdleReason::receiver:
      return "receiver not there yet";
    case IdleReason::member:
      return "slowest member of a collective";
    case IdleReason::link:
      return "shared links";
    case IdleReason::fill:
      return "pipeline fill";
    case IdleReason::steady:
      return "pipeline steady";
    case IdleReason::drain:
      return "pipeline drain";
    case IdleReason::barrier:
      return "end of the step";
    case IdleReason::host:
      return host_text(timeline);
  }
  return "";
}

std::string label(const Timeline& timeline, PathWhat what) {
  switch (what) {
    case PathWhat::work:
      break;  // by category
    case PathWhat::latency:
      return "latency";
    case PathWhat::link:
      return "shared links";
    case PathWhat::host:
      return host_text(timeline);
    case PathWhat::barrier:
      return "end of the step";
  }
  return "";
}

ordered_json seconds_by_category(const std::array<Picoseconds, kCategories>& times) {
  ordered_json json = ordered_json::object();
  for (int i = 0; i < kCategories; ++i) {
    if (times[i] != 0) json[std::string(name_of(static_cast<Category>(i)))] = to_seconds(times[i]);
  }
  return json;
}

ordered_json sums_to_json(const IdleSums& sums) {
  ordered_json json = ordered_json::object();
  for (int i = 0; i < kIdleReasons; ++i) json[name_of(static_cast<IdleReason>(i))] = to_seconds(sums.reason[i]);
  json["task_by_category"] = seconds_by_category(sums.task);
  return json;
}

ordered_json path_to_json(const Timeline& timeline, const CriticalPath& path) {
  ordered_json json;
  json["seconds"] = to_seconds(path.length());
  ordered_json& what = json["by_kind"] = ordered_json::object();
  for (int i = 0; i < kPathWhats; ++i) what[name_of(static_cast<PathWhat>(i))] = to_seconds(path.what[i]);
  json["work_by_category"] = seconds_by_category(path.work);
  ordered_json& segments = json["segments"] = ordered_json::array();
  for (const Segment& segment : path.segments) {
    ordered_json& row = segments.emplace_back();
    row["kind"] = name_of(segment.what);
    if (segment.what == PathWhat::work) row["category"] = std::string(name_of(segment.category));
    if (segment.task) row["task"] = to_text(*timeline.plan, *segment.task);
    if (segment.other) row["shared_with"] = to_text(*timeline.plan, *segment.other);
    row["start_seconds"] = to_seconds(segment.start);
    row["end_seconds"] = to_seconds(segment.end);
  }
  return json;
}

/// Of tables for people: what would be printed as nothing is left out.
void drop_tiny(ShareRows& rows) {
  std::erase_if(rows, [](const auto& row) { return row.second < 0.0005; });
}

std::string table(ShareRows rows, const std::string& title) {
  drop_tiny(rows);
  if (rows.empty()) return "";
  TextTable table;
  table.add({title, "of the step"});
  for (const auto& [name, share] : rows) table.add({name, format_percent(share)});
  return "\n" + table.text();
}

}  // namespace

Explanation explain(const Timeline& timeline) {
  if (timeline.steps.empty()) throw InputError("timeline", "holds no step, expected at least one");
  const size_t step = timeline.median_step();
  if (timeline.steps[step].num_spans == 0) return {};
  const StepGraph graph(timeline, step);
  return {summarise_idle(graph), critical_path(graph)};
}

ShareRows idle_rows(const Timeline& timeline, const Explanation& explanation) {
  ShareRows rows;
  const IdleSummary& idle = explanation.idle;
  for (int i = 0; i < kCategories; ++i) {
    if (idle.task_share[i] > 0)
      rows.emplace_back("waits for " + std::string(name_of(static_cast<Category>(i))), idle.task_share[i]);
  }
  for (int i = 0; i < kIdleReasons; ++i) {
    const auto reason = static_cast<IdleReason>(i);
    if (reason != IdleReason::task && idle.share[i] > 0) rows.emplace_back(label(timeline, reason), idle.share[i]);
  }
  return rows;
}

ShareRows path_rows(const Timeline& timeline, const Explanation& explanation) {
  ShareRows rows;
  const CriticalPath& path = explanation.path;
  const auto add = [&](const std::string& name, Picoseconds time) {
    if (time > 0) rows.emplace_back(name, share_of(static_cast<double>(time), static_cast<double>(path.length())));
  };
  for (int i = 0; i < kCategories; ++i) add(std::string(name_of(static_cast<Category>(i))), path.work[i]);
  for (int i = 0; i < kPathWhats; ++i) {
    const auto what = static_cast<PathWhat>(i);
    if (what != PathWhat::work) add(label(timeline, what), path.what[i]);
  }
  return rows;
}

std::string explanation_to_text(const Timeline& timeline, const Explanation& explanation) {
  return table(idle_rows(timeline, explanation), "why idle, mean of ranks") +
         table(path_rows(timeline, explanation), "critical path");
}

std::string explanation_to_json(const Timeline& timeline, const Explanation& explanation) {
  ordered_json json;
  ordered_json& idle = json["idle"];
  idle["share_by_reason"] = ordered_json::object();
  for (int i = 0; i < kIdleReasons; ++i)
    idle["share_by_reason"][name_of(static_cast<IdleReason>(i))] = explanation.idle.share[i];
  idle["task_share_by_category"] = ordered_json::object();
  for (int i = 0; i < kCategories; ++i) {
    if (explanation.idle.task_share[i] > 0)
      idle["task_share_by_category"][std::string(name_of(static_cast<Category>(i)))] = explanation.idle.task_share[i];
  }
  idle["ranks"] = ordered_json::array();
  const auto represented = represented_ranks(timeline);
  size_t at = 0;
  for (uint32_t rank = 0; rank < represented.size() && at < explanation.idle.ranks.size(); ++rank) {
    if (represented[rank] == 0) continue;
    idle["ranks"].push_back({{"rank", rank}, {"seconds_by_reason", sums_to_json(explanation.idle.ranks[at++])}});
  }
  json["critical_path"] = path_to_json(timeline, explanation.path);
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

std::string explanations_to_text(const Timeline& a, const Timeline& b, const std::string& name_a,
                                 const std::string& name_b) {
  const Explanation explanation_a = explain(a), explanation_b = explain(b);
  const auto side_by_side = [&](const std::string& title, ShareRows rows_a, ShareRows rows_b) {
    drop_tiny(rows_a);
    drop_tiny(rows_b);
    if (rows_a.empty() && rows_b.empty()) return std::string();
    TextTable table;
    table.add({title, name_a, name_b});
    const auto share = [](const ShareRows& rows, const std::string& name) {
      const auto found = std::ranges::find(rows, name, &ShareRows::value_type::first);
      return found == rows.end() ? std::string("-") : format_percent(found->second);
    };
    for (const auto& [name, value] : rows_a) table.add({name, format_percent(value), share(rows_b, name)});
    for (const auto& [name, value] : rows_b) {
      if (share(rows_a, name) == "-") table.add({name, "-", format_percent(value)});
    }
    return "\n" + table.text();
  };
  return side_by_side("why idle, mean of ranks", idle_rows(a, explanation_a), idle_rows(b, explanation_b)) +
         side_by_side("critical path", path_rows(a, explanation_a), path_rows(b, explanation_b));
}

}  // namespace pgram
