// `pgram run --backend cuda` as one process per rank, started as a launcher would, on the stand-in GPU.
#pragma once
#include <string>
#include <vector>

#include "core/plan/plan.h"
#include "tests/support/folder.h"
#include "tests/support/text.h"

namespace pgram::testing {

/// A folder with a plan and a text.
class RunFolder {
 public:
  /// A small Llama in this layout.
  explicit RunFolder(const std::string& layout);
  std::string operator/(const std::string& name) const { return folder_ / name; }
  /// The command's words up to its own options.
  std::vector<std::string> command(const std::vector<std::string>& options) const;
  const Plan& plan() const { return plan_; }

 private:
  const test::Folder folder_;
  Plan plan_;
};

using test::contains;
using test::file_text;

/// A program that runs, its outputs in files.
class Program {
 public:
  /// `environment`: "NAME=value" beside this process's own.
  Program(const std::vector<std::string>& words, const std::vector<std::string>& environment,
          const std::string& output);
  ~Program();
  Program(Program&&) noexcept;
  Program(const Program&) = delete;
  void signal(int number) const;
  /// Its exit status, 128 + signal if it was killed; -1 if it still runs after that time, and is killed.
  int wait(double seconds = 60);
  std::string out() const { return file_text(output_ + ".out"); }
  std::string err() const { return file_text(output_ + ".err"); }
  /// Until standard output has the text; false if that takes too long.
  bool wait_for_output(const std::string& text, double seconds = 60) const;

 private:
  int pid_ = -1;
  std::string output_;
};

/// The variables that torchrun sets for one rank.
std::vector<std::string> torchrun(uint32_t rank, uint32_t size, uint16_t port);

/// All ranks of the folder's plan but those left out.
std::vector<Program> start_ranks(const RunFolder&, uint16_t port, const std::vector<std::string>& options,
                                 const std::vector<uint32_t>& left_out = {});

}  // namespace pgram::testing
