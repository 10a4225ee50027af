// This machine as a cluster: groups of cores that meet in shared memory.
#include <hwloc.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <sstream>

#include "core/base/errors.h"
#include "core/cluster/fabric.h"

namespace pgram {

namespace {

constexpr uint32_t kMaxRanksHere = 1024;

struct Machine {
  uint32_t cores = 1;
  uint64_t memory_bytes = 0;
  double hertz = 0;
  std::string processor, caches;
};

using TopologyHandle = std::unique_ptr<hwloc_topology, decltype(&hwloc_topology_destroy)>;
using CpuSet = std::unique_ptr<hwloc_bitmap_s, decltype(&hwloc_bitmap_free)>;

TopologyHandle load_topology() {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) throw RunError("hwloc cannot look at this machine");
  TopologyHandle topology(raw, &hwloc_topology_destroy);
  if (hwloc_topology_load(raw) != 0) throw RunError("hwloc cannot look at this machine");
  return topology;
}

/// hwloc leaves out what the control group forbids; taskset and the like are in the process's binding.
uint32_t allowed_cores(hwloc_topology_t topology) {
  CpuSet allowed(hwloc_bitmap_dup(hwloc_topology_get_allowed_cpuset(topology)), &hwloc_bitmap_free);
  CpuSet bound(hwloc_bitmap_alloc(), &hwloc_bitmap_free);
  if (hwloc_get_cpubind(topology, bound.get(), HWLOC_CPUBIND_PROCESS) == 0 && !hwloc_bitmap_iszero(bound.get()))
    hwloc_bitmap_and(allowed.get(), allowed.get(), bound.get());
  uint32_t cores = 0;
  for (hwloc_obj_t core = nullptr; (core = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_CORE, core)) != nullptr;)
    cores += hwloc_bitmap_intersects(core->cpuset, allowed.get());
  if (cores == 0) cores = static_cast<uint32_t>(std::max(1, hwloc_bitmap_weight(allowed.get())));
  return cores;
}

/// Calls `visit` with the folder of this process's control group (version 2) and of each above it.
template <class Visit>
void for_each_control_group(const Visit& visit) {
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    if (!line.starts_with("0::/")) continue;
    for (std::string path = line.substr(3);; path.resize(path.rfind('/'))) {
      if (path.ends_with('/')) path.pop_back();
      visit("/sys/fs/cgroup" + path);
      if (path.empty()) return;
    }
  }
}

/// Cores' worth of time that the control groups grant ("max" or "quota period"), rounded down, at least one.
uint32_t quota_cores() {
  double cores = 1e9;
  for_each_control_group([&](const std::string& folder) {
    double quota = 0, period = 0;
    if (std::ifstream file(folder + "/cpu.max"); file >> quota >> period && period > 0)
      cores = std::min(cores, quota / period);
  });
  double quota = 0, period = 0;  // version 1
  std::ifstream old_quota("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), old_period("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  if (old_quota >> quota && old_period >> period && quota > 0 && period > 0) cores = std::min(cores, quota / period);
  return static_cast<uint32_t>(std::max(1.0, std::floor(cores)));
}

uint64_t allowed_memory(hwloc_topology_t topology) {
  // hwloc adds up NUMA nodes; in a virtual machine those may lack what was plugged in later.
  const uint64_t pages = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  uint64_t bytes = std::max<uint64_t>(hwloc_get_root_obj(topology)->total_memory, pages);
  const auto limit = [&](const std::string& path) {
    uint64_t value = 0;
    if (std::ifstream file(path); file >> value && value > 0) bytes = std::min(bytes, value);
  };
  for_each_control_group([&](const std::string& folder) { limit(folder + "/memory.max"); });
  limit("/sys/fs/cgroup/memory/memory.limit_in_bytes");
  return bytes;
}

double core_hertz() {
  double kilohertz = 0;
  if (std::ifstream file("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"); file >> kilohertz && kilohertz > 0)
    return kilohertz * 1e3;
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    double megahertz = 0;
    const size_t colon = line.find(':');
    if (line.starts_with("cpu MHz") && colon != std::string::npos &&
        std::istringstream(line.substr(colon + 1)) >> megahertz && megahertz > 100)
      return megahertz * 1e6;
  }
  return 2e9;
}

std::string cache_names(hwloc_topology_t topology) {
  std::string names;
  const hwloc_obj_type_t levels[] = {HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L3CACHE};
  for (int level = 0; level < 3; ++level)
    if (const hwloc_obj_t cache = hwloc_get_next_obj_by_type(topology, levels[level], nullptr))
      names += ", L" + std::to_string(level + 1) + " " + format_bytes(cache->attr->cache.size);
  return names;
}

Machine look_at_machine() {
  const TopologyHandle topology = load_topology();
  Machine machine;
  machine.cores = std::min(allowed_cores(topology.get()), quota_cores());
  machine.memory_bytes = allowed_memory(topology.get());
  machine.hertz = core_hertz();
  machine.caches = cache_names(topology.get());
  const hwloc_obj_t package = hwloc_get_next_obj_by_type(topology.get(), HWLOC_OBJ_PACKAGE, nullptr);
  const char* model = package != nullptr ? hwloc_obj_get_info_by_name(package, "CPUModel") : nullptr;
  machine.processor = model != nullptr ? model : "processor";
  return machine;
}

/// fp32 operations a core finishes in a cycle: two fused multiply-adds of the vector's width. Many parts run AVX-512 at
/// half rate, so it counts as AVX2; calibration finds out.
double flops_per_cycle() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 32 : 8;
#else
  return 16;
#endif
}

/// A rough roofline until the machine has been calibrated: nothing here is measured but the count of cores.
Device rough_device(const Machine& machine, uint32_t threads, uint32_t devices) {
  Device device;
  device.name = machine.processor;
  device.source = "not calibrated: run pgram calibrate. " + std::to_string(threads) + " of " +
                  std::to_string(machine.cores) + " cores at " + std::to_string(std::lround(machine.hertz / 1e6)) +
                  " MHz x " + std::to_string(std::lround(flops_per_cycle())) + " fp32 operations a cycle" +
                  machine.caches + "; memory and copies assumed at 8 GB/s a core";
  device.is_cpu = true;
  device.memory_bytes = machine.memory_bytes / devices;
  device.memory_bytes_per_second = 8e9 * threads;
  device.fp32_flops_per_second = machine.hertz * flops_per_cycle() * threads;
  device.bf16_flops_per_second = device.fp32_flops_per_second;  // bf16 is widened before it is multiplied
  device.matmul_efficiency = 0.8;
  device.attention_efficiency = 0.3;
  device.memory_efficiency = 0.8;
  device.launch_seconds = 2e-6;
  device.copy_bytes_per_second = 8e9;
  device.transfer_latency_seconds = 2e-6;
  return device;
}

}  // namespace

Cluster this_machine(uint32_t devices) {
  const Machine machine = look_at_machine();
  if (devices == 0) devices = machine.cores;
  if (devices > kMaxRanksHere)
    throw InputError("cluster", "expected 1 to " + std::to_string(kMaxRanksHere) + " devices of this machine, got " +
                                    std::to_string(devices));
  Cluster cluster;
  cluster.name = "this";
  cluster.cores_per_device = std::max(1u, machine.cores / devices);
  cluster.shared_cores = devices > machine.cores ? machine.cores : 0;
  cluster.device = rough_device(machine, cluster.cores_per_device, devices);

  Fabric fabric;
  fabric.devices_per_node = devices;
  // Half on the way in and half on the way out.
  fabric.inside = {"memory", cluster.device.copy_bytes_per_second, cluster.device.transfer_latency_seconds / 2};
  cluster.shape = "cores that meet in memory";
  build_topology(fabric, cluster);
  return cluster;
}

}  // namespace pgram
