// The report for programs.
#include <nlohmann/json.hpp>

#include "cli/doctor/report.h"

namespace pgram {
namespace {

using Json = nlohmann::ordered_json;

Json known(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}
Json known(uint64_t number) {
  return number ? Json(number) : Json();
}

Json gpus(const DoctorReport& r) {
  Json list = Json::array();
  for (const CudaReport::Gpu& gpu : r.cuda.gpus) {
    list.push_back({{"name", known(gpu.name)},
                    {"pci", known(plain_pci(gpu.pci))},
                    {"compute_capability", std::to_string(gpu.major) + "." + std::to_string(gpu.minor)},
                    {"multiprocessors", gpu.multiprocessors},
                    {"memory_bytes", gpu.memory_bytes}});
  }
  return list;
}

/// The driver's GPUs, in its own order, which CUDA's need not be: `pci` connects the two.
Json driver_gpus(const DoctorReport& r) {
  Json list = Json::array();
  for (size_t i = 0; i < r.nvml.gpus.size(); ++i) {
    const NvmlReport::Gpu& gpu = r.nvml.gpus[i];
    Json links = Json::array();
    if (i < r.nvml.links.size()) {
      for (const std::string& link : r.nvml.links[i]) links.push_back(known(link));
    }
    list.push_back({{"name", known(gpu.name)},
                    {"pci", known(gpu.pci)},
                    {"memory_bytes", known(gpu.memory_bytes)},
                    {"links", links}});
  }
  return list;
}

}  // namespace

std::string to_json(const DoctorReport& r) {
  Json libraries = Json::object(), commands = Json::array();
  for (const DoctorReport::Library& library : r.libraries) libraries[library.name] = known(library.version);
  for (const DoctorReport::CommandState& state : r.commands) {
    commands.push_back({{"command", state.command},
                        {"ready", state.missing.empty()},
                        {"missing", known(state.missing)},
                        {"get", known(state.cure)}});
  }
  const Json out{
      {"pgram", r.version},
      {"cpu",
       {{"processor", known(r.processor)},
        {"cores", known(uint64_t{r.cores})},
        {"memory_bytes", known(r.memory_bytes)},
        {"vectors", known(r.vectors)}}},
      {"libraries", libraries},
      {"driver", {{"version", known(r.nvml.driver)}, {"error", known(r.nvml.error)}, {"gpus", driver_gpus(r)}}},
      {"cuda",
       {{"backend_error", known(r.no_cuda)},
        {"error", known(r.cuda.error)},
        {"driver", known(cuda_version_text(r.cuda.driver))},
        {"runtime", known(cuda_version_text(r.cuda.runtime))},
        {"cublas", known(cublas_version_text(r.cuda.cublas))},
        {"nccl", known(nccl_version_text(r.cuda.nccl))},
        {"gpus", gpus(r)}}},
      {"mpi", {{"mpirun", known(r.mpirun)}, {"version", known(r.mpi)}}},
      {"window", {{"built", r.has_gui}, {"display", r.has_display}}},
      {"commands", commands}};
  return out.dump(2);
}

}  // namespace pgram
