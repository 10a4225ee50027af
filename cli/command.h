// Commands of `pgram`: one file each, registered here. A command parses its flags, works, prints, and returns an exit
// code; errors are exceptions that main() turns into one line.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "cli/command_line.h"
#include "core/base/errors.h"

namespace pgram::cli {

enum ExitCode { kGood = 0, kFailed = 1, kBadInput = 2, kNoDevice = 3 };

/// There is no driver or no GPU for what was asked.
class NoDevice : public RunError {
 public:
  using RunError::RunError;
};

/// Adds a subcommand whose `run` gives the exit code once all flags are parsed. The example ends the command's --help.
Command* add_command(Command& app, const std::string& name, const std::string& description, const std::string& example,
                     int& exit_code, std::function<int()> run);

void add_models_commands(Command&, int& exit_code);
void add_plan_command(Command&, int& exit_code);
void add_simulate_command(Command&, int& exit_code);
void add_fluid_command(Command&, int& exit_code);
void add_collective_command(Command&, int& exit_code);
void add_layouts_command(Command&, int& exit_code);
void add_sweep_command(Command&, int& exit_code);
void add_goodput_command(Command&, int& exit_code);
void add_scale_command(Command&, int& exit_code);
void add_run_command(Command&, int& exit_code);
void add_compare_command(Command&, int& exit_code);
void add_explain_command(Command&, int& exit_code);
void add_export_command(Command&, int& exit_code);
void add_calibrate_command(Command&, int& exit_code);
void add_gui_command(Command&, int& exit_code);
void add_demo_command(Command&, int& exit_code);
void add_doctor_command(Command&, int& exit_code);
void add_report_command(Command&, int& exit_code);
void add_validate_command(Command&, int& exit_code);

}  // namespace pgram::cli
