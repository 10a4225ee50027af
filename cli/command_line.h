// Commands and flags, in the words of CLI11, which is a library of templates: it is compiled in command_line.cpp alone.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace pgram::cli {

/// What a value must lie in, in its own type: the message prints the limits as they are written here.
class Range {
 public:
  Range(uint32_t least, uint32_t most) : kind_(Kind::natural), least_(least), most_(most) {}
  Range(int least, int most) : kind_(Kind::integer), least_(least), most_(most) {}
  Range(float least, float most) : kind_(Kind::real), least_(least), most_(most) {}
  Range(double least, double most) : kind_(Kind::real), least_(least), most_(most) {}

 private:
  friend class Option;
  enum class Kind : uint8_t { natural, integer, real };
  Kind kind_;
  double least_, most_;
};

class Option {
 public:
  explicit Option(void* option) : option_(option) {}
  Option* required();
  Option* check(const Range&);
  Option* expected(int least, int most);  ///< how many values
  Option* capture_default_str();          ///< --help shows the value that the variable has now
  Option* delimiter(char);

 private:
  void* option_;
};

/// `pgram` itself or one of its commands. Variables must live until the line is parsed.
class Command {
 public:
  explicit Command(void* app) : app_(app) {}

  /// A name without dashes is a positional argument.
  Option* add_option(const std::string& names, std::string&, const std::string& help);
  Option* add_option(const std::string& names, uint32_t&, const std::string& help);
  Option* add_option(const std::string& names, uint64_t&, const std::string& help);
  Option* add_option(const std::string& names, int&, const std::string& help);
  Option* add_option(const std::string& names, float&, const std::string& help);
  Option* add_option(const std::string& names, double&, const std::string& help);
  Option* add_option(const std::string& names, std::vector<std::string>&, const std::string& help);
  Option* add_option(const std::string& names, std::vector<uint32_t>&, const std::string& help);
  Option* add_option(const std::string& names, std::vector<int>&, const std::string& help);
  Option* add_flag(const std::string& names, bool&, const std::string& help);

  /// `run` gives the exit code once all flags are parsed. The example ends the command's --help.
  Command* add_command(const std::string& name, const std::string& description, const std::string& example,
                       std::function<void()> run);

 private:
  Option* keep(void* option);

  void* app_;
  std::vector<std::unique_ptr<Option>> options_;
  std::vector<std::unique_ptr<Command>> commands_;
};

/// A whole program: adds its commands by `add`, parses and runs the one that is asked for. False when the line is bad
/// (said on standard error). Exceptions of the command pass through; InputError for a command that does not exist.
bool run_command_line(int argc, char** argv, const std::string& name, const std::string& version,
                      const std::string& description, const std::function<void(Command&)>& add);

}  // namespace pgram::cli
