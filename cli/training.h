// Really running a plan, as `run` and `demo` do it.
#pragma once
#include <memory>
#include <string>

#include "core/cluster/cluster.h"
#include "core/exec/interpreter.h"
#include "cpu_backend/cpu_backend.h"

namespace pgram::cli {

/// A whole text file, or the King James Bible where `path` is empty or names a file that is not there but whose name
/// ends in "kjv.txt": it is then made by the program `bible` (Debian's bible-kjv).
std::shared_ptr<const std::string> training_text(const std::string& path);

/// Threads of a rank on this machine's cluster.
CpuOptions cpu_options(const Cluster&, KernelSet);

}  // namespace pgram::cli
