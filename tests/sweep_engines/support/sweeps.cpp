#include "tests/sweep_engines/support/sweeps.h"

namespace pgram::engines {

std::string rows_of(const Folder& folder, const std::string& sweep_file, const std::string& results) {
  const std::string csv = folder / "rows.csv";
  const Finished read =
      run(folder, {PGRAM_PROGRAM, "sweep", sweep_file, "--out", results, "--json", "--top", "0", "--csv", csv});
  if (read.code != 0) return "cannot be read: " + read.err;
  // The command would simulate what is missing.
  if (read.out.find("\"simulated\": 0,") == std::string::npos) return "was not finished: " + read.out;
  return file_text(csv);
}

std::string rows_of_one_machine(const Folder& folder, const std::string& sweep_file) {
  const std::string results = folder / "one-machine.db";
  const Finished made = run(folder, {PGRAM_PROGRAM, "sweep", sweep_file, "--out", results, "--threads", "1"});
  return made.code == 0 ? rows_of(folder, sweep_file, results) : "failed: " + made.err;
}

}  // namespace pgram::engines
