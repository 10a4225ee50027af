// Whether this process is one of several that a launcher started together, as the environment says.
#pragma once
#include <cstdint>
#include <functional>
#include <string>

namespace pgram {

struct Launch {
  uint32_t rank = 0, size = 1;
  uint32_t local_size = 1;  ///< processes on this machine
  std::string launcher;     ///< "mpirun", "srun"; empty: started alone
  bool can_meet = true;     ///< the launcher gave the processes a way to find each other
};

/// The first of these whose variables are set:
///   OMPI_COMM_WORLD_RANK, _SIZE, _LOCAL_SIZE                 mpirun of Open MPI
///   PMI_RANK, PMI_SIZE, MPI_LOCALNRANKS                      mpirun of MPICH and its kin
///   SLURM_PROCID, SLURM_STEP_NUM_TASKS                       srun (a batch script is no step: it is started alone);
///                                                            PMIX_RANK says that they can meet
/// InputError naming the variable for what is missing or no number.
Launch launch_of(const std::function<const char*(const char* name)>& environment);
Launch launch_of_this_process();

/// How many threads a rank uses if nobody says: the machine's cores over its ranks, but no more than it may run on.
uint32_t threads_of_rank(uint32_t cores, uint32_t allowed_cores, uint32_t local_ranks);

}  // namespace pgram
