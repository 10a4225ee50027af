// The store's server, on a thread of its own in process 0.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cuda_backend/store_socket.h"
#include "cuda_backend/store_wire.h"

namespace pgram {

class StoreServer {
 public:
  /// Listens at once (InputError), then lets processes 0 ... size - 1 in until all are there or the time is over. What
  /// is no process of this run (a port scan, another run) is turned away and holds nobody up.
  StoreServer(const std::string& address, uint16_t port, uint32_t size, const std::string& job, double start_timeout);
  /// Waits a little for processes that have not said goodbye, so that they get what was sent to them.
  ~StoreServer();

 private:
  struct Connection {
    Socket socket;
    StoreParser parser;
    std::string out;
    size_t sent = 0;     ///< of `out`
    int64_t index = -1;  ///< -1: not known yet
    StoreClock::time_point accepted;
    bool goodbye = false, ending = false;  ///< has said it; is closed when `out` is sent
  };
  struct Value {
    std::string bytes;
    uint64_t readers = 0;
  };
  struct Waiting {
    Connection* connection = nullptr;
    uint64_t number = 0;
  };

  void serve();
  void accept_from(const Socket& listener);
  bool read_from(Connection&);
  void handle(Connection&, StoreMessage);
  void let_in(Connection&, const StoreMessage&);
  void store(StoreMessage);
  void answer(Connection&, const StoreMessage&);
  void flush(Connection&);
  void close(size_t connection);
  void send(Connection&, StoreKind, const std::string& value = "", uint64_t number = 0);
  void fail(const std::string& reason, const Connection* except = nullptr);
  void check_start();
  bool may_end();

  const uint32_t size_;
  const std::string job_;
  const double start_timeout_;
  const StoreClock::time_point begin_ = StoreClock::now();
  std::vector<Socket> listeners_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> by_index_;
  uint32_t arrived_ = 0;
  bool welcomed_ = false;
  std::string failure_;
  std::map<std::string, Value> values_;
  std::multimap<std::string, Waiting> waiting_;
  bool told_closing_ = false;

  Socket wake_;  ///< an eventfd
  std::mutex mutex_;
  bool stopping_ = false;  ///< under mutex_
  StoreClock::time_point stop_time_;
  std::thread thread_;
};

}  // namespace pgram
