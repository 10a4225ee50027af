// Which of a run's processes this one is, as its launcher says in the environment.
#pragma once
#include <cstdint>
#include <functional>
#include <string>

namespace pgram {

/// Where process 0 serves the store if nobody sets MASTER_PORT.
constexpr uint16_t kDefaultMasterPort = 29517;

struct ProcessPlace {
  uint32_t index = 0, size = 1;
  uint32_t local_index = 0;  ///< among the processes of this machine
  std::string launcher;      ///< "torchrun", "mpirun", "srun", "PMI"; empty: started alone
  std::string job;           ///< what tells this run from others on the same port, where the launcher says it
  std::string address = "127.0.0.1";
  uint16_t port = kDefaultMasterPort;
};

/// std::getenv, or a test's.
using Environment = std::function<const char*(const char* name)>;

/// The first of these whose variables are set:
///   RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT        torchrun, or any script
///   OMPI_COMM_WORLD_RANK, _SIZE, _LOCAL_RANK, _LOCAL_SIZE         mpirun of Open MPI
///   PMI_RANK, PMI_SIZE, MPI_LOCALRANKID, MPI_LOCALNRANKS          mpirun of MPICH and its kin
///   SLURM_PROCID, SLURM_NTASKS, SLURM_LOCALID, the node list      srun
/// MASTER_ADDR and MASTER_PORT are heard in all of them; where all processes are on one machine the address may be left
/// out, and srun's is the first host of the node list. None set: one process. InputError naming the variable for what
/// is missing, garbage or contradictory.
ProcessPlace process_place(const Environment&);
ProcessPlace process_place();

/// "node[012-015,20],login1" -> "node012"; empty if there is none.
std::string first_host(const std::string& node_list);

}  // namespace pgram
