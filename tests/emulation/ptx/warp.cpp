#include "tests/emulation/ptx/warp.h"

#include <algorithm>

namespace pgram::emulation::ptx {
namespace {

constexpr auto kUnset = std::byte{0xff};  ///< memory that nobody wrote: NaN as a float, an absurd index

std::string hexadecimal(uint64_t value) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  do {
    text.insert(text.begin(), kDigits[value & 15]);
    value >>= 4;
  } while (value);
  return "0x" + text;
}

[[noreturn]] void out_of_bounds(uint32_t lane, const char* memory, uint64_t offset, uint32_t bytes, bool writes) {
  throw LaneFault{lane, std::string(writes ? "writes " : "reads ") + std::to_string(bytes) + " bytes at offset " +
                            std::to_string(offset) + " of " + memory + ", out of bounds"};
}

class PlaceOfLane final : public Place {
 public:
  PlaceOfLane(const Warp& warp, uint32_t lane) : warp_(warp), lane_(lane) {}
  std::string text() const override { return warp_.place_of(lane_, warp_.current_pc); }

 private:
  const Warp& warp_;
  uint32_t lane_;
};

}  // namespace

std::string text_of(const Extent& e) {
  return "(" + std::to_string(e[0]) + "," + std::to_string(e[1]) + "," + std::to_string(e[2]) + ")";
}

Warp::Warp(Block& block, uint32_t number, uint32_t threads_in_block)
    : index(number),
      present(threads_in_block - number * kLanes >= kLanes ? UINT32_MAX
                                                           : (1U << (threads_in_block - number * kLanes)) - 1),
      block_(block),
      slots_(size_t{block.function.slots} * kLanes),
      local_(block.function.local.inside.size() * kLanes),
      local_bytes_(block.function.local.inside.size()) {
  for (const auto& [number_of_slot, value] : block.function.constants) {
    std::fill_n(slot(number_of_slot), kLanes, value);
  }
}

Extent Warp::thread_of(uint32_t lane) const {
  const uint32_t thread = index * kLanes + lane;
  return {thread % block_.size[0], thread / block_.size[0] % block_.size[1],
          thread / (block_.size[0] * block_.size[1])};
}

std::string Warp::place_of(uint32_t lane, uint32_t at) const {
  return "block " + text_of(block_.number) + ", thread " + text_of(thread_of(lane)) + ": " + block_.function.texts[at];
}

void Warp::begin_block() {
  pc.fill(0);
  runnable = present;
  at_barrier = at_meeting = ended = 0;
  std::fill(local_.begin(), local_.end(), kUnset);
}

std::byte* Warp::global_at(uint64_t address, uint32_t bytes, bool writes, uint32_t lane) {
  if (address >= kModuleWindow && address - kModuleWindow < kWindowBytes) {
    const uint64_t offset = address - kModuleWindow;
    const std::vector<std::byte>& data = *block_.function.module_data;
    if (offset > data.size() || data.size() - offset < bytes) {
      out_of_bounds(lane, "the module's variables", offset, bytes, writes);
    }
    if (writes) throw LaneFault{lane, "writes a variable of the module, which only constants may be here"};
    return const_cast<std::byte*>(data.data()) + offset;
  }
  try {
    return block_.global.access(address, bytes, writes, PlaceOfLane(*this, lane));
  } catch (const Fault& fault) {
    if (fault.message.empty()) throw;
    throw LaneFault{lane, fault.message};
  }
}

std::byte* Warp::at(Space space, uint64_t address, uint32_t bytes, bool writes, uint32_t lane) {
  if (space == Space::generic) {
    const uint64_t window = address & ~(kWindowBytes - 1), offset = address - window;
    if (window == kSharedWindow) return at(Space::shared, offset, bytes, writes, lane);
    if (window == kLocalWindow) return at(Space::local, offset, bytes, writes, lane);
    if (window == kParameterWindow) return at(Space::parameter, offset, bytes, writes, lane);
    return global_at(address, bytes, writes, lane);
  }
  // Addresses in the small spaces are 32-bit numbers, and are computed as such.
  if (space != Space::global && space != Space::constant) address &= UINT32_MAX;
  switch (space) {
    case Space::shared:
      if (!block_.function.shared.holds(address, bytes)) out_of_bounds(lane, "shared memory", address, bytes, writes);
      return block_.shared.data() + address;
    case Space::local:
      if (!block_.function.local.holds(address, bytes)) out_of_bounds(lane, "local memory", address, bytes, writes);
      return local_.data() + lane * local_bytes_ + address;
    case Space::parameter:
      if (address > block_.parameters.size() || block_.parameters.size() - address < bytes || writes) {
        out_of_bounds(lane, "the kernel's parameters", address, bytes, writes);
      }
      return block_.parameters.data() + address;
    default:
      return global_at(address, bytes, writes, lane);
  }
}

Pointers Warp::resolve(const Instruction& i, uint32_t lanes, uint32_t bytes, bool writes) {
  const uint64_t* const base = slot(i.a);
  Pointers pointers;
  for_each_lane(lanes, [&](uint32_t n) {
    const uint64_t address = base[n] + static_cast<uint64_t>(i.offset);
    if (address & (bytes - 1)) {
      throw LaneFault{n, "address " + hexadecimal(address) + " is not aligned to " + std::to_string(bytes) + " bytes"};
    }
    pointers[n] = at(i.space, address, bytes, writes, n);
  });
  return pointers;
}

}  // namespace pgram::emulation::ptx
