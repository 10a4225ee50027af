// TCP sockets as the store uses them.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace pgram {

class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept;
  ~Socket();
  int fd() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

using StoreClock = std::chrono::steady_clock;

/// Listens where processes that are told `address` will look: on loopback only if that is loopback, else on all of this
/// machine's addresses. InputError if the port is taken. Not blocking.
std::vector<Socket> listen_at(const std::string& address, uint16_t port);

/// A connection as soon as somebody listens there. InputError at the deadline, with the last reason.
Socket connect_to(const std::string& address, uint16_t port, double seconds);

/// No delay for small messages; a peer whose machine is gone is noticed after half a minute of silence.
void tune(const Socket&);

}  // namespace pgram
