// Meeting: where the calls of one communicator's members find each other. In the process that made the unique id;
// members of other processes come by a socket (hub.h).
#pragma once
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "tests/emulation/nccl/call.h"

namespace pgram::emulation {

/// Strict rendezvous: a call is done when all its partners have come, never before. Nothing is kept for later but what
/// a waiting call brought itself. Calls that do not match are reported, and never done.
class Meeting {
 public:
  /// Makes the meeting of a part of the members; returns its number at the hub.
  using MakeChild = std::function<uint64_t(const std::string& name, int ranks)>;

  Meeting(std::string name, int ranks, MakeChild);

  const std::string& name() const { return name_; }  ///< "communicator 3"
  int ranks() const { return ranks_; }

  /// Whether a member that says this of itself belongs here; if not, the others are told.
  bool admit(int rank, int ranks);
  /// Of what has already happened it is told at once. Thread-safe, as all of these.
  void listen(int rank, Listener);
  /// `done` is called by the thread that brings the last partner.
  void post(int rank, const Call&, Bytes, Done);
  /// The rank aborted: what it brought is taken away, and those who need it wait for good.
  void withdraw(int rank);
  /// The rank's process is gone, which the others are told.
  void lose(int rank);

  struct Missing {
    int rank;  ///< who has not come to a call that another one waits at
    Call call;
  };
  std::vector<Missing> missing();

 private:
  struct Post {
    Call call;
    Bytes data;
    Done done;
  };
  struct Round {
    std::vector<std::optional<Post>> members;
    size_t arrived = 0;
    bool failed = false;  ///< reported as not matching
  };
  /// A send and its receive.
  struct Transfer {
    std::optional<Post> send, receive;
  };
  using Actions = std::vector<std::function<void()>>;  ///< called without the lock

  void post_to_round(int rank, Post, Actions&);
  void post_to_transfer(int rank, Post, Actions&);
  void finish(Round, Actions&);
  void finish_join(Round, Actions&);
  void finish_split(Round, Actions&);
  void fail(ncclResult_t, Actions&);

  const std::string name_;
  const int ranks_;
  const MakeChild make_child_;
  std::mutex mutex_;
  std::vector<Listener> listeners_;
  std::vector<bool> gone_;  ///< by rank: withdrawn
  ncclResult_t error_ = ncclSuccess;
  std::map<std::pair<bool, uint64_t>, Round> rounds_;             ///< by whether it is management, and sequence
  std::map<std::tuple<int, int, uint64_t>, Transfer> transfers_;  ///< by sender, receiver and sequence
};

}  // namespace pgram::emulation
