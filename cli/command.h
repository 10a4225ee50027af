// Commands of `pgram`: one file each, registered here. A command parses its flags, works, prints, and returns an exit
// code; errors are exceptions that main() turns into one line.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

namespace pgram::cli {

enum ExitCode { kGood = 0, kFailed = 1, kBadInput = 2 };

/// Adds a subcommand whose `run` gives the exit code once all flags are parsed. The example ends the command's --help.
CLI::App* add_command(CLI::App& app, const std::string& name, const std::string& description,
                      const std::string& example, int& exit_code, std::function<int()> run);

void add_models_commands(CLI::App&, int& exit_code);
void add_plan_command(CLI::App&, int& exit_code);
void add_simulate_command(CLI::App&, int& exit_code);
void add_layouts_command(CLI::App&, int& exit_code);
void add_run_command(CLI::App&, int& exit_code);
void add_compare_command(CLI::App&, int& exit_code);
void add_export_command(CLI::App&, int& exit_code);
void add_calibrate_command(CLI::App&, int& exit_code);
void add_gui_command(CLI::App&, int& exit_code);
void add_demo_command(CLI::App&, int& exit_code);

}  // namespace pgram::cli
