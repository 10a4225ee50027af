// The page of a sweep: what it asked, what came out, pictures with the tables behind them, and how to do it again.
#pragma once
#include <string>
#include <vector>

#include "cli/sweep_report/study.h"

namespace pgram::sweep_report {

/// A sweep's rows and where they come from: what the page and its JSON are made of.
struct PageInputs {
  sweep::SweepRecord sweep;
  std::string results_file, where;  ///< as the command got them
  Study study;
};
/// `name` empty: the file's only sweep. InputError: none or several.
PageInputs read_report(const sweep::Results&, const std::string& file, const std::string& name,
                       const std::string& where);

/// One HTML page that needs nothing but itself. The same inputs give the same bytes.
std::string sweep_page(const PageInputs&);

}  // namespace pgram::sweep_report
