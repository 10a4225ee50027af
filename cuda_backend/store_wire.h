// The store's messages: a fixed head, then key and value, both bounded.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

namespace pgram {

/// A process to the store: hello, set, get, ping, fail, goodbye. The store to a process: the others.
enum class StoreKind : uint8_t { hello, set, get, ping, fail, goodbye, welcome, refused, value, pong, failed, closing };

struct StoreMessage {
  StoreKind kind = StoreKind::hello;
  std::string key, value;
  /// get and its value, ping and its pong: the same; set: how many times it may be got; closing: the get that will have
  /// no value, 0 for the connection.
  uint64_t number = 0;
};

constexpr uint64_t kMaxStoreKey = 256, kMaxStoreValue = 8ull << 20;

/// What the store needs to know of a process before it lets it in. In the value of a hello.
struct StoreHello {
  uint32_t index = 0, size = 0;
  std::string job;  ///< empty: not known
};
std::string encode(const StoreHello&);
std::optional<StoreHello> decode_hello(const std::string&);

std::string encode(const StoreMessage&);

/// Cuts a byte stream into messages.
class StoreParser {
 public:
  /// Until a process is known it may say no more than a hello.
  void limit(uint64_t max_value) { max_value_ = max_value; }
  void add(const char* data, size_t bytes) { buffer_.append(data, bytes); }
  /// The next whole message; none if it is still to come. Once the stream is garbage it stays so.
  std::optional<StoreMessage> next();
  bool garbage() const { return garbage_; }

 private:
  std::string buffer_;
  size_t at_ = 0;
  uint64_t max_value_ = kMaxStoreValue;
  bool garbage_ = false;
};

}  // namespace pgram
