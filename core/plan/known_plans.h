// Plans linked and proven before, so that a plan of the same structure needs neither anew.
#pragma once
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>

namespace pgram {
struct Plan;

/// For many plans one after the other. What link() makes and what verify() says depends on which ops touch which fields
/// of which slots in which order, not on how large or how costly anything is: plans that differ in sizes alone have the
/// same waits and the same proof. All that the two look at is compared. Thread-safe.
class KnownPlans {
 public:
  /// Plans that were not asked for longest are forgotten when all together take more.
  explicit KnownPlans(uint64_t most_bytes = 64 << 20) : most_bytes_(most_bytes) {}
  KnownPlans(const KnownPlans&) = delete;
  KnownPlans& operator=(const KnownPlans&) = delete;

  /// As link(plan) and then verify(plan); the plan has no waits yet. A good one is kept and must not change any more.
  std::string link_and_verify(const std::shared_ptr<Plan>& plan);
  size_t size() const;

 private:
  struct Entry {
    uint64_t sizes = 0;  ///< a hash of what is cheap to compare
    uint64_t bytes = 0;
    std::shared_ptr<const Plan> plan;
  };

  std::shared_ptr<const Plan> find(const Plan&, uint64_t sizes);
  void keep(std::shared_ptr<const Plan>, uint64_t sizes);

  mutable std::mutex mutex_;
  std::list<Entry> entries_;  ///< the one that was asked for last comes first
  uint64_t bytes_ = 0;        ///< of all entries
  uint64_t most_bytes_;
};

}  // namespace pgram
