#include "cuda_backend/store_wire.h"

#include <cstring>

namespace pgram {
namespace {

constexpr uint32_t kMagic = 0x31534750;  // "PGS1"

/// As it lies on the wire; all our machines are little-endian.
struct Head {
  uint32_t magic = kMagic;
  uint8_t kind = 0, reserved[3] = {};
  uint32_t key_bytes = 0, value_bytes = 0;
  uint64_t number = 0;
};
static_assert(sizeof(Head) == 24);

}  // namespace

std::string encode(const StoreMessage& message) {
  Head head;
  head.kind = static_cast<uint8_t>(message.kind);
  head.key_bytes = static_cast<uint32_t>(message.key.size());
  head.value_bytes = static_cast<uint32_t>(message.value.size());
  head.number = message.number;
  std::string bytes(sizeof head, '\0');
  std::memcpy(bytes.data(), &head, sizeof head);
  return bytes + message.key + message.value;
}

std::string encode(const StoreHello& hello) {
  std::string bytes(2 * sizeof(uint32_t), '\0');
  std::memcpy(bytes.data(), &hello.index, sizeof hello.index);
  std::memcpy(bytes.data() + sizeof hello.index, &hello.size, sizeof hello.size);
  return bytes + hello.job.substr(0, kMaxStoreKey);
}

std::optional<StoreHello> decode_hello(const std::string& bytes) {
  StoreHello hello;
  if (bytes.size() < 2 * sizeof(uint32_t)) return std::nullopt;
  std::memcpy(&hello.index, bytes.data(), sizeof hello.index);
  std::memcpy(&hello.size, bytes.data() + sizeof hello.index, sizeof hello.size);
  hello.job = bytes.substr(2 * sizeof(uint32_t));
  return hello;
}

std::optional<StoreMessage> StoreParser::next() {
  if (garbage_ || buffer_.size() - at_ < sizeof(Head)) return std::nullopt;
  Head head;
  std::memcpy(&head, buffer_.data() + at_, sizeof head);
  garbage_ = head.magic != kMagic || head.kind > static_cast<uint8_t>(StoreKind::closing) ||
             head.key_bytes > kMaxStoreKey || head.value_bytes > max_value_;
  const size_t whole = sizeof head + head.key_bytes + head.value_bytes;
  if (garbage_ || buffer_.size() - at_ < whole) return std::nullopt;
  StoreMessage message;
  message.kind = static_cast<StoreKind>(head.kind);
  message.key = buffer_.substr(at_ + sizeof head, head.key_bytes);
  message.value = buffer_.substr(at_ + sizeof head + head.key_bytes, head.value_bytes);
  message.number = head.number;
  at_ += whole;
  // Moved to the front only now and then, so that many small messages cost no quadratic copying.
  if (at_ == buffer_.size() || at_ > (1u << 20)) {
    buffer_.erase(0, at_);
    at_ = 0;
  }
  return message;
}

}  // namespace pgram
