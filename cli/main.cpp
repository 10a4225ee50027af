#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>

#include "cli/command.h"
#include "core/base/errors.h"
#include "core/base/heap.h"

namespace pgram::cli {

Command* add_command(Command& app, const std::string& name, const std::string& description, const std::string& example,
                     int& exit_code, std::function<int()> run) {
  return app.add_command(name, description, example, [&exit_code, run = std::move(run)] { exit_code = run(); });
}

static int run(int argc, char** argv) {
  int exit_code = kGood;
  const auto add_commands = [&exit_code](Command& app) {
    add_models_commands(app, exit_code);
    add_plan_command(app, exit_code);
    add_simulate_command(app, exit_code);
    add_fluid_command(app, exit_code);
    add_collective_command(app, exit_code);
    add_layouts_command(app, exit_code);
    add_sweep_command(app, exit_code);
    add_goodput_command(app, exit_code);
    add_scale_command(app, exit_code);
    add_run_command(app, exit_code);
    add_compare_command(app, exit_code);
    add_explain_command(app, exit_code);
    add_export_command(app, exit_code);
    add_calibrate_command(app, exit_code);
    add_gui_command(app, exit_code);
    add_demo_command(app, exit_code);
    add_doctor_command(app, exit_code);
    add_report_command(app, exit_code);
    add_validate_command(app, exit_code);
  };
  try {
    const bool good = run_command_line(
        argc, argv, "pgram", "pgram " PGRAM_VERSION,
        "Parallelogram plans how a language model is split over many devices, predicts what that layout does,\n"
        "really runs it, and shows both timelines side by side.",
        add_commands);
    return good ? exit_code : kBadInput;
  } catch (const InputError& error) {
    std::fprintf(stderr, "pgram: %s\n", error.what());
    return kBadInput;
  } catch (const NoDevice& error) {
    std::fprintf(stderr, "pgram: %s\n", error.what());
    return kNoDevice;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "pgram: not enough memory for this; try a smaller layout, batch or sequence\n");
    return kFailed;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pgram: %s\n", error.what());
    return kFailed;
  }
}

}  // namespace pgram::cli

int main(int argc, char** argv) {
  pgram::keep_freed_memory();
  // Where a container hides /sys, hwloc would write its own lines to standard error; what it finds is still right.
  setenv("HWLOC_HIDE_ERRORS", "2", 0);
  return pgram::cli::run(argc, argv);
}
