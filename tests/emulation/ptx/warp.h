// 32 threads in step: what the instructions work on.
#pragma once
#include <array>
#include <bit>
#include <string>
#include <vector>

#include "tests/emulation/ptx/program.h"

namespace pgram::emulation::ptx {

/// A lane did what it must not; the machine makes a Fault of it.
struct LaneFault {
  uint32_t lane;
  std::string message;
};

/// Host memory behind the addresses of an access, per lane.
using Pointers = std::array<std::byte*, kLanes>;

using Extent = std::array<uint32_t, 3>;
std::string text_of(const Extent&);  ///< "(1,0,0)"

/// What the warps of a block share.
struct Block {
  const Function& function;
  GlobalMemory& global;
  Extent size, number{};
  std::vector<std::byte> parameters, shared;
};

class Warp {
 public:
  Warp(Block&, uint32_t index, uint32_t threads_in_block);

  /// The 32 values of a slot.
  uint64_t* slot(uint32_t number) { return &slots_[size_t{number} * kLanes]; }
  /// Registers, shared and local memory hold nothing of the block before.
  void begin_block();
  /// Where each lane's access goes, checked. Its address is slot `i.a` plus `i.offset`.
  Pointers resolve(const Instruction& i, uint32_t lanes, uint32_t bytes, bool writes);
  Extent thread_of(uint32_t lane) const;
  /// "block (1,0,0), thread (3,0,0): st.global.u32 [%rd4], %r3"
  std::string place_of(uint32_t lane, uint32_t at) const;

  const uint32_t index;
  const uint32_t present;  ///< lanes that have a thread
  std::array<uint32_t, kLanes> pc{};
  uint32_t runnable = 0, at_barrier = 0, at_meeting = 0, ended = 0;
  std::array<uint32_t, kLanes> carry{};  ///< the condition code register's CF
  uint32_t current_pc = 0;               ///< being executed, for the message of a Fault

 private:
  std::byte* global_at(uint64_t address, uint32_t bytes, bool writes, uint32_t lane);
  std::byte* at(Space, uint64_t address, uint32_t bytes, bool writes, uint32_t lane);

  Block& block_;
  std::vector<uint64_t> slots_;
  std::vector<std::byte> local_;  ///< one area after the other
  uint64_t local_bytes_;          ///< of a lane
};

template <class F>
void for_each_lane(uint32_t lanes, F&& f) {
  if (lanes == UINT32_MAX) {
    for (uint32_t lane = 0; lane < kLanes; ++lane) f(lane);
    return;
  }
  for (; lanes; lanes &= lanes - 1) f(static_cast<uint32_t>(std::countr_zero(lanes)));
}

// Instructions of one to three sources: op is a captureless lambda, S the type of the sources, D that of the result.
template <auto op, class D, class S>
void execute1(Warp& w, const Instruction& i, uint32_t lanes) {
  uint64_t* const d = w.slot(i.d);
  const uint64_t* const a = w.slot(i.a);
  for_each_lane(lanes, [=](uint32_t n) { d[n] = to_bits<D>(op(from_bits<S>(a[n]))); });
}

template <auto op, class D, class S>
void execute2(Warp& w, const Instruction& i, uint32_t lanes) {
  uint64_t* const d = w.slot(i.d);
  const uint64_t *const a = w.slot(i.a), *const b = w.slot(i.b);
  for_each_lane(lanes, [=](uint32_t n) { d[n] = to_bits<D>(op(from_bits<S>(a[n]), from_bits<S>(b[n]))); });
}

template <auto op, class D, class S>
void execute3(Warp& w, const Instruction& i, uint32_t lanes) {
  uint64_t* const d = w.slot(i.d);
  const uint64_t *const a = w.slot(i.a), *const b = w.slot(i.b), *const c = w.slot(i.c);
  for_each_lane(lanes,
                [=](uint32_t n) { d[n] = to_bits<D>(op(from_bits<S>(a[n]), from_bits<S>(b[n]), from_bits<S>(c[n]))); });
}

}  // namespace pgram::emulation::ptx
