#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "core/base/errors.h"
#include "core/base/library.h"

namespace pgram::cli {
namespace {

CLI::Option& of(void* option) {
  return *static_cast<CLI::Option*>(option);
}

/// CLI11 says only that a command is required; a misspelt one deserves its nearest neighbour.
void require_known_command(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return;
  std::vector<std::string> known;
  for (const CLI::App* command : app.get_subcommands({})) known.push_back(command->get_name());
  if (std::find(known.begin(), known.end(), argv[1]) != known.end()) return;
  const std::string near = nearest_name(argv[1], known);
  throw InputError(argv[1], "is no command" + (near.empty() ? std::string() : "; did you mean " + near + "?") + " (" +
                                app.get_name() + " --help lists them)");
}

template <class Value>
void* option_of(void* app, const std::string& names, Value& value, const std::string& help) {
  return static_cast<CLI::App*>(app)->add_option(names, value, help);
}

}  // namespace

Option* Option::required() {
  of(option_).required();
  return this;
}

Option* Option::check(const Range& range) {
  switch (range.kind_) {
    case Range::Kind::natural:
      of(option_).check(CLI::Range(static_cast<uint32_t>(range.least_), static_cast<uint32_t>(range.most_)));
      break;
    case Range::Kind::integer:
      of(option_).check(CLI::Range(static_cast<int>(range.least_), static_cast<int>(range.most_)));
      break;
    case Range::Kind::real:
      of(option_).check(CLI::Range(range.least_, range.most_));
      break;
  }
  return this;
}

Option* Option::expected(int least, int most) {
  of(option_).expected(least, most);
  return this;
}

Option* Option::capture_default_str() {
  of(option_).capture_default_str();
  return this;
}

Option* Option::delimiter(char c) {
  of(option_).delimiter(c);
  return this;
}

Option* Command::keep(void* option) {
  return options_.emplace_back(std::make_unique<Option>(option)).get();
}

Option* Command::add_option(const std::string& names, std::string& value, const std::string& help) {
  return keep(option_of(app_, names, value, help));
}
Option* Command::add_option(const std::string& names, uint32_t& value, const std::string& help) {
  return keep(option_of(app_, names, value, help));
}
Option* Command::add_option(const std::string& names, uint64_t& value, const std::string& help) {
  return keep(option_of(app_, names, value, help));
}
Option* Command::add_option(const std::string& names, int& value, const std::string& help) {
  return keep(option_of(app_, names, value, help));
}
Option* Command::add_option(const std::string& names, float& value, const std::string& help) {
  return keep(option_of(app_, names, value, help));
}
Option* Command::add_option(const std::string& names, double& value, const std::string& help) {
  return keep(option_of(app_, names, value, help));
}
Option* Command::add_option(const std::string& names, std::vector<std::string>& value, const std::string& help) {
  return keep(option_of(app_, names, value, help));
}
Option* Command::add_option(const std::string& names, std::vector<uint32_t>& value, const std::string& help) {
  return keep(option_of(app_, names, value, help));
}
Option* Command::add_option(const std::string& names, std::vector<int>& value, const std::string& help) {
  return keep(option_of(app_, names, value, help));
}
Option* Command::add_flag(const std::string& names, bool& value, const std::string& help) {
  return keep(static_cast<CLI::App*>(app_)->add_flag(names, value, help));
}

Command* Command::add_command(const std::string& name, const std::string& description, const std::string& example,
                              std::function<void()> run) {
  CLI::App* command = static_cast<CLI::App*>(app_)->add_subcommand(name, description);
  command->footer("Example:\n  " + example);
  command->callback(std::move(run));
  return commands_.emplace_back(std::make_unique<Command>(command)).get();
}

bool run_command_line(int argc, char** argv, const std::string& name, const std::string& version,
                      const std::string& description, const std::function<void(Command&)>& add) {
  CLI::App app(description, name);
  app.set_version_flag("--version", version);
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::simple);
  Command root(&app);
  add(root);
  try {
    require_known_command(app, argc, argv);
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    app.exit(error);
    return error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success);  // --help, --version
  }
  return true;
}

}  // namespace pgram::cli
