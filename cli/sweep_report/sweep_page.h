// The page of a sweep: what it asked, what came out, pictures with the tables behind them, and how to do it again.
#pragma once
#include <string>
#include <vector>

#include "cli/sweep_report/study.h"

namespace pgram::sweep_report {

struct PageInputs {
  sweep::SweepRecord sweep;
  std::string results_file, where;  ///< as the command got them
  Study study;
};

/// One HTML page that needs nothing but itself. The same inputs give the same bytes.
std::string sweep_page(const PageInputs&);

/// Reads a sweep's rows and makes its page. `name` empty: the file's only sweep. InputError: none or several.
std::string report_of(const sweep::Results&, const std::string& file, const std::string& name,
                      const std::string& where);

}  // namespace pgram::sweep_report
