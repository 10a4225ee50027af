#include "tests/sweep_engines/support/sweeps.h"

namespace pgram::engines {
namespace {

/// 13 layouts of 8 devices for each micro-batch.
std::string sweep_of(const std::string& batches, const std::string& sequences, const std::string& disturbances) {
  return "pgram_sweep: 1\nname: Small_sweep.1\nmodels: tiny-llama\nclusters: dgx-h100:1\nlayouts: all\nglobal_batch: "
         "[" +
         batches + "]\nmicro_batch: [1, 2]\nsequence: [" + sequences + "]\ndisturbances:\n  - none\n" + disturbances;
}

}  // namespace

std::string small_sweep() {
  return sweep_of("16", "64", "  - {name: slow-gpu, slow: \"0:1.3\"}\n");
}

std::string longer_sweep() {
  return sweep_of("16, 32", "64, 128, 192, 256",
                  "  - {name: slow-0, slow: \"0:1.3\"}\n  - {name: slow-1, slow: \"1:1.3\"}\n"
                  "  - {name: slow-2, slow: \"2:1.3\"}\n");
}

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
