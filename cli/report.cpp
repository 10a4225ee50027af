#include "cli/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/base/units.h"

namespace pgram::cli {
namespace {

constexpr int kWidth = 960;

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --soft: #6b7280; --line: #d5d9e0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --paper: #16191d; --soft: #9aa3ae; --line: #3a4048; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 980px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; }
table { border-collapse: collapse; } td, th { padding: .25em .9em; border-bottom: 1px solid var(--line); text-align: right; }
td:first-child, th:first-child { text-align: left; }
svg { width: 100%; height: auto; } svg text { fill: var(--ink); font: 11px system-ui, sans-serif; } .soft { color: var(--soft); }
.axis { stroke: var(--line); stroke-width: 1; } .key { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 1em; }
)";

/// Colour-blind safe (Okabe and Ito 2008), the same as in the window.
const char* colour_of(Category category) {
  switch (category) {
    case Category::forward:
      return "#0072b2";
    case Category::backward:
      return "#009e73";
    case Category::optimizer:
      return "#cc79a7";
    case Category::tensor_comm:
      return "#e69f00";
    case Category::data_comm:
      return "#d55e00";
    case Category::pipeline_comm:
      return "#56b4e9";
    default:
      return "#8a8f98";
  }
}

std::string escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string number(double value, int decimals = 1) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

std::string label(double x, double y, const std::string& text, const char* anchor = "start") {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor + "\">" + escaped(text) +
         "</text>\n";
}

std::string box(double x, double y, double w, double h, const char* fill, const std::string& title = "") {
  return "<rect x=\"" + number(x, 2) + "\" y=\"" + number(y, 1) + "\" width=\"" + number(std::max(w, 0.3), 2) +
         "\" height=\"" + number(h, 1) + "\" fill=\"" + fill + "\"" +
         (title.empty() ? "/>\n" : "><title>" + escaped(title) + "</title></rect>\n");
}

std::string line(double x1, double y1, double x2, double y2) {
  return "<line class=\"axis\" x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) + "\" y2=\"" +
         number(y2) + "\"/>\n";
}

std::string svg(double height, const std::string& content) {
  return "<svg viewBox=\"0 0 " + std::to_string(kWidth) + " " + number(height, 0) + "\" role=\"img\">\n" + content +
         "</svg>\n";
}

double error_of(const LayoutResult& r) {
  return (static_cast<double>(r.predicted_step) / static_cast<double>(r.measured_step) - 1) * 100;
}

std::string table(const std::vector<LayoutResult>& results) {
  std::string out =
      "<table><tr><th>layout</th><th>predicted step</th><th>measured step (median)</th><th>error</th><th>noise of the "
      "steps</th><th>loss</th></tr>\n";
  for (const LayoutResult& r : results) {
    out += "<tr><td>" + escaped(r.layout) + "</td><td>" + format_time(r.predicted_step) + "</td><td>" +
           format_time(r.measured_step) + "</td><td>" + (error_of(r) >= 0 ? "+" : "") + number(error_of(r)) +
           " %</td><td>" + number(r.spread * 100) + " %</td><td>" + number(r.losses.front(), 3) + " &rarr; " +
           number(r.losses.back(), 3) + "</td></tr>\n";
  }
  return out + "</table>\n";
}

std::string step_bars(const std::vector<LayoutResult>& results) {
  Picoseconds longest = 1;
  for (const LayoutResult& r : results) longest = std::max({longest, r.predicted_step, r.measured_step});
  constexpr double kLeft = 110, kBar = 14, kRow = 40;
  std::string out;
  for (size_t i = 0; i < results.size(); ++i) {
    const LayoutResult& r = results[i];
    const double y = static_cast<double>(i) * kRow + 4, scale = (kWidth - kLeft - 160) / static_cast<double>(longest);
    const double predicted = static_cast<double>(r.predicted_step) * scale,
                 measured = static_cast<double>(r.measured_step) * scale;
    out += label(kLeft - 10, y + kBar + 4, r.layout, "end");
    out += box(kLeft, y, predicted, kBar, "#56b4e9") +
           label(kLeft + predicted + 6, y + 11, "predicted " + format_time(r.predicted_step));
    out += box(kLeft, y + kBar + 2, measured, kBar, "#0072b2") +
           label(kLeft + measured + 6, y + kBar + 13, "measured " + format_time(r.measured_step));
  }
  return svg(static_cast<double>(results.size()) * kRow + 4, out);
}

std::string loss_curves(const std::vector<LayoutResult>& results) {
  static constexpr const char* kColours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                             "#e69f00", "#56b4e9", "#8a8f98"};
  constexpr double kLeft = 50, kTop = 10, kHeight = 220, kRight = 130;
  double low = 1e30, high = -1e30;
  size_t steps = 2;
  for (const LayoutResult& r : results) {
    for (double loss : r.losses) low = std::min(low, loss), high = std::max(high, loss);
    steps = std::max(steps, r.losses.size());
  }
  if (high <= low) high = low + 1;
  const auto x = [&](size_t step) {
    return kLeft + (kWidth - kLeft - kRight) * static_cast<double>(step) / static_cast<double>(steps - 1);
  };
  const auto y = [&](double loss) { return kTop + kHeight * (high - loss) / (high - low); };
  std::string out;
  for (int i = 0; i <= 4; ++i) {
    const double loss = low + (high - low) * i / 4;
    out += line(kLeft, y(loss), kWidth - kRight, y(loss)) + label(kLeft - 6, y(loss) + 4, number(loss, 2), "end");
  }
  out += label(kLeft, kTop + kHeight + 18, "step 0") +
         label(kWidth - kRight, kTop + kHeight + 18, "step " + std::to_string(steps - 1), "end");
  for (size_t i = 0; i < results.size(); ++i) {
    const char* colour = kColours[i % std::size(kColours)];
    // Layouts train alike, so later curves are dashed for the earlier ones to show through.
    out += std::string("<polyline fill=\"none\" stroke=\"") + colour + "\" stroke-width=\"2\"" +
           (i ? " stroke-dasharray=\"6 " + std::to_string(3 + 3 * i) + "\"" : "") + " points=\"";
    for (size_t s = 0; s < results[i].losses.size(); ++s)
      out += number(x(s)) + "," + number(y(results[i].losses[s])) + " ";
    out += "\"/>\n" + box(kWidth - kRight + 12, kTop + 18.0 * static_cast<double>(i), 10, 10, colour) +
           label(kWidth - kRight + 28, kTop + 18.0 * static_cast<double>(i) + 9, results[i].layout);
  }
  return svg(kTop + kHeight + 26, out);
}

/// Rows of the compute stream with communication as a thin row below; white is waiting.
std::string timeline_rows(const Timeline& timeline, Picoseconds longest, double top, const std::string& title,
                          double& height) {
  constexpr double kLeft = 60, kCompute = 16, kComm = 5, kRow = 26;
  const size_t step = timeline.median_step();
  const Picoseconds begin = timeline.steps[step].start;
  const double scale = (kWidth - kLeft - 4) / static_cast<double>(longest);
  const Plan& plan = *timeline.plan;
  std::string out = label(kLeft, top + 12, title);
  const double rows_top = top + 20;
  const uint32_t ranks = std::min(plan.mesh.ranks(), 16u);
  for (uint32_t rank = 0; rank < ranks; ++rank)
    out += label(kLeft - 8, rows_top + rank * kRow + 12, "rank " + std::to_string(rank), "end");
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
    out += box(x, comm ? y + kCompute + 1 : y, w, comm ? kComm : kCompute, colour_of(category_of(body, op)),
               to_text(plan, {span.rank, span.call, span.op}) + "  " + format_time(span.end - start));
  }
  height = 20 + ranks * kRow + 8;
  return out;
}

std::string timelines(const LayoutResult& r) {
  const Picoseconds longest = std::max({r.predicted_step, r.measured_step, Picoseconds{1}});
  double upper = 0, lower = 0;
  std::string out = timeline_rows(r.predicted, longest, 0, "predicted, " + format_time(r.predicted_step), upper);
  out += timeline_rows(r.measured, longest, upper, "measured, " + format_time(r.measured_step), lower);
  return svg(upper + lower, out);
}

std::string legend() {
  std::string out = "<p class=\"soft\">";
  for (int c = 0; c < kCategories; ++c) {
    const Category category = static_cast<Category>(c);
    out += std::string("<span class=\"key\" style=\"background:") + colour_of(category) + "\"></span>" +
           std::string(name_of(category));
  }
  return out + "</p>\n";
}

}  // namespace

std::string report_to_html(const ReportText& text, const std::vector<LayoutResult>& results, size_t shown) {
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\">\n<title>" +
      escaped(text.title) + "</title>\n<style>" + kStyle + "</style></head><body>\n<h1>" + escaped(text.title) +
      "</h1>\n<p>" + escaped(text.model) + "<br>\n" + escaped(text.data) + "<br>\n" + escaped(text.machine) +
      "<br>\n<span class=\"soft\">" + escaped(text.date) + "</span></p>\n";
  out += "<h2>Predicted and measured</h2>\n<p>" + escaped(text.best) + "</p>\n" + table(results) + step_bars(results);
  out += "<h2>The loss falls, whatever the layout</h2>\n" + loss_curves(results);
  out += "<h2>Both timelines of " + escaped(results[shown].layout) +
         "</h2>\n<p>Each row is a rank: what it computes above, what it communicates in the thin "
         "row below. Hold the pointer over a box to see its task.</p>\n" +
         legend() + timelines(results[shown]);
  return out + "</body></html>\n";
}

}  // namespace pgram::cli
