#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>

#include "cli/command.h"
#include "core/base/errors.h"
#include "core/base/library.h"

namespace pgram::cli {

CLI::App* add_command(CLI::App& app, const std::string& name, const std::string& description,
                      const std::string& example, int& exit_code, std::function<int()> run) {
  CLI::App* command = app.add_subcommand(name, description);
  command->footer("Example:\n  " + example);
  command->callback([&exit_code, run = std::move(run)] { exit_code = run(); });
  return command;
}

/// CLI11 says only that a command is required; a misspelt one deserves its nearest neighbour.
static void require_known_command(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return;
  std::vector<std::string> known;
  for (const CLI::App* command : app.get_subcommands({})) known.push_back(command->get_name());
  if (std::find(known.begin(), known.end(), argv[1]) != known.end()) return;
  const std::string near = nearest_name(argv[1], known);
  throw InputError(argv[1], "is no command" + (near.empty() ? std::string() : "; did you mean " + near + "?") +
                                " (pgram --help lists them)");
}

static int run(int argc, char** argv) {
  int exit_code = kGood;
  CLI::App app(
      "Parallelogram plans how a language model is split over many devices, predicts what that layout does,\n"
      "really runs it, and shows both timelines side by side.",
      "pgram");
  app.set_version_flag("--version", "pgram " PGRAM_VERSION);
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::simple);
  add_models_commands(app, exit_code);
  add_plan_command(app, exit_code);
  add_simulate_command(app, exit_code);
  add_layouts_command(app, exit_code);
  add_run_command(app, exit_code);
  add_compare_command(app, exit_code);
  add_export_command(app, exit_code);
  add_calibrate_command(app, exit_code);
  add_gui_command(app, exit_code);
  add_demo_command(app, exit_code);
  try {
    require_known_command(app, argc, argv);
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool asked = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success);  // --help, --version
    app.exit(error);
    return asked ? kGood : kBadInput;
  } catch (const InputError& error) {
    std::fprintf(stderr, "pgram: %s\n", error.what());
    return kBadInput;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "pgram: not enough memory for this; try a smaller layout, batch or sequence\n");
    return kFailed;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pgram: %s\n", error.what());
    return kFailed;
  }
  return exit_code;
}

}  // namespace pgram::cli

int main(int argc, char** argv) {
  // Where a container hides /sys, hwloc would write its own lines to standard error; what it finds is still right.
  setenv("HWLOC_HIDE_ERRORS", "2", 0);
  return pgram::cli::run(argc, argv);
}
