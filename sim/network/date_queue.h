// A queue of numbered things by date.
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
};

/// A heap of rows. What comes with the date of the entry before it and a higher id stands behind that one in its row,
/// so that things that end together, as the steps of a ring do, cost little more than one of them.
class DateQueue {
 public:
  bool empty() const { return heap_.empty(); }
  /// Valid until the next change, as all references are.
  const Dated& first() const { return places_[first_place()].entry; }
  uint32_t first_place() const { return heap_.front().place; }
  const Dated& at(uint32_t place) const { return places_[place].entry; }

  /// Gives its place, which it has until it leaves.
  uint32_t push(const Dated& entry) {
    const uint32_t place = take_place(entry);
    if (last_ != kNone && places_[last_].entry.date == entry.date && places_[last_].entry.id < entry.id) {
      places_[last_].behind = place;
    } else {
      heap_.push_back({});
      rise(heap_.size() - 1, {entry.date, entry.id, place});
    }
    last_ = place;
    return place;
  }

  /// An entry with a row for itself can get another date.
  bool is_alone(uint32_t place) const { return places_[place].row != kNone && places_[place].behind == kNone; }
  void move(uint32_t place, double date) {
    Place& alone = places_[place];
    const bool later = date > alone.entry.date;
    alone.entry.date = date;
    const Row row{date, alone.entry.id, place};
    later ? sink(alone.row, row) : rise(alone.row, row);
  }

  void pop() {
    const uint32_t place = heap_.front().place, behind = places_[place].behind;
    if (last_ == place) last_ = kNone;
    free_.push_back(place);
    if (behind != kNone) {
      sink(0, {places_[behind].entry.date, places_[behind].entry.id, behind});
      return;
    }
    const Row last = heap_.back();
    heap_.pop_back();
    if (!heap_.empty()) sink(0, last);
  }

 private:
  static constexpr uint32_t kNone = ~0U;
  struct Place {
    Dated entry;
    uint32_t behind = kNone;
    uint32_t row = kNone;  // in heap_, of the first of a row
  };
  /// By its first entry.
  struct Row {
    double date = 0;
    uint32_t id = 0, place = 0;
    bool operator<(const Row& other) const { return key() < other.key(); }

   private:
    /// The bits of numbers that are not negative lie in their order, and one wide comparison takes no branch.
    unsigned __int128 key() const { return static_cast<unsigned __int128>(std::bit_cast<uint64_t>(date)) << 64 | id; }
  };

  uint32_t take_place(const Dated& entry) {
    if (free_.empty()) {
      places_.push_back({entry});
      return static_cast<uint32_t>(places_.size()) - 1;
    }
    const uint32_t place = free_.back();
    free_.pop_back();
    places_[place] = {entry};
    return place;
  }

  void put(size_t hole, const Row& row) {
    heap_[hole] = row;
    places_[row.place].row = static_cast<uint32_t>(hole);
  }

  // Four children per node: half as deep as a binary heap, and the four lie in one cache line.

  void rise(size_t hole, const Row& row) {
    for (; hole > 0; hole = (hole - 1) / 4) {
      const Row& parent = heap_[(hole - 1) / 4];
      if (!(row < parent)) break;
      put(hole, parent);
    }
    put(hole, row);
  }

  void sink(size_t hole, const Row& row) {
    const size_t size = heap_.size();
    for (size_t child = 4 * hole + 1; child < size; child = 4 * hole + 1) {
      size_t least = child;
      for (size_t i = child + 1, last = std::min(child + 4, size); i < last; ++i) {
        least = heap_[i] < heap_[least] ? i : least;
      }
      if (!(heap_[least] < row)) break;
      put(hole, heap_[least]);
      hole = least;
    }
    put(hole, row);
  }

  std::vector<Row> heap_;
  std::vector<Place> places_;
  std::vector<uint32_t> free_;  // places
  uint32_t last_ = kNone;       // place of the entry that came last, while it is there
};

}  // namespace pgram::sim
