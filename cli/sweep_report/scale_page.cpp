#include "cli/sweep_report/scale_page.h"

#include <algorithm>
#include <cmath>

#include "cli/page/colours.h"
#include "cli/page/html.h"
#include "cli/page/text.h"

namespace pgram::sweep_report {
namespace {

using page::Cell;
using sweep::ComputePoint;
using sweep::MemoryPart;
using sweep::MemoryPoint;
using sweep::TimePart;

constexpr size_t kStrongLine = 0, kWeakLine = 1;  // colours

std::string parameters_text(double count) {
  return count < 1e9    ? page::rounded(count / 1e6) + " M"
         : count < 1e12 ? page::rounded(count / 1e9) + " B"
                        : page::rounded(count / 1e12) + " T";
}

/// Of an axis whose title has the unit.
std::string flops_tick(double flops) {
  return page::si_text(flops, "");
}

std::string flops_text(double flops) {
  return page::si_text(flops, "FLOP/s");
}

std::string gpus_text(uint32_t count) {
  return page::count_text(count) + " GPUs";
}

std::string layout_text(const Layout& layout, const Workload& work) {
  return to_text(layout) + " mb" + std::to_string(work.micro_batch);
}

std::string times_text(double factor) {
  return (factor == std::floor(factor) ? page::count_text(factor) : page::rounded(factor, 2)) + " times";
}

template <class Point, class Fits>
std::vector<Point> fitting(const std::vector<Point>& points, const Fits& fits) {
  std::vector<Point> found;
  std::ranges::copy_if(points, std::back_inserter(found), fits);
  return found;
}

std::vector<MemoryPoint> fitting(const std::vector<MemoryPoint>& points) {
  return fitting(points, [](const MemoryPoint& point) { return point.fits; });
}

std::vector<ComputePoint> fitting(const std::vector<ComputePoint>& points) {
  return fitting(points, [](const ComputePoint& point) { return point.unfit.empty(); });
}

page::LinePanel panel_of(const std::string& title, std::string (*text)(double)) {
  page::LinePanel panel;
  panel.x = {"GPUs", page::count_text};
  panel.y = {title, text};
  return panel;
}

page::LinePanel share_panel(const char* title) {
  page::LinePanel panel = panel_of(title, page::share_text);
  panel.y.spacing = page::Spacing::from_zero;
  return panel;
}

std::string memory_section(const std::vector<MemoryPoint>& all) {
  std::string out = page::heading(2, "Twice the GPUs, twice the model?");
  const std::vector<MemoryPoint> points = fitting(all);
  if (points.empty()) return out + page::paragraph("No model of the family fits anywhere.", "answer");
  const MemoryPoint &first = points.front(), &last = points.back();
  out += page::answer(
      "With " + times_text(static_cast<double>(last.gpus) / first.gpus) + " the GPUs " +
          times_text(static_cast<double>(last.parameters) / static_cast<double>(first.parameters)) + " the model.",
      " The largest of the family that some layout fits has " + parameters_text(static_cast<double>(first.parameters)) +
          " parameters on " + gpus_text(first.gpus) + " and " + parameters_text(static_cast<double>(last.parameters)) +
          " on " + gpus_text(last.gpus) + ".");
  page::LinePanel size = panel_of("largest model, parameters", parameters_text), share = share_panel("of the ideal");
  page::Line largest{"largest that fits", kStrongLine, page::Line::Look::marked, {}}, of_ideal = largest;
  page::Line ideal{"ideal", 6, page::Line::Look::ideal, {}};
  for (const MemoryPoint& point : points) {
    const double parameters = static_cast<double>(point.parameters);
    const std::string title = gpus_text(point.gpus) + ": " + parameters_text(parameters) + "\n" +
                              std::to_string(point.model.layers) + " layers of " + std::to_string(point.model.hidden) +
                              "\n" + to_text(point.layout);
    largest.points.push_back({double(point.gpus), parameters, title});
    ideal.points.push_back({double(point.gpus), point.ideal_parameters, ""});
    of_ideal.points.push_back({double(point.gpus), parameters / point.ideal_parameters, title});
  }
  size.lines = {largest, ideal};
  share.lines = {of_ideal};
  out += page::line_chart("Parameters of the largest model that fits, against GPUs", {size, share});
  out += page::paragraph("Ideal: all memory holds parameters, gradients and optimizer state, each once.", "soft");
  out += page::heading(3, "What is in the memory of all GPUs");
  out += page::stacked_bars("Shares of all memory by what is in it", memory_bars(points));

  page::Table table;
  table.columns = {{"GPUs"}, {"parameters"}, {"ideal"}, {"of ideal"}, {"layers x hidden"}, {"layout", true}};
  for (int i = 0; i < sweep::kMemoryParts; ++i) table.columns.push_back({name_of(static_cast<MemoryPart>(i)).name});
  for (const MemoryPoint& point : points) {
    const double parameters = static_cast<double>(point.parameters);
    std::vector<Cell> row{{page::count_text(point.gpus), double(point.gpus)},
                          {parameters_text(parameters), parameters},
                          {parameters_text(point.ideal_parameters), point.ideal_parameters},
                          {page::share_text(parameters / point.ideal_parameters), parameters / point.ideal_parameters},
                          {std::to_string(point.model.layers) + " x " + std::to_string(point.model.hidden)},
                          {to_text(point.layout)}};
    for (const uint64_t bytes : point.bytes)
      row.push_back({page::bytes_text(static_cast<double>(bytes)), static_cast<double>(bytes)});
    table.rows.push_back(std::move(row));
  }
  return out + page::folded_table("Largest models", table);
}

/// The two lines of a kind of scaling: found and ideal, in one panel; their quotient in the other.
void add_lines(const std::vector<ComputePoint>& points, const std::string& name, size_t colour, page::LinePanel& speed,
               page::LinePanel& share) {
  page::Line found{name, colour, page::Line::Look::marked, {}}, of_ideal = found;
  page::Line ideal{name + ", ideal", colour, page::Line::Look::ideal, {}};
  for (const ComputePoint& point : points) {
    const double efficiency = point.flops_per_second / point.ideal_flops_per_second;
    const std::string title = gpus_text(point.gpus) + ", " + page::count_text(point.workload.global_batch) +
                              " sequences\n" + layout_text(point.layout, point.workload) + "\n" +
                              page::time_text(point.step_seconds) + " a step, " + page::share_text(efficiency) +
                              " of the ideal, MFU " + page::share_text(point.model_flops_utilisation);
    found.points.push_back({double(point.gpus), point.flops_per_second, title});
    ideal.points.push_back({double(point.gpus), point.ideal_flops_per_second, ""});
    of_ideal.points.push_back({double(point.gpus), efficiency, title});
  }
  if (points.empty()) return;
  speed.lines.push_back(std::move(found));
  speed.lines.push_back(std::move(ideal));
  share.lines.push_back(std::move(of_ideal));
}

std::string compute_answer(const std::vector<ComputePoint>& points, const std::string& lead) {
  if (points.size() < 2) return "";
  const ComputePoint &first = points.front(), &last = points.back();
  const double faster = last.flops_per_second / first.flops_per_second;
  std::string text = " With " + times_text(static_cast<double>(last.gpus) / first.gpus) + " the GPUs " +
                     times_text(faster) + " the model FLOP/s: " + flops_text(first.flops_per_second) + " on " +
                     gpus_text(first.gpus) + ", " + flops_text(last.flops_per_second) + " on " + gpus_text(last.gpus) +
                     ".";
  if (last.lost_to_memory() > 0.002 * last.gpus)
    text += " Memory chooses the layout: with room for it, " +
            layout_text(last.unlimited.layout, last.unlimited.workload) + " would do the same on " +
            gpus_text(static_cast<uint32_t>(last.gpus - last.lost_to_memory() + 0.5)) + ".";
  return page::answer(lead, text);
}

std::string gap_table(const std::vector<ComputePoint>& points, const std::string& name) {
  page::Table table;
  table.columns = {{"GPUs"},   {"sequences"}, {"layout", true}, {"step"},
                   {"FLOP/s"}, {"of ideal"},  {"MFU"},          {"gap, GPUs"}};
  std::vector<size_t> parts;  // those that show in some row
  for (size_t i = 0; i < sweep::kTimeParts; ++i) {
    if (!std::ranges::any_of(points, [&](const ComputePoint& p) { return std::abs(p.lost[i]) >= 0.05; })) continue;
    parts.push_back(i);
    table.columns.push_back({name_of(static_cast<TimePart>(i)).name});
  }
  for (const ComputePoint& point : points) {
    const double efficiency = point.flops_per_second / point.ideal_flops_per_second;
    const auto gpus_cell = [](double gpus) { return Cell(page::fixed(gpus, 1), gpus); };
    std::vector<Cell> row{{page::count_text(point.gpus), double(point.gpus)},
                          {page::count_text(point.workload.global_batch), double(point.workload.global_batch)},
                          {layout_text(point.layout, point.workload)},
                          {page::time_text(point.step_seconds), point.step_seconds},
                          {flops_text(point.flops_per_second), point.flops_per_second},
                          {page::share_text(efficiency), efficiency},
                          {page::share_text(point.model_flops_utilisation), point.model_flops_utilisation},
                          gpus_cell(point.gpus * (1 - efficiency))};
    for (const size_t i : parts) row.push_back(gpus_cell(point.lost[i]));
    table.rows.push_back(std::move(row));
  }
  return page::folded_table(name + ": the gap to the ideal line, in GPUs, and its parts", table);
}

std::string compute_section(const sweep::ScaleAnswer& answer) {
  std::string out = page::heading(2, "Twice the GPUs, twice the FLOP/s?");
  const std::vector<ComputePoint> strong = fitting(answer.strong), weak = fitting(answer.weak);
  if (strong.empty() && weak.empty()) return out + page::paragraph("No layout fits anywhere.", "answer");
  out += compute_answer(strong, "Strong: the same step on more GPUs.");
  out += compute_answer(weak, "Weak: a step that grows with the GPUs.");
  page::LinePanel speed = panel_of("model FLOP/s", flops_tick), share = share_panel("of the ideal");
  add_lines(strong, "strong", kStrongLine, speed, share);
  add_lines(weak, "weak", kWeakLine, speed, share);
  out += page::line_chart("Model FLOP/s of the best layout, against GPUs", {speed, share});
  out += page::paragraph("An ideal line goes from nothing through the smallest number of GPUs on which the step fits.",
                         "soft");
  out += page::heading(3, "Where the time of all GPUs goes");
  out += page::stacked_bars("Shares of the time of all GPUs", time_bars(answer));
  out += page::paragraph(
      "What grows from bar to bar is what eats the gap. The tables count it in GPUs: a part that is negative takes "
      "less of them than on the ideal line. The parts add up to the gap; those that are 0.0 everywhere are left out.",
      "soft");
  return out + (strong.empty() ? "" : gap_table(strong, "Strong scaling")) +
         (weak.empty() ? "" : gap_table(weak, "Weak scaling"));
}

std::string meaning() {
  page::Table table;
  table.columns = {{"part"}, {"is"}};
  for (int i = 0; i < sweep::kMemoryParts; ++i) {
    const auto part = name_of(static_cast<MemoryPart>(i));
    table.rows.push_back({{std::string("memory: ") + part.name}, {part.help}});
  }
  for (int i = 0; i < sweep::kTimeParts; ++i) {
    const auto part = name_of(static_cast<TimePart>(i));
    table.rows.push_back({{std::string("time: ") + part.name}, {part.help}});
  }
  return page::folded("What the parts are", page::to_html(table));
}

}  // namespace

page::Bars memory_bars(const std::vector<MemoryPoint>& points) {
  static constexpr std::array<const char*, sweep::kMemoryParts> kPaint{
      page::kBlue, page::kRed, page::kPink, page::kGreen, page::kOrange, page::kHatchRising, page::kHatchCrossed};
  page::Bars bars;
  for (int i = 0; i < sweep::kMemoryParts; ++i)
    bars.parts.push_back({name_of(static_cast<MemoryPart>(i)).name, kPaint[i]});
  for (const MemoryPoint& point : points) {
    double all = 0;
    for (const uint64_t bytes : point.bytes) all += static_cast<double>(bytes);
    page::Bars::Bar bar{"",
                        gpus_text(point.gpus),
                        parameters_text(static_cast<double>(point.parameters)) + ", " + to_text(point.layout),
                        {}};
    for (const uint64_t bytes : point.bytes) bar.parts.push_back(static_cast<double>(bytes) / all);
    bars.bars.push_back(std::move(bar));
  }
  return bars;
}

page::Bars time_bars(const sweep::ScaleAnswer& answer) {
  static constexpr std::array<const char*, sweep::kTimeParts> kPaint{page::kGreen,  page::kPink,   page::kHatchRising,
                                                                     page::kOrange, page::kRed,    page::kSky,
                                                                     page::kBrown,  page::kYellow, page::kHatchCrossed};
  page::Bars bars;
  bars.parts.push_back({"model FLOPs at the peak", page::kBlue});
  for (int i = 0; i < sweep::kTimeParts; ++i) {
    const bool kernels = static_cast<TimePart>(i) == TimePart::kernels;
    bars.parts.push_back({kernels ? "kernels below the peak" : name_of(static_cast<TimePart>(i)).name, kPaint[i]});
  }
  for (const auto* points : {&answer.strong, &answer.weak}) {
    for (const ComputePoint& point : fitting(*points)) {
      page::Bars::Bar bar{points == &answer.strong ? "strong" : "weak",
                          gpus_text(point.gpus),
                          layout_text(point.layout, point.workload) + ", " + page::time_text(point.step_seconds),
                          {}};
      bar.parts.push_back(point.model_flops_utilisation);
      for (const double seconds : point.seconds) bar.parts.push_back(seconds / point.step_seconds);
      bar.parts[1] = std::max(0.0, bar.parts[1] - bar.parts[0]);
      bars.bars.push_back(std::move(bar));
    }
  }
  return bars;
}

std::string scale_page(const sweep::ScaleQuestion& question, const sweep::ScaleAnswer& answer,
                       const std::string& command) {
  const Workload& work = question.workload;
  const std::string title = question.model + " on " + question.cluster + ": what more GPUs buy";
  std::string out = page::heading(1, title);
  out += page::paragraph(
      "A data center as one computer would train twice the model with twice the GPUs, and compute "
      "twice as much. Steps of " +
      page::count_text(work.sequence) + " tokens a sequence, " + name_of(work.precision) + ", " +
      name_of(work.optimizer) + "; at every number of GPUs the best layout.");
  out += page::paragraph("Simulated by pgram " PGRAM_VERSION ". Every figure is predicted, none is measured.", "soft");
  if (answer.stopped) out += page::paragraph("Stopped early: what is missing was not looked at.", "answer");
  out += memory_section(answer.memory) + compute_section(answer) + meaning();
  out += page::heading(2, "How to do it again") + page::code_block(command + "\n");
  return page::document(title, out);
}

}  // namespace pgram::sweep_report
