// Runs the built `pgram` as a user would.
#pragma once
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

#include "tests/support/folder.h"
#include "tests/support/text.h"

namespace pgram::test {

struct Outcome {
  int code = -1;
  std::string out, err;
};

inline Outcome run(const Folder& folder, const std::string& arguments) {
  const std::string err = folder / "stderr.txt";
  const std::string command = std::string(PGRAM_PROGRAM) + " " + arguments + " 2>" + err + " </dev/null";
  Outcome outcome;
  std::FILE* pipe = popen(command.c_str(), "r");
  std::array<char, 4096> block;
  while (const size_t n = std::fread(block.data(), 1, block.size(), pipe)) outcome.out.append(block.data(), n);
  const int status = pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  outcome.err = file_text(err);
  return outcome;
}

}  // namespace pgram::test
