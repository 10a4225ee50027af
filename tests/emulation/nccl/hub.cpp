#include "tests/emulation/nccl/hub.h"

#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <thread>

namespace pgram::emulation {
namespace {

/// Never destroyed: threads of hubs outlive main().
struct Hubs {
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<Hub>> open;
  uint64_t made = 0;
};

Hubs& hubs() {
  static auto& all = *new Hubs;
  return all;
}

/// At the end of the process.
struct AtExit {
  ~AtExit() {
    for (const auto& hub : Hub::all()) hub->linger();
  }
};
const AtExit at_exit;

}  // namespace

std::string Hub::create() {
  std::lock_guard lock(hubs().mutex);
  const std::string number = std::to_string(++hubs().made);
  const std::string name = "pgram-nccl-" + std::to_string(::getpid()) + "-" + number;
  const int socket = listen_at(name);
  if (socket < 0) return {};
  auto hub = std::make_shared<Hub>(name, "communicator " + number, socket);
  hubs().open[name] = hub;
  std::thread([hub] { hub->accept_members(); }).detach();
  return name;
}

std::shared_ptr<Hub> Hub::find(const std::string& name) {
  std::lock_guard lock(hubs().mutex);
  const auto found = hubs().open.find(name);
  return found == hubs().open.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<Hub>> Hub::all() {
  std::lock_guard lock(hubs().mutex);
  std::vector<std::shared_ptr<Hub>> all;
  for (const auto& [name, hub] : hubs().open) all.push_back(hub);
  return all;
}

Hub::Hub(std::string name, std::string communicator, int socket)
    : name_(std::move(name)), communicator_(std::move(communicator)), socket_(socket) {}

Hub::~Hub() {
  ::close(socket_);
}

/// With the lock.
std::shared_ptr<Meeting> Hub::add(uint64_t number, const std::string& name, int ranks) {
  const auto make_child = [this](const std::string& child, int members) {
    std::lock_guard lock(mutex_);
    const uint64_t next = meetings_.size();
    add(next, child, members);
    return next;
  };
  return meetings_[number] = std::make_shared<Meeting>(name, ranks, make_child);
}

std::shared_ptr<Meeting> Hub::enter(uint64_t number, int rank, int ranks, bool is_local) {
  std::shared_ptr<Meeting> meeting;
  {
    std::lock_guard lock(mutex_);
    const auto found = meetings_.find(number);
    meeting = found == meetings_.end() ? add(number, communicator_, ranks) : found->second;
    ++members_;
    if (is_local) ++local_members_;
  }
  if (meeting->admit(rank, ranks)) return meeting;
  leave(is_local, false);
  return nullptr;
}

void Hub::leave(bool was_local, bool aborted) {
  {
    std::lock_guard lock(mutex_);
    aborted_ = aborted_ || (was_local && aborted);
    if (was_local) --local_members_;
    if (--members_ > 0) return;
  }
  changed_.notify_all();
  ::shutdown(socket_, SHUT_RDWR);  // ends accept_members()
  std::lock_guard lock(hubs().mutex);
  hubs().open.erase(name_);
}

void Hub::linger() {
  constexpr auto kLongest = std::chrono::seconds(10);
  std::unique_lock lock(mutex_);
  if (aborted_ || local_members_ > 0) return;
  changed_.wait_for(lock, kLongest, [this] { return members_ == 0; });
}

std::map<uint64_t, std::shared_ptr<Meeting>> Hub::meetings() {
  std::lock_guard lock(mutex_);
  return meetings_;
}

void Hub::accept_members() {
  for (;;) {
    const int socket = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) return;
    std::thread([hub = shared_from_this(), connection = std::make_shared<Connection>(socket)] {
      hub->serve(connection);
    }).detach();
  }
}

void Hub::serve(const std::shared_ptr<Connection>& connection) {
  Frame hello;
  Bytes bytes;
  if (!connection->receive(hello, bytes)) return;
  const auto meeting = enter(hello.number, hello.rank, hello.ranks, false);
  if (!meeting) {
    connection->send({.type = Frame::Type::refused, .call = {}}, {});
    return;
  }
  const auto* name = reinterpret_cast<const std::byte*>(meeting->name().data());
  connection->send({.type = Frame::Type::welcome, .call = {}}, Bytes(name, name + meeting->name().size()));
  meeting->listen(hello.rank, [connection](ncclResult_t error) {
    connection->send({.type = Frame::Type::error, .call = {}, .error = error}, {});
  });
  Frame frame;
  bool left = false;
  while (!left && connection->receive(frame, bytes)) {
    left = frame.type == Frame::Type::leave;
    if (left) continue;
    meeting->post(hello.rank, frame.call, std::move(bytes), [connection, number = frame.number](Outcome outcome) {
      connection->send({.type = Frame::Type::outcome, .number = number, .call = {}, .begin = outcome.begin},
                       outcome.data);
    });
    bytes.clear();
  }
  if (left) {
    meeting->withdraw(hello.rank);
  } else {
    meeting->lose(hello.rank);
  }
  leave(false, false);
}

}  // namespace pgram::emulation
