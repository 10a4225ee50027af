// Many short lists in one array.
#pragma once
#include <array>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

namespace pgram::sim {

/// Each list has a room of a power of two of places. Rooms that are given back are taken again, so that the array grows
/// with what is in use at once, and what is used together lies together.
template <typename T>
class Rooms {
 public:
  struct Room {
    uint32_t first = 0, places = 0;
  };

  Room take(uint32_t at_least) {
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
  void give_back(Room room) { free_[std::countr_zero(room.places)].push_back(room.first); }

  std::span<const T> list(Room room, uint32_t count) const { return {all_.data() + room.first, count}; }
  T& operator[](uint32_t place) { return all_[place]; }

 private:
  std::vector<T> all_;
  std::array<std::vector<uint32_t>, 32> free_;  // first places, by the logarithm of the size
};

}  // namespace pgram::sim
