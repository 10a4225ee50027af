// What a case chose, in words and as a command, and which cases are best.
#pragma once
#include <string>
#include <vector>

#include "cli/sweep_report/study.h"

namespace pgram::sweep_report {

std::string short_text(const Row&);   ///< "tp8.pp4.dp16.sp 1f1b mb1"
std::string layout_text(const Row&);  ///< "tp8.pp4.dp16.sp, 1f1b, micro-batch 1"
/// Shows the same case again: "pgram simulate --model ...", quoted for a shell.
std::string simulate_command(const Row&);

/// One word for a POSIX shell.
std::string shell_word(const std::string&);

bool has_cost(const Row&);   ///< of a cluster whose price is known
double cost_of(const Row&);  ///< $ per million tokens; infinite where it is not known

/// The fastest fit for a kind of cluster and a number of devices.
struct Point {
  std::string kind;
  uint32_t devices = 0;
  const Row* fastest = nullptr;
  uint64_t fits = 0;  ///< from which it was chosen
};
/// Kinds as they come first, each by devices upwards. Of equals the first.
std::vector<Point> best_points(const std::vector<const Row*>&);

/// Null where there is none.
struct Best {
  const Row *step_time = nullptr, *cost = nullptr, *memory = nullptr;
};
Best best_of(const std::vector<const Row*>&);

/// "GPUs", or "devices" if there are others.
std::string device_word(const std::vector<Topic>&);

}  // namespace pgram::sweep_report
