// The k-th operation on a communicator meets the k-th of every other member. Ranks of one role share their program, so
// only groups that span roles can disagree.
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/plan/plan.h"
#include "core/plan/verify_parts.h"

namespace pgram {
namespace {

struct Message {
  uint16_t comm = 0;
  Kernel kernel = Kernel::send;
  uint16_t layer = 0;
  uint32_t micro_batch = 0;
  uint64_t bytes = 0;
  uint32_t call = 0;
  uint16_t op = 0;
  bool joins = false;  ///< starts together with the message before it
  uint16_t role = 0;
};

bool spans_roles(const Communicator& comm) {
  return comm.directed || (comm.axes & kPp);
}

bool takes_part(const Communicator& comm, size_t role) {
  if (comm.directed) return role == comm.source || role == comm.target;
  return comm.roles.empty() || std::find(comm.roles.begin(), comm.roles.end(), role) != comm.roles.end();
}

std::string text_of(const Plan& plan, const Message& m) {
  return task_text(plan, m.role, m.call, m.op);
}

/// A communicator's operations keep their order only on one stream.
std::string check_streams(const Plan& plan) {
  struct Use {
    int stream = -1;
    const Body* body = nullptr;
  };
  std::vector<std::array<Use, 2>> uses(plan.comms.size());  // a channel's two ends have a stream each
  for (const Body& body : plan.bodies) {
    for (const Op& op : body.ops) {
      if (op.comm == kNoComm) continue;
      Use& use = uses[op.comm][op.kernel == Kernel::recv];
      if (use.stream < 0) use = {static_cast<int>(op.stream), &body};
      if (use.stream != static_cast<int>(op.stream)) {
        return "communicator " + plan.comms[op.comm].name + " is used on two streams, " +
               name_of(static_cast<Stream>(use.stream)) + " in " + use.body->name + " and " + name_of(op.stream) +
               " in " + body.name + ": its order would depend on time";
      }
    }
  }
  return "";
}

/// A group is one call of its stream: nothing but sends and receives, and nothing that orders them among themselves.
std::string check_group(const Plan& plan, const Body& body) {
  const auto text = [&](size_t op) {
    return "grouped body " + body.name + ": op " + std::to_string(op) + ", " +
           std::string(name_of(body.ops[op].kernel));
  };
  for (size_t i = 0; i < body.ops.size(); ++i) {
    const Op& op = body.ops[i];
    if (!is_point_to_point(op.kernel)) return text(i) + ", is no send or receive";
    if (op.stream != body.ops[0].stream) {
      return text(i) + ", is on stream " + name_of(op.stream) + ", the group on " + name_of(body.ops[0].stream);
    }
    if (op.num_waits) return text(i) + ", waits within the group, whose ops start together";
    for (size_t j = 0; j < i; ++j) {
      if (body.ops[j].comm == op.comm) return text(i) + ", uses " + plan.comms[op.comm].name + " a second time";
    }
  }
  return "";
}

std::string check_groups(const Plan& plan) {
  for (const Body& body : plan.bodies) {
    if (!body.grouped) continue;
    if (std::string error = check_group(plan, body); !error.empty()) return error;
  }
  for (size_t role = 0; role < plan.programs.size(); ++role) {
    const Program& program = plan.programs[role];
    for (size_t c = 0; c < program.calls.size(); ++c) {
      const Call& call = program.calls[c];
      const Body& body = plan.bodies[call.body];
      if (!body.grouped) continue;
      for (uint32_t s = call.first_sync; s < call.first_sync + call.num_syncs; ++s) {
        const Sync& sync = program.syncs[s];
        if (sync.records() ? sync.op + 1u == body.ops.size() : sync.op == 0) continue;
        return task_text(plan, role, c, sync.op) + (sync.records() ? " records" : " waits for") + " event " +
               std::to_string(sync.slot()) + " in the middle of its group";
      }
    }
  }
  return "";
}

class Matcher {
 public:
  explicit Matcher(const Plan& plan) : plan_(plan) {
    std::vector<std::vector<uint16_t>> spanning(plan.bodies.size());  // ops of each body
    for (size_t b = 0; b < spanning.size(); ++b) {
      const std::vector<Op>& ops = plan.bodies[b].ops;
      for (uint16_t i = 0; i < ops.size(); ++i) {
        if (ops[i].comm != kNoComm && spans_roles(plan.comms[ops[i].comm])) spanning[b].push_back(i);
      }
    }
    for (size_t role = 0; role < plan.programs.size(); ++role) collect(role, spanning);
    first_of_role_.push_back(messages_.size());
    sort_by_comm();
  }

  std::string check() const {
    for (uint16_t comm = 0; comm < plan_.comms.size(); ++comm) {
      if (!spans_roles(plan_.comms[comm])) continue;
      if (std::string error = check_comm(comm); !error.empty()) return error;
    }
    return check_order();
  }

 private:
  /// Of one role on one communicator, in order: indices of messages.
  using Indices = std::span<const uint32_t>;

  void collect(size_t role, const std::vector<std::vector<uint16_t>>& spanning) {
    const Program& program = plan_.programs[role];
    first_of_role_.push_back(messages_.size());
    for (uint32_t c = 0; c < program.calls.size(); ++c) {
      const Call& call = program.calls[c];
      const Body& body = plan_.bodies[call.body];
      for (const uint16_t i : spanning[call.body]) {
        const Op& op = body.ops[i];
        messages_.push_back({op.comm, op.kernel, call.layer, micro_batch_of(call, op), op.bytes, c, i,
                             i > 0 && body.grouped, static_cast<uint16_t>(role)});
      }
    }
  }

  /// Messages of a communicator side by side, and there by role.
  void sort_by_comm() {
    first_of_comm_.assign(plan_.comms.size() + 1, 0);
    for (const Message& m : messages_) ++first_of_comm_[m.comm + 1u];
    for (size_t comm = 0; comm < plan_.comms.size(); ++comm) first_of_comm_[comm + 1] += first_of_comm_[comm];
    by_comm_.resize(messages_.size());
    std::vector<uint32_t> next = first_of_comm_;
    for (uint32_t m = 0; m < messages_.size(); ++m) by_comm_[next[messages_[m].comm]++] = m;
  }

  std::string check_comm(uint16_t index) const {
    const Communicator& comm = plan_.comms[index];
    size_t at = first_of_comm_[index];
    const size_t end = first_of_comm_[index + 1u];
    size_t first_role = SIZE_MAX;
    Indices reference;
    for (size_t role = 0; role < plan_.programs.size(); ++role) {
      const size_t begin = at;
      while (at < end && messages_[by_comm_[at]].role == role) ++at;
      const Indices mine(by_comm_.data() + begin, at - begin);
      if (!takes_part(comm, role)) {
        if (mine.empty()) continue;
        return text_of(plan_, messages_[mine[0]]) + " uses " + comm.name + ", which role " + std::to_string(role) +
               " is not in";
      }
      for (const uint32_t m : mine) {
        if (comm.directed && (messages_[m].kernel == Kernel::send) != (role == comm.source)) {
          return text_of(plan_, messages_[m]) + " is at the wrong end of channel " + comm.name;
        }
      }
      if (first_role == SIZE_MAX) {
        first_role = role;
        reference = mine;
      } else if (std::string error = check_pair(comm, first_role, reference, role, mine); !error.empty()) {
        return error;
      }
    }
    return "";
  }

  std::string check_pair(const Communicator& comm, size_t role_a, Indices of_a, size_t role_b, Indices of_b) const {
    for (size_t k = 0; k < std::max(of_a.size(), of_b.size()); ++k) {
      const auto alone = [&](const Message& m, size_t other) {
        return text_of(plan_, m) + " has no partner on " + comm.name + " in role " + std::to_string(other);
      };
      if (k >= of_a.size()) return alone(messages_[of_b[k]], role_a);
      if (k >= of_b.size()) return alone(messages_[of_a[k]], role_b);
      const Message &a = messages_[of_a[k]], &b = messages_[of_b[k]];
      // A send and its receive belong to different stages, so the layer is compared in collectives only.
      const bool same = a.bytes == b.bytes && a.micro_batch == b.micro_batch &&
                        (comm.directed || (a.kernel == b.kernel && a.layer == b.layer));
      if (!same) {
        return text_of(plan_, a) + " and " + text_of(plan_, b) + " meet on " + comm.name + " as number " +
               std::to_string(k) + " but differ in kernel, bytes, layer or micro-batch";
      }
    }
    return "";
  }

  /// In-order blocking rendezvous must run to the end: then every role's order is a slice of one global order. A
  /// group's messages are all posted before any of them blocks.
  std::string check_order() const {
    const size_t roles = plan_.programs.size();
    std::vector<size_t> next(first_of_role_.begin(), first_of_role_.end() - 1), unmet(roles, 0), ready(roles);
    std::vector<std::vector<size_t>> waiting(plan_.comms.size());  // messages
    for (size_t role = 0; role < roles; ++role) ready[role] = role;
    while (!ready.empty()) {
      const size_t role = ready.back(), first = next[role];
      ready.pop_back();
      while (next[role] < first_of_role_[role + 1] && (next[role] == first || messages_[next[role]].joins))
        ++next[role];
      unmet[role] = next[role] - first;
      for (size_t m = first; m < next[role]; ++m) {
        const Communicator& comm = plan_.comms[messages_[m].comm];
        const size_t needed = comm.directed ? 2 : comm.roles.empty() ? roles : comm.roles.size();
        std::vector<size_t>& here = waiting[messages_[m].comm];
        here.push_back(m);
        if (here.size() < needed) continue;
        for (const size_t met : here) {
          if (--unmet[messages_[met].role] == 0) ready.push_back(messages_[met].role);
        }
        here.clear();
      }
    }
    std::vector<size_t> stuck;
    for (const std::vector<size_t>& here : waiting) stuck.insert(stuck.end(), here.begin(), here.end());
    std::sort(stuck.begin(), stuck.end());
    std::string text;
    for (const size_t m : stuck) {
      text += (text.empty() ? "deadlock: " : "; ") + text_of(plan_, messages_[m]) + " waits on " +
              plan_.comms[messages_[m].comm].name;
    }
    return text;
  }

  const Plan& plan_;
  std::vector<Message> messages_;  ///< by role, in order
  std::vector<size_t> first_of_role_;
  std::vector<uint32_t> by_comm_;  ///< indices of messages
  std::vector<uint32_t> first_of_comm_;
};

}  // namespace

std::string verify_communication(const Plan& plan) {
  std::string error = check_streams(plan);
  if (error.empty()) error = check_groups(plan);
  return error.empty() ? Matcher(plan).check() : error;
}

}  // namespace pgram
