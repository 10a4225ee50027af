// Sweeps of some tens of cases, and their rows as one machine gives them.
#pragma once
#include <string>

#include "tests/sweep_engines/support/process.h"

namespace pgram::engines {

/// 52 cases, a fifth of a second.
inline std::string small_sweep() {
  return "pgram_sweep: 1\n"
         "name: Small_sweep.1\n"
         "models: tiny-llama\n"
         "clusters: dgx-h100:1\n"
         "layouts: all\n"
         "global_batch: 16\n"
         "micro_batch: [1, 2]\n"
         "sequence: 64\n"
         "disturbances:\n"
         "  - none\n"
         "  - {name: slow-gpu, slow: \"0:1.3\"}\n";
}

/// All rows of a finished sweep as CSV; the reason in place of it where it is not finished or cannot be read.
std::string rows_of(const Folder&, const std::string& sweep_file, const std::string& results);
/// The same by one process on this machine, into a file that is only for this.
std::string rows_of_one_machine(const Folder&, const std::string& sweep_file);

}  // namespace pgram::engines
