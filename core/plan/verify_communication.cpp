// The k-th operation on a communicator meets the k-th of every other member. Ranks of one role share their program, so
// only groups that span roles can disagree.
#include <algorithm>
#include <cstdint>
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
};

bool spans_roles(const Communicator& comm) {
  return comm.directed || (comm.axes & kPp);
}

bool takes_part(const Communicator& comm, size_t role) {
  if (comm.directed) return role == comm.source || role == comm.target;
  return comm.roles.empty() || std::find(comm.roles.begin(), comm.roles.end(), role) != comm.roles.end();
}

std::string text_of(const Plan& plan, size_t role, const Message& m) {
  return task_text(plan, role, m.call, m.op);
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
  explicit Matcher(const Plan& plan) : plan_(plan), by_role_(plan.programs.size()), by_comm_(plan.programs.size()) {
    std::vector<std::vector<uint16_t>> spanning(plan.bodies.size());  // ops of each body
    for (size_t b = 0; b < spanning.size(); ++b) {
      const std::vector<Op>& ops = plan.bodies[b].ops;
      for (uint16_t i = 0; i < ops.size(); ++i) {
        if (ops[i].comm != kNoComm && spans_roles(plan.comms[ops[i].comm])) spanning[b].push_back(i);
      }
    }
    for (size_t role = 0; role < plan.programs.size(); ++role) collect(role, spanning);
  }

  std::string check() const {
    for (uint16_t comm = 0; comm < plan_.comms.size(); ++comm) {
      if (!spans_roles(plan_.comms[comm])) continue;
      if (std::string error = check_comm(comm); !error.empty()) return error;
    }
    return check_order();
  }

 private:
  void collect(size_t role, const std::vector<std::vector<uint16_t>>& spanning) {
    const Program& program = plan_.programs[role];
    by_comm_[role].resize(plan_.comms.size());
    for (uint32_t c = 0; c < program.calls.size(); ++c) {
      const Call& call = program.calls[c];
      const Body& body = plan_.bodies[call.body];
      for (const uint16_t i : spanning[call.body]) {
        const Op& op = body.ops[i];
        by_role_[role].push_back(
            {op.comm, op.kernel, call.layer, micro_batch_of(call, op), op.bytes, c, i, i > 0 && body.grouped});
        by_comm_[role][op.comm].push_back(by_role_[role].back());
      }
    }
  }

  std::string check_comm(uint16_t index) const {
    const Communicator& comm = plan_.comms[index];
    size_t first_role = SIZE_MAX;
    const std::vector<Message>* reference = nullptr;
    for (size_t role = 0; role < by_role_.size(); ++role) {
      const std::vector<Message>& mine = by_comm_[role][index];
      if (!takes_part(comm, role)) {
        if (mine.empty()) continue;
        return text_of(plan_, role, mine[0]) + " uses " + comm.name + ", which role " + std::to_string(role) +
               " is not in";
      }
      for (const Message& m : mine) {
        if (comm.directed && (m.kernel == Kernel::send) != (role == comm.source)) {
          return text_of(plan_, role, m) + " is at the wrong end of channel " + comm.name;
        }
      }
      if (first_role == SIZE_MAX) {
        first_role = role;
        reference = &mine;
      } else if (std::string error = check_pair(comm, first_role, *reference, role, mine); !error.empty()) {
        return error;
      }
    }
    return "";
  }

  std::string check_pair(const Communicator& comm, size_t role_a, const std::vector<Message>& a, size_t role_b,
                         const std::vector<Message>& b) const {
    for (size_t k = 0; k < std::max(a.size(), b.size()); ++k) {
      if (k >= a.size())
        return text_of(plan_, role_b, b[k]) + " has no partner on " + comm.name + " in role " + std::to_string(role_a);
      if (k >= b.size())
        return text_of(plan_, role_a, a[k]) + " has no partner on " + comm.name + " in role " + std::to_string(role_b);
      // A send and its receive belong to different stages, so the layer is compared in collectives only.
      const bool same = a[k].bytes == b[k].bytes && a[k].micro_batch == b[k].micro_batch &&
                        (comm.directed || (a[k].kernel == b[k].kernel && a[k].layer == b[k].layer));
      if (!same) {
        return text_of(plan_, role_a, a[k]) + " and " + text_of(plan_, role_b, b[k]) + " meet on " + comm.name +
               " as number " + std::to_string(k) + " but differ in kernel, bytes, layer or micro-batch";
      }
    }
    return "";
  }

  /// In-order blocking rendezvous must run to the end: then every role's order is a slice of one global order. A
  /// group's messages are all posted before any of them blocks.
  std::string check_order() const {
    const size_t roles = by_role_.size();
    std::vector<size_t> next(roles, 0), unmet(roles, 0);
    std::vector<std::vector<std::pair<size_t, size_t>>> waiting(plan_.comms.size());  // role and message
    std::vector<size_t> ready(roles);
    for (size_t role = 0; role < roles; ++role) ready[role] = role;
    while (!ready.empty()) {
      const size_t role = ready.back();
      ready.pop_back();
      const std::vector<Message>& mine = by_role_[role];
      const size_t first = next[role];
      while (next[role] < mine.size() && (next[role] == first || mine[next[role]].joins)) ++next[role];
      unmet[role] = next[role] - first;
      for (size_t m = first; m < next[role]; ++m) {
        const Communicator& comm = plan_.comms[mine[m].comm];
        const size_t needed = comm.directed ? 2 : comm.roles.empty() ? roles : comm.roles.size();
        auto& here = waiting[mine[m].comm];
        here.emplace_back(role, m);
        if (here.size() < needed) continue;
        for (const auto& [member, message] : here) {
          if (--unmet[member] == 0) ready.push_back(member);
        }
        here.clear();
      }
    }
    std::vector<std::pair<size_t, size_t>> stuck;
    for (const auto& here : waiting) stuck.insert(stuck.end(), here.begin(), here.end());
    std::sort(stuck.begin(), stuck.end());
    std::string text;
    for (const auto& [role, message] : stuck) {
      const Message& m = by_role_[role][message];
      text += (text.empty() ? "deadlock: " : "; ") + text_of(plan_, role, m) + " waits on " + plan_.comms[m.comm].name;
    }
    return text;
  }

  const Plan& plan_;
  std::vector<std::vector<Message>> by_role_;
  std::vector<std::vector<std::vector<Message>>> by_comm_;  // role, communicator
};

}  // namespace

std::string verify_communication(const Plan& plan) {
  std::string error = check_streams(plan);
  if (error.empty()) error = check_groups(plan);
  return error.empty() ? Matcher(plan).check() : error;
}

}  // namespace pgram
