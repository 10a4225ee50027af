// Layout, as nvcc 13 writes it (little endian):
//   wrapper    u32 magic 0x466243b1, u32 version 1, pointer to the container, pointer to nothing
//   container  u32 magic 0xba55ed50, u16 version 1, u16 header bytes, u64 bytes behind the header; then the entries
//   entry      u16 kind (1 PTX, 2 machine code), u16 version, u32 header bytes, u64 payload bytes, at 16: u32
//   compressed
//              bytes, at 28: u32 architecture (90), at 40: u64 flags, at 56: u64 uncompressed bytes
#include "tests/emulation/ptx/fat_binary.h"

#include <zstd.h>

#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "tests/emulation/ptx/ptx.h"

namespace pgram::emulation::ptx {
namespace {

constexpr uint32_t kWrapperMagic = 0x466243b1, kContainerMagic = 0xba55ed50;
constexpr uint16_t kPtx = 1;
constexpr uint64_t kLz4 = 0x2000, kZstd = 0x8000;
constexpr uint64_t kEntryHeader = 64, kMostText = 256 << 20;

[[noreturn]] void refuse(const std::string& why) {
  throw std::runtime_error("fat binary: " + why);
}

template <class T>
T read(std::span<const std::byte> bytes, size_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) refuse("it ends too early");
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::string text_of_entry(std::span<const std::byte> entry) {
  const auto header = read<uint32_t>(entry, 4);
  const auto flags = read<uint64_t>(entry, 40);
  std::span<const std::byte> payload = entry.subspan(header);
  if (flags & kLz4) refuse("its PTX is compressed in another way than by zstd");
  std::string text(reinterpret_cast<const char*>(payload.data()), payload.size());
  if (flags & kZstd) {
    const auto packed = read<uint32_t>(entry, 16);
    const auto unpacked = read<uint64_t>(entry, 56);
    if (packed > payload.size() || unpacked > kMostText) refuse("the sizes of its PTX cannot be");
    text.resize(unpacked);
    const size_t got = ZSTD_decompress(text.data(), text.size(), payload.data(), packed);
    if (ZSTD_isError(got)) refuse(std::string("its PTX cannot be decompressed: ") + ZSTD_getErrorName(got));
    text.resize(got);
  }
  return text.substr(0, text.find('\0'));  // padded with zeros
}

}  // namespace

std::string text_of_container(std::span<const std::byte> container) {
  if (read<uint32_t>(container, 0) != kContainerMagic) refuse("it does not begin as one");
  if (const auto version = read<uint16_t>(container, 4); version != 1) {
    refuse("version " + std::to_string(version) + " is not known");
  }
  const auto header = read<uint16_t>(container, 6);
  const auto bytes = read<uint64_t>(container, 8);
  if (header < 16 || header > container.size() || bytes > container.size() - header) refuse("it ends too early");
  std::span<const std::byte> left = container.subspan(header, bytes);
  std::span<const std::byte> best;
  uint32_t best_architecture = 0;
  while (!left.empty()) {
    const auto entry_header = read<uint32_t>(left, 4);
    const auto payload = read<uint64_t>(left, 8);
    if (entry_header < kEntryHeader || entry_header > left.size() || payload > left.size() - entry_header) {
      refuse("an entry is longer than what holds it");
    }
    const std::span<const std::byte> entry = left.first(entry_header + payload);
    const auto architecture = read<uint32_t>(entry, 28);
    if (read<uint16_t>(entry, 0) == kPtx && architecture >= best_architecture) {
      best = entry;
      best_architecture = architecture;
    }
    left = left.subspan(entry.size());
  }
  return best.empty() ? std::string() : text_of_entry(best);
}

std::string text_of_fat_binary(const void* wrapper) {
  struct Wrapper {
    uint32_t magic, version;
    const std::byte* container;
  };
  const auto* const outer = static_cast<const Wrapper*>(wrapper);
  if (outer->magic != kWrapperMagic || outer->version != 1 || !outer->container) {
    refuse("its wrapper is not one that nvcc makes for whole programs");
  }
  // How long the container is, only itself says.
  const std::span<const std::byte> start(outer->container, 16);
  const uint64_t bytes = read<uint16_t>(start, 6) + read<uint64_t>(start, 8);
  return text_of_container({outer->container, bytes});
}

}  // namespace pgram::emulation::ptx
