// The report as one screen.
#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "cli/doctor/report.h"
#include "core/base/units.h"

namespace pgram {
namespace {

constexpr size_t kColumns = 100, kLabel = 11, kMostShown = 10;

std::string or_unknown(const std::string& text) {
  return text.empty() ? "unknown" : text;
}

/// The words after a label, on as many lines as they need; further lines begin below the first word.
std::string paragraph(const std::string& label, const std::string& words) {
  std::string text, line = label;
  line.resize(std::max(kLabel, label.size() + 1), ' ');
  const size_t indent = line.size();
  bool first = true;
  std::istringstream in(words);
  for (std::string word; in >> word; first = false) {
    if (!first && line.size() + 1 + word.size() > kColumns) {
      text += line + "\n";
      line = std::string(indent, ' ');
      first = true;
    }
    line += (first ? "" : " ") + word;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return text + line + "\n";
}

std::string processor_text(const DoctorReport& r) {
  return or_unknown(r.processor) + ", " + (r.cores ? std::to_string(r.cores) : "unknown number of") + " cores, " +
         (r.memory_bytes ? format_bytes(r.memory_bytes) : "unknown") + " memory, vectors " + or_unknown(r.vectors);
}

std::string libraries_text(const DoctorReport& r) {
  std::string text;
  for (const DoctorReport::Library& library : r.libraries) {
    text += (text.empty() ? "" : ", ") + library.name + " " + or_unknown(library.version);
  }
  return text;
}

std::string driver_text(const DoctorReport& r) {
  const std::string cuda = cuda_version_text(r.cuda.driver);
  const std::string limit = cuda.empty() ? "" : ", for CUDA up to " + cuda;
  if (!r.nvml.driver.empty()) return r.nvml.driver + limit;
  if (r.nvml.error.empty()) return "version unknown" + limit;
  return (cuda.empty() ? "none found: " : "version unknown: ") + r.nvml.error + limit;
}

std::string cuda_text(const DoctorReport& r) {
  if (!r.no_cuda.empty()) return "unknown: " + r.no_cuda;
  return "runtime " + or_unknown(cuda_version_text(r.cuda.runtime)) + ", cuBLAS " +
         or_unknown(cublas_version_text(r.cuda.cublas)) + ", NCCL " + or_unknown(nccl_version_text(r.cuda.nccl));
}

std::string name_of(const CudaReport::Gpu& gpu) {
  return or_unknown(gpu.name) + ", compute capability " + std::to_string(gpu.major) + "." + std::to_string(gpu.minor) +
         ", " + std::to_string(gpu.multiprocessors) + " multiprocessors, " + format_bytes(gpu.memory_bytes);
}

std::string name_of(const NvmlReport::Gpu& gpu) {
  return or_unknown(gpu.name) + ", " + (gpu.memory_bytes ? format_bytes(gpu.memory_bytes) : "unknown memory");
}

/// "8 x NVIDIA H100, ...": equal ones are counted.
template <class Gpu>
std::string gpus_text(const std::vector<Gpu>& gpus) {
  std::vector<std::pair<std::string, int>> kinds;
  for (const Gpu& gpu : gpus) {
    const std::string name = name_of(gpu);
    const auto known = std::find_if(kinds.begin(), kinds.end(), [&](const auto& kind) { return kind.first == name; });
    if (known == kinds.end()) {
      kinds.emplace_back(name, 1);
    } else {
      ++known->second;
    }
  }
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(kinds.size(), 4); ++i) {
    text += (i ? "; " : "") + std::to_string(kinds[i].second) + " x " + kinds[i].first;
  }
  return kinds.size() > 4 ? text + "; and others" : text;
}

std::string gpus_text(const DoctorReport& r) {
  if (!r.cuda.gpus.empty()) return gpus_text(r.cuda.gpus);
  if (!r.nvml.gpus.empty()) return gpus_text(r.nvml.gpus);
  if (!r.cuda.error.empty()) return "none usable: " + r.cuda.error;
  return r.nvml.error.empty() ? "none" : "unknown without a driver";
}

/// The kinds of connection that are there, in nvidia-smi's words.
std::string legend(const std::vector<std::vector<std::string>>& links) {
  static const std::map<std::string, std::string> kMeanings{{"PIX", "one PCIe switch"},
                                                            {"PXB", "several PCIe switches"},
                                                            {"PHB", "a PCIe host bridge"},
                                                            {"NODE", "several host bridges of a NUMA node"},
                                                            {"SYS", "the link between NUMA nodes"},
                                                            {"?", "unknown"}};
  std::set<std::string> kinds;
  for (const auto& row : links) {
    for (const std::string& link : row) kinds.insert(link.starts_with("NV") ? "NV" : link.empty() ? "?" : link);
  }
  std::string text;
  for (const std::string& kind : kinds) {
    if (kind == "NV") text += (text.empty() ? "" : ", ") + std::string("NV# # NVLinks");
    if (const auto found = kMeanings.find(kind); found != kMeanings.end()) {
      text += (text.empty() ? "" : ", ") + kind + " " + found->second;
    }
  }
  return text;
}

std::string links_text(const DoctorReport& r) {
  const auto& links = r.nvml.links;
  if (!r.nvml.error.empty()) return paragraph("links", "unknown: " + r.nvml.error);
  if (links.size() < 2) return paragraph("links", "none: fewer than two GPUs");
  if (links.size() > kMostShown) {
    return paragraph("links",
                     std::to_string(links.size()) + " GPUs are too many to show here; see --json. " + legend(links));
  }
  const auto cell = [](std::string text) {
    text.resize(6, ' ');
    return text;
  };
  const auto add = [](std::string& text, std::string line) {
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  std::string text, line = "links";
  line.resize(kLabel, ' ');
  line += cell("");
  for (size_t i = 0; i < links.size(); ++i) line += cell("GPU" + std::to_string(i));
  add(text, line);
  for (size_t i = 0; i < links.size(); ++i) {
    line = std::string(kLabel, ' ') + cell("GPU" + std::to_string(i));
    for (const std::string& link : links[i]) line += cell(link.empty() ? "?" : link == "X" ? " X" : link);
    add(text, line);
  }
  return text + paragraph("", legend(links));
}

std::string commands_text(const DoctorReport& r) {
  std::string ready, text;
  for (const DoctorReport::CommandState& state : r.commands) {
    if (state.missing.empty()) ready += (ready.empty() ? "" : ", ") + state.command;
  }
  text += paragraph("ready", ready);
  std::string label = "not ready";
  for (size_t i = 0; i < r.commands.size(); ++i) {
    const DoctorReport::CommandState& state = r.commands[i];
    if (state.missing.empty()) continue;
    // Commands in a row that lack the same are one entry.
    std::string names = state.command;
    while (i + 1 < r.commands.size() && r.commands[i + 1].missing == state.missing)
      names += ", " + r.commands[++i].command;
    text += paragraph(label, names + ": " + state.missing + ". To do: " + state.cure);
    label.clear();
  }
  return text;
}

std::string version_text(int major, int minor, int patch) {
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

}  // namespace

std::string cuda_version_text(int version) {
  return version ? std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10) : "";
}

std::string cublas_version_text(int version) {
  return version ? version_text(version / 10000, version / 100 % 100, version % 100) : "";
}

std::string nccl_version_text(int version) {
  if (version == 0) return "";
  // Up to 2.8 there was one digit for the minor version.
  if (version < 10000) return version_text(version / 1000, version / 100 % 10, version % 100);
  return version_text(version / 10000, version / 100 % 100, version % 100);
}

std::string to_text(const DoctorReport& r) {
  std::string text = "pgram " + r.version + " on this machine\n\n";
  text += paragraph("CPU", processor_text(r));
  text += paragraph("libraries", libraries_text(r));
  text += paragraph("driver", driver_text(r));
  text += paragraph("CUDA", cuda_text(r));
  text += paragraph("GPUs", gpus_text(r));
  text += links_text(r);
  text += paragraph("MPI", r.mpirun.empty() ? "mpirun is not on the path" : or_unknown(r.mpi) + " (" + r.mpirun + ")");
  return text + "\n" + commands_text(r);
}

}  // namespace pgram
