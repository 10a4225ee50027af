// Plain values as bytes and back, between processes of one run on machines of one kind.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "core/base/errors.h"

namespace pgram {

class ByteWriter {
 public:
  template <typename T>
  void add(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void add(const std::string& text) {
    add(uint64_t{text.size()});
    bytes_ += text;
  }
  template <typename T>
  void add(const std::vector<T>& values) {
    static_assert(std::is_trivially_copyable_v<T>);
    add(uint64_t{values.size()});
    if (!values.empty()) bytes_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

/// Reads what a ByteWriter wrote, in the same order. RunError where the bytes end too early.
class ByteReader {
 public:
  explicit ByteReader(const std::string& bytes) : bytes_(bytes) {}

  template <typename T>
  void read(T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    std::memcpy(&value, next(1, sizeof value), sizeof value);
  }
  void read(std::string& text) {
    uint64_t size = 0;
    read(size);
    text.assign(next(size, 1), size);
  }
  template <typename T>
  void read(std::vector<T>& values) {
    static_assert(std::is_trivially_copyable_v<T>);
    uint64_t count = 0;
    read(count);
    const char* data = next(count, sizeof(T));
    values.resize(count);
    if (count > 0) std::memcpy(static_cast<void*>(values.data()), data, count * sizeof(T));
  }
  bool at_end() const { return at_ == bytes_.size(); }

 private:
  const char* next(uint64_t count, uint64_t size) {
    if (count > (bytes_.size() - at_) / size) throw RunError("a message between processes is cut off");
    const char* data = bytes_.data() + at_;
    at_ += count * size;
    return data;
  }
  const std::string& bytes_;
  size_t at_ = 0;
};

}  // namespace pgram
