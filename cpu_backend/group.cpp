#include "cpu_backend/group.h"

#include <algorithm>
#include <cstring>

#include "core/base/errors.h"

namespace pgram {
namespace {

uint64_t total_bytes(const Launch& launch) {
  uint64_t bytes = 0;
  for (int i = 0; i < launch.op->num_operands; ++i) bytes += launch.operands[i].bytes;
  return bytes;
}

std::string describe(Kernel kernel) {
  return std::string(name_of(kernel));
}

/// Of `count` elements, where the slice of `member` begins.
uint64_t slice_begin(uint64_t count, uint32_t member, uint32_t members) {
  return count * member / members;
}

}  // namespace

Group::Group(AbortState& abort, int spins, uint32_t members)
    : size_(members), arrivals_(members), rounds_(members), round_(abort, spins) {}

void Group::meet(uint32_t member) {
  const uint64_t round = ++rounds_[member];
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == round * size_) {
    round_.set(round);
  } else {
    round_.wait(round);
  }
}

void Group::check_match(uint32_t member) const {
  const Launch& mine = *arrivals_[member].launch;
  for (const Arrival& arrival : arrivals_) {
    const Launch& other = *arrival.launch;
    if (other.op->kernel != mine.op->kernel || total_bytes(other) != total_bytes(mine) ||
        other.op->num_operands != mine.op->num_operands) {
      throw RunError("meets " + describe(other.op->kernel) + " of " + std::to_string(total_bytes(other)) +
                     " bytes of rank " + std::to_string(other.task.rank) + " with " + describe(mine.op->kernel) +
                     " of " + std::to_string(total_bytes(mine)) + " bytes: the ranks' communication is out of order");
    }
  }
}

Picoseconds Group::run(uint32_t member, const Launch& launch, Picoseconds now) {
  arrivals_[member] = {&launch, now};
  meet(member);
  check_match(member);
  Picoseconds last = now;
  for (const Arrival& arrival : arrivals_) last = std::max(last, arrival.time);
  switch (launch.op->kernel) {
    case Kernel::all_reduce:
      all_reduce(member, false);
      break;
    case Kernel::all_reduce_max:
      all_reduce(member, true);
      break;
    case Kernel::all_gather:
      all_gather(member);
      break;
    case Kernel::reduce_scatter:
      reduce_scatter(member);
      break;
    default:
      throw RunError("no collective: " + describe(launch.op->kernel));
  }
  return last;
}

/// Member i reduces slice i of all members, in member order, into the shared scratch; then everybody copies the whole.
/// The scratch is free again at the next operation's first meeting, so two meetings suffice.
void Group::all_reduce(uint32_t member, bool maximum) {
  const Launch& mine = *arrivals_[member].launch;
  const uint64_t count = total_bytes(mine) / sizeof(float);
  // Sized by one member; the others wait for it. Only the largest operation yet pays for that.
  if (scratch_.size() < count) {
    meet(member);
    if (member == 0) scratch_.resize(count);
    meet(member);
  }
  uint64_t base = 0;
  for (int operand = 0; operand < mine.op->num_operands; ++operand) {
    const uint64_t elements = mine.operands[operand].count();
    const uint64_t begin = slice_begin(elements, member, size_), end = slice_begin(elements, member + 1, size_);
    float* sum = scratch_.data() + base;
    for (uint32_t m = 0; m < size_; ++m) {
      const float* x = arrivals_[m].launch->operands[operand].f32();
      if (m == 0) {
        std::copy(x + begin, x + end, sum + begin);
      } else if (maximum) {
        for (uint64_t i = begin; i < end; ++i) sum[i] = std::max(sum[i], x[i]);
      } else {
        for (uint64_t i = begin; i < end; ++i) sum[i] += x[i];
      }
    }
    base += elements;
  }
  meet(member);
  base = 0;
  for (int operand = 0; operand < mine.op->num_operands; ++operand) {
    const Tensor& x = mine.operands[operand];
    std::memcpy(x.data, scratch_.data() + base, x.bytes);
    base += x.count();
  }
}

void Group::all_gather(uint32_t member) {
  const Launch& mine = *arrivals_[member].launch;
  const Tensor& whole = mine.operands[0];
  uint64_t at = 0;
  for (const Arrival& arrival : arrivals_) {
    const Tensor& part = arrival.launch->operands[1];
    if (at + part.bytes > whole.bytes) throw RunError("gathers more than its buffer holds");
    std::memcpy(whole.data + at, part.data, part.bytes);
    at += part.bytes;
  }
  meet(member);
}

void Group::reduce_scatter(uint32_t member) {
  const Launch& mine = *arrivals_[member].launch;
  const Tensor& part = mine.operands[0];
  const uint64_t count = part.count();
  if (count * size_ > mine.operands[1].count()) throw RunError("scatters more than its buffer holds");
  for (uint32_t m = 0; m < size_; ++m) {
    const float* x = arrivals_[m].launch->operands[1].f32() + member * count;
    if (m == 0) {
      std::copy(x, x + count, part.f32());
    } else {
      for (uint64_t i = 0; i < count; ++i) part.f32()[i] += x[i];
    }
  }
  meet(member);
}

Channel::Channel(AbortState& abort, int spins) : posted_(abort, spins), taken_(abort, spins) {}

void Channel::begin_send(const Launch& launch, Picoseconds now) {
  sender_ = {&launch, now};
  posted_.set(++sent_);
}

Picoseconds Channel::end_send(Picoseconds now) {
  taken_.wait(sent_);
  return std::max(now, receiver_.time);
}

Picoseconds Channel::end_receive(const Launch& launch, Picoseconds now) {
  posted_.wait(received_);
  receiver_ = {&launch, now};
  if (total_bytes(*sender_.launch) != total_bytes(launch) ||
      sender_.launch->op->num_operands != launch.op->num_operands) {
    throw RunError("receives " + std::to_string(total_bytes(launch)) + " bytes, but rank " +
                   std::to_string(sender_.launch->task.rank) + " sends " +
                   std::to_string(total_bytes(*sender_.launch)));
  }
  for (int i = 0; i < launch.op->num_operands; ++i) {
    std::memcpy(launch.operands[i].data, sender_.launch->operands[i].data, launch.operands[i].bytes);
  }
  const Picoseconds last = std::max(now, sender_.time);
  taken_.set(received_);
  return last;
}

}  // namespace pgram
