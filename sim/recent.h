// Recent: values by keys that say all that they are made from; those that were not asked for the longest are dropped.
#pragma once
#include <bit>
#include <concepts>
#include <cstdint>
#include <list>
#include <memory>
#include <utility>
#include <vector>

namespace pgram::sim {

/// Two are equal if all that was added is, in the same order, about the same thing. Never by a hash alone.
class Key {
 public:
  /// `about` stays alive, so that nothing else can be found at its address.
  explicit Key(std::shared_ptr<const void> about) : about_(std::move(about)) {}

  void add(std::integral auto word) { words_.push_back(static_cast<uint64_t>(word)); }
  void add(double value) { words_.push_back(std::bit_cast<uint64_t>(value)); }
  template <typename T>
  void add(const std::vector<T>& list) {
    add(list.size());
    for (const T& each : list) add(each);
  }
  size_t bytes() const { return words_.capacity() * sizeof(uint64_t); }
  bool operator==(const Key&) const = default;

 private:
  std::shared_ptr<const void> about_;
  std::vector<uint64_t> words_;
};

/// Value has bytes(): what it takes, about.
template <typename Value>
class Recent {
 public:
  /// `most_bytes`: keys and values together. All keys may be compared, so that there should not be too many.
  Recent(size_t most_entries, size_t most_bytes) : most_entries_(most_entries), most_bytes_(most_bytes) {}

  /// What was kept by this key, or else make(), kept from now on.
  template <class Make>
  std::shared_ptr<const Value> get(Key key, const Make& make) {
    for (auto at = entries_.begin(); at != entries_.end(); ++at) {
      if (!(at->key == key)) continue;
      entries_.splice(entries_.begin(), entries_, at);
      return at->value;
    }
    auto value = std::make_shared<const Value>(make());
    entries_.push_front({std::move(key), value, 0});
    entries_.front().bytes = entries_.front().key.bytes() + value->bytes();
    bytes_ += entries_.front().bytes;
    while (bytes_ > most_bytes_ || entries_.size() > most_entries_) {
      bytes_ -= entries_.back().bytes;
      entries_.pop_back();
    }
    return value;
  }

 private:
  struct Entry {
    Key key;
    std::shared_ptr<const Value> value;
    size_t bytes = 0;
  };
  std::list<Entry> entries_;  // the last one asked for first
  size_t most_entries_, most_bytes_, bytes_ = 0;
};

}  // namespace pgram::sim
