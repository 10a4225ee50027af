// What each picture of the page shows, as data; and the table behind it.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "cli/page/chart.h"
#include "cli/page/html.h"
#include "cli/sweep_report/choice.h"
#include "cli/sweep_report/effects.h"
#include "cli/sweep_report/front.h"

namespace pgram::sweep_report {

/// A part of a step's time: work, communication that is waited for, or waiting. The same colour everywhere.
struct TimePart {
  const char* name;
  const char* paint;
  double sweep::Figures::*share;
};
/// All of them, in the order in which they are stacked; their shares add up to 1.
std::span<const TimePart> time_parts();

/// Step time, and cost where it is known, against devices: a line for every kind of cluster, at most as many as there
/// are colours; those with the fastest points then. `left_out`: how many lines were.
std::vector<page::LinePanel> time_and_cost(const std::vector<Point>&, const std::string& devices, size_t* left_out);
page::Table points_table(const std::vector<Point>&, const std::string& devices);

/// Cost, where it is known, and MFU against devices: a line for every question and kind of cluster. None if there are
/// more lines than colours.
std::vector<page::LinePanel> all_questions(const std::vector<Topic>&, const std::string& devices);

/// A bar for every point; if there are too many, some device counts of each kind, then those of the fastest kinds.
/// `left_out`: how many bars were.
page::Bars where_time_goes(const std::vector<Point>&, const std::string& devices, size_t* left_out);
/// Without parts that are 0 everywhere, as the picture.
page::Table shares_table(const std::vector<Point>&, const std::string& devices);

struct Front {
  std::vector<const Row*> members;
  std::vector<size_t> equals;  ///< of each member: how many others have its figures
  std::vector<const Row*> dominated;
};
Front front_of(const std::vector<const Row*>&);
/// Cost and memory headroom over step time; no cost where none is known.
std::vector<page::PointPanel> front_panels(const Front&);
page::Table front_table(const Front&, const std::string& devices);
page::Table front_commands(const Front&);

page::Strips effect_strips(const std::vector<Effect>&, const Topic&, const std::string& devices);
page::Table effects_table(const std::vector<Effect>&, const Topic&, const std::string& devices);

}  // namespace pgram::sweep_report
