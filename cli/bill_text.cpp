#include "cli/bill_text.h"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/units.h"

namespace pgram::cli {

static std::string number(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

/// Three digits: "0.123", "1.23", "12.3", "123"; whole numbers without any after the point.
static std::string three_digits(double value) {
  std::string text = number(value >= 99.95    ? "%.0f"
                            : value >= 9.995  ? "%.1f"
                            : value >= 0.9995 ? "%.2f"
                                              : "%.3g",
                            value);
  for (const char* zeros : {".00", ".0"})
    if (text.ends_with(zeros)) text.resize(text.find('.'));
  return text;
}

std::string format_joules(double joules) {
  static constexpr std::array kPrefixes{"", "k", "M", "G", "T", "P"};
  const bool hours = joules >= 1e9;
  double value = hours ? joules / 3600 : joules;
  size_t prefix = 0;
  while (value >= 1000 && prefix + 1 < kPrefixes.size()) value /= 1000, ++prefix;
  return three_digits(value) + " " + kPrefixes[prefix] + (hours ? "Wh" : "J");
}

std::string format_dollars(double dollars) {
  if (dollars >= 1000) return "$" + format_count(static_cast<uint64_t>(std::llround(dollars)));
  return "$" + number(dollars >= 1 ? "%.2f" : "%.3g", dollars);
}

std::string format_tokens(double tokens) {
  const double millions = tokens / 1e6;
  const auto digits = [](double value) {
    return value >= 1000 ? format_count(static_cast<uint64_t>(value + 0.5)) : three_digits(value);
  };
  return millions >= 1e4 ? digits(millions / 1e3) + " billion tokens" : digits(millions) + " million tokens";
}

std::string format_duration(Seconds seconds) {
  constexpr double kMinute = 60, kHour = 3600, kDay = 86400;
  if (seconds > 0 && seconds < 1) return format_time(to_picoseconds(seconds));
  if (seconds < 2 * kMinute) return three_digits(seconds) + " s";
  if (seconds < 2 * kHour) return three_digits(seconds / kMinute) + " min";
  if (seconds < 2 * kDay) return three_digits(seconds / kHour) + " h";
  return three_digits(seconds / kDay) + " days";
}

std::string to_text(const StepBill& bill) {
  std::string text;
  if (bill.joules > 0) {
    text += "energy of a step " + format_joules(bill.joules);
    if (bill.joules_per_token > 0) text += ", " + format_joules(bill.joules_per_token) + " a token";
    text += "; a device takes " + three_digits(bill.watts_per_device) + " W in the mean\n";
  }
  if (bill.dollars > 0) {
    text += "price of a step " + format_dollars(bill.dollars);
    if (bill.dollars_per_million_tokens > 0)
      text += ", " + format_dollars(bill.dollars_per_million_tokens) + " for a million tokens";
    text += "\n";
  }
  return text;
}

nlohmann::ordered_json to_json(const StepBill& bill) {
  auto json = nlohmann::ordered_json::object();
  const auto add = [&](const char* key, double value) {
    if (value > 0) json[key] = value;
  };
  add("joules", bill.joules);
  add("joules_per_token", bill.joules_per_token);
  add("watts_per_device", bill.watts_per_device);
  add("dollars", bill.dollars);
  add("dollars_per_million_tokens", bill.dollars_per_million_tokens);
  return json;
}

}  // namespace pgram::cli
