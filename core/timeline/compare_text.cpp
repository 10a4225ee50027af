#include <nlohmann/json.hpp>

#include "core/timeline/compare.h"
#include "core/timeline/explanation.h"
#include "core/timeline/lookup.h"
#include "core/timeline/summary.h"
#include "core/timeline/text_table.h"

namespace pgram {
namespace {

constexpr size_t kKernelLines = 10;

/// What the columns are called: by their source when that tells them apart.
std::pair<std::string, std::string> labels(const Timeline& a, const Timeline& b) {
  if (a.source == b.source) return {"first", "second"};
  if (a.source == TimelineSource::simulated) return {"predicted", "measured"};
  return {"measured", "predicted"};
}

double difference(Picoseconds a, Picoseconds b) {
  return b > 0 ? static_cast<double>(a) / static_cast<double>(b) - 1 : 0;
}
std::string difference_text(Picoseconds a, Picoseconds b) {
  return b > 0 ? format_signed_percent(difference(a, b)) : "-";
}

/// Idle share of the step on each rank's representative.
std::vector<double> bubbles(const Timeline& timeline, const Summary& summary) {
  std::vector<double> by_rank(timeline.plan->mesh.ranks(), 0);
  for (const RankSummary& rank : summary.ranks)
    by_rank[rank.rank] = share_of(static_cast<double>(rank.idle), static_cast<double>(summary.step_time));
  for (uint32_t rank = 0; rank < by_rank.size(); ++rank) by_rank[rank] = by_rank[timeline.representative_of(rank)];
  return by_rank;
}

}  // namespace

std::string comparison_to_text(const Timeline& a, const Timeline& b, const Comparison& comparison) {
  const auto [name_a, name_b] = labels(a, b);
  const Summary summary_a = summarise(a), summary_b = summarise(b);
  TextTable steps;
  steps.add({"", name_a, name_b, "difference"});
  steps.add({"step time", format_time(comparison.step_time_a), format_time(comparison.step_time_b),
             difference_text(comparison.step_time_a, comparison.step_time_b)});
  if (summary_a.step_time_spread > 0 || summary_b.step_time_spread > 0)
    steps.add({"spread of the steps", format_percent(summary_a.step_time_spread),
               format_percent(summary_b.step_time_spread), ""});
  steps.add({"bubble", format_percent(summary_a.bubble_of_total), format_percent(summary_b.bubble_of_total),
             format_signed_percent(summary_a.bubble_of_total - summary_b.bubble_of_total)});
  std::string text = steps.text();

  TextTable categories;
  categories.add({"time of all ranks", name_a, name_b, "difference"});
  for (const CategoryDifference& category : comparison.categories)
    categories.add({std::string(name_of(category.category)), format_time(category.a), format_time(category.b),
                    difference_text(category.a, category.b)});
  text += "\n" + categories.text();

  TextTable kernels;
  kernels.add({"kernels that differ most", "times", name_a, name_b, "difference"});
  for (size_t at = 0; at < std::min(comparison.kernels.size(), kKernelLines); ++at) {
    const auto& kernel = comparison.kernels[at];
    kernels.add({kernel.body + " " + kernel.kernel, format_count(kernel.count), format_time(kernel.a),
                 format_time(kernel.b), difference_text(kernel.a, kernel.b)});
  }
  text += "\n" + kernels.text();

  const auto bubbles_a = bubbles(a, summary_a), bubbles_b = bubbles(b, summary_b);
  TextTable ranks;
  ranks.add({"bubble of rank", name_a, name_b});
  for (size_t rank = 0; rank < std::min(bubbles_a.size(), kRankLines); ++rank)
    ranks.add({std::to_string(rank), format_percent(bubbles_a[rank]), format_percent(bubbles_b[rank])});
  text += "\n" + ranks.text();
  if (bubbles_a.size() > kRankLines)
    text += "... " + format_count(bubbles_a.size() - kRankLines) + " more ranks (the JSON form lists them)\n";

  text += explanations_to_text(a, b, name_a, name_b);
  text += "\n" + format_count(comparison.pairs.size()) + " spans matched by task";
  if (!comparison.only_a.empty()) text += ", " + format_count(comparison.only_a.size()) + " only " + name_a;
  if (!comparison.only_b.empty()) text += ", " + format_count(comparison.only_b.size()) + " only " + name_b;
  return text + "\n";
}

std::string comparison_to_json(const Timeline& a, const Timeline& b, const Comparison& comparison) {
  const Summary summary_a = summarise(a), summary_b = summarise(b);
  const auto source = [](const Timeline& t) {
    return t.source == TimelineSource::simulated ? "simulated" : "measured";
  };
  nlohmann::ordered_json json;
  json["source_a"] = source(a);
  json["source_b"] = source(b);
  json["step_a"] = comparison.step_a;
  json["step_b"] = comparison.step_b;
  json["step_seconds_a"] = to_seconds(comparison.step_time_a);
  json["step_seconds_b"] = to_seconds(comparison.step_time_b);
  json["step_error"] = comparison.step_error();
  json["step_time_spread_a"] = summary_a.step_time_spread;
  json["step_time_spread_b"] = summary_b.step_time_spread;
  json["bubble_a"] = summary_a.bubble_of_total;
  json["bubble_b"] = summary_b.bubble_of_total;
  json["pairs"] = comparison.pairs.size();
  json["only_a"] = comparison.only_a.size();
  json["only_b"] = comparison.only_b.size();
  json["categories"] = nlohmann::ordered_json::array();
  for (const CategoryDifference& category : comparison.categories)
    json["categories"].push_back({{"category", std::string(name_of(category.category))},
                                  {"seconds_a", to_seconds(category.a)},
                                  {"seconds_b", to_seconds(category.b)}});
  json["kernels"] = nlohmann::ordered_json::array();
  for (const auto& kernel : comparison.kernels)
    json["kernels"].push_back({{"body", kernel.body},
                               {"kernel", kernel.kernel},
                               {"count", kernel.count},
                               {"seconds_a", to_seconds(kernel.a)},
                               {"seconds_b", to_seconds(kernel.b)}});
  json["rank_bubble_a"] = bubbles(a, summary_a);
  json["rank_bubble_b"] = bubbles(b, summary_b);
  json["explanation_a"] = nlohmann::ordered_json::parse(explanation_to_json(a, explain(a)));
  json["explanation_b"] = nlohmann::ordered_json::parse(explanation_to_json(b, explain(b)));
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace pgram
