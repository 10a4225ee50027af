// Sweeps of some tens of cases, and their rows as one machine gives them.
#pragma once
#include <string>

#include "tests/sweep_engines/support/process.h"

namespace pgram::engines {

/// 52 cases.
std::string small_sweep();
/// 832 cases, about a second of one core.
std::string longer_sweep();

/// All rows of a finished sweep as CSV; the reason in place of it where it is not finished or cannot be read.
std::string rows_of(const Folder&, const std::string& sweep_file, const std::string& results);
/// The same by one process on this machine, into a file that is only for this.
std::string rows_of_one_machine(const Folder&, const std::string& sweep_file);

}  // namespace pgram::engines
