// pgram report: the results of a sweep as one page for a browser, or its tables as JSON.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/inputs.h"
#include "cli/sweep_report/report_json.h"
#include "core/base/errors.h"

namespace pgram::cli {
namespace {

struct Flags {
  std::string results, out, sweep, where;
  bool json = false;
};

int run(const Flags& flags) {
  if (flags.out.empty() && !flags.json)
    throw InputError("--out", "missing: the page to write, for example --out out/results.html, or say --json");
  if (flags.out == "-" && flags.json)
    throw InputError("--out", "the page and --json both go to standard output; name a file for the page");
  const sweep_report::PageInputs read =
      sweep_report::read_report(sweep::Results::open(flags.results), flags.results, flags.sweep, flags.where);
  // Names may come from files that are no UTF-8.
  if (flags.json) {
    const auto replace = nlohmann::ordered_json::error_handler_t::replace;
    std::printf("%s\n", sweep_report::report_json(read).dump(2, ' ', false, replace).c_str());
  }
  if (!flags.out.empty()) write_text(flags.out, sweep_report::sweep_page(read));
  if (!flags.json && flags.out != "-") std::printf("wrote %s: open it in a browser\n", flags.out.c_str());
  return kGood;
}

}  // namespace

void add_report_command(Command& app, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  Command* command = add_command(app, "report", "Show the results of a sweep as one page for a browser",
                                 "pgram report out/70b.db --out out/70b.html\n  pgram report out/70b.db --where \"tp = "
                                 "8 and devices <= 512\" --out out/tp8.html\n  pgram report out/70b.db --json",
                                 exit_code, [=] { return run(*flags); });
  command->add_option("RESULTS", flags->results, "Results file of pgram sweep")->required();
  command->add_option("--out", flags->out, "The page to write, or - for standard output");
  command->add_option("--sweep", flags->sweep, "Which sweep, where the file holds several");
  command->add_option("--where", flags->where, "Only these cases, as in pgram sweep: \"tp <= 8 and mfu > 0.4\"");
  command->add_flag("--json", flags->json, "Machine-readable: what the page's tables hold");
}

}  // namespace pgram::cli
