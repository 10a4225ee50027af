#include "cli/report.h"

#include <algorithm>

#include "cli/page/chart.h"
#include "cli/page/colours.h"
#include "cli/page/html.h"
#include "cli/page/text.h"
#include "core/base/units.h"

namespace pgram::cli {
namespace {

using page::kPictureWidth;
using page::Svg;

/// The same as in the window.
const char* colour_of(Category category) {
  switch (category) {
    case Category::forward:
      return page::kBlue;
    case Category::backward:
      return page::kGreen;
    case Category::optimizer:
      return page::kPink;
    case Category::tensor_comm:
      return page::kOrange;
    case Category::data_comm:
      return page::kRed;
    case Category::pipeline_comm:
      return page::kSky;
    default:
      return page::kGrey;
  }
}

double error_of(const LayoutResult& r) {
  return (static_cast<double>(r.predicted_step) / static_cast<double>(r.measured_step) - 1) * 100;
}

std::string table(const std::vector<LayoutResult>& results) {
  page::Table table;
  table.columns = {{"layout", true}, {"predicted step"},     {"measured step (median)"},
                   {"error"},        {"noise of the steps"}, {"loss"}};
  for (const LayoutResult& r : results) {
    const auto time = [](Picoseconds t) { return page::Cell(format_time(t), to_seconds(t)); };
    table.rows.push_back(
        {{r.layout},
         time(r.predicted_step),
         time(r.measured_step),
         {(error_of(r) >= 0 ? "+" : "") + page::fixed(error_of(r), 1) + " %", error_of(r)},
         {page::share_text(r.spread), r.spread},
         {page::fixed(r.losses.front(), 3) + " → " + page::fixed(r.losses.back(), 3), r.losses.back()}});
  }
  return page::to_html(table);
}

std::string step_bars(const std::vector<LayoutResult>& results) {
  Picoseconds longest = 1;
  for (const LayoutResult& r : results) longest = std::max({longest, r.predicted_step, r.measured_step});
  constexpr double kLeft = 110, kBar = 14, kRow = 40;
  Svg svg("step times, predicted and measured");
  for (size_t i = 0; i < results.size(); ++i) {
    const LayoutResult& r = results[i];
    const double y = static_cast<double>(i) * kRow + 4,
                 scale = (kPictureWidth - kLeft - 160) / static_cast<double>(longest);
    const double predicted = static_cast<double>(r.predicted_step) * scale,
                 measured = static_cast<double>(r.measured_step) * scale;
    svg.text(kLeft - 10, y + kBar + 4, r.layout, "end");
    svg.rect(kLeft, y, predicted, kBar, page::kSky);
    svg.text(kLeft + predicted + 6, y + 11, "predicted " + format_time(r.predicted_step));
    svg.rect(kLeft, y + kBar + 2, measured, kBar, page::kBlue);
    svg.text(kLeft + measured + 6, y + kBar + 13, "measured " + format_time(r.measured_step));
  }
  return svg.finish(static_cast<double>(results.size()) * kRow + 4);
}

std::string loss_curves(const std::vector<LayoutResult>& results) {
  page::LinePanel panel;
  panel.x = {"step", page::count_text, page::Spacing::linear, 1, true};
  panel.y = {"loss", [](double loss) { return page::rounded(loss); }, page::Spacing::linear};
  panel.x_is_count = false;
  for (size_t i = 0; i < results.size(); ++i) {
    page::Line line{results[i].layout, i, page::Line::Look::overlaid, {}};
    for (size_t step = 0; step < results[i].losses.size(); ++step)
      line.points.push_back({static_cast<double>(step), results[i].losses[step], ""});
    panel.lines.push_back(std::move(line));
  }
  return page::line_chart("loss of every step, by layout", {panel});
}

/// Rows of the compute stream with communication as a thin row below; white is waiting. The height that it takes.
double timeline_rows(Svg& svg, const Timeline& timeline, Picoseconds longest, double top, const std::string& title) {
  constexpr double kLeft = 60, kCompute = 16, kComm = 5, kRow = 26;
  const size_t step = timeline.median_step();
  const Picoseconds begin = timeline.steps[step].start;
  const double scale = (kPictureWidth - kLeft - 4) / static_cast<double>(longest);
  const Plan& plan = *timeline.plan;
  svg.text(kLeft, top + 12, title);
  const double rows_top = top + 20;
  const uint32_t ranks = std::min(plan.mesh.ranks(), 16u);
  for (uint32_t rank = 0; rank < ranks; ++rank)
    svg.text(kLeft - 8, rows_top + rank * kRow + 12, "rank " + std::to_string(rank), "end");
  for (const Span& span : timeline.of_step(step)) {
    if (span.rank >= ranks) continue;
    const Program& program = plan.programs[plan.role(span.rank)];
    const Body& body = plan.bodies[program.calls[span.call].body];
    const Op& op = body.ops[span.op];
    const bool comm = is_communication(op.kernel);
    const Picoseconds start = span.start + (comm ? span.wait() : 0);
    const double x = kLeft + static_cast<double>(start - begin) * scale,
                 w = static_cast<double>(span.end - start) * scale;
    const double y = rows_top + span.rank * kRow;
    svg.rect(x, comm ? y + kCompute + 1 : y, w, comm ? kComm : kCompute, colour_of(category_of(body, op)),
             to_text(plan, {span.rank, span.call, span.op}) + "  " + format_time(span.end - start));
  }
  return 20 + ranks * kRow + 8;
}

std::string timelines(const LayoutResult& r) {
  const Picoseconds longest = std::max({r.predicted_step, r.measured_step, Picoseconds{1}});
  Svg svg("both timelines of " + r.layout);
  std::vector<Svg::Key> keys;
  for (int c = 0; c < kCategories; ++c) {
    const auto category = static_cast<Category>(c);
    keys.push_back({std::string(name_of(category)), colour_of(category)});
  }
  double y = svg.legend(0, 0, kPictureWidth, keys) + 6;
  y += timeline_rows(svg, r.predicted, longest, y, "predicted, " + format_time(r.predicted_step));
  y += timeline_rows(svg, r.measured, longest, y, "measured, " + format_time(r.measured_step));
  return svg.finish(y);
}

}  // namespace

std::string report_to_html(const ReportText& text, const std::vector<LayoutResult>& results, size_t shown) {
  std::string out = page::heading(1, text.title);
  for (const std::string& line : {text.model, text.data, text.machine}) out += page::paragraph(line);
  out += page::paragraph(text.date, "soft");
  out += page::heading(2, "Predicted and measured") + page::paragraph(text.best) + table(results) + step_bars(results);
  out += page::heading(2, "The loss falls, whatever the layout") + loss_curves(results);
  out += page::heading(2, "Both timelines of " + results[shown].layout) +
         page::paragraph(
             "Each row is a rank: what it computes above, what it communicates in the thin row below. Hold "
             "the pointer over a box to see its task.") +
         timelines(results[shown]);
  return page::document(text.title, out);
}

}  // namespace pgram::cli
