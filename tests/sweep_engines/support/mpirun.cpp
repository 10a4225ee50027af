#include "tests/sweep_engines/support/mpirun.h"

#include <filesystem>

#include "cli/mpi/plugin.h"
#include "tests/sweep_engines/support/process.h"

namespace pgram::engines {

std::string why_no_mpirun() {
  if (!is_installed("mpirun")) return "mpirun (Debian's openmpi-bin) is not installed";
  if (!std::filesystem::exists(std::string(PGRAM_PLUGIN_FOLDER) + "/" + kMpiLibrary))
    return "built without MPI (Debian's libopenmpi-dev)";
  return "";
}

std::vector<std::string> mpirun(uint32_t ranks, const std::vector<std::string>& command) {
  // Where there is no /sys, as in some containers, Open MPI's hwloc says so on stderr.
  std::vector<std::string> words{
      "env", "HWLOC_HIDE_ERRORS=2", "mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none",
      "-n",  std::to_string(ranks)};
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

}  // namespace pgram::engines
