// Ports of this machine that nobody listens on.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace pgram::test {

/// No two the same.
template <size_t kCount>
std::array<uint16_t, kCount> free_ports() {
  std::array<uint16_t, kCount> ports{};
  std::array<int, kCount> sockets{};
  for (size_t i = 0; i < kCount; ++i) {
    sockets[i] = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(sockets[i], reinterpret_cast<sockaddr*>(&address), sizeof address);
    socklen_t size = sizeof address;
    ::getsockname(sockets[i], reinterpret_cast<sockaddr*>(&address), &size);
    ports[i] = ntohs(address.sin_port);
  }
  for (const int socket : sockets) ::close(socket);
  return ports;
}

inline uint16_t free_port() {
  return free_ports<1>()[0];
}

}  // namespace pgram::test
