#include "cli/doctor/nvml.h"

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>

namespace pgram {
namespace {

// What of NVML's interface is used, as its documentation gives it ("NVML API Reference", functions with their version).
using Status = int;  // 0 is success
using Handle = void*;
struct PciInfo {
  char legacy_address[16];
  unsigned domain, bus, device, device_id, subsystem_id;
  char address[32];
};
struct Memory {
  unsigned long long total, free, used;
};
constexpr unsigned kMostLinks = 18;
constexpr unsigned kEnabled = 1;
enum RemoteKind : unsigned { kGpu = 0, kSwitch = 2 };

/// A symbol that the library does not have is a null pointer: what needs it stays unknown.
struct Functions {
  Status (*init)() = nullptr;
  Status (*shutdown)() = nullptr;
  const char* (*error_text)(Status) = nullptr;
  Status (*driver_version)(char*, unsigned) = nullptr;
  Status (*count)(unsigned*) = nullptr;
  Status (*handle)(unsigned, Handle*) = nullptr;
  Status (*name)(Handle, char*, unsigned) = nullptr;
  Status (*pci)(Handle, PciInfo*) = nullptr;
  Status (*memory)(Handle, Memory*) = nullptr;
  Status (*common_ancestor)(Handle, Handle, unsigned*) = nullptr;
  Status (*link_state)(Handle, unsigned, unsigned*) = nullptr;
  Status (*link_remote_kind)(Handle, unsigned, unsigned*) = nullptr;
  Status (*link_remote_pci)(Handle, unsigned, PciInfo*) = nullptr;
};

class Library {
 public:
  explicit Library(const std::string& name) : library_(dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (!library_) return;
    find("nvmlInit_v2", f.init);
    find("nvmlShutdown", f.shutdown);
    find("nvmlErrorString", f.error_text);
    find("nvmlSystemGetDriverVersion", f.driver_version);
    find("nvmlDeviceGetCount_v2", f.count);
    find("nvmlDeviceGetHandleByIndex_v2", f.handle);
    find("nvmlDeviceGetName", f.name);
    find("nvmlDeviceGetPciInfo_v3", f.pci);
    find("nvmlDeviceGetMemoryInfo", f.memory);
    find("nvmlDeviceGetTopologyCommonAncestor", f.common_ancestor);
    find("nvmlDeviceGetNvLinkState", f.link_state);
    find("nvmlDeviceGetNvLinkRemoteDeviceType", f.link_remote_kind);
    find("nvmlDeviceGetNvLinkRemotePciInfo_v2", f.link_remote_pci);
  }
  ~Library() {
    if (started_ && f.shutdown) f.shutdown();
    if (library_) dlclose(library_);
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  bool loaded() const { return library_ != nullptr; }
  bool complete() const { return f.init && f.count && f.handle; }
  Status start() {
    const Status status = f.init();
    started_ = status == 0;
    return status;
  }

  Functions f;

 private:
  template <class Function>
  void find(const char* name, Function*& function) {
    function = reinterpret_cast<Function*>(dlsym(library_, name));
  }

  void* library_;
  bool started_ = false;
};

/// Active NVLinks of one GPU: to other GPUs, by address, and to switches, through which every GPU is reached.
struct NvLinks {
  std::vector<std::string> to;
  int to_switches = 0;
};

NvLinks nvlinks_of(const Functions& f, Handle gpu) {
  NvLinks links;
  if (!f.link_state) return links;
  for (unsigned link = 0; link < kMostLinks; ++link) {
    unsigned state = 0, kind = kGpu;
    if (f.link_state(gpu, link, &state) != 0 || state != kEnabled) continue;
    const bool kind_known = f.link_remote_kind && f.link_remote_kind(gpu, link, &kind) == 0;
    PciInfo remote{};
    if (kind_known && kind == kSwitch) {
      ++links.to_switches;
    } else if (f.link_remote_pci && f.link_remote_pci(gpu, link, &remote) == 0) {
      links.to.push_back(plain_pci(remote.address));
    }
  }
  return links;
}

/// The names that nvidia-smi has for the levels at which two PCIe paths meet.
std::string pcie_link(const Functions& f, Handle a, Handle b) {
  unsigned level = 0;
  if (!f.common_ancestor || f.common_ancestor(a, b, &level) != 0) return "";
  switch (level) {
    case 0:   // on one board
    case 10:  // one switch
      return "PIX";
    case 20:
      return "PXB";
    case 30:
      return "PHB";
    case 40:
      return "NODE";
    case 50:
      return "SYS";
    default:
      return "";
  }
}

void read_links(const Functions& f, const std::vector<Handle>& handles, NvmlReport& report) {
  const size_t n = handles.size();
  std::vector<NvLinks> nvlinks;
  for (const Handle gpu : handles) nvlinks.push_back(nvlinks_of(f, gpu));
  report.links.assign(n, std::vector<std::string>(n, "X"));
  for (size_t a = 0; a < n; ++a) {
    for (size_t b = 0; b < n; ++b) {
      if (a == b) continue;
      const auto direct = std::count(nvlinks[a].to.begin(), nvlinks[a].to.end(), report.gpus[b].pci);
      const auto count = direct + std::min(nvlinks[a].to_switches, nvlinks[b].to_switches);
      report.links[a][b] = count > 0 ? "NV" + std::to_string(count) : pcie_link(f, handles[a], handles[b]);
    }
  }
}

NvmlReport::Gpu read_gpu(const Functions& f, Handle handle) {
  NvmlReport::Gpu gpu;
  std::array<char, 96> name{};
  if (f.name && f.name(handle, name.data(), name.size()) == 0) gpu.name = name.data();
  PciInfo pci{};
  if (f.pci && f.pci(handle, &pci) == 0) gpu.pci = plain_pci(pci.address);
  Memory memory{};
  if (f.memory && f.memory(handle, &memory) == 0) gpu.memory_bytes = memory.total;
  return gpu;
}

}  // namespace

std::string plain_pci(std::string address) {
  std::transform(address.begin(), address.end(), address.begin(), [](unsigned char c) { return std::tolower(c); });
  const size_t colon = address.find(':');
  return colon != std::string::npos && colon > 4 ? address.substr(colon - 4) : address;
}

NvmlReport look_at_nvml(const std::string& library_name) {
  NvmlReport report;
  Library library(library_name);
  if (!library.loaded()) {
    report.error = library_name + " was not found";
    return report;
  }
  if (!library.complete()) {
    report.error = library_name + " lacks functions that every driver has";
    return report;
  }
  const Functions& f = library.f;
  if (const Status status = library.start(); status != 0) {
    report.error = library_name + ": " + (f.error_text ? f.error_text(status) : "error " + std::to_string(status));
    return report;
  }
  std::array<char, 96> version{};
  if (f.driver_version && f.driver_version(version.data(), version.size()) == 0) report.driver = version.data();
  unsigned count = 0;
  if (f.count(&count) != 0) report.error = library_name + " cannot count the GPUs";
  std::vector<Handle> handles;
  for (unsigned i = 0; i < count; ++i) {
    Handle handle = nullptr;
    if (f.handle(i, &handle) != 0) continue;  // in use by others, or forbidden
    handles.push_back(handle);
    report.gpus.push_back(read_gpu(f, handle));
  }
  read_links(f, handles, report);
  return report;
}

}  // namespace pgram
