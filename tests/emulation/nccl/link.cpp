#include "tests/emulation/nccl/link.h"

#include <map>
#include <mutex>
#include <thread>

#include "tests/emulation/nccl/hub.h"

namespace pgram::emulation {
namespace {

class LocalLink final : public Link {
 public:
  LocalLink(std::shared_ptr<Hub> hub, std::shared_ptr<Meeting> meeting, int rank)
      : hub_(std::move(hub)), meeting_(std::move(meeting)), rank_(rank) {}

  void post(const Call& call, Bytes data, Done done) override {
    meeting_->post(rank_, call, std::move(data), std::move(done));
  }
  void leave(bool aborted) override {
    meeting_->withdraw(rank_);
    hub_->leave(true, aborted);
  }
  const std::string& name() const override { return meeting_->name(); }

 private:
  const std::shared_ptr<Hub> hub_;
  const std::shared_ptr<Meeting> meeting_;
  const int rank_;
};

class SocketLink final : public Link, public std::enable_shared_from_this<SocketLink> {
 public:
  SocketLink(int socket, Listener listener) : connection_(socket), listener_(std::move(listener)) {}

  bool introduce(uint64_t number, int rank, int ranks) {
    Frame frame{.type = Frame::Type::hello, .rank = rank, .ranks = ranks, .number = number, .call = {}};
    Bytes name;
    if (!connection_.send(frame, {}) || !connection_.receive(frame, name)) return false;
    name_.assign(reinterpret_cast<const char*>(name.data()), name.size());
    if (frame.type != Frame::Type::welcome) return false;
    std::thread([self = shared_from_this()] { self->listen(); }).detach();
    return true;
  }

  void post(const Call& call, Bytes data, Done done) override {
    uint64_t number;
    {
      std::lock_guard lock(mutex_);
      number = posted_++;
      waiting_[number] = std::move(done);
    }
    if (!connection_.send({.type = Frame::Type::post, .number = number, .call = call}, data))
      listener_(ncclRemoteError);
  }

  void leave(bool) override {
    {
      std::lock_guard lock(mutex_);
      left_ = true;
    }
    connection_.send({.type = Frame::Type::leave, .call = {}}, {});
  }

  const std::string& name() const override { return name_; }

 private:
  void listen() {
    Frame frame;
    Bytes bytes;
    while (connection_.receive(frame, bytes)) {
      if (frame.type == Frame::Type::error) {
        listener_(frame.error);
      } else if (const Done done = take(frame.number)) {
        done({frame.begin, std::move(bytes)});
      }
      bytes.clear();
    }
    std::unique_lock lock(mutex_);
    const bool expected = left_;
    lock.unlock();
    if (!expected) listener_(ncclRemoteError);
  }

  Done take(uint64_t number) {
    std::lock_guard lock(mutex_);
    const auto found = waiting_.find(number);
    if (found == waiting_.end()) return {};
    Done done = std::move(found->second);
    waiting_.erase(found);
    return done;
  }

  Connection connection_;
  const Listener listener_;
  std::string name_;
  std::mutex mutex_;
  std::map<uint64_t, Done> waiting_;
  uint64_t posted_ = 0;
  bool left_ = false;
};

}  // namespace

std::shared_ptr<Link> open_link(const std::string& hub_name, uint64_t number, int rank, int ranks, Listener listener) {
  if (const auto hub = Hub::find(hub_name)) {
    const auto meeting = hub->enter(number, rank, ranks, true);
    if (!meeting) return nullptr;
    meeting->listen(rank, std::move(listener));
    return std::make_shared<LocalLink>(hub, meeting, rank);
  }
  const int socket = connect_to(hub_name);
  if (socket < 0) return nullptr;
  const auto link = std::make_shared<SocketLink>(socket, std::move(listener));
  return link->introduce(number, rank, ranks) ? link : nullptr;
}

}  // namespace pgram::emulation
