// Many short lists in one array.
#pragma once
#include <algorithm>
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

  /// Valid until the next take().
  T* at(uint32_t first) { return all_.data() + first; }
  const T* at(uint32_t first) const { return all_.data() + first; }

 private:
  std::vector<T> all_;
  std::array<std::vector<uint32_t>, 32> free_;  // first places, by the logarithm of the size
};

/// Numbers, a few of them beside what has the list: most lists are no longer, and reading one takes no other cache
/// line.
class ShortList {
 public:
  using Pool = ListPool<uint32_t>;

  uint32_t size() const { return size_; }
  uint32_t places() const { return places_ == 0 ? kFew : places_; }
  std::span<const uint32_t> in(const Pool& pool) const { return {places_ == 0 ? few_ : pool.at(few_[0]), size_}; }
  void push(uint32_t number, Pool& pool) {
    if (size_ == places()) grow(pool);
    data(pool)[size_++] = number;
  }
  /// The last one takes its place.
  void take_out(uint32_t place, Pool& pool) {
    uint32_t* const numbers = data(pool);
    numbers[place] = numbers[--size_];
    if (size_ == 0) clear(pool);
  }
  void clear(Pool& pool) {
    if (places_ != 0) pool.give_back({few_[0], places_});
    size_ = places_ = 0;
  }

 private:
  static constexpr uint32_t kFew = 4;

  uint32_t* data(Pool& pool) { return places_ == 0 ? few_ : pool.at(few_[0]); }
  void grow(Pool& pool) {
    const Pool::Block larger = pool.take(2 * places());
    std::copy_n(data(pool), size_, pool.at(larger.first));
    if (places_ != 0) pool.give_back({few_[0], places_});
    places_ = larger.places;
    few_[0] = larger.first;
  }

  uint32_t size_ = 0;
  uint32_t places_ = 0;   // in the pool; 0: the list is in few_
  uint32_t few_[kFew]{};  // the first is the block's first place, where there is one
};

}  // namespace pgram::sim
