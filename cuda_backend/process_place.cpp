#include "cuda_backend/process_place.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>

#include "core/base/errors.h"

namespace pgram {
namespace {

constexpr uint32_t kMaxProcesses = 1u << 20;

/// The variables by which one kind of launcher says a process's place; nullptr: it has none.
struct Launcher {
  const char *name, *rank, *size, *local_rank, *local_size, *job;
};
constexpr Launcher kLaunchers[] = {
    {"torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID"},
    {"mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
     "OMPI_COMM_WORLD_LOCAL_SIZE", "PMIX_NAMESPACE"},
    {"PMI", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS", "PMI_JOBID"},
    {"srun", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", nullptr, "SLURM_JOB_ID"},
};

class Reader {
 public:
  explicit Reader(const Environment& environment) : environment_(environment) {}

  /// Empty where it is not set; a variable set to nothing counts as not set.
  std::string text(const char* name) const {
    const char* value = name ? environment_(name) : nullptr;
    return value ? value : "";
  }

  std::optional<uint32_t> number(const char* name, uint32_t least, uint32_t most) const {
    const std::string value = text(name);
    if (value.empty()) return std::nullopt;
    uint32_t parsed = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), parsed);
    if (error != std::errc() || end != value.data() + value.size() || parsed < least || parsed > most) {
      throw InputError(name, "expected a whole number from " + std::to_string(least) + " to " + std::to_string(most) +
                                 ", got \"" + value.substr(0, 80) + "\"");
    }
    return parsed;
  }

  uint32_t need(const char* name, const char* beside, uint32_t least, uint32_t most) const {
    const std::optional<uint32_t> value = number(name, least, most);
    if (!value) throw InputError(name, std::string("missing, although ") + beside + " is set; both are needed");
    return *value;
  }

 private:
  const Environment& environment_;
};

/// Ranks of one launcher inside another's (a script that copies them, torchrun under mpirun): they may count other
/// things, but if both count the same number of processes, they must number them the same.
void refuse_contradiction(const Reader& reader, const Launcher& used, const ProcessPlace& place) {
  for (const Launcher& other : kLaunchers) {
    if (other.rank == used.rank) continue;
    const auto rank = reader.number(other.rank, 0, kMaxProcesses), size = reader.number(other.size, 1, kMaxProcesses);
    if (!rank || !size || *size != place.size || *rank == place.index) continue;
    throw InputError(used.rank, "is " + std::to_string(place.index) + ", but " + other.rank + " is " +
                                    std::to_string(*rank) + " of as many processes; unset one of them");
  }
}

/// True if the launcher says that all processes are on one machine.
bool on_one_machine(const Reader& reader, const Launcher& launcher, uint32_t size) {
  if (size == 1) return true;
  if (std::string(launcher.name) == "srun") {
    return reader.number("SLURM_STEP_NUM_NODES", 1, kMaxProcesses)
               .value_or(reader.number("SLURM_NNODES", 1, kMaxProcesses).value_or(0)) == 1;
  }
  return reader.number(launcher.local_size, 1, kMaxProcesses) == size;
}

std::string address_of(const Reader& reader, const Launcher& launcher, uint32_t size) {
  if (std::string address = reader.text("MASTER_ADDR"); !address.empty()) return address;
  if (on_one_machine(reader, launcher, size)) return "127.0.0.1";
  if (std::string(launcher.name) == "srun") {
    for (const char* list : {"SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"}) {
      if (std::string host = first_host(reader.text(list)); !host.empty()) return host;
    }
    if (std::string address = reader.text("SLURM_LAUNCH_NODE_IPADDR"); !address.empty()) return address;
  }
  throw InputError("MASTER_ADDR", std::string("missing: the processes of ") + launcher.name +
                                      " are on several machines; set it to the host of rank 0 for all of them");
}

ProcessPlace read_place(const Reader& reader, const Launcher& launcher) {
  ProcessPlace place;
  place.launcher = launcher.name;
  place.size = reader.need(launcher.size, launcher.rank, 1, kMaxProcesses);
  place.index = reader.need(launcher.rank, launcher.size, 0, kMaxProcesses);
  if (place.index >= place.size) {
    throw InputError(launcher.rank, "is " + std::to_string(place.index) + ", expected less than " + launcher.size +
                                        ", which is " + std::to_string(place.size));
  }
  place.local_index = place.size == 1 ? 0 : reader.need(launcher.local_rank, launcher.rank, 0, place.size - 1);
  const auto local_size = reader.number(launcher.local_size, 1, place.size);
  if (local_size && place.local_index >= *local_size) {
    throw InputError(launcher.local_rank, "is " + std::to_string(place.local_index) + ", expected less than " +
                                              launcher.local_size + ", which is " + std::to_string(*local_size));
  }
  place.address = address_of(reader, launcher, place.size);
  place.port = static_cast<uint16_t>(reader.number("MASTER_PORT", 1, 65535).value_or(kDefaultMasterPort));
  place.job = reader.text(launcher.job);
  refuse_contradiction(reader, launcher, place);
  return place;
}

}  // namespace

std::string first_host(const std::string& node_list) {
  std::string host;
  for (size_t i = 0; i < node_list.size() && node_list[i] != ','; ++i) {
    if (node_list[i] != '[') {
      host += node_list[i];
      continue;
    }
    const size_t close = node_list.find(']', i);
    if (close == std::string::npos) return "";
    const std::string ranges = node_list.substr(i + 1, close - i - 1);
    host += ranges.substr(0, ranges.find_first_of(",-"));
    i = close;
  }
  return host;
}

ProcessPlace process_place(const Environment& environment) {
  const Reader reader(environment);
  const auto set = [&](const char* name) { return !reader.text(name).empty(); };
  for (const Launcher& launcher : kLaunchers) {
    if (!set(launcher.rank) && !set(launcher.size)) continue;
    // srun speaks PMI too, but says the local rank in its own words only.
    if (std::string(launcher.name) == "PMI" && !set(launcher.local_rank) && set("SLURM_LOCALID")) continue;
    return read_place(reader, launcher);
  }
  return {};
}

ProcessPlace process_place() {
  return process_place([](const char* name) { return std::getenv(name); });
}

}  // namespace pgram
