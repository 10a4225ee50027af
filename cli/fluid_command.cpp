// pgram fluid: replays tasks and messages on shared links.
#include <charconv>
#include <cmath>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "cli/progress.h"
#include "core/base/units.h"
#include "sim/network/fluid_problem.h"

namespace pgram::cli {

namespace {

struct Flags {
  std::vector<std::string> files;
  bool statistics = false, json = false;
};

/// Collects lines and writes them in large pieces: there may be millions.
class Output {
 public:
  ~Output() { flush(); }
  Output& operator<<(std::string_view text) {
    text_ += text;
    if (text_.size() > kPiece) flush();
    return *this;
  }
  /// The shortest text that is read back as exactly this number; null where there is none.
  Output& operator<<(double value) {
    char text[32];
    return *this << (std::isnan(value) ? "null" : std::string_view(text, std::to_chars(text, text + 32, value).ptr));
  }
  Output& operator<<(uint64_t value) { return *this << std::string_view(std::to_string(value)); }

 private:
  static constexpr size_t kPiece = 1 << 16;
  void flush() {
    std::fwrite(text_.data(), 1, text_.size(), stdout);
    text_.clear();
  }
  std::string text_;
};

void print_json(const sim::FluidProblem& problem, const sim::FluidTimes& times) {
  Output out;
  out << "{\n  \"hosts\": " << problem.hosts.size() << ",\n  \"links\": " << problem.links.size()
      << ",\n  \"routes\": " << problem.routes.size() << ",\n  \"tasks\": " << problem.tasks.size()
      << ",\n  \"finished\": " << times.num_finished << ",\n  \"makespan_s\": " << times.makespan
      << ",\n  \"rates\": {\"dates\": " << times.statistics.changes
      << ", \"flows_touched\": " << times.statistics.touched << ", \"flows_changed\": " << times.statistics.changed
      << "},\n  \"times_s\": [";
  for (size_t task = 0; task < times.finish.size(); ++task) {
    out << (task == 0 ? "\n    [" : ",\n    [") << times.start[task] << ", " << times.finish[task] << "]";
  }
  out << "\n  ]\n}\n";
}

void print_text(const sim::FluidTimes& times, bool statistics) {
  Output out;
  for (size_t task = 0; task < times.finish.size(); ++task) {
    if (std::isnan(times.finish[task])) continue;
    out << task << " " << times.start[task] << " " << times.finish[task] << "\n";
  }
  if (!statistics) return;
  const auto& s = times.statistics;
  const auto per_date = [&](uint64_t sum) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2f",
                  s.changes == 0 ? 0 : static_cast<double>(sum) / static_cast<double>(s.changes));
    return std::string(text);
  };
  out << "# " << format_count(times.num_finished) << " tasks ended, the last after " << times.makespan << " s\n"
      << "# rates worked out at " << format_count(s.changes) << " dates; per date " << per_date(s.touched)
      << " flows looked at, " << per_date(s.changed) << " rates changed\n";
}

int run(const Flags& flags) {
  const sim::FluidProblem problem = sim::read_fluid_problem(flags.files);
  const std::stop_token stop = stop_on_interrupt();
  sim::FluidTimes times;
  {
    Progress progress("replay");
    const double all = static_cast<double>(problem.tasks.size());
    times = sim::replay(problem, [&](size_t finished) {
      progress.show(static_cast<double>(finished) / all, format_count(finished) + " tasks ended");
      return !stop.stop_requested();
    });
  }
  if (flags.json) {
    print_json(problem, times);
  } else {
    print_text(times, flags.statistics);
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout)) throw RunError("cannot write the times to standard output");
  if (times.num_finished == problem.tasks.size()) return kGood;
  std::fprintf(stderr, "pgram: stopped after %zu of %zu tasks\n", times.num_finished, problem.tasks.size());
  return kFailed;
}

}  // namespace

void add_fluid_command(Command& app, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  Command* command = add_command(
      app, "fluid", "Replay computations and messages on shared links: prints when each starts and ends, in seconds",
      "pgram fluid network.plat job.dag --statistics", exit_code, [=] { return run(*flags); });
  command
      ->add_option("files", flags->files,
                   "Hosts, links, routes and tasks as text (docs/file-formats.md), in one file or several")
      ->required()
      ->expected(1, 16);
  command->add_flag("--statistics", flags->statistics, "Also how many flows were looked at and how many rates changed");
  command->add_flag("--json", flags->json, "Machine-readable");
}

}  // namespace pgram::cli
