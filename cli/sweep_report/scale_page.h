// The page of `pgram scale`: both promises against their ideal lines, and what eats the gaps.
#pragma once
#include <string>

#include "cli/page/chart.h"
#include "cli/sweep/scale.h"

namespace pgram::sweep_report {

/// `command`: what makes this page again.
std::string scale_page(const sweep::ScaleQuestion&, const sweep::ScaleAnswer&, const std::string& command);

// Its pictures, as data.
page::Bars memory_bars(const std::vector<sweep::MemoryPoint>&);
/// Of the time of all devices: the model's FLOPs at the devices' peak first, then what else it goes to; together 1.
page::Bars time_bars(const sweep::ScaleAnswer&);

}  // namespace pgram::sweep_report
