// A TCP store: how the processes of one run exchange byte strings and learn of failures. Process 0 serves.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "cuda_backend/process_place.h"
#include "cuda_backend/store_socket.h"
#include "cuda_backend/store_wire.h"

namespace pgram {

class StoreServer;

class Store {
 public:
  /// Returns when all processes are there. InputError in one line: a port in use, an address that does not answer,
  /// ranks that did not come in time (they are named), processes that count themselves otherwise.
  Store(const ProcessPlace&, double start_timeout);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  /// `value` (at most kMaxStoreValue bytes) can be got `readers` times; then it is gone.
  void set(const std::string& key, const std::string& value, uint32_t readers = 1);
  /// Waits until somebody has set it; none if that takes too long. RunError when the run has failed.
  std::optional<std::string> get(const std::string& key, double timeout);

  /// One exchange with process 0: its clock's reading lies between `sent` and `received`.
  struct Ping {
    StoreClock::time_point sent, server, received;
  };
  Ping ping();

  /// The first failure of any process counts, and every other process learns of it at once. Waiting ends with it.
  void fail(const std::string& reason) noexcept;
  std::string failure() const;  ///< empty: none
  /// For failures of other processes; called once, on the receiving thread or, if it has happened before, on this one.
  void on_failure(std::function<void(const std::string&)>);

 private:
  struct Reply {
    std::string value;
    StoreClock::time_point received;
    bool ended = false;  ///< there will be no value
  };

  void receive();
  void handle(StoreMessage);
  void wait_for_welcome(double timeout);
  std::optional<Reply> wait_for_reply(uint64_t number, double timeout);
  void send(const StoreMessage&);
  bool try_send(const StoreMessage&) noexcept;
  void fail_here(const std::string& reason);

  const std::string where_;  ///< "host, port 29517"
  std::unique_ptr<StoreServer> server_;
  Socket socket_;
  StoreParser parser_;
  std::mutex send_mutex_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t next_number_ = 1;
  std::map<uint64_t, std::optional<Reply>> replies_;  ///< of the gets and pings that somebody waits for
  bool welcome_ = false, closing_ = false, leaving_ = false, ended_ = false;  ///< ended_: nothing more will come
  std::string failure_, refusal_;

  std::mutex callback_mutex_;
  std::function<void(const std::string&)> callback_;
  std::string untold_;  ///< a failure that came before there was a callback
  std::thread receiver_;
};

}  // namespace pgram
