#include "cuda_backend/store_socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <set>
#include <thread>

#include "core/base/errors.h"

namespace pgram {
namespace {

constexpr double kRetrySeconds = 0.1, kAttemptSeconds = 5;
constexpr double kUnknownNameSeconds = 10;  ///< a name that is wrong, rather than not known yet

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

/// Empty and `error` set if the name is not known.
AddressList resolve(const std::string& address, uint16_t port, bool passive, int& error) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0);
  addrinfo* found = nullptr;
  error = ::getaddrinfo(address.empty() ? nullptr : address.c_str(), std::to_string(port).c_str(), &hints, &found);
  return {error == 0 ? found : nullptr, &::freeaddrinfo};
}

bool is_loopback(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    return ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr) >> 24 == 127;
  }
  return address->sa_family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
}

/// 0 or errno.
int listen_on(const addrinfo& address, Socket& out) {
  Socket socket(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return errno;
  // A port whose last run has just ended is free; one that somebody listens on is not.
  const int yes = 1;
  ::setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  // IPv4 has a socket of its own.
  if (address.ai_family == AF_INET6) ::setsockopt(socket.fd(), IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
  if (::bind(socket.fd(), address.ai_addr, address.ai_addrlen) != 0) return errno;
  if (::listen(socket.fd(), SOMAXCONN) != 0) return errno;
  out = std::move(socket);
  return 0;
}

/// 0 or errno.
int connect_once(const addrinfo& address, double seconds, Socket& out) {
  Socket socket(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return errno;
  if (::connect(socket.fd(), address.ai_addr, address.ai_addrlen) != 0) {
    if (errno != EINPROGRESS) return errno;
    pollfd waiting{socket.fd(), POLLOUT, 0};
    if (::poll(&waiting, 1, static_cast<int>(seconds * 1000)) <= 0) return ETIMEDOUT;
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return error;
  }
  out = std::move(socket);
  return 0;
}

}  // namespace

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Socket::~Socket() {
  if (fd_ >= 0) ::close(fd_);
}

void tune(const Socket& socket) {
  const int yes = 1, idle = 10, interval = 5, count = 4, unanswered_ms = 30'000;
  ::setsockopt(socket.fd(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  ::setsockopt(socket.fd(), SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
  ::setsockopt(socket.fd(), IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  ::setsockopt(socket.fd(), IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  ::setsockopt(socket.fd(), IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
  ::setsockopt(socket.fd(), IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered_ms, sizeof unanswered_ms);
}

std::vector<Socket> listen_at(const std::string& address, uint16_t port) {
  int ignored = 0, unknown = 0;
  const AddressList named = resolve(address, port, false, ignored);
  bool loopback = named != nullptr;
  for (const addrinfo* a = named.get(); a; a = a->ai_next) loopback &= is_loopback(a->ai_addr);
  const AddressList all = resolve("", port, true, unknown);
  std::vector<Socket> sockets;
  int error = EADDRNOTAVAIL;
  std::set<std::string> bound;  // a name may have an address twice
  for (const addrinfo* a = loopback ? named.get() : all.get(); a; a = a->ai_next) {
    if (!bound.emplace(reinterpret_cast<const char*>(a->ai_addr), a->ai_addrlen).second) continue;
    Socket socket;
    const int failed = listen_on(*a, socket);
    if (failed == EADDRINUSE) {
      throw InputError("MASTER_PORT", "port " + std::to_string(port) +
                                          " is in use on this machine; set it to a free one for all processes");
    }
    if (failed != 0) error = failed;
    if (socket) sockets.push_back(std::move(socket));
  }
  if (sockets.empty()) {
    throw InputError("MASTER_PORT",
                     "process 0 cannot listen on port " + std::to_string(port) + ": " + std::strerror(error));
  }
  return sockets;
}

Socket connect_to(const std::string& address, uint16_t port, double seconds) {
  const StoreClock::time_point begin = StoreClock::now();
  std::string reason;
  while (true) {
    const double left = seconds - std::chrono::duration<double>(StoreClock::now() - begin).count();
    int unknown = 0;
    const AddressList addresses = resolve(address, port, false, unknown);
    if (unknown != 0) reason = ::gai_strerror(unknown);
    for (const addrinfo* a = addresses.get(); a; a = a->ai_next) {
      Socket socket;
      const int error = connect_once(*a, std::clamp(left, 0.05, kAttemptSeconds), socket);
      if (error == 0) return socket;
      reason = std::strerror(error);
    }
    if (left <= 0 || (unknown != 0 && seconds - left > kUnknownNameSeconds)) break;
    std::this_thread::sleep_for(std::chrono::duration<double>(kRetrySeconds));
  }
  const double tried = std::chrono::duration<double>(StoreClock::now() - begin).count();
  throw InputError("MASTER_ADDR", "rank 0 does not answer at " + address + ", port " + std::to_string(port) + " (" +
                                      reason + ", tried for " + std::to_string(static_cast<int>(tried + 0.5)) +
                                      " s); does it run there, and is MASTER_PORT open?");
}

}  // namespace pgram
