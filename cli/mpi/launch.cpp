#include "cli/mpi/launch.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "core/base/errors.h"

namespace pgram {
namespace {

struct Variables {
  const char* launcher;
  const char* size;
  const char* rank;
  const char* local_size;  ///< may be unset
};
constexpr Variables kLaunchers[] = {
    {"mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"},
    {"mpirun", "PMI_SIZE", "PMI_RANK", "MPI_LOCALNRANKS"},
    {"srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", ""},
};

uint32_t number(const char* name, const char* text, uint32_t least, uint32_t most) {
  uint32_t value = 0;
  const char* end = text ? text + std::strlen(text) : nullptr;
  if (text) {
    const auto [last, error] = std::from_chars(text, end, value);
    if (error == std::errc() && last == end && value >= least && value <= most) return value;
  }
  throw InputError(name, std::string("expected a number from ") + std::to_string(least) + " to " +
                             std::to_string(most) + " from the launcher, got " +
                             (text ? '\'' + std::string(text) + '\'' : "nothing"));
}

}  // namespace

Launch launch_of(const std::function<const char*(const char* name)>& environment) {
  constexpr uint32_t kMost = 1u << 24;
  for (const Variables& names : kLaunchers) {
    const char* size = environment(names.size);
    if (!size) continue;
    Launch launch;
    launch.size = number(names.size, size, 1, kMost);
    launch.rank = number(names.rank, environment(names.rank), 0, launch.size - 1);
    if (const char* local = *names.local_size ? environment(names.local_size) : nullptr)
      launch.local_size = number(names.local_size, local, 1, launch.size);
    launch.launcher = names.launcher;
    launch.can_meet = launch.launcher != "srun" || environment("PMIX_RANK");
    return launch;
  }
  return {};
}

Launch launch_of_this_process() {
  return launch_of([](const char* name) { return std::getenv(name); });
}

uint32_t threads_of_rank(uint32_t cores, uint32_t allowed_cores, uint32_t local_ranks) {
  return std::clamp(cores / std::max(local_ranks, 1u), 1u, std::max(allowed_cores, 1u));
}

}  // namespace pgram
