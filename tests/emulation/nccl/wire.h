// Frames between a communicator's member and the process where its calls meet others.
#pragma once
#include <mutex>
#include <string>

#include "tests/emulation/nccl/call.h"

namespace pgram::emulation {

/// Both ends are the same program on the same machine: it goes as it is, followed by `bytes` bytes.
struct Frame {
  enum class Type : uint32_t {
    hello,    ///< member: I am `rank` of `ranks` of meeting `number`
    welcome,  ///< with the communicator's name
    refused,  ///< the others were told why
    post,     ///< member: `call`, known as `number` from here on
    outcome,  ///< of post `number`, with what it takes home
    error,    ///< for the listener
    leave,    ///< member: destroyed or aborted
  };
  Type type = Type::hello;
  int rank = 0, ranks = 0;
  uint64_t number = 0, bytes = 0;
  Call call;
  ncclResult_t error = ncclSuccess;
  VirtualTime begin = 0;
};

/// One end of a stream socket.
class Connection {
 public:
  explicit Connection(int socket) : socket_(socket) {}
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// False when the other end is gone. Thread-safe.
  bool send(Frame, const Bytes&);
  /// By one thread. False when the other end is gone.
  bool receive(Frame&, Bytes&);

 private:
  bool write(const void* data, uint64_t bytes);
  bool read(void* data, uint64_t bytes);

  const int socket_;
  std::mutex mutex_;
};

/// A socket that listens at this name, or -1. Names are Linux's abstract ones: no file that could be left behind.
int listen_at(const std::string& name);
int connect_to(const std::string& name);

}  // namespace pgram::emulation
