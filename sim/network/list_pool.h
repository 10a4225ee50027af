// Many short lists in one array.
#pragma once
#include <array>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

namespace pgram::sim {

/// Each list has a block of a power of two of places. Blocks that are given back are taken again, so that the array
/// grows with what is in use at once, and what is used together lies together.
template <typename T>
class ListPool {
 public:
  struct Block {
    uint32_t first = 0, places = 0;
  };

  Block take(uint32_t at_least) {
    const uint32_t places = std::bit_ceil(at_least);
    std::vector<uint32_t>& free = free_[std::countr_zero(places)];
    if (free.empty()) {
      all_.resize(all_.size() + places);
      return {static_cast<uint32_t>(all_.size()) - places, places};
    }
    const uint32_t first = free.back();
    free.pop_back();
    return {first, places};
  }
  void give_back(Block block) { free_[std::countr_zero(block.places)].push_back(block.first); }

  std::span<const T> list(Block block, uint32_t count) const { return {all_.data() + block.first, count}; }
  T& operator[](uint32_t place) { return all_[place]; }

 private:
  std::vector<T> all_;
  std::array<std::vector<uint32_t>, 32> free_;  // first places, by the logarithm of the size
};

}  // namespace pgram::sim
