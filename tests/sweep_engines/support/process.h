// Programs that a test starts, and everything that they start in turn: all of it ends with the test.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "tests/support/folder.h"
#include "tests/support/text.h"

namespace pgram::engines {

bool within(double seconds, const std::function<bool()>& done);
using test::contains;
using test::file_text;
/// Whether a program is on the path, or is a file that may be run.
bool is_installed(const std::string& program);

/// Every process that has its name in its environment, where Process puts it, is ended before the folder goes.
class Folder : public test::Folder {
 public:
  ~Folder() { kill_all(); }
  /// SIGKILL to all of them but those that the filter (over the command line) leaves out, until none is left.
  void kill_all(const std::function<bool(const std::string& command)>& wanted = {}) const;
};

/// A program that runs, its outputs in files of the folder. It ends with the test, whatever becomes of the test.
class Process {
 public:
  /// `environment`: "NAME=value" beside this process's own. Runs in the folder.
  Process(const Folder&, const std::string& name, const std::vector<std::string>& words,
          const std::vector<std::string>& environment = {});
  ~Process();
  Process(Process&&) noexcept;
  Process(const Process&) = delete;
  void signal(int number) const;
  bool runs();
  /// Its exit status, 128 + signal if it was killed; -1 if it still runs after that time, and is killed.
  int wait(double seconds = 120);
  std::string out() const { return file_text(output_ + ".out"); }
  std::string err() const { return file_text(output_ + ".err"); }

 private:
  int pid_ = -1, status_ = 0;
  std::string output_;
};

/// Starts it and waits for its end.
struct Finished {
  int code = -1;
  std::string out, err;
};
Finished run(const Folder&, const std::vector<std::string>& words, const std::vector<std::string>& environment = {},
             double seconds = 120);

}  // namespace pgram::engines
