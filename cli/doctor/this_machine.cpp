// Looks at this machine.
#include <dnnl.h>
#include <hwloc.h>
#include <oneapi/tbb/version.h>

#include <CLI/Version.hpp>
#include <array>
#include <boost/version.hpp>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "cli/doctor/mpi.h"
#include "cli/doctor/report.h"
#include "core/base/errors.h"
#include "core/cluster/cluster.h"
#include "cuda_backend/loader.h"

namespace pgram {
namespace {

std::string version_of(unsigned major, unsigned minor, unsigned patch) {
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

/// Shared libraries say what runs; of headers it is what was compiled.
std::vector<DoctorReport::Library> libraries() {
  const dnnl_version_t& dnnl = *dnnl_version();
  return {{"oneDNN", version_of(static_cast<unsigned>(dnnl.major), static_cast<unsigned>(dnnl.minor),
                                static_cast<unsigned>(dnnl.patch))},
          {"hwloc", HWLOC_VERSION},
          {"oneTBB", TBB_runtime_version()},
          {"Boost", version_of(BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000, BOOST_VERSION % 100)},
          {"nlohmann-json",
           version_of(NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH)},
          {"CLI11", CLI11_VERSION}};
}

std::string vectors() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return "AVX-512 (512 bits)";
  if (__builtin_cpu_supports("avx2")) return "AVX2 (256 bits)";
  if (__builtin_cpu_supports("avx")) return "AVX (256 bits)";
  return "SSE2 (128 bits)";  // every x86-64 processor has it
#else
  return "";
#endif
}

void look_at_processors(DoctorReport& report) {
  report.vectors = vectors();
  try {
    const Cluster all = this_machine(1);
    if (all.device.name != "processor")
      report.processor = all.device.name;  // that is what it says of one without a name
    report.cores = all.cores_per_device;
    report.memory_bytes = all.device.memory_bytes;
  } catch (const RunError&) {
    return;  // hwloc cannot look: unknown
  }
}

void look_at_gpus(DoctorReport& report) {
  report.nvml = look_at_nvml();
  const LoadedCuda cuda = load_cuda_backend();
  report.no_cuda = cuda.reason;
  if (cuda) report.cuda = cuda.api->report();
}

/// What `program --version` prints. The path has no quotes in it.
std::string printed_version(const std::string& program) {
  std::string output;
  std::FILE* pipe = popen(("'" + program + "' --version 2>/dev/null </dev/null").c_str(), "r");
  if (!pipe) return output;
  std::array<char, 4096> block;
  while (const size_t n = std::fread(block.data(), 1, block.size(), pipe)) output.append(block.data(), n);
  pclose(pipe);
  return output;
}

void look_at_mpi(DoctorReport& report) {
  const char* path = std::getenv("PATH");
  report.mpirun = find_program("mpirun", path ? path : "");
  if (!report.mpirun.empty() && report.mpirun.find('\'') == std::string::npos) {
    report.mpi = mpi_version(printed_version(report.mpirun));
  }
}

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value && *value;
}

}  // namespace

DoctorReport look_at_this_machine(const std::string& pgram_version, bool has_gui) {
  DoctorReport report;
  report.version = pgram_version;
  report.has_gui = has_gui;
  report.has_display = is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
  report.libraries = libraries();
  look_at_processors(report);
  look_at_gpus(report);
  look_at_mpi(report);
  report.commands = command_states(report);
  return report;
}

}  // namespace pgram
