// A driver's library for tests: four GPUs on one NVSwitch fabric but for the last, which only has PCIe. The GPUs 0 and
// 1 have two more links to each other.
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace {

struct PciInfo {
  char legacy_address[16];
  unsigned domain, bus, device, device_id, subsystem_id;
  char address[32];
};
struct Memory {
  unsigned long long total, free, used;
};

unsigned index_of(void* handle) {
  return static_cast<unsigned>(reinterpret_cast<uintptr_t>(handle)) - 1;
}
void set_address(PciInfo* pci, unsigned index) {
  std::snprintf(pci->address, sizeof pci->address, "00000000:%02X:00.0", 0x1A + index);
}

}  // namespace

extern "C" {

int nvmlInit_v2();
int nvmlInit_v2() {
  return 0;
}
int nvmlShutdown();
int nvmlShutdown() {
  return 0;
}
int nvmlSystemGetDriverVersion(char*, unsigned);
int nvmlSystemGetDriverVersion(char* text, unsigned) {
  std::strcpy(text, "580.65.06");
  return 0;
}
int nvmlDeviceGetCount_v2(unsigned*);
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = 4;
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned, void**);
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** handle) {
  *handle = reinterpret_cast<void*>(uintptr_t{index} + 1);
  return 0;
}
int nvmlDeviceGetName(void*, char*, unsigned);
int nvmlDeviceGetName(void* handle, char* name, unsigned size) {
  std::snprintf(name, size, "Test GPU %u", index_of(handle));
  return 0;
}
int nvmlDeviceGetPciInfo_v3(void*, PciInfo*);
int nvmlDeviceGetPciInfo_v3(void* handle, PciInfo* pci) {
  set_address(pci, index_of(handle));
  return 0;
}
int nvmlDeviceGetMemoryInfo(void*, Memory*);
int nvmlDeviceGetMemoryInfo(void*, Memory* memory) {
  memory->total = 1ULL << 30;
  return 0;
}
int nvmlDeviceGetTopologyCommonAncestor(void*, void*, unsigned*);
int nvmlDeviceGetTopologyCommonAncestor(void* a, void* b, unsigned* level) {
  if (index_of(a) + index_of(b) == 5) return 3;  // GPUs 2 and 3: not supported
  *level = index_of(a) == 0 || index_of(b) == 0 ? 50 : 30;
  return 0;
}
// Links 0 to 5 go to the switch, 6 and 7 to the other one of GPUs 0 and 1, 8 is there but down.
int nvmlDeviceGetNvLinkState(void*, unsigned, unsigned*);
int nvmlDeviceGetNvLinkState(void* handle, unsigned link, unsigned* state) {
  const unsigned index = index_of(handle);
  if (index == 3 || link > 8) return 3;
  *state = link < 6 || (link < 8 && index < 2);
  return 0;
}
int nvmlDeviceGetNvLinkRemoteDeviceType(void*, unsigned, unsigned*);
int nvmlDeviceGetNvLinkRemoteDeviceType(void*, unsigned link, unsigned* kind) {
  *kind = link < 6 ? 2 : 0;
  return 0;
}
int nvmlDeviceGetNvLinkRemotePciInfo_v2(void*, unsigned, PciInfo*);
int nvmlDeviceGetNvLinkRemotePciInfo_v2(void* handle, unsigned, PciInfo* pci) {
  set_address(pci, 1 - index_of(handle));
  return 0;
}

}  // extern "C"
