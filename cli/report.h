// The demo's one-page HTML report: SVG pictures, no network, readable in print, light and dark.
#pragma once
#include <string>
#include <vector>

#include "core/timeline/timeline.h"

namespace pgram::cli {

/// One layout, predicted and really run.
struct LayoutResult {
  std::string layout, schedule;
  Timeline predicted, measured;
  Picoseconds predicted_step = 0, measured_step = 0;
  double spread = 0;  ///< (p90 - p10) / median of the measured steps
  std::vector<double> losses;
};

struct ReportText {
  std::string title, model, machine, data, date, best;  ///< best: one sentence
};

/// `shown`: index of the layout whose timelines are drawn.
std::string report_to_html(const ReportText&, const std::vector<LayoutResult>&, size_t shown);

}  // namespace pgram::cli
