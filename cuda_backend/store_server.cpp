#include "cuda_backend/store_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace pgram {
namespace {

constexpr double kHelloSeconds = 10;  ///< so long somebody may be connected without saying who it is
constexpr size_t kMaxStrangers = 256;
constexpr double kFarewellSeconds = 5, kFarewellAfterFailure = 1;
constexpr int kTickMilliseconds = 100;

double seconds_since(StoreClock::time_point begin) {
  return std::chrono::duration<double>(StoreClock::now() - begin).count();
}

std::string rank_list(const std::vector<uint32_t>& ranks) {
  constexpr size_t kShown = 8;
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  for (size_t i = 0; i < std::min(ranks.size(), kShown); ++i) {
    text += (i == 0 ? "" : i + 1 == ranks.size() ? " and " : ", ") + std::to_string(ranks[i]);
  }
  return text + (ranks.size() > kShown ? " and " + std::to_string(ranks.size() - kShown) + " more" : "");
}

}  // namespace

StoreServer::StoreServer(const std::string& address, uint16_t port, uint32_t size, const std::string& job,
                         double start_timeout)
    : size_(size),
      job_(job),
      start_timeout_(start_timeout),
      listeners_(listen_at(address, port)),
      by_index_(size),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      thread_([this] { serve(); }) {}

StoreServer::~StoreServer() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    stop_time_ = StoreClock::now();
  }
  ::eventfd_write(wake_.fd(), 1);
  thread_.join();
}

void StoreServer::serve() {
  while (true) {
    std::vector<pollfd> polled{{wake_.fd(), POLLIN, 0}};
    for (const Socket& listener : listeners_) polled.push_back({listener.fd(), POLLIN, 0});
    const size_t first = polled.size(), connections = connections_.size();
    for (const auto& connection : connections_) {
      polled.push_back(
          {connection->socket.fd(), static_cast<short>(POLLIN | (connection->out.empty() ? 0 : POLLOUT)), 0});
    }
    ::poll(polled.data(), polled.size(), kTickMilliseconds);
    eventfd_t woken = 0;
    ::eventfd_read(wake_.fd(), &woken);
    // From behind, so that closing one leaves the indices of the others before it.
    for (size_t i = connections; i-- > 0;) {
      Connection& connection = *connections_[i];
      bool open = true;
      if (polled[first + i].revents & (POLLIN | POLLHUP | POLLERR)) open = read_from(connection);
      if (open && connection.index < 0) open = seconds_since(connection.accepted) < kHelloSeconds;
      if (!open || (connection.ending && connection.out.empty())) close(i);
    }
    for (size_t i = 1; i < first; ++i) {
      if (polled[i].revents & POLLIN) accept_from(listeners_[i - 1]);
    }
    check_start();
    for (const auto& connection : connections_) flush(*connection);
    if (may_end()) return;
  }
}

void StoreServer::accept_from(const Socket& listener) {
  auto connection = std::make_unique<Connection>();
  connection->socket = Socket(::accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  const size_t strangers =
      std::count_if(connections_.begin(), connections_.end(), [](const auto& c) { return c->index < 0; });
  if (!connection->socket || strangers >= kMaxStrangers) return;
  tune(connection->socket);
  connection->parser.limit(2 * sizeof(uint32_t) + kMaxStoreKey);
  connection->accepted = StoreClock::now();
  connections_.push_back(std::move(connection));
}

/// False when the connection has ended or speaks another language.
bool StoreServer::read_from(Connection& connection) {
  char block[1 << 16];
  const ssize_t got = ::recv(connection.socket.fd(), block, sizeof block, 0);
  if (got == 0) return false;
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  connection.parser.add(block, static_cast<size_t>(got));
  while (auto message = connection.parser.next()) handle(connection, std::move(*message));
  return !connection.parser.garbage();
}

void StoreServer::handle(Connection& connection, StoreMessage message) {
  if (connection.ending) return;
  if (connection.index < 0) {
    if (message.kind == StoreKind::hello) {
      let_in(connection, message);
    } else {
      connection.ending = true;
    }
    return;
  }
  switch (message.kind) {
    case StoreKind::set:
      return store(std::move(message));
    case StoreKind::get:
      return answer(connection, message);
    case StoreKind::ping: {
      const int64_t now = StoreClock::now().time_since_epoch() / std::chrono::nanoseconds(1);
      send(connection, StoreKind::pong, std::string(reinterpret_cast<const char*>(&now), sizeof now), message.number);
      return flush(connection);
    }
    case StoreKind::fail:
      return fail(message.value, &connection);
    case StoreKind::goodbye:
      connection.goodbye = connection.ending = true;
      return;
    default:
      return fail("rank " + std::to_string(connection.index) + " says what only the store may say");
  }
}

void StoreServer::let_in(Connection& connection, const StoreMessage& message) {
  const auto hello = decode_hello(message.value);
  const auto refuse = [&](const std::string& reason) {
    send(connection, StoreKind::refused, reason);
    connection.ending = true;
  };
  if (!hello) return refuse("a greeting that is cut off");
  if (hello->job != job_ && !hello->job.empty() && !job_.empty()) {
    return refuse("MASTER_PORT: another run (" + job_ + ") uses this port; set it to a free one");
  }
  const std::string who = "rank " + std::to_string(hello->index);
  std::string wrong;
  if (hello->size != size_) {
    wrong = "WORLD_SIZE: " + who + " was told of " + std::to_string(hello->size) + " processes, rank 0 of " +
            std::to_string(size_);
  } else if (hello->index >= size_ || by_index_[hello->index] != nullptr) {
    wrong = "RANK: two processes say that they are " + who;
  }
  if (!wrong.empty()) {
    refuse(wrong);
    return fail(wrong);
  }
  connection.index = hello->index;
  connection.parser.limit(kMaxStoreValue);
  by_index_[hello->index] = &connection;
  ++arrived_;
  if (!failure_.empty()) send(connection, StoreKind::failed, failure_);
}

void StoreServer::store(StoreMessage message) {
  Value value{std::move(message.value), message.number};
  const auto [begin, end] = waiting_.equal_range(message.key);
  for (auto it = begin; it != end && value.readers > 0; it = waiting_.erase(it), --value.readers) {
    send(*it->second.connection, StoreKind::value, value.bytes, it->second.number);
  }
  if (value.readers > 0) values_[message.key] = std::move(value);
}

void StoreServer::answer(Connection& connection, const StoreMessage& message) {
  const auto found = values_.find(message.key);
  if (found == values_.end()) {
    if (told_closing_) return send(connection, StoreKind::closing, "", message.number);
    waiting_.emplace(message.key, Waiting{&connection, message.number});
    return;
  }
  send(connection, StoreKind::value, found->second.bytes, message.number);
  if (--found->second.readers == 0) values_.erase(found);
}

void StoreServer::send(Connection& connection, StoreKind kind, const std::string& value, uint64_t number) {
  connection.out += encode(StoreMessage{kind, "", value, number});
}

void StoreServer::flush(Connection& connection) {
  if (connection.out.empty()) return;
  const ssize_t sent = ::send(connection.socket.fd(), connection.out.data() + connection.sent,
                              connection.out.size() - connection.sent, MSG_NOSIGNAL);
  if (sent > 0) connection.sent += static_cast<size_t>(sent);
  // A broken connection ends on its reading side, which says whose it was.
  const bool broken = sent < 0 && errno != EAGAIN && errno != EINTR;
  if (!broken && connection.sent < connection.out.size()) return;
  connection.out.clear();
  connection.sent = 0;
}

void StoreServer::close(size_t index) {
  const Connection* connection = connections_[index].get();
  const int64_t rank = connection->index;
  std::erase_if(waiting_, [&](const auto& entry) { return entry.second.connection == connection; });
  const bool lost = rank >= 0 && !connection->goodbye;
  if (rank >= 0) by_index_[rank] = nullptr;
  connections_.erase(connections_.begin() + static_cast<std::ptrdiff_t>(index));
  if (lost) fail("rank " + std::to_string(rank) + " was lost: its process ended or its machine cannot be reached");
}

/// The first failure counts; everybody but who told of it is told.
void StoreServer::fail(const std::string& reason, const Connection* except) {
  if (!failure_.empty()) return;
  failure_ = reason.empty() ? "a rank failed" : reason;
  for (const auto& connection : connections_) {
    if (connection->index >= 0 && connection.get() != except) send(*connection, StoreKind::failed, failure_);
  }
}

void StoreServer::check_start() {
  if (welcomed_ || !failure_.empty()) return;
  if (arrived_ == size_) {
    welcomed_ = true;
    // Nobody else may come: the port is free for others from here on.
    listeners_.clear();
    for (Connection* connection : by_index_) {
      if (connection != nullptr) send(*connection, StoreKind::welcome);
    }
  } else if (seconds_since(begin_) > start_timeout_) {
    std::vector<uint32_t> missing;
    for (uint32_t i = 0; i < size_; ++i) {
      if (by_index_[i] == nullptr) missing.push_back(i);
    }
    fail(rank_list(missing) + " of " + std::to_string(size_) + " did not come within " +
         std::to_string(static_cast<int>(start_timeout_)) + " s; " + (missing.size() == 1 ? "was it" : "were they") +
         " started, and can they reach rank 0?");
  }
}

bool StoreServer::may_end() {
  std::lock_guard lock(mutex_);
  if (!stopping_) return false;
  if (!told_closing_) {
    told_closing_ = true;
    // What process 0 has set may still be asked for; what it has not, nobody will set.
    for (const auto& [key, waiting] : waiting_) send(*waiting.connection, StoreKind::closing, "", waiting.number);
    waiting_.clear();
    for (const auto& connection : connections_) {
      if (connection->index >= 0) send(*connection, StoreKind::closing);
      flush(*connection);
    }
  }
  const bool anybody =
      std::any_of(by_index_.begin(), by_index_.end(), [](const Connection* c) { return c != nullptr; });
  return !anybody || seconds_since(stop_time_) > (failure_.empty() ? kFarewellSeconds : kFarewellAfterFailure);
}

}  // namespace pgram
