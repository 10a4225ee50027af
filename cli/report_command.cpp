// pgram report: the results of a sweep as one page for a browser.
#include <cstdio>

#include "cli/command.h"
#include "cli/inputs.h"
#include "cli/sweep_report/sweep_page.h"

namespace pgram::cli {
namespace {

struct Flags {
  std::string results, out, sweep, where;
};

int run(const Flags& flags) {
  const sweep::Results results = sweep::Results::open(flags.results);
  write_text(flags.out, sweep_report::report_of(results, flags.results, flags.sweep, flags.where));
  if (flags.out != "-") std::printf("wrote %s: open it in a browser\n", flags.out.c_str());
  return kGood;
}

}  // namespace

void add_report_command(Command& app, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  Command* command = add_command(app, "report", "Show the results of a sweep as one page for a browser",
                                 "pgram report out/70b.db --out out/70b.html\n  pgram report out/70b.db --where \"tp = "
                                 "8 and devices <= 512\" --out out/tp8.html",
                                 exit_code, [=] { return run(*flags); });
  command->add_option("RESULTS", flags->results, "Results file of pgram sweep")->required();
  command->add_option("--out", flags->out, "The page to write, or - for standard output")->required();
  command->add_option("--sweep", flags->sweep, "Which sweep, where the file holds several");
  command->add_option("--where", flags->where, "Only these cases, as in pgram sweep: \"tp <= 8 and mfu > 0.4\"");
}

}  // namespace pgram::cli
