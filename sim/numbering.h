// Numbering: equal hashes get one number, counting up from 0 in order of first appearance.
#pragma once
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace pgram::sim {

/// Hashes must be well mixed. Open addressing, and no larger than needed: with few numbers the table stays in the
/// cache.
class Numbering {
 public:
  uint32_t number(uint64_t hash) {
    if (2 * count_ >= slots_.size()) grow();
    Slot& slot = find(hash);
    if (slot.number == kFree) slot = {hash, count_++};
    return slot.number;
  }
  uint32_t count() const { return count_; }

 private:
  static constexpr uint32_t kFree = ~0u;
  struct Slot {
    uint64_t hash = 0;
    uint32_t number = kFree;
  };

  /// Where it is, or would be.
  Slot& find(uint64_t hash) {
    const size_t mask = slots_.size() - 1;
    size_t i = hash & mask;
    while (slots_[i].number != kFree && slots_[i].hash != hash) i = (i + 1) & mask;
    return slots_[i];
  }
  void grow() {
    const std::vector<Slot> before = std::exchange(slots_, std::vector<Slot>(2 * slots_.size()));
    for (const Slot& slot : before) {
      if (slot.number != kFree) find(slot.hash) = slot;
    }
  }

  std::vector<Slot> slots_ = std::vector<Slot>(64);
  uint32_t count_ = 0;
};

}  // namespace pgram::sim
