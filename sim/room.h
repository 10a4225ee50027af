// Room for values that are written before they are read.
#pragma once
#include <cstddef>
#include <memory>
#include <type_traits>

namespace pgram::sim {

/// A vector would fill it first, which takes longer than all that is written where most of it is not used.
template <typename T>
class Room {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  void make(size_t size) { bytes_ = std::make_unique_for_overwrite<std::byte[]>(size * sizeof(T)); }
  T* data() { return reinterpret_cast<T*>(bytes_.get()); }
  const T* data() const { return reinterpret_cast<const T*>(bytes_.get()); }

 private:
  std::unique_ptr<std::byte[]> bytes_;
};

}  // namespace pgram::sim
