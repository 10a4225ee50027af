#include "cli/doctor/mpi.h"

#include <unistd.h>

#include <sstream>

namespace pgram {

std::string find_program(const std::string& name, const std::string& path) {
  std::istringstream folders(path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string file = (folder.empty() ? "." : folder) + "/" + name;
    if (access(file.c_str(), X_OK) == 0) return file;
  }
  return "";
}

std::string mpi_version(const std::string& output) {
  std::istringstream lines(output);
  bool hydra = false;  // MPICH's launcher, whose version is on a line of its own
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("mpirun (") || line.starts_with("mpiexec (")) {  // "mpirun (Open MPI) 4.1.4"
      const size_t begin = line.find('(') + 1, end = line.find(')');
      return end == std::string::npos ? "" : line.substr(begin, end - begin) + line.substr(end + 1);
    }
    if (line.starts_with("Intel(R) MPI")) return line;
    hydra |= line.find("HYDRA") != std::string::npos;
    const size_t colon = line.find("Version:");
    if (hydra && colon != std::string::npos) {
      const size_t begin = line.find_first_not_of(" \t", colon + 8);
      return begin == std::string::npos ? "" : "MPICH (Hydra) " + line.substr(begin);
    }
  }
  return "";
}

}  // namespace pgram
