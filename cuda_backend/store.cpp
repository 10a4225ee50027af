#include "cuda_backend/store.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/errors.h"
#include "cuda_backend/store_server.h"

namespace pgram {
namespace {

/// Beyond the start time-out, for the server's own message about it to arrive.
constexpr double kGraceSeconds = 5;
constexpr double kPingSeconds = 10;
constexpr int kSendSeconds = 30, kFarewellSeconds = 2;

std::chrono::duration<double> seconds(double s) {
  return std::chrono::duration<double>(s);
}

}  // namespace

Store::Store(const ProcessPlace& place, double start_timeout)
    : where_(place.address + ", port " + std::to_string(place.port)) {
  if (place.index == 0) {
    server_ = std::make_unique<StoreServer>(place.address, place.port, place.size, place.job, start_timeout);
  }
  socket_ = connect_to(place.address, place.port, start_timeout);
  tune(socket_);
  try_send({StoreKind::hello, "", encode(StoreHello{place.index, place.size, place.job}), 0});
  receiver_ = std::thread([this] { receive(); });
  try {
    wait_for_welcome(start_timeout + kGraceSeconds);
  } catch (...) {
    ::shutdown(socket_.fd(), SHUT_RDWR);
    receiver_.join();
    throw;
  }
}

Store::~Store() {
  on_failure({});
  {
    std::lock_guard lock(mutex_);
    leaving_ = true;
  }
  // The server closes when it has read the goodbye; cutting the connection here could lose what is still on its way.
  if (try_send({StoreKind::goodbye, "", "", 0})) {
    ::shutdown(socket_.fd(), SHUT_WR);
  } else {
    ::shutdown(socket_.fd(), SHUT_RDWR);
  }
  receiver_.join();
}

void Store::wait_for_welcome(double timeout) {
  std::unique_lock lock(mutex_);
  const bool heard =
      changed_.wait_for(lock, seconds(timeout), [&] { return welcome_ || !failure_.empty() || !refusal_.empty(); });
  if (welcome_) return;
  leaving_ = true;
  if (!refusal_.empty()) throw InputError("rank 0 at " + where_, refusal_);
  if (!failure_.empty()) throw InputError("start of the run", failure_);
  throw InputError("MASTER_ADDR", std::string("what listens at ") + where_ + " is not rank 0 of this run" +
                                      (heard ? "" : ": it says nothing"));
}

void Store::set(const std::string& key, const std::string& value, uint32_t readers) {
  send({StoreKind::set, key, value, readers});
}

std::optional<std::string> Store::get(const std::string& key, double timeout) {
  uint64_t number = 0;
  {
    std::lock_guard lock(mutex_);
    number = next_number_++;
    replies_[number];
  }
  send({StoreKind::get, key, "", number});
  auto reply = wait_for_reply(number, timeout);
  if (!reply) return std::nullopt;
  return std::move(reply->value);
}

Store::Ping Store::ping() {
  uint64_t number = 0;
  {
    std::lock_guard lock(mutex_);
    number = next_number_++;
    replies_[number];
  }
  Ping ping;
  ping.sent = StoreClock::now();
  send({StoreKind::ping, "", "", number});
  const auto reply = wait_for_reply(number, kPingSeconds);
  int64_t server = 0;
  if (!reply || reply->value.size() != sizeof server) throw RunError("rank 0 at " + where_ + " does not answer");
  std::memcpy(&server, reply->value.data(), sizeof server);
  ping.server = StoreClock::time_point(std::chrono::nanoseconds(server));
  ping.received = reply->received;
  return ping;
}

std::optional<Store::Reply> Store::wait_for_reply(uint64_t number, double timeout) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, seconds(timeout), [&] { return replies_[number] || !failure_.empty() || ended_; });
  std::optional<Reply> reply = std::move(replies_[number]);
  replies_.erase(number);
  if (reply && !reply->ended) return reply;
  if (!failure_.empty()) throw RunError(failure_);
  if (ended_ || reply) throw RunError("rank 0 has ended the run");
  return std::nullopt;
}

void Store::send(const StoreMessage& message) {
  if (try_send(message)) return;
  const std::string reason = failure();
  throw RunError(reason.empty() ? "rank 0 at " + where_ + " takes no message" : reason);
}

bool Store::try_send(const StoreMessage& message) noexcept try {
  const std::string bytes = encode(message);
  std::lock_guard lock(send_mutex_);
  for (size_t at = 0; at < bytes.size();) {
    const ssize_t sent = ::send(socket_.fd(), bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (sent > 0) {
      at += static_cast<size_t>(sent);
    } else if (errno == EAGAIN) {
      pollfd waiting{socket_.fd(), POLLOUT, 0};
      if (::poll(&waiting, 1, kSendSeconds * 1000) <= 0) return false;
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
} catch (...) {  // no memory for a copy of the message
  return false;
}

/// On a thread of its own, until the connection ends.
void Store::receive() {
  char block[1 << 16];
  StoreClock::time_point left;
  while (true) {
    pollfd waiting{socket_.fd(), POLLIN, 0};
    const int ready = ::poll(&waiting, 1, 200);
    if (ready <= 0) {
      std::lock_guard lock(mutex_);
      if (!leaving_) continue;
      if (left == StoreClock::time_point{}) left = StoreClock::now();
      if (StoreClock::now() - left > std::chrono::seconds(kFarewellSeconds)) return;
      continue;
    }
    const ssize_t got = ::recv(socket_.fd(), block, sizeof block, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got > 0) parser_.add(block, static_cast<size_t>(got));
    while (auto message = parser_.next()) handle(std::move(*message));
    if (got > 0 && !parser_.garbage()) continue;
    bool expected = false;
    {
      std::lock_guard lock(mutex_);
      expected = leaving_ || closing_ || !refusal_.empty();
      ended_ = expected;
      if (!welcome_ && refusal_.empty() && failure_.empty()) {
        refusal_ = "MASTER_ADDR: what answers there is not rank 0 of this run";
        expected = true;
      }
      changed_.notify_all();
    }
    if (!expected) fail_here("rank 0 was lost: its process ended or its machine cannot be reached");
    return;
  }
}

void Store::handle(StoreMessage message) {
  const StoreClock::time_point now = StoreClock::now();
  if (message.kind == StoreKind::failed) return fail_here(message.value);
  std::lock_guard lock(mutex_);
  switch (message.kind) {
    case StoreKind::welcome:
      welcome_ = true;
      break;
    case StoreKind::refused:
      refusal_ = message.value;
      break;
    case StoreKind::closing:
      closing_ = true;
      [[fallthrough]];
    case StoreKind::value:
    case StoreKind::pong:
      if (const auto reply = replies_.find(message.number); reply != replies_.end()) {
        reply->second = Reply{std::move(message.value), now, message.kind == StoreKind::closing};
      }
      break;
    default:
      break;
  }
  changed_.notify_all();
}

/// The lock is held over both: on_failure({}) of a thread that was woken waits for the callback.
void Store::fail_here(const std::string& reason) {
  std::lock_guard callback_lock(callback_mutex_);
  {
    std::lock_guard lock(mutex_);
    if (!failure_.empty()) return;
    failure_ = reason;
    changed_.notify_all();
  }
  if (callback_) {
    callback_(reason);
  } else {
    untold_ = reason;
  }
}

void Store::fail(const std::string& reason) noexcept {
  {
    std::lock_guard lock(mutex_);
    if (!failure_.empty()) return;
    failure_ = reason;
    changed_.notify_all();
  }
  try_send({StoreKind::fail, "", reason.substr(0, 4096), 0});
}

std::string Store::failure() const {
  std::lock_guard lock(mutex_);
  return failure_;
}

void Store::on_failure(std::function<void(const std::string&)> callback) {
  std::lock_guard lock(callback_mutex_);
  callback_ = std::move(callback);
  if (callback_ && !untold_.empty()) callback_(std::exchange(untold_, ""));
}

}  // namespace pgram
