// Runs a grid, one block after the other. The lanes of a warp go in step: of those that can go on, the ones that are
// furthest behind in the code go first, which is how paths that parted meet again. That is one of the orders that CUDA
// allows, and always the same one.
#include <algorithm>

#include "tests/emulation/ptx/warp.h"

namespace pgram::emulation::ptx {
namespace {

class Machine {
 public:
  Machine(const Function& function, Extent grid, Extent block, const void* const* arguments, GlobalMemory& global,
          uint64_t limit)
      : function_(function), grid_(grid), limit_(limit), block_{function, global, block, {}, {}, {}} {
    block_.parameters.resize(function.parameter_bytes);
    for (size_t i = 0; i < function.parameters.size(); ++i) {
      std::memcpy(&block_.parameters[function.parameters[i].offset], arguments[i], function.parameters[i].bytes);
    }
    block_.shared.resize(function.shared.inside.size());
    const uint32_t threads = block[0] * block[1] * block[2];
    for (uint32_t w = 0; w * kLanes < threads; ++w) warps_.emplace_back(block_, w, threads);
    for (Warp& warp : warps_) set_fixed_specials(warp);
  }

  uint64_t run() {
    for (block_.number[2] = 0; block_.number[2] < grid_[2]; ++block_.number[2]) {
      for (block_.number[1] = 0; block_.number[1] < grid_[1]; ++block_.number[1]) {
        for (block_.number[0] = 0; block_.number[0] < grid_[0]; ++block_.number[0]) run_block();
      }
    }
    return executed_;
  }

 private:
  [[noreturn]] void fail(const Warp& w, uint32_t lane, uint32_t pc, const std::string& message) const {
    throw Fault{"kernel " + function_.name + ", " + w.place_of(lane, pc) + ": " + message};
  }

  uint32_t special_value(Special special, const Warp& w, uint32_t lane) const {
    const Extent thread = w.thread_of(lane);
    const auto which = static_cast<uint32_t>(special);
    if (special <= Special::tid_z) return thread[which];
    if (special <= Special::ntid_z) return block_.size[which - static_cast<uint32_t>(Special::ntid_x)];
    if (special <= Special::ctaid_z) return block_.number[which - static_cast<uint32_t>(Special::ctaid_x)];
    if (special <= Special::nctaid_z) return grid_[which - static_cast<uint32_t>(Special::nctaid_x)];
    const uint32_t bit = 1U << lane, below = bit - 1;
    switch (special) {
      case Special::laneid:
        return lane;
      case Special::warpid:
        return w.index;
      case Special::nwarpid:
        return static_cast<uint32_t>(warps_.size());
      case Special::lanemask_eq:
        return bit;
      case Special::lanemask_le:
        return below | bit;
      case Special::lanemask_lt:
        return below;
      case Special::lanemask_ge:
        return ~below;
      default:
        return ~(below | bit);  // lanemask_gt
    }
  }

  void set_special(Warp& w, uint32_t slot, Special special) const {
    for (uint32_t lane = 0; lane < kLanes; ++lane) w.slot(slot)[lane] = special_value(special, w, lane);
  }

  static bool changes_with_block(Special s) { return s >= Special::ctaid_x && s <= Special::ctaid_z; }

  void set_fixed_specials(Warp& w) const {
    for (const auto& [slot, special] : function_.specials) {
      if (!changes_with_block(special)) set_special(w, slot, special);
    }
  }

  void run_block() {
    std::fill(block_.shared.begin(), block_.shared.end(), std::byte{0xff});
    for (Warp& w : warps_) {
      w.begin_block();
      for (const auto& [slot, special] : function_.specials) {
        if (changes_with_block(special)) set_special(w, slot, special);
      }
    }
    for (;;) {
      for (Warp& w : warps_) run_warp(w);
      const bool ended = std::all_of(warps_.begin(), warps_.end(), [](const Warp& w) { return w.ended == w.present; });
      if (ended) return;
      check_barrier();
      release_barrier();
    }
  }

  /// Until no lane can go on by itself.
  void run_warp(Warp& w) {
    while (w.runnable) {
      uint32_t pc = UINT32_MAX;
      for_each_lane(w.runnable, [&](uint32_t n) { pc = std::min(pc, w.pc[n]); });
      uint32_t lanes = 0, others = UINT32_MAX;
      for_each_lane(w.runnable, [&](uint32_t n) {
        if (w.pc[n] == pc) {
          lanes |= 1U << n;
        } else {
          others = std::min(others, w.pc[n]);
        }
      });
      try {
        run_together(w, lanes, pc, others);
        if (!w.runnable && w.at_meeting) meet(w);
      } catch (const LaneFault& fault) {
        fail(w, fault.lane, w.current_pc, fault.message);
      }
    }
  }

  uint32_t guarded(Warp& w, const Instruction& i, uint32_t lanes) const {
    if (i.guard == kNoSlot) return lanes;
    const uint64_t* const guard = w.slot(i.guard);
    uint32_t active = 0;
    for_each_lane(lanes, [&](uint32_t n) { active |= static_cast<uint32_t>((guard[n] ^ i.guard_negated) & 1) << n; });
    return active;
  }

  static void set_pc(Warp& w, uint32_t lanes, uint32_t pc) {
    for_each_lane(lanes, [&](uint32_t n) { w.pc[n] = pc; });
  }

  /// These lanes from `pc` on, as long as they stay together and come before `others`.
  void run_together(Warp& w, uint32_t lanes, uint32_t pc, uint32_t others) {
    for (;;) {
      const Instruction& i = function_.code[pc];
      w.current_pc = pc;
      if (executed_++ >= limit_) {
        throw LaneFault{static_cast<uint32_t>(std::countr_zero(lanes)), "the limit of instructions is reached"};
      }
      const uint32_t active = guarded(w, i, lanes);
      uint32_t next = pc + 1;
      if (active && i.flow == Flow::next) {
        i.execute(w, i, active);
      } else if (active == lanes && i.flow == Flow::branch) {
        next = i.target;
      } else if (active && i.flow == Flow::meet && arrives_complete(w, i, active)) {
        i.execute(w, i, active);
      } else if (active) {
        set_pc(w, lanes & ~active, next);
        return part(w, i, active, pc);
      }
      pc = next;
      if (pc >= others) return set_pc(w, lanes, pc);
    }
  }

  /// The lanes leave the others: they branch, end, or wait.
  void part(Warp& w, const Instruction& i, uint32_t active, uint32_t pc) {
    set_pc(w, active, i.flow == Flow::branch ? i.target : pc);
    switch (i.flow) {
      case Flow::branch_table:
        for_each_lane(active, [&](uint32_t n) {
          const std::vector<uint32_t>& table = function_.branch_tables[i.target];
          const auto index = static_cast<uint32_t>(w.slot(i.a)[n]);
          if (index >= table.size()) throw LaneFault{n, "there is no target " + std::to_string(index)};
          w.pc[n] = table[index];
        });
        break;
      case Flow::exit:
        w.runnable &= ~active;
        w.ended |= active;
        break;
      case Flow::barrier:
        w.runnable &= ~active;
        w.at_barrier |= active;
        break;
      case Flow::meet:
        w.runnable &= ~active;
        w.at_meeting |= active;
        break;
      default:
        break;
    }
  }

  /// All lanes that the member mask names and that have not ended; a lane must be in its own mask.
  static uint32_t expected(Warp& w, const Instruction& i, uint32_t lane) {
    const auto members = static_cast<uint32_t>(w.slot(i.members)[lane]);
    if (!(members >> lane & 1)) throw LaneFault{lane, "the lane is not in its own member mask"};
    return members & w.present & ~w.ended;
  }

  static bool arrives_complete(Warp& w, const Instruction& i, uint32_t active) {
    bool complete = true;
    for_each_lane(active, [&](uint32_t n) { complete &= expected(w, i, n) == active; });
    return complete;
  }

  /// Lets those go on whose partners have all come to the same instruction with the same mask.
  void meet(Warp& w) {
    for (uint32_t left = w.at_meeting; left;) {
      const auto first = static_cast<uint32_t>(std::countr_zero(left));
      const uint32_t pc = w.pc[first];
      const Instruction& i = function_.code[pc];
      w.current_pc = pc;
      const uint32_t members = expected(w, i, first);
      uint32_t here = 0;
      for_each_lane(w.at_meeting, [&](uint32_t n) {
        if (w.pc[n] == pc && expected(w, i, n) == members) here |= 1U << n;
      });
      left &= ~here;
      if (here != members) continue;
      i.execute(w, i, here);
      set_pc(w, here, pc + 1);
      w.at_meeting &= ~here;
      w.runnable |= here;
    }
  }

  /// Nothing can go on but by a barrier: all threads must be at the same one.
  void check_barrier() {
    for (Warp& w : warps_) {
      if (w.at_meeting) fail_meeting(w);
    }
    const Warp* first = nullptr;
    for (const Warp& w : warps_) {
      if (w.at_barrier && !first) first = &w;
    }
    const auto lane = static_cast<uint32_t>(std::countr_zero(first->at_barrier));
    const uint32_t pc = first->pc[lane];
    for (const Warp& w : warps_) {
      for_each_lane(w.present, [&](uint32_t n) {
        if (w.ended >> n & 1) {
          fail(*first, lane, pc,
               "barrier divergence: thread " + text_of(w.thread_of(n)) + " has ended without coming here");
        }
        if (w.pc[n] != pc) {
          fail(*first, lane, pc,
               "barrier divergence: thread " + text_of(w.thread_of(n)) + " waits at another barrier, " +
                   "instruction " + std::to_string(w.pc[n]) + " instead of " + std::to_string(pc));
        }
      });
    }
  }

  [[noreturn]] void fail_meeting(Warp& w) const {
    const auto lane = static_cast<uint32_t>(std::countr_zero(w.at_meeting));
    const uint32_t pc = w.pc[lane];
    const auto members = static_cast<uint32_t>(w.slot(function_.code[pc].members)[lane]) & w.present & ~w.ended;
    std::string missing;
    for_each_lane(members, [&](uint32_t n) {
      if ((w.at_meeting >> n & 1) && w.pc[n] == pc) return;
      missing += (missing.empty() ? "" : "; ") + std::string("lane ") + std::to_string(n) + " waits at " +
                 function_.texts[w.pc[n]];
    });
    fail(w, lane, pc, "lanes never come here: " + (missing.empty() ? "their member masks differ" : missing));
  }

  void release_barrier() {
    const Warp& any = warps_.front();
    const Instruction& i = function_.code[any.pc[0]];
    if (i.choice) reduce(i);
    for (Warp& w : warps_) {
      for_each_lane(w.at_barrier, [&](uint32_t n) { ++w.pc[n]; });
      w.runnable = w.at_barrier;
      w.at_barrier = 0;
    }
  }

  /// bar.red over a predicate.
  void reduce(const Instruction& i) {
    uint32_t set = 0, threads = 0;
    for (Warp& w : warps_) {
      for_each_lane(w.at_barrier, [&](uint32_t n) { ++threads, set += w.slot(i.a)[n] & 1; });
    }
    const uint32_t results[] = {0, set == threads, set > 0, set};
    for (Warp& w : warps_) {
      for_each_lane(w.at_barrier, [&](uint32_t n) { w.slot(i.d)[n] = results[i.choice]; });
    }
  }

  const Function& function_;
  const Extent grid_;
  const uint64_t limit_;
  Block block_;  ///< the one that runs
  std::vector<Warp> warps_;
  uint64_t executed_ = 0;
};

}  // namespace

uint64_t run_limited(const Function& function, Extent grid, Extent block, const void* const* arguments,
                     GlobalMemory& global, uint64_t limit) {
  const auto refuse = [&](const std::string& why) { throw Fault{"kernel " + function.name + ": " + why}; };
  const auto threads = uint64_t{block[0]} * block[1] * block[2];
  if (threads == 0 || threads > 1024 || block[2] > 64) {
    refuse("a block of " + std::to_string(threads) + " threads; 1 to 1024 are possible");
  }
  if (function.max_threads && threads > function.max_threads) {
    refuse("a block of " + std::to_string(threads) + " threads; it is compiled for at most " +
           std::to_string(function.max_threads));
  }
  if (function.required_threads && threads != function.required_threads) {
    refuse("a block of " + std::to_string(threads) + " threads; it is compiled for exactly " +
           std::to_string(function.required_threads));
  }
  return Machine(function, grid, block, arguments, global, limit).run();
}

void run(const Function& function, Extent grid, Extent block, const void* const* arguments, GlobalMemory& global) {
  run_limited(function, grid, block, arguments, global, UINT64_MAX);
}

}  // namespace pgram::emulation::ptx
