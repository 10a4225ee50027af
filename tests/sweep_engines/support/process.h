// Programs that a test starts, and everything that they start in turn: all of it ends with the test.
#pragma once
#include <functional>
#include <string>
#include <vector>

namespace pgram::engines {

bool within(double seconds, const std::function<bool()>& done);
std::string file_text(const std::string& path);
/// Whether a program is on the path, or is a file that may be run.
bool is_installed(const std::string& program);

/// A folder of its own that goes away with the test. Every process that has its name in its environment, where
/// Process puts it, is ended first.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }
  std::string write(const std::string& name, const std::string& text) const;
  /// SIGKILL to all of them but those that the filter (over the command line) leaves out, until none is left.
  void kill_all(const std::function<bool(const std::string& command)>& wanted = {}) const;

 private:
  std::string path_;
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
