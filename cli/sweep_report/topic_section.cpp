#include "cli/sweep_report/topic_section.h"

#include <algorithm>

#include "cli/page/text.h"
#include "cli/sweep_report/pictures.h"

namespace pgram::sweep_report {
namespace {

constexpr size_t kMostDots = 3000, kMostFrontRows = 100, kOpenFrontRows = 25, kMostTopics = 100;

std::string number(size_t count) {
  return page::count_text(static_cast<double>(count));
}

std::string place_text(const Row& row, const std::string& devices) {
  return page::count_text(row.inputs.devices) + " " + devices + " (" + row.inputs.cluster + "), " + layout_text(row);
}

std::string left_out_text(size_t left_out, const char* what) {
  return left_out ? page::paragraph(number(left_out) + " more " + what + " are in the table only.", "soft") : "";
}

std::string kinds_without_cost(const std::vector<Point>& points) {
  std::string kinds;
  for (size_t i = 0; i < points.size(); ++i) {
    const bool is_new = i == 0 || points[i - 1].kind != points[i].kind;
    if (is_new && !has_cost(*points[i].fastest)) kinds += (kinds.empty() ? "" : ", ") + points[i].kind;
  }
  return kinds;
}

std::string time_and_cost_part(const std::vector<Point>& points, const std::string& devices) {
  size_t left_out = 0;
  const std::vector<page::LinePanel> panels = time_and_cost(points, devices, &left_out);
  std::string out =
      page::heading(3, panels.size() > 1 ? "Step time and cost against " + devices : "Step time against " + devices);
  if (panels.size() == 1) out += page::paragraph("The cost is unknown: no price is known for these clusters.", "soft");
  out += page::line_chart("step time and cost of the best layout against " + devices, panels);
  const std::string without = kinds_without_cost(points);
  if (panels.size() > 1 && !without.empty()) out += page::paragraph("No price is known for " + without + ".", "soft");
  return out + left_out_text(left_out, "kinds of cluster") +
         page::folded_table("Best layouts", points_table(points, devices));
}

std::string time_part(const std::vector<Point>& points, const std::string& devices) {
  size_t left_out = 0;
  const page::Bars bars = where_time_goes(points, devices, &left_out);
  std::string out = page::heading(3, "Where the time of a step goes");
  out += page::paragraph(
      "Shares of the best layouts' steps, mean over all ranks: work, communication that work waits "
      "for, and waiting (hatched). mb: sequences in a micro-batch.",
      "soft");
  out += page::stacked_bars("shares of the step time", bars);
  return out + left_out_text(left_out, "bars") + page::folded_table("Shares", shares_table(points, devices));
}

std::string front_part(const Topic& topic, const std::string& devices) {
  const Front front = front_of(topic.usual());
  const std::vector<page::PointPanel> panels = front_panels(front);
  std::vector<size_t> drawn;
  const std::string chart = page::point_chart("Pareto front", panels, kMostDots, &drawn);
  const size_t all = front.dominated.size();
  std::string out = page::heading(3, panels.size() > 1 ? "Pareto front of step time, memory headroom and cost"
                                                       : "Pareto front of step time and memory headroom");
  std::string text = "No other case beats these " + number(front.members.size()) + " of " +
                     number(all + front.members.size()) + " in everything; they are numbered as in the table";
  if (all) text += "; the others are dots";
  for (const size_t count : drawn) {
    if (count < all) {
      text += ", thinned to " + number(*std::min_element(drawn.begin(), drawn.end())) + " of " + number(all) +
              " where they would cover each other";
      break;
    }
  }
  out += page::paragraph(text + ". pgram sweep --csv lists all.", "soft") + chart;
  out += page::folded_table("The front", front_table(front, devices), kMostFrontRows, kOpenFrontRows);
  return out + page::folded_table("Commands that show these cases", front_commands(front), kMostFrontRows);
}

std::string effects_part(const Topic& topic, const std::string& devices) {
  const std::vector<Effect> effects = effects_of(topic);
  if (effects.empty()) return "";
  std::string out = page::heading(3, "What networks and disturbances do");
  for (const Effect& effect : effects) {
    if (!effect.same) continue;
    const Effect::At& worst = effect.at[effect.worst];
    out += page::paragraph("Under " + to_text(effect.condition, topic) + " the step is longer by " +
                           page::share_text(effect.median) + " in the median of " + number(effect.same) +
                           " best layouts, at worst by " + page::share_text(worst.more()) + " (" +
                           place_text(*worst.same, devices) + "). Another layout is then the best in " +
                           number(effect.others_best) + " of " + number(effect.at.size()) + ".");
  }
  out += page::strip_chart("step time under other conditions", effect_strips(effects, topic, devices));
  return out + page::folded_table("Effects", effects_table(effects, topic, devices));
}

}  // namespace

std::string answers(const Best& best, const std::string& devices) {
  std::string out;
  const auto add = [&](const char* lead, const Row* row, const std::string& figure, const std::string& more) {
    out += page::answer(lead, figure + " on " + place_text(*row, devices) + (more.empty() ? "." : "; " + more + "."));
  };
  if (const Row* row = best.step_time) {
    const sweep::Figures& f = row->outcome.figures;
    add("Fastest: ", row, page::time_text(f.step_seconds) + " a step",
        has_cost(*row) ? page::dollars_text(cost_of(*row)) + " per million tokens" : "");
  }
  if (const Row* row = best.cost) {
    const sweep::Figures& f = row->outcome.figures;
    add("Cheapest: ", row, page::dollars_text(cost_of(*row)) + " per million tokens",
        page::time_text(f.step_seconds) + " a step");
  } else if (best.step_time) {
    out += page::answer("Cheapest: ", "unknown, no price is known for these clusters.");
  }
  if (const Row* row = best.memory) {
    const sweep::Figures& f = row->outcome.figures;
    add("Least memory: ", row, page::bytes_text(f.memory_bytes) + " of the fullest rank",
        page::bytes_text(f.memory_headroom) + " are left, " + page::time_text(f.step_seconds) + " a step");
  }
  return out;
}

std::string topic_section(const Topic& topic, const std::string& devices) {
  const std::vector<const Row*> usual = topic.usual();
  const std::vector<Point> points = best_points(usual);
  std::string out = page::heading(2, to_text(topic.question));
  if (topic.conditions.size() > 1) {
    const Condition& usual_condition = topic.conditions.front();
    const bool undisturbed = usual_condition.disturbance == "none";
    out += page::paragraph(
        "Shown are cases " + (undisturbed ? "without disturbance" : "under " + usual_condition.disturbance) +
            ", simulated by the network level " + usual_condition.network + ", unless it says otherwise.",
        "soft");
  }
  return out + answers(best_of(usual), devices) + time_and_cost_part(points, devices) + time_part(points, devices) +
         front_part(topic, devices) + effects_part(topic, devices);
}

std::string overview(const std::vector<Topic>& topics, const std::string& devices) {
  std::string out = page::heading(2, number(topics.size()) + " questions side by side");
  page::Table table;
  table.columns = {{"model"},        {"global batch"}, {"tokens"},           {"fits"},
                   {"fastest step"}, {"on", true},     {"least $/M tokens"}, {"on", true}};
  for (const Topic& topic : topics) {
    const std::vector<const Row*> usual = topic.usual();
    const Best best = best_of(usual);
    const auto on = [](const Row* row) {
      return row ? row->inputs.cluster + ", " + to_text(row->inputs.layout) : std::string();
    };
    const auto count = [](uint32_t n) { return page::Cell(page::count_text(n), n); };
    const double step = best.step_time->outcome.figures.step_seconds;
    table.rows.push_back({{topic.question.model},
                          count(topic.question.global_batch),
                          count(topic.question.sequence),
                          {number(usual.size()), static_cast<double>(usual.size())},
                          {page::time_text(step), step},
                          {on(best.step_time)},
                          best.cost ? page::Cell(page::dollars_text(cost_of(*best.cost)), cost_of(*best.cost))
                                    : page::Cell("unknown", 0),
                          {on(best.cost)}});
  }
  const std::vector<page::LinePanel> panels = all_questions(topics, devices);
  if (!panels.empty()) out += page::line_chart("cost and utilisation of all questions against " + devices, panels);
  return out + page::folded_table("Answers", table, kMostTopics);
}

}  // namespace pgram::sweep_report
