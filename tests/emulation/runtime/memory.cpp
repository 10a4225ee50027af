// Device and pinned memory, see memory.h.
#include "tests/emulation/runtime/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "tests/emulation/runtime/device.h"
#include "tests/emulation/runtime/runtime.h"
#include "tests/emulation/runtime/sanitizers.h"

namespace pgram::emulation {
namespace {

constexpr uint64_t kAlignment = 512;
constexpr std::byte kZonePattern{0xfb};
constexpr int kFreshMemory = 0xff;  // as float, a NaN: what nobody wrote is seen

uint64_t rounded(uint64_t bytes) {
  return (std::max<uint64_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
}

std::byte* map_or_die(uint64_t bytes, int protection, int flags, int file) {
  void* address = mmap(nullptr, bytes, protection, flags | MAP_NORESERVE, file, 0);
  if (address == MAP_FAILED) {
    std::perror("stand-in GPU: mmap");
    std::abort();
  }
  return static_cast<std::byte*>(address);
}

/// The windows of all devices lie one behind the other.
std::byte* windows() {
  static std::byte* const base = map_or_die(kWindowBytes * kMaxDevices, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  return base;
}

std::string hexadecimal(uint64_t value) {
  char text[20];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

/// Of the devices that somebody used. Never destroyed: workers outlive main().
struct Memories {
  std::mutex mutex;
  std::array<std::unique_ptr<DeviceMemory>, kMaxDevices> of_device;
};
Memories& memories() {
  static auto& instance = *new Memories;
  return instance;
}

}  // namespace

DeviceMemory& memory_of(int device) {
  const std::lock_guard lock(memories().mutex);
  std::unique_ptr<DeviceMemory>& memory = memories().of_device[size_t(device)];
  if (!memory) memory = std::make_unique<DeviceMemory>(windows() + uint64_t(device) * kWindowBytes, device);
  return *memory;
}

uint64_t live_allocations() {
  const std::lock_guard lock(memories().mutex);
  uint64_t count = 0;
  for (const auto& memory : memories().of_device)
    if (memory) count += memory->live();
  return count;
}

int device_of_memory(const void* pointer) {
  const auto offset = uint64_t(static_cast<const std::byte*>(pointer) - windows());
  return offset < kWindowBytes * kMaxDevices ? int(offset / kWindowBytes) : -1;
}

std::byte* device_memory(const void* pointer, uint64_t bytes, const std::string& who) {
  const int device = device_of_memory(pointer);
  if (device >= 0) return memory_of(device).access(static_cast<const std::byte*>(pointer), bytes, who);
  report("host memory: " + who + " was given " + hexadecimal(uint64_t(pointer)) + ", which is no device memory");
  return nullptr;
}

DeviceMemory::DeviceMemory(std::byte* window, int device) : window_(window), device_(device) {
  const int file = memfd_create("device", MFD_CLOEXEC);
  if (file < 0 || ftruncate(file, off_t(kWindowBytes)) != 0) {
    std::perror("stand-in GPU: memfd");
    std::abort();
  }
  backing_ = map_or_die(kWindowBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file);
  close(file);
}

bool DeviceMemory::place(uint64_t bytes, uint64_t& offset) {
  const uint64_t size = 2 * kAlignment + rounded(bytes);
  if (next_ + size <= kWindowBytes) {
    offset = next_ + kAlignment;
    next_ += size;
    return true;
  }
  uint64_t begin = 0;  // all addresses were used once: the first gap that is large enough
  for (const auto& [at, allocation] : live_) {
    if (at - kAlignment >= begin + size) break;
    begin = at + rounded(allocation.bytes) + kAlignment;
  }
  if (begin + size > kWindowBytes) return false;
  offset = begin + kAlignment;
  std::erase_if(freed_, [&](const auto& entry) {
    return entry.second.offset < begin + size && begin < entry.second.offset + rounded(entry.second.bytes);
  });
  return true;
}

std::byte* DeviceMemory::allocate(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  uint64_t offset = 0;
  if (bytes > memory_capacity() || used_ + bytes > memory_capacity() || !place(bytes, offset)) return nullptr;
  used_ += bytes;
  live_[offset] = {offset, bytes};
  std::byte* memory = backing_ + offset;
  make_accessible(memory - kRedZone, rounded(bytes) + 2 * kRedZone);
  std::memset(memory, kFreshMemory, bytes);
  std::fill_n(memory - kRedZone, kRedZone, kZonePattern);
  std::fill_n(memory + bytes, kRedZone, kZonePattern);
  make_inaccessible(memory - kRedZone, kRedZone);
  make_inaccessible(memory + bytes, kRedZone);
  return window_ + offset;
}

bool DeviceMemory::release(const void* pointer) {
  const std::lock_guard lock(mutex_);
  const auto offset = uint64_t(static_cast<const std::byte*>(pointer) - window_);
  const auto found = live_.find(offset);
  if (found == live_.end()) {
    report(std::string(freed_.contains(offset) ? "double free" : "bad free") + ": cudaFree of " +
           hexadecimal(uint64_t(pointer)) + ", which is no live allocation of device " + std::to_string(device_));
    return false;
  }
  const Allocation allocation = found->second;
  check_zone(offset - kRedZone, "before", allocation, "somebody, found at cudaFree,");
  check_zone(offset + allocation.bytes, "behind", allocation, "somebody, found at cudaFree,");
  used_ -= allocation.bytes;
  freed_[offset] = allocation;
  live_.erase(found);
  make_inaccessible(backing_ + offset, allocation.bytes);
  const uint64_t page = 4096, first = (offset + page - 1) / page * page,
                 last = (offset + allocation.bytes) / page * page;
  if (first < last) madvise(backing_ + first, last - first, MADV_REMOVE);
  return true;
}

const Allocation* DeviceMemory::find_live(uint64_t offset) const {
  auto after = live_.upper_bound(offset);
  if (after == live_.begin()) return nullptr;
  const Allocation& candidate = std::prev(after)->second;
  return offset <= candidate.offset + candidate.bytes ? &candidate : nullptr;
}

void DeviceMemory::complain(uint64_t offset, uint64_t bytes, const std::string& who) const {
  const std::string what = who + ", " + std::to_string(bytes) + " bytes at " + hexadecimal(uint64_t(window_) + offset) +
                           " of device " + std::to_string(device_);
  auto after = live_.upper_bound(offset);
  if (after != live_.begin()) {
    const Allocation& before = std::prev(after)->second;
    if (offset < before.offset + before.bytes + kRedZone) {
      report("out of bounds: " + what + ": the allocation has " + std::to_string(before.bytes) +
             " bytes and the access begins at byte " + std::to_string(offset - before.offset));
      return;
    }
  }
  auto freed = freed_.upper_bound(offset);
  if (freed != freed_.begin() && offset < std::prev(freed)->second.offset + std::prev(freed)->second.bytes) {
    report("use after free: " + what);
    return;
  }
  report("out of bounds: " + what + ": no allocation is there");
}

std::byte* DeviceMemory::access(const std::byte* pointer, uint64_t bytes, const std::string& who) {
  const std::lock_guard lock(mutex_);
  const auto offset = uint64_t(pointer - window_);
  const Allocation* allocation = find_live(offset);
  if (allocation && bytes <= allocation->bytes && offset - allocation->offset <= allocation->bytes - bytes)
    return backing_ + offset;
  complain(offset, bytes, who);
  return nullptr;
}

Extent DeviceMemory::extent_of(const std::byte* pointer) {
  const std::lock_guard lock(mutex_);
  const Allocation* allocation = find_live(uint64_t(pointer - window_));
  if (!allocation) return {};
  return {uint64_t(window_ + allocation->offset), allocation->bytes, backing_ + allocation->offset};
}

std::byte* DeviceMemory::translate(const std::byte* pointer, std::vector<Allocation>& touched) {
  const std::lock_guard lock(mutex_);
  const auto offset = uint64_t(pointer - window_);
  if (const Allocation* allocation = find_live(offset)) touched.push_back(*allocation);
  return backing_ + offset;
}

void DeviceMemory::check_zone(uint64_t zone, const char* side, const Allocation& allocation, const std::string& who) {
  if (kMemoryIsPoisoned) return;  // AddressSanitizer has said it at the access
  std::byte* memory = backing_ + zone;
  const auto is_damaged = [](std::byte b) { return b != kZonePattern; };
  const std::byte* first = std::find_if(memory, memory + kRedZone, is_damaged);
  if (first == memory + kRedZone) return;
  const auto bytes = std::count_if(memory, memory + kRedZone, is_damaged);
  report("out of bounds: " + who + " wrote " + std::to_string(bytes) + " bytes " + side + " an allocation of " +
         std::to_string(allocation.bytes) + " bytes of device " + std::to_string(device_) + ", the first at byte " +
         std::to_string(int64_t(zone) + (first - memory) - int64_t(allocation.offset)));
  std::fill_n(memory, kRedZone, kZonePattern);
}

void DeviceMemory::check_red_zones(const std::vector<Allocation>& allocations, const std::string& who) {
  const std::lock_guard lock(mutex_);
  for (const Allocation& allocation : allocations) {
    if (!live_.contains(allocation.offset)) continue;
    check_zone(allocation.offset - kRedZone, "before", allocation, who);
    check_zone(allocation.offset + allocation.bytes, "behind", allocation, who);
  }
}

void DeviceMemory::check_all_red_zones(const std::string& who) {
  std::vector<Allocation> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [offset, allocation] : live_) all.push_back(allocation);
  }
  check_red_zones(all, who);
}

uint64_t DeviceMemory::used() {
  const std::lock_guard lock(mutex_);
  return used_;
}

uint64_t DeviceMemory::live() {
  const std::lock_guard lock(mutex_);
  return live_.size();
}

PinnedMemory& PinnedMemory::instance() {
  static auto& memory = *new PinnedMemory;
  return memory;
}

void* PinnedMemory::allocate(uint64_t bytes) {
  void* memory = std::aligned_alloc(4096, (std::max<uint64_t>(bytes, 1) + 4095) / 4096 * 4096);
  if (!memory) return nullptr;
  const std::lock_guard lock(mutex_);
  blocks_[uintptr_t(memory)] = bytes;
  return memory;
}

bool PinnedMemory::release(void* pointer) {
  const std::lock_guard lock(mutex_);
  if (!blocks_.erase(uintptr_t(pointer))) {
    report("bad free: cudaFreeHost of " + hexadecimal(uint64_t(pointer)) + ", which is no live pinned memory");
    return false;
  }
  std::free(pointer);
  return true;
}

bool PinnedMemory::contains(const void* pointer, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  auto after = blocks_.upper_bound(uintptr_t(pointer));
  if (after == blocks_.begin()) return false;
  const auto& [begin, size] = *std::prev(after);
  return uintptr_t(pointer) + bytes <= begin + size;
}

uint64_t PinnedMemory::live() {
  const std::lock_guard lock(mutex_);
  return blocks_.size();
}

}  // namespace pgram::emulation
