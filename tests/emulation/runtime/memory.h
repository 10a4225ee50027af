// Device memory: a window of addresses per device that faults when host code touches it. What lies behind the addresses
// is mapped a second time elsewhere, for kernels and copies only.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace pgram::emulation {

struct Allocation {
  uint64_t offset = 0, bytes = 0;  ///< in its device's window
};

/// A live allocation: its first address, and the memory behind it.
struct Extent {
  uint64_t begin = 0, bytes = 0;
  std::byte* memory = nullptr;
};

/// Memory of one device. Addresses are not used again while others are left, so that a stale one is known as such.
class DeviceMemory {
 public:
  DeviceMemory(std::byte* window, int device);

  /// Memory full of 0xff, between red zones; nullptr if the device has no more.
  std::byte* allocate(uint64_t bytes);
  /// False, with a report, for anything but the beginning of a live allocation.
  bool release(const void* pointer);
  /// See device_memory() in runtime.h.
  std::byte* access(const std::byte* pointer, uint64_t bytes, const std::string& who);
  Extent extent_of(const std::byte* pointer);  ///< empty if it lies in no live allocation
  /// For a pointer among a kernel's arguments, whose extent nobody knows: host memory behind it. Notes the allocation
  /// that it lies in, if any, whose red zones are to be looked at afterwards.
  std::byte* translate(const std::byte* pointer, std::vector<Allocation>& touched);
  /// Reports and mends red zones of these allocations (all live ones) that somebody wrote to.
  void check_red_zones(const std::vector<Allocation>&, const std::string& who);
  void check_all_red_zones(const std::string& who);

  uint64_t used();
  uint64_t live();

 private:
  bool place(uint64_t bytes, uint64_t& offset);
  const Allocation* find_live(uint64_t offset) const;
  void complain(uint64_t offset, uint64_t bytes, const std::string& who) const;
  void check_zone(uint64_t zone, const char* side, const Allocation&, const std::string& who);

  std::byte* window_;
  std::byte* backing_;
  int device_;
  std::mutex mutex_;
  uint64_t next_ = 0, used_ = 0;
  std::map<uint64_t, Allocation> live_, freed_;  // by offset
};

constexpr uint64_t kWindowBytes = uint64_t(16) << 30;
constexpr uint64_t kRedZone = 256;

DeviceMemory& memory_of(int device);
uint64_t live_allocations();  ///< of all devices

/// Host memory that is pinned.
class PinnedMemory {
 public:
  static PinnedMemory& instance();
  void* allocate(uint64_t bytes);
  bool release(void* pointer);
  bool contains(const void* pointer, uint64_t bytes);
  uint64_t live();

 private:
  std::mutex mutex_;
  std::map<uintptr_t, uint64_t> blocks_;
};

}  // namespace pgram::emulation
