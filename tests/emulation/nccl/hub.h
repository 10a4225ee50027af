// Hub: what a unique id names. Holds the meetings of a communicator and of all that were split off it, for members of
// this process and, by a socket, of others.
#pragma once
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tests/emulation/nccl/meeting.h"
#include "tests/emulation/nccl/wire.h"

namespace pgram::emulation {

/// Lives until all its members have left.
class Hub : public std::enable_shared_from_this<Hub> {
 public:
  /// A new hub's name; empty if no socket can be had.
  static std::string create();
  /// nullptr: it is of another process, or gone.
  static std::shared_ptr<Hub> find(const std::string& name);
  static std::vector<std::shared_ptr<Hub>> all();

  Hub(std::string name, std::string communicator, int socket);
  ~Hub();

  /// A member comes to meeting `number`; the first one to meeting 0 makes it. nullptr if it does not belong there.
  std::shared_ptr<Meeting> enter(uint64_t number, int rank, int ranks, bool is_local);
  void leave(bool was_local, bool aborted);
  /// The process is about to end, but members of others still meet here: waits for them, for a while, unless a member
  /// of this one was aborted, or is simply left over.
  void linger();
  const std::string& name() const { return name_; }
  std::map<uint64_t, std::shared_ptr<Meeting>> meetings();

 private:
  std::shared_ptr<Meeting> add(uint64_t number, const std::string& name, int ranks);
  void accept_members();
  void serve(const std::shared_ptr<Connection>&);

  const std::string name_, communicator_;
  const int socket_;
  std::mutex mutex_;
  std::map<uint64_t, std::shared_ptr<Meeting>> meetings_;
  std::condition_variable changed_;
  int local_members_ = 0, members_ = 0;
  bool aborted_ = false;
};

}  // namespace pgram::emulation
