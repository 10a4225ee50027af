#include "tests/emulation/nccl/wire.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace pgram::emulation {
namespace {

struct Address {
  sockaddr_un socket{};
  socklen_t bytes = 0;
  const sockaddr* generic() const { return reinterpret_cast<const sockaddr*>(&socket); }
};

/// An abstract name begins with a zero byte.
Address address_of(const std::string& name) {
  Address address;
  address.socket.sun_family = AF_UNIX;
  std::memcpy(address.socket.sun_path + 1, name.data(), name.size());
  address.bytes = socklen_t(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return address;
}

int close_and_fail(int socket) {
  ::close(socket);
  return -1;
}

}  // namespace

Connection::~Connection() {
  ::close(socket_);
}

bool Connection::send(Frame frame, const Bytes& bytes) {
  frame.bytes = bytes.size();
  std::lock_guard lock(mutex_);
  return write(&frame, sizeof frame) && write(bytes.data(), bytes.size());
}

bool Connection::receive(Frame& frame, Bytes& bytes) {
  if (!read(&frame, sizeof frame)) return false;
  bytes.resize(frame.bytes);
  return read(bytes.data(), frame.bytes);
}

bool Connection::write(const void* data, uint64_t bytes) {
  const auto* at = static_cast<const std::byte*>(data);
  while (bytes > 0) {
    const ssize_t n = ::send(socket_, at, bytes, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n, bytes -= uint64_t(n);
  }
  return true;
}

bool Connection::read(void* data, uint64_t bytes) {
  auto* at = static_cast<std::byte*>(data);
  while (bytes > 0) {
    const ssize_t n = ::recv(socket_, at, bytes, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n, bytes -= uint64_t(n);
  }
  return true;
}

int listen_at(const std::string& name) {
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return -1;
  const Address address = address_of(name);
  if (::bind(socket, address.generic(), address.bytes) || ::listen(socket, SOMAXCONN)) return close_and_fail(socket);
  return socket;
}

int connect_to(const std::string& name) {
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return -1;
  const Address address = address_of(name);
  return ::connect(socket, address.generic(), address.bytes) ? close_and_fail(socket) : socket;
}

}  // namespace pgram::emulation
