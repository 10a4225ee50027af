#include "tests/emulation/nccl/meeting.h"

#include <algorithm>
#include <memory>

#include "tests/emulation/nccl/reduce.h"
#include "tests/emulation/runtime/runtime.h"

namespace pgram::emulation {
namespace {

/// What each rank takes home from a collective.
std::vector<Bytes> results(const Call& call, const std::vector<const Bytes*>& data) {
  const size_t n = data.size();
  std::vector<Bytes> out(n);
  switch (call.kind) {
    case Kind::all_reduce:
      out.assign(n, reduce(data, call.type, call.op));
      break;
    case Kind::reduce:
      out[size_t(call.root)] = reduce(data, call.type, call.op);
      break;
    case Kind::reduce_scatter: {
      const Bytes all = reduce(data, call.type, call.op);
      const auto part = ptrdiff_t(all.size() / n);
      for (size_t i = 0; i < n; ++i)
        out[i].assign(all.begin() + part * ptrdiff_t(i), all.begin() + part * ptrdiff_t(i + 1));
      break;
    }
    case Kind::all_gather:
      for (const Bytes* bytes : data) out[0].insert(out[0].end(), bytes->begin(), bytes->end());
      std::fill(out.begin() + 1, out.end(), out[0]);
      break;
    default:  // broadcast
      out.assign(n, *data[size_t(call.root)]);
  }
  return out;
}

}  // namespace

Meeting::Meeting(std::string name, int ranks, MakeChild make_child)
    : name_(std::move(name)),
      ranks_(ranks),
      make_child_(std::move(make_child)),
      listeners_(size_t(ranks)),
      gone_(size_t(ranks)) {}

bool Meeting::admit(int rank, int ranks) {
  if (ranks == ranks_ && rank >= 0 && rank < ranks) return true;
  report("members of " + name_ + " disagree: one says that there are " + std::to_string(ranks_) +
         " ranks, another, rank " + std::to_string(rank) + ", that there are " + std::to_string(ranks));
  Actions actions;
  {
    std::lock_guard lock(mutex_);
    fail(ncclInvalidArgument, actions);
  }
  for (const auto& action : actions) action();
  return false;
}

void Meeting::listen(int rank, Listener listener) {
  ncclResult_t error;
  {
    std::lock_guard lock(mutex_);
    listeners_[size_t(rank)] = listener;
    error = error_;
  }
  if (error != ncclSuccess) listener(error);
}

void Meeting::post(int rank, const Call& call, Bytes data, Done done) {
  Actions actions;
  {
    std::lock_guard lock(mutex_);
    if (gone_[size_t(rank)]) return;  // a worker that saw the abort too late
    Post post{call, std::move(data), std::move(done)};
    if (is_point_to_point(call.kind)) {
      post_to_transfer(rank, std::move(post), actions);
    } else {
      post_to_round(rank, std::move(post), actions);
    }
  }
  for (const auto& action : actions) action();
}

void Meeting::post_to_round(int rank, Post post, Actions& actions) {
  const auto key = std::pair(is_management(post.call.kind), post.call.sequence);
  Round& round = rounds_[key];
  round.members.resize(size_t(ranks_));
  auto& place = round.members[size_t(rank)];
  if (place) {
    report("two members of " + name_ + " say that they are rank " + std::to_string(rank));
    return fail(ncclInvalidUsage, actions);
  }
  place = std::move(post);
  ++round.arrived;
  for (int other = 0; other < ranks_ && !round.failed; ++other) {
    const auto& member = round.members[size_t(other)];
    if (!member || signature(member->call) == signature(place->call)) continue;
    report("collectives do not match in " + name_ + ": #" + std::to_string(place->call.sequence) + " is " +
           signature(member->call) + " on rank " + std::to_string(other) + ", " + signature(place->call) + " on rank " +
           std::to_string(rank));
    fail(ncclInvalidUsage, actions);
    round.failed = true;
  }
  if (round.arrived < size_t(ranks_)) return;
  if (!round.failed) finish(std::move(round), actions);
  rounds_.erase(key);
}

void Meeting::finish(Round round, Actions& actions) {
  const Call first = round.members[0]->call;
  if (first.kind == Kind::join) return finish_join(std::move(round), actions);
  if (first.kind == Kind::split) return finish_split(std::move(round), actions);
  // The arithmetic of a large reduction is no reason to hold the lock.
  actions.push_back([round = std::make_shared<Round>(std::move(round)), first] {
    std::vector<const Bytes*> data;
    VirtualTime begin = 0;
    for (const auto& member : round->members) {
      data.push_back(&member->data);
      begin = std::max(begin, member->call.arrival);
    }
    std::vector<Bytes> out = results(first, data);
    for (size_t i = 0; i < out.size(); ++i) round->members[i]->done({begin, std::move(out[i])});
  });
}

void Meeting::finish_join(Round round, Actions& actions) {
  std::map<int, int> rank_of_device;
  for (int rank = 0; rank < ranks_; ++rank) {
    const int device = from_bytes<JoinData>(round.members[size_t(rank)]->data).device;
    const auto [other, is_new] = rank_of_device.emplace(device, rank);
    if (is_new) continue;
    report("same GPU twice in " + name_ + ": ranks " + std::to_string(other->second) + " and " + std::to_string(rank) +
           " are both on device " + std::to_string(device));
    return fail(ncclInvalidUsage, actions);
  }
  for (auto& member : round.members) actions.push_back([done = std::move(member->done)] { done({}); });
}

void Meeting::finish_split(Round round, Actions& actions) {
  std::map<int, std::vector<std::pair<int, int>>> groups;  // color -> (key, rank)
  for (int rank = 0; rank < ranks_; ++rank) {
    const auto data = from_bytes<SplitData>(round.members[size_t(rank)]->data);
    if (data.color != NCCL_SPLIT_NOCOLOR) groups[data.color].emplace_back(data.key, rank);
  }
  std::vector<SplitOutcome> outcomes(size_t(ranks_), SplitOutcome{});
  for (auto& [color, members] : groups) {
    std::sort(members.begin(), members.end());
    const int ranks = int(members.size());
    const std::string part = "." + std::to_string(round.members[0]->call.sequence) + "." + std::to_string(color);
    const uint64_t meeting = make_child_(name_ + part, ranks);
    for (int i = 0; i < ranks; ++i) outcomes[size_t(members[size_t(i)].second)] = {meeting, i, ranks};
  }
  for (int rank = 0; rank < ranks_; ++rank) {
    actions.push_back([done = std::move(round.members[size_t(rank)]->done), outcome = outcomes[size_t(rank)]] {
      done({0, to_bytes(outcome)});
    });
  }
}

void Meeting::post_to_transfer(int rank, Post post, Actions& actions) {
  const bool sends = post.call.kind == Kind::send;
  const int peer = post.call.root;
  const auto key = std::tuple(sends ? rank : peer, sends ? peer : rank, post.call.sequence);
  Transfer& transfer = transfers_[key];
  (sends ? transfer.send : transfer.receive) = std::move(post);
  if (!transfer.send || !transfer.receive) return;
  Post send = std::move(*transfer.send), receive = std::move(*transfer.receive);
  transfers_.erase(key);
  if (send.call.type != receive.call.type || send.call.count != receive.call.count) {
    report("send and receive do not match in " + name_ + ": #" + std::to_string(send.call.sequence) + " from rank " +
           std::to_string(std::get<0>(key)) + " to rank " + std::to_string(std::get<1>(key)) + " is " +
           signature(send.call) + ", but " + signature(receive.call));
    return fail(ncclInvalidUsage, actions);
  }
  const VirtualTime begin = std::max(send.call.arrival, receive.call.arrival);
  actions.push_back([taken = std::move(receive.done), data = std::move(send.data), begin]() mutable {
    taken({begin, std::move(data)});
  });
  actions.push_back([done = std::move(send.done), begin] { done({begin, {}}); });
}

void Meeting::withdraw(int rank) {
  std::lock_guard lock(mutex_);
  gone_[size_t(rank)] = true;
  listeners_[size_t(rank)] = nullptr;
  for (auto& [key, round] : rounds_) {
    auto& member = round.members[size_t(rank)];
    if (member) --round.arrived;
    member.reset();
  }
  for (auto& [key, transfer] : transfers_) {
    if (std::get<0>(key) == rank) transfer.send.reset();
    if (std::get<1>(key) == rank) transfer.receive.reset();
  }
}

void Meeting::lose(int rank) {
  Actions actions;
  {
    std::lock_guard lock(mutex_);
    listeners_[size_t(rank)] = nullptr;
    fail(ncclRemoteError, actions);
  }
  for (const auto& action : actions) action();
}

void Meeting::fail(ncclResult_t error, Actions& actions) {
  if (error_ == ncclSuccess) error_ = error;
  for (const Listener& listener : listeners_) {
    if (listener) actions.push_back([listener, error] { listener(error); });
  }
}

std::vector<Meeting::Missing> Meeting::missing() {
  std::lock_guard lock(mutex_);
  std::vector<Missing> all;
  for (const auto& [key, round] : rounds_) {
    const auto present =
        std::find_if(round.members.begin(), round.members.end(), [](const auto& m) { return bool(m); });
    if (present == round.members.end()) continue;
    for (int rank = 0; rank < ranks_; ++rank) {
      if (!round.members[size_t(rank)]) all.push_back({rank, (*present)->call});
    }
  }
  for (const auto& [key, transfer] : transfers_) {
    const auto& [from, to, sequence] = key;
    if (transfer.send && !transfer.receive) {
      Call call = transfer.send->call;
      call.kind = Kind::receive, call.root = from;
      all.push_back({to, call});
    } else if (transfer.receive && !transfer.send) {
      Call call = transfer.receive->call;
      call.kind = Kind::send, call.root = to;
      all.push_back({from, call});
    }
  }
  return all;
}

}  // namespace pgram::emulation
