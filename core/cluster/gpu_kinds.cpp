#include "core/cluster/gpu_kinds.h"

#include <algorithm>
#include <cctype>

namespace pgram {

namespace {

struct Kind {
  const char* device;
  uint32_t sm, pci_device;
  const char* name;  ///< part of the driver's name, lower case; more telling ones come first
};
/// The first of an sm is the one taken when nothing else is known.
constexpr Kind kKinds[] = {
    {"gb200", 100, 0x2941, "gb200"},
    {"b200", 100, 0x2901, "b200"},
    {"h100-sxm", 90, 0x2330, "h100"},
    {"h200", 90, 0x2335, "h200"},
    {"a100-80-sxm", 80, 0x20b2, "a100-sxm4-80gb"},
    {"a100-40-sxm", 80, 0x20b0, "a100-sxm4-40gb"},
    {"a100-80-pcie", 80, 0x20b5, "a100 80gb pcie"},
    {"v100-32-sxm", 70, 0x1db5, "v100-sxm2-32gb"},
};

}  // namespace

std::string device_of_sm(uint32_t sm, uint32_t pci_device) {
  for (const Kind& kind : kKinds)
    if (kind.sm == sm && kind.pci_device == pci_device) return kind.device;
  if (sm == 100) return "b200";
  for (const Kind& kind : kKinds)
    if (kind.sm == sm) return kind.device;
  return "";
}

std::string device_of_gpu_name(const std::string& name) {
  std::string lower = name;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const Kind& kind : kKinds)
    if (lower.find(kind.name) != std::string::npos) return kind.device;
  return "";
}

double nvlink_bytes_per_second(uint32_t sm) {
  if (sm >= 100) return 40.1e9;
  if (sm >= 90) return 20.6e9;
  if (sm == 86) return 12e9;
  return sm >= 70 ? 20e9 : 18e9;
}

double pcie_bytes_per_second(uint32_t sm) {
  return sm >= 90 ? 48e9 : sm >= 80 ? 24e9 : 12e9;
}

uint32_t sm_of_device(const std::string& device) {
  for (const Kind& kind : kKinds)
    if (device == kind.device) return kind.sm;
  return 90;
}

}  // namespace pgram
