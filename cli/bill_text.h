// What a step or a run takes in energy and money, for people and as JSON; only what is known.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "sim/whole_run/step_bill.h"

namespace pgram::cli {
/// A line, or "".
std::string to_text(const StepBill&);
nlohmann::ordered_json to_json(const StepBill&);

std::string format_joules(double);   ///< "9.87 MJ", above a GJ in Wh: "1.23 MWh"
std::string format_dollars(double);  ///< "$0.0412", "$12.30", "$1,234,567"
std::string format_tokens(double);   ///< "12.3 million tokens", "8,529 billion tokens"
/// "1.61 ms", "12.3 s", "4.5 min", "3.09 h", "30 days"
std::string format_duration(Seconds);
}  // namespace pgram::cli
