#include "cli/goodput_text.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/bill_text.h"
#include "core/timeline/text_table.h"

namespace pgram::cli {
namespace {

constexpr double kHour = 3600;

/// What all the days take; 0: not known.
struct DaysBill {
  double joules = 0, dollars = 0, tokens = 0;
};

DaysBill bill_of(const GoodputReport& report) {
  DaysBill bill;
  const ExpectedDays& days = report.days;
  bill.dollars = report.dollars_per_gpu_hour * report.ranks * report.wall / kHour;
  bill.tokens = report.tokens_per_step * days.steps;
  if (report.step.joules > 0) {
    const double watts = report.step.joules / report.run.step;
    bill.joules = watts * (days.useful + days.lost) + report.idle_watts * (days.checkpoints + days.restarts);
  }
  return bill;
}

std::string percent(double share, int decimals) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f %%", decimals, share * 100);
  return text;
}

/// So many that an error shows in the last one.
int decimals_of(double error) {
  return error > 0 ? std::clamp(static_cast<int>(std::ceil(-std::log10(error * 100))), 1, 4) : 2;
}

std::string count(double value) {
  return format_count(static_cast<uint64_t>(std::llround(value)));
}

/// Few are not rounded to none.
std::string about(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2g", value);
  return value < 10 ? text : count(value);
}

std::string interval_of(const GoodputReport& report, uint64_t every) {
  return format_duration(static_cast<double>(every) * report.run.step);
}

std::string head_of(const GoodputReport& report) {
  const TrainingRun& run = report.run;
  std::string text = report.model + " on " + report.cluster + ", " + report.layout + ": " + format_count(report.ranks) +
                     (report.ranks == 1 ? " device, " : " devices, ") + format_count(report.nodes) +
                     (report.nodes == 1 ? " node\n" : " nodes\n");
  text += "a step takes " + format_duration(run.step) + ", a checkpoint (" + format_bytes(report.checkpoint_bytes) +
          ") " + format_duration(run.checkpoint) + ", a restart " + format_duration(run.restart) + "\n";
  if (!report.rows.empty()) {
    text += "a node fails every " + format_duration(report.node_mtbf) + " in the mean, one of all every " +
            format_duration(run.mtbf) + ": " + about(report.wall / run.mtbf) + " failures in " +
            format_duration(report.wall) + "\n";
  }
  return text;
}

std::string table_of(const GoodputReport& report) {
  TextTable table;
  table.add({"checkpoint every", "steps", "goodput", "formula", "lost", "checkpoints", "restarts"});
  for (const GoodputReport::Row& row : report.rows) {
    const ExpectedDays& days = row.days;
    const int decimals = decimals_of(days.standard_error);
    std::string interval = interval_of(report, days.every);
    for (const std::string& mark : row.marks) interval += (&mark == &row.marks.front() ? "  " : ", ") + mark;
    table.add({interval, format_count(days.every),
               percent(days.goodput, decimals) + " +- " + percent(days.standard_error, decimals),
               percent(row.formula, decimals), percent(days.lost / report.wall, 2),
               percent(days.checkpoints / report.wall, 2), percent(days.restarts / report.wall, 2)});
  }
  return "\n" + table.text() + "\nGoodput: mean of " + format_count(report.runs) + " runs of " +
         format_duration(report.wall) + " and its standard error; formula: Daly's model of a run without end.\n";
}

/// "3:05:09", hours first.
std::string clock(Seconds time) {
  const auto whole = static_cast<uint64_t>(std::llround(time));
  char text[64];
  std::snprintf(text, sizeof text, "%llu:%02d:%02d", static_cast<unsigned long long>(whole / 3600),
                static_cast<int>(whole / 60 % 60), static_cast<int>(whole % 60));
  return text;
}

std::string recoveries_of(const GoodputReport& report) {
  std::string text = "\ncheckpoint every " + interval_of(report, report.days.every) + ", " +
                     format_count(report.days.every) + " steps\n";
  for (const GoodputReport::GivenFailure& failure : report.given) {
    const Recovery& recovery = failure.recovery;
    text += "at " + clock(recovery.failure) + " rank " + std::to_string(failure.rank) + " (node " +
            std::to_string(failure.node) + ") is lost, and " + format_duration(recovery.lost) +
            " of work; training goes on at " + clock(recovery.back) + " from step " + format_count(recovery.step) +
            "\n";
  }
  const ExpectedDays& days = report.days;
  text += "goodput " + percent(days.goodput, 2) + ": lost " + percent(days.lost / report.wall, 2) + ", checkpoints " +
          percent(days.checkpoints / report.wall, 2) + ", restarts " + percent(days.restarts / report.wall, 2) + "\n";
  return text;
}

std::string bill_text(const GoodputReport& report) {
  const DaysBill bill = bill_of(report);
  std::string text = format_duration(report.wall) + ": " + count(report.days.steps) + " steps";
  if (bill.tokens > 0) text += ", " + format_tokens(bill.tokens);
  if (bill.joules > 0) text += ", " + format_joules(bill.joules);
  if (bill.dollars > 0) text += ", " + format_dollars(bill.dollars);
  text += "\n";
  if (bill.dollars > 0 && bill.tokens > 0) {
    text += format_dollars(bill.dollars * 1e6 / bill.tokens) + " for a million tokens; without failures " +
            format_dollars(report.step.dollars_per_million_tokens) + "\n";
  }
  return text;
}

nlohmann::ordered_json days_to_json(const ExpectedDays& days, const GoodputReport& report) {
  return {{"every_steps", days.every},     {"interval_seconds", static_cast<double>(days.every) * report.run.step},
          {"goodput", days.goodput},       {"standard_error", days.standard_error},
          {"useful_seconds", days.useful}, {"checkpoint_seconds", days.checkpoints},
          {"lost_seconds", days.lost},     {"restart_seconds", days.restarts},
          {"steps", days.steps},           {"failures", days.failures}};
}

}  // namespace

std::string to_text(const GoodputReport& report) {
  std::string text = head_of(report);
  text += report.rows.empty() ? recoveries_of(report) : table_of(report);
  return text + "\n" + bill_text(report);
}

nlohmann::ordered_json to_json(const GoodputReport& report) {
  nlohmann::ordered_json json{{"model", report.model},
                              {"cluster", report.cluster},
                              {"layout", report.layout},
                              {"devices", report.ranks},
                              {"nodes", report.nodes},
                              {"wall_seconds", report.wall},
                              {"step_seconds", report.run.step},
                              {"checkpoint_bytes", report.checkpoint_bytes},
                              {"checkpoint_seconds", report.run.checkpoint},
                              {"restart_seconds", report.run.restart}};
  if (report.node_mtbf > 0) {
    json["node_mtbf_seconds"] = report.node_mtbf;
    json["mtbf_seconds"] = report.run.mtbf;
  }
  if (!report.rows.empty()) {
    json["runs"] = report.runs;
    json["intervals"] = nlohmann::ordered_json::array();
    for (const GoodputReport::Row& row : report.rows) {
      json["intervals"].push_back(days_to_json(row.days, report));
      json["intervals"].back()["formula"] = row.formula;
      json["intervals"].back()["marks"] = row.marks;
    }
  }
  for (const GoodputReport::GivenFailure& failure : report.given) {
    const Recovery& recovery = failure.recovery;
    json["failures"].push_back({{"seconds", recovery.failure},
                                {"rank", failure.rank},
                                {"node", failure.node},
                                {"lost_seconds", recovery.lost},
                                {"back_seconds", recovery.back},
                                {"step", recovery.step}});
  }
  json["days"] = days_to_json(report.days, report);
  const DaysBill bill = bill_of(report);
  if (bill.tokens > 0) json["days"]["tokens"] = bill.tokens;
  if (bill.joules > 0) json["days"]["joules"] = bill.joules;
  if (bill.dollars > 0) json["days"]["dollars"] = bill.dollars;
  if (bill.dollars > 0 && bill.tokens > 0)
    json["days"]["dollars_per_million_tokens"] = bill.dollars * 1e6 / bill.tokens;
  if (const auto step = to_json(report.step); !step.empty()) json["step"] = step;
  return json;
}

}  // namespace pgram::cli
