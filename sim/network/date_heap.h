// A heap of numbered things by date.
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace pgram::sim {

struct Dated {
  double date = 0;    ///< not negative
  uint32_t id = 0;    ///< of equal dates the lowest comes first
  uint32_t slot = 0;  ///< the owner's
  bool operator<(const Dated& other) const { return key() < other.key(); }

 private:
  /// The bits of numbers that are not negative lie in their order, and one wide comparison takes no branch.
  unsigned __int128 key() const { return static_cast<unsigned __int128>(std::bit_cast<uint64_t>(date)) << 64 | id; }
};

/// Four children per node: half as deep as a binary heap, and the four lie in one cache line. With `kTracked` an entry
/// can be found by its slot and moved to an earlier date or taken out.
template <bool kTracked>
class DateHeap {
 public:
  bool empty() const { return heap_.empty(); }
  const Dated& first() const { return heap_.front(); }

  void push(const Dated& entry) {
    if constexpr (kTracked) {
      if (entry.slot >= place_.size()) place_.resize(entry.slot + 1);
    }
    heap_.push_back(entry);
    rise(heap_.size() - 1, entry);
  }

  void pop() {
    const Dated last = heap_.back();
    heap_.pop_back();
    if (!heap_.empty()) sink(0, last);
  }

  /// The first entry's date is really this later one.
  void delay_first(double date) {
    Dated entry = heap_.front();
    entry.date = date;
    sink(0, entry);
  }

  double date(uint32_t slot) const { return heap_[place_[slot]].date; }

  void advance(uint32_t slot, double earlier_date) {
    Dated entry = heap_[place_[slot]];
    entry.date = earlier_date;
    rise(place_[slot], entry);
  }

 private:
  void put(size_t place, const Dated& entry) {
    heap_[place] = entry;
    if constexpr (kTracked) place_[entry.slot] = static_cast<uint32_t>(place);
  }

  void rise(size_t hole, const Dated& entry) {
    for (; hole > 0; hole = (hole - 1) / 4) {
      const Dated& parent = heap_[(hole - 1) / 4];
      if (!(entry < parent)) break;
      put(hole, parent);
    }
    put(hole, entry);
  }

  void sink(size_t hole, const Dated& entry) {
    const size_t size = heap_.size();
    for (size_t child = 4 * hole + 1; child < size; child = 4 * hole + 1) {
      size_t least = child;
      for (size_t i = child + 1, last = std::min(child + 4, size); i < last; ++i) {
        least = heap_[i] < heap_[least] ? i : least;
      }
      if (!(heap_[least] < entry)) break;
      put(hole, heap_[least]);
      hole = least;
    }
    put(hole, entry);
  }

  std::vector<Dated> heap_;
  std::vector<uint32_t> place_;  // of each slot in heap_
};

}  // namespace pgram::sim
