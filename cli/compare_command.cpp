// pgram compare, pgram export: what to make of timelines.
#include <cstdio>

#include "cli/command.h"
#include "core/timeline/compare.h"
#include "core/timeline/perfetto.h"

namespace pgram::cli {

void add_compare_command(Command& app, int& exit_code) {
  struct Flags {
    std::string a, b;
    bool json = false;
  };
  auto flags = std::make_shared<Flags>();
  Command* command = add_command(
      app, "compare", "Match two timelines of one plan task by task", "pgram compare sim.timeline run.timeline",
      exit_code, [=] {
        const Timeline a = read_timeline(flags->a), b = read_timeline(flags->b);
        const Comparison comparison = compare(a, b);
        std::printf(
            "%s",
            (flags->json ? comparison_to_json(a, b, comparison) + "\n" : comparison_to_text(a, b, comparison)).c_str());
        return kGood;
      });
  command->add_option("A", flags->a, "First timeline, usually the simulated one")->required();
  command->add_option("B", flags->b, "Second timeline, usually the measured one")->required();
  command->add_flag("--json", flags->json, "Machine-readable");
}

void add_export_command(Command& app, int& exit_code) {
  struct Flags {
    std::string timeline, perfetto;
    bool all_steps = false;
  };
  auto flags = std::make_shared<Flags>();
  Command* command =
      add_command(app, "export", "Write a timeline in another format", "pgram export run.timeline --perfetto run.json",
                  exit_code, [=] {
                    write_perfetto(read_timeline(flags->timeline), flags->perfetto, flags->all_steps);
                    std::printf("wrote %s; open it at ui.perfetto.dev or chrome://tracing\n", flags->perfetto.c_str());
                    return kGood;
                  });
  command->add_option("TIMELINE", flags->timeline, "Timeline file")->required();
  command->add_option("--perfetto", flags->perfetto, "Chrome/Perfetto trace JSON")->required();
  command->add_flag("--all-steps", flags->all_steps, "All steps of a run (default: its median step)");
}

}  // namespace pgram::cli
