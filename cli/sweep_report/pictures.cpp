#include "cli/sweep_report/pictures.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "cli/page/colours.h"
#include "cli/page/text.h"

namespace pgram::sweep_report {
namespace {

using page::Cell;
using sweep::Figures;

constexpr size_t kMostBars = 40;

const Figures& figures(const Row& row) {
  return row.outcome.figures;
}

std::string on_devices(uint32_t count, const std::string& devices) {
  return page::count_text(count) + " " + devices;
}

page::Quantity devices_quantity(const std::string& devices) {
  return {devices, page::count_text};
}

/// Kinds in the order in which they come.
std::vector<std::string> kinds_of(const std::vector<Point>& points) {
  std::vector<std::string> kinds;
  for (const Point& point : points) {
    if (kinds.empty() || kinds.back() != point.kind) kinds.push_back(point.kind);
  }
  return kinds;
}

/// The kinds whose fastest points are fastest, in their old order.
std::vector<std::string> fastest_kinds(const std::vector<Point>& points, size_t most) {
  std::vector<std::string> kinds = kinds_of(points);
  if (kinds.size() <= most) return kinds;
  std::map<std::string, double> fastest;
  for (const Point& point : points) {
    const double step = figures(*point.fastest).step_seconds;
    const auto [known, is_new] = fastest.emplace(point.kind, step);
    if (!is_new) known->second = std::min(known->second, step);
  }
  std::vector<std::string> sorted = kinds;
  std::stable_sort(sorted.begin(), sorted.end(), [&](const auto& a, const auto& b) { return fastest[a] < fastest[b]; });
  const std::set<std::string> kept(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(most));
  std::erase_if(kinds, [&](const std::string& kind) { return !kept.contains(kind); });
  return kinds;
}

std::string point_title(const Point& point, const std::string& devices) {
  const Figures& f = figures(*point.fastest);
  std::string text = point.kind + ", " + on_devices(point.devices, devices) + "\n" + layout_text(*point.fastest) +
                     "\n" + page::time_text(f.step_seconds) + " a step, MFU " +
                     page::share_text(f.model_flops_utilisation);
  if (has_cost(*point.fastest)) text += "\n" + page::dollars_text(cost_of(*point.fastest)) + " per million tokens";
  return text;
}

Cell time_cell(double seconds) {
  return {page::time_text(seconds), seconds};
}

/// A figure that is 0 where nobody knows it.
Cell known_cell(double value, std::string text) {
  return value > 0 ? Cell(std::move(text), value) : Cell("unknown", 0);
}

Cell cost_cell(const Row& row) {
  const double dollars = figures(row).dollars_per_million_tokens;
  return known_cell(dollars, page::dollars_text(dollars));
}

Cell count_cell(double count) {
  return {page::count_text(count), count};
}

Cell share_cell(double share) {
  return {page::share_text(share), share};
}

Cell bytes_cell(double bytes) {
  return {page::bytes_text(bytes), bytes};
}

}  // namespace

std::span<const TimePart> time_parts() {
  static constexpr TimePart kParts[] = {
      {"forward", page::kBlue, &Figures::forward},
      {"backward", page::kGreen, &Figures::backward},
      {"optimizer", page::kPink, &Figures::optimizer},
      {"other compute", page::kViolet, &Figures::other_compute},
      {"tensor parallel", page::kOrange, &Figures::tensor_parallel},
      {"data parallel", page::kRed, &Figures::data_parallel},
      {"pipeline parallel", page::kSky, &Figures::pipeline_parallel},
      {"shared links", page::kBrown, &Figures::shared_links},
      {"bubble: fill", page::kHatchRising, &Figures::fill},
      {"bubble: steady", page::kHatchLevel, &Figures::steady},
      {"bubble: drain", page::kHatchFalling, &Figures::drain},
      {"imbalance", page::kYellow, &Figures::imbalance},
      {"other idle", page::kHatchCrossed, &Figures::other_idle},
  };
  return kParts;
}

std::vector<page::LinePanel> time_and_cost(const std::vector<Point>& points, const std::string& devices,
                                           size_t* left_out) {
  page::LinePanel time, cost;
  time.x = cost.x = devices_quantity(devices);
  time.y = {"step time of the best layout", page::time_text};
  cost.y = {"$ per million tokens", page::dollars_text};
  const std::vector<std::string> kinds = fastest_kinds(points, page::kLineColours);
  if (left_out) *left_out = kinds_of(points).size() - kinds.size();
  for (size_t k = 0; k < kinds.size(); ++k) {
    page::Line time_line{kinds[k], k, page::Line::Look::marked, {}}, cost_line = time_line;
    for (const Point& point : points) {
      if (point.kind != kinds[k]) continue;
      const std::string title = point_title(point, devices);
      time_line.points.push_back({double(point.devices), figures(*point.fastest).step_seconds, title});
      if (has_cost(*point.fastest)) cost_line.points.push_back({double(point.devices), cost_of(*point.fastest), title});
    }
    time.lines.push_back(std::move(time_line));
    if (!cost_line.points.empty()) cost.lines.push_back(std::move(cost_line));
  }
  if (cost.lines.empty()) return {time};
  return {time, cost};
}

/// What a question does not share with all the others, to stand before a name.
static std::string differing(const Question& question, const std::vector<Topic>& topics) {
  const auto differs = [&](auto member) {
    return std::any_of(topics.begin(), topics.end(),
                       [&](const Topic& t) { return t.question.*member != topics.front().question.*member; });
  };
  std::string text;
  if (differs(&Question::model)) text += question.model + ", ";
  if (differs(&Question::global_batch)) text += "batch " + page::count_text(question.global_batch) + ", ";
  if (differs(&Question::sequence)) text += page::count_text(question.sequence) + " tokens, ";
  if (differs(&Question::precision)) text += std::string(name_of(question.precision)) + ", ";
  if (differs(&Question::optimizer)) text += std::string(name_of(question.optimizer)) + ", ";
  return text;
}

std::vector<page::LinePanel> all_questions(const std::vector<Topic>& topics, const std::string& devices) {
  page::LinePanel cost, use;
  cost.x = use.x = devices_quantity(devices);
  cost.y = {"$ per million tokens", page::dollars_text};
  use.y = {"MFU of the best layout", page::share_text, page::Spacing::from_zero};
  size_t lines = 0;
  for (const Topic& topic : topics) {
    const Question& q = topic.question;
    const std::vector<Point> points = best_points(topic.usual());
    for (const std::string& kind : kinds_of(points)) {
      if (lines == page::kLineColours) return {};
      page::Line cost_line{differing(q, topics) + kind, lines++, page::Line::Look::marked, {}}, use_line = cost_line;
      for (const Point& point : points) {
        if (point.kind != kind) continue;
        const Row& row = *point.fastest;
        const std::string title = q.model + "\n" + point_title(point, devices);
        if (has_cost(row)) cost_line.points.push_back({double(point.devices), cost_of(row), title});
        const double mfu = figures(row).model_flops_utilisation;
        if (mfu > 0) use_line.points.push_back({double(point.devices), mfu, title});
      }
      if (!cost_line.points.empty()) cost.lines.push_back(std::move(cost_line));
      if (!use_line.points.empty()) use.lines.push_back(std::move(use_line));
    }
  }
  std::vector<page::LinePanel> panels;
  for (page::LinePanel& panel : {std::ref(cost), std::ref(use)}) {
    if (!panel.lines.empty()) panels.push_back(std::move(panel));
  }
  return panels;
}

page::Table points_table(const std::vector<Point>& points, const std::string& devices) {
  page::Table table;
  table.columns = {{"cluster"},   {devices},   {"best layout", true}, {"step time"},  {"tokens/s"},
                   {"MFU"},       {"memory"},  {"headroom"},          {"$/M tokens"}, {"$ a step"},
                   {"J a token"}, {"goodput"}, {"checkpoint every"},  {"fits"}};
  for (const Point& point : points) {
    const Figures& f = figures(*point.fastest);
    const double joules =
        f.step_seconds > 0 && f.tokens_per_second > 0 ? f.joules / (f.step_seconds * f.tokens_per_second) : 0;
    table.rows.push_back({{point.kind},
                          count_cell(point.devices),
                          {short_text(*point.fastest)},
                          time_cell(f.step_seconds),
                          {page::rounded(f.tokens_per_second), f.tokens_per_second},
                          known_cell(f.model_flops_utilisation, page::share_text(f.model_flops_utilisation)),
                          bytes_cell(f.memory_bytes),
                          bytes_cell(f.memory_headroom),
                          cost_cell(*point.fastest),
                          known_cell(f.dollars, page::dollars_text(f.dollars)),
                          known_cell(joules, page::rounded(joules)),
                          known_cell(f.goodput, page::share_text(f.goodput)),
                          known_cell(f.checkpoint_interval_seconds, page::time_text(f.checkpoint_interval_seconds)),
                          count_cell(static_cast<double>(point.fits))});
  }
  return table;
}

page::Bars where_time_goes(const std::vector<Point>& points, const std::string& devices, size_t* left_out) {
  page::Bars bars;
  for (const TimePart& part : time_parts()) bars.parts.push_back({part.name, part.paint});
  const std::vector<std::string> kinds = fastest_kinds(points, kMostBars / 2);
  // Of a kind with more bars than its share of the picture every n-th, and its last.
  const size_t each = kMostBars / std::max<size_t>(kinds.size(), 1);
  for (size_t first = 0, end = 0; first < points.size(); first = end) {
    while (end < points.size() && points[end].kind == points[first].kind) ++end;
    if (std::find(kinds.begin(), kinds.end(), points[first].kind) == kinds.end()) continue;
    const size_t count = end - first, step = (count + each - 1) / each;
    for (size_t i = first; i < end; ++i) {
      if ((end - 1 - i) % step) continue;
      page::Bars::Bar bar{
          points[i].kind,
          on_devices(points[i].devices, devices),
          short_text(*points[i].fastest) + ", " + page::time_text(figures(*points[i].fastest).step_seconds),
          {}};
      for (const TimePart& part : time_parts()) bar.parts.push_back(figures(*points[i].fastest).*part.share);
      bars.bars.push_back(std::move(bar));
    }
  }
  if (left_out) *left_out = points.size() - bars.bars.size();
  return bars;
}

page::Table shares_table(const std::vector<Point>& points, const std::string& devices) {
  std::vector<TimePart> parts(time_parts().begin(), time_parts().end());
  std::erase_if(parts, [&](const TimePart& part) {
    return std::all_of(points.begin(), points.end(),
                       [&](const Point& p) { return figures(*p.fastest).*part.share <= 0; });
  });
  page::Table table;
  table.columns = {{"cluster"}, {devices}, {"layout", true}};
  for (const TimePart& part : parts) table.columns.push_back({part.name});
  for (const Point& point : points) {
    std::vector<Cell> row{{point.kind}, count_cell(point.devices), {short_text(*point.fastest)}};
    for (const TimePart& part : parts) row.push_back(share_cell(figures(*point.fastest).*part.share));
    table.rows.push_back(std::move(row));
  }
  return table;
}

Front front_of(const std::vector<const Row*>& rows) {
  std::vector<Objectives> objectives;
  for (const Row* row : rows) objectives.push_back(objectives_of(*row));
  Front front;
  std::vector<bool> is_member(rows.size());
  std::set<std::tuple<double, double, double>> values;
  for (const FrontMember& member : pareto_front(objectives)) {
    const Objectives& o = objectives[member.index];
    front.members.push_back(rows[member.index]);
    front.equals.push_back(member.equals);
    values.insert({o.step, o.cost, o.less_headroom});
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    const Objectives& o = objectives[i];
    if (!values.contains({o.step, o.cost, o.less_headroom})) front.dominated.push_back(rows[i]);
  }
  return front;
}

std::vector<page::PointPanel> front_panels(const Front& front) {
  page::PointPanel cost, memory;
  cost.x = memory.x = {"step time", page::time_text};
  cost.y = {"$ per million tokens", page::dollars_text};
  memory.y = {"memory headroom of the fullest rank", page::bytes_text, page::Spacing::from_zero, 0x1p30};
  for (const Row* row : front.dominated) {
    const Figures& f = figures(*row);
    if (has_cost(*row)) cost.faint.push_back({f.step_seconds, cost_of(*row)});
    memory.faint.push_back({f.step_seconds, f.memory_headroom});
  }
  for (size_t i = 0; i < front.members.size(); ++i) {
    const Row& row = *front.members[i];
    const Figures& f = figures(row);
    const std::string number = std::to_string(i + 1);
    const std::string title = number + ": " + row.inputs.cluster + ", " + layout_text(row) + "\n" +
                              page::time_text(f.step_seconds) + " a step, " + page::bytes_text(f.memory_headroom) +
                              " headroom" +
                              (has_cost(row) ? ", " + page::dollars_text(cost_of(row)) + " per million tokens" : "");
    if (has_cost(row)) cost.named.push_back({f.step_seconds, cost_of(row), number, title});
    memory.named.push_back({f.step_seconds, f.memory_headroom, number, title});
  }
  if (cost.named.empty()) return {memory};
  return {cost, memory};
}

page::Table front_table(const Front& front, const std::string& devices) {
  page::Table table;
  table.columns = {{"no."},        {"cluster"},  {devices},  {"layout", true}, {"step time"},
                   {"$/M tokens"}, {"headroom"}, {"memory"}, {"MFU"},          {"equal cases"}};
  for (size_t i = 0; i < front.members.size(); ++i) {
    const Row& row = *front.members[i];
    const Figures& f = figures(row);
    table.rows.push_back({count_cell(static_cast<double>(i + 1)),
                          {row.inputs.cluster},
                          count_cell(row.inputs.devices),
                          {short_text(row)},
                          time_cell(f.step_seconds),
                          cost_cell(row),
                          bytes_cell(f.memory_headroom),
                          bytes_cell(f.memory_bytes),
                          known_cell(f.model_flops_utilisation, page::share_text(f.model_flops_utilisation)),
                          count_cell(static_cast<double>(front.equals[i]))});
  }
  return table;
}

page::Table front_commands(const Front& front) {
  page::Table table;
  table.columns = {{"no."}, {"command", true}};
  for (size_t i = 0; i < front.members.size(); ++i)
    table.rows.push_back({count_cell(static_cast<double>(i + 1)), {simulate_command(*front.members[i])}});
  return table;
}

page::Strips effect_strips(const std::vector<Effect>& effects, const Topic& topic, const std::string& devices) {
  const auto signed_share = [](double share) { return (share > 0 ? "+" : "") + page::share_text(share); };
  page::Strips strips;
  strips.x = {"longer step than " + to_text(topic.conditions.front(), topic) + ", same layout", signed_share,
              page::Spacing::from_zero};
  for (const Effect& effect : effects) {
    page::Strips::Strip strip;
    strip.name = to_text(effect.condition, topic);
    strip.note = effect.same ? "median " + signed_share(effect.median) : "no case to compare";
    for (const Effect::At& at : effect.at) {
      if (!at.same) continue;
      strip.points.push_back({at.more(), 0,
                              at.point.kind + ", " + on_devices(at.point.devices, devices) + ", " +
                                  layout_text(*at.same) + ": " + signed_share(at.more())});
    }
    strips.strips.push_back(std::move(strip));
  }
  return strips;
}

page::Table effects_table(const std::vector<Effect>& effects, const Topic& topic, const std::string& devices) {
  page::Table table;
  table.columns = {{"condition"},  {"cluster"},   {devices},     {"layout", true},
                   {"usual step"}, {"this step"}, {"longer by"}, {"best layout here", true},
                   {"its step"}};
  for (const Effect& effect : effects) {
    for (const Effect::At& at : effect.at) {
      const double usual = figures(*at.point.fastest).step_seconds;
      const auto step_of = [](const Row* row) {
        return row ? time_cell(figures(*row).step_seconds) : Cell("no case", 0);
      };
      table.rows.push_back({{to_text(effect.condition, topic)},
                            {at.point.kind},
                            count_cell(at.point.devices),
                            {short_text(*at.point.fastest)},
                            time_cell(usual),
                            step_of(at.same),
                            at.same ? share_cell(at.more()) : Cell("", 0),
                            {!at.best               ? "none fits"
                             : at.another_is_best() ? short_text(*at.best)
                                                    : "the same"},
                            step_of(at.best)});
    }
  }
  return table;
}

}  // namespace pgram::sweep_report
