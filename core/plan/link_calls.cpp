// Of a call only two things matter outside it: which accesses before it an operation must come after, and which are a
// field's last. All else the body's own waits order. An operation of the call knows all that was before it of a stream
// of which it knows an operation of the call, so only the other streams are asked, and clocks change once a call.
#include "core/plan/link_calls.h"

#include <algorithm>
#include <bit>
#include <cstddef>

namespace pgram {
namespace {

/// Calls `visit` for each stream in the mask.
template <class Visit>
void for_streams(uint32_t mask, Visit&& visit) {
  for (; mask; mask &= mask - 1) visit(std::countr_zero(mask));
}

bool is_same_slot(Arg a, Arg b) {
  return Arg(a.pool(), a.slot()).bits == Arg(b.pool(), b.slot()).bits;
}

/// A field of a formal while a body is looked through.
struct SeenField {
  uint8_t formal = 0;
  uint16_t field = 0;
  const BodyEffect::Step* writer = nullptr;
  uint16_t readers = 0;  // streams, since it was written
  std::array<uint16_t, kStreams> read_sequence{};
};

class Summary {
 public:
  Summary(const Body& body, const BodyAccesses& accesses) : body_(body), accesses_(accesses) {}

  BodyEffect run() {
    const size_t count = accesses_.operations.size();
    effect_.steps.reserve(count);  // pointers to them are kept
    effect_.checks.reserve(accesses_.accesses.size());
    seen_.reserve(accesses_.accesses.size());
    effect_.informs.assign(count * count, 0);
    effect_.step_of.assign(body_.ops.size(), 0);
    for (const StreamOperation& operation : accesses_.operations) add(operation);
    for (const SeenField& seen : seen_) {
      const auto touch = [&](int stream, uint16_t sequence) {
        return BodyEffect::Touch{seen.formal, static_cast<uint8_t>(stream), static_cast<uint16_t>(1u << stream),
                                 seen.field, sequence};
      };
      if (seen.writer) effect_.writes.push_back(touch(seen.writer->stream, seen.writer->sequence));
      for_streams(seen.readers, [&](int s) { effect_.reads.push_back(touch(s, seen.read_sequence[s])); });
      if (std::ranges::find(effect_.formals, seen.formal) == effect_.formals.end())
        effect_.formals.push_back(seen.formal);
    }
    for (size_t a = 0; a < effect_.formals.size(); ++a) {
      for (size_t b = 0; b < a; ++b) {
        const uint8_t x = effect_.formals[a], y = effect_.formals[b];
        if (body_.formals[x] == body_.formals[y]) effect_.alike.emplace_back(x, y);
      }
    }
    return std::move(effect_);
  }

 private:
  void add(const StreamOperation& operation) {
    const size_t index = effect_.steps.size();
    BodyEffect::Step step;
    step.first_op = operation.first_op;
    step.sequence = static_cast<uint16_t>(operation.last_op + 1);
    step.stream = static_cast<uint8_t>(operation.stream);
    step.knows = static_cast<uint16_t>(1u << operation.stream);
    effect_.informs[index * accesses_.operations.size() + index] = 1;
    const bool is_first = std::ranges::find(effect_.streams, step.stream) == effect_.streams.end();
    if (!is_first) follow(effect_.last[step.stream], index, step);
    const Op& op = body_.ops[operation.first_op];
    for (int w = 0; w < op.num_waits; ++w) follow(effect_.step_of[body_.waits[op.first_wait + w]], index, step);
    effect_.steps.push_back(step);
    for (uint32_t a = operation.first_access; a < operation.end_access; ++a)
      note(accesses_.accesses[a], effect_.steps.back());
    effect_.steps.back().end_check = static_cast<uint32_t>(effect_.checks.size());
    if (is_first) {
      effect_.place[step.stream] = static_cast<uint8_t>(effect_.streams.size());
      effect_.streams.push_back(step.stream);
    }
    effect_.last[step.stream] = effect_.step_of[operation.last_op] = static_cast<uint16_t>(index);
  }

  /// The step at `index` starts when an earlier one has ended.
  void follow(size_t earlier, size_t index, BodyEffect::Step& step) {
    const BodyEffect::Step& other = effect_.steps[earlier];
    step.knows |= other.knows;
    for (int s = 0; s < kStreams; ++s) step.latest[s] = std::max(step.latest[s], other.latest[s]);
    step.latest[other.stream] = std::max(step.latest[other.stream], other.sequence);
    const size_t count = accesses_.operations.size();
    for (size_t from = 0; from <= earlier; ++from)
      effect_.informs[from * count + index] |= effect_.informs[from * count + earlier];
  }

  /// An access after the body's own is ordered by the body's waits. A reader of the body has seen to the writer before
  /// the call: for its stream, and for a writer of the body, which waits for it.
  void note(const Access& access, const BodyEffect::Step& step) {
    const auto found = std::ranges::find_if(
        seen_, [&](const SeenField& seen) { return seen.formal == access.formal && seen.field == access.field; });
    SeenField& seen = found != seen_.end() ? *found : seen_.emplace_back();
    seen.formal = access.formal;
    seen.field = access.field;
    const auto check = [&](bool of_writer, bool of_readers) {
      const uint16_t others = static_cast<uint16_t>(~step.knows);
      const uint16_t index = static_cast<uint16_t>(effect_.steps.size() - 1);
      effect_.checks.push_back(
          {index, access.formal, access.field, of_writer ? others : uint16_t{0}, of_readers ? others : uint16_t{0}});
    };
    if (access.writes) {
      if (!seen.writer) check(seen.readers == 0, true);
      seen.writer = &step;
      seen.readers = 0;
      return;
    }
    if (!seen.writer && !(seen.readers >> step.stream & 1)) check(true, false);
    seen.readers |= static_cast<uint16_t>(1u << step.stream);
    seen.read_sequence[step.stream] = step.sequence;
  }

  const Body& body_;
  const BodyAccesses accesses_;
  BodyEffect effect_;
  std::vector<SeenField> seen_;
};

}  // namespace

BodyEffect effect_of(const Body& body, const BodyAccesses& accesses) {
  return Summary(body, accesses).run();
}

CallWalker::CallWalker(const Plan& plan, const SharedAccesses& accesses) : fields_(accesses) {
  size_t formals = 0;
  for (size_t b = 0; b < plan.bodies.size(); ++b) {
    const uint16_t first = accesses.first_alike(b);
    if (first == b) effects_.push_back(effect_of(plan.bodies[b], accesses[b]));
    effect_of_.push_back(first == b ? static_cast<uint16_t>(effects_.size() - 1) : effect_of_[first]);
    formals = std::max(formals, plan.bodies[b].formals.size());
  }
  slots_.resize(formals);
}

bool CallWalker::run(const Program& program, std::span<const uint32_t> first_task, std::vector<LinkWait>& waits) {
  first_task_ = first_task;
  start(program);
  waits.clear();
  for (size_t c = 0; c < program.calls.size(); ++c) {
    const Call& call = program.calls[c];
    const BodyEffect& of = effect(call.body);
    first_before_[c] = static_cast<uint32_t>(clock_before_.size());
    const Arg* const args = program.args.data() + call.first_arg;
    for (const auto& [a, b] : of.alike) {
      if (is_same_slot(args[a], args[b])) return false;
    }
    for (const uint8_t f : of.formals) slots_[f] = fields_.of(args[f]);
    for (const uint8_t s : of.streams) clock_before_.push_back(clock_[s]);
    const BodyEffect::Check* const end = of.checks.data() + of.checks.size();
    for (const BodyEffect::Check* check = of.checks.data(); check < end; ++check) {
      const FieldState& state = slots_[check->formal][check->field];
      if ((state.writer & check->writers) | (state.readers & check->readers)) check = look(c, of, check, waits);
    }
    first_learned_[c + 1] = static_cast<uint32_t>(learned_.size());
    for (const BodyEffect::Touch& touch : of.writes)
      slots_[touch.formal][touch.field].write(touch.stream_bit, first_task[c] + touch.sequence);
    for (const BodyEffect::Touch& touch : of.reads)
      slots_[touch.formal][touch.field].read(touch.stream, touch.stream_bit, first_task[c] + touch.sequence);
    leave(c, of);
  }
  return true;
}

void CallWalker::start(const Program& program) {
  program_ = &program;
  fields_.start(program);
  clocks_.assign(1, {});
  clock_.fill(0);
  clock_before_.clear();
  clock_after_.clear();
  learned_.clear();
  first_before_.resize(program.calls.size());
  first_learned_.assign(program.calls.size() + 1, 0);
}

/// Takes a close look at the checks of a step, from one on: those before it find nobody to wait for. Returns the last.
const BodyEffect::Check* CallWalker::look(size_t call, const BodyEffect& of, const BodyEffect::Check* check,
                                          std::vector<LinkWait>& waits) {
  const Step& step = of.steps[check->step];
  const BodyEffect::Check* const end = of.checks.data() + step.end_check;
  const uint16_t index = check->step;
  Needed needed;
  for (; check < end; ++check) {
    const FieldState& state = slots_[check->formal][check->field];
    for_streams(state.writer & check->writers, [&](int s) { needed.at_least(s, state.write_sequence); });
    for_streams(state.readers & check->readers, [&](int s) { needed.at_least(s, state.read_sequence[s]); });
  }
  for_streams(needed.streams, [&](int s) {
    if (needed.sequence[s] <= known(call, of, step, s) || implied(s, needed, call, of, step)) return;
    waits.push_back({first_task_[call] + step.first_op + 1, needed.sequence[s]});
    learned_.push_back({index, clock_at(needed.sequence[s])});
  });
  return end - 1;
}

/// How far a stream of which it knows no operation of the call has come, as the step knows.
uint32_t CallWalker::known(size_t call, const BodyEffect& of, const Step& step, int stream) const {
  uint32_t sequence = 0;
  for_streams(step.knows, [&](int s) { sequence = std::max(sequence, clocks_[clock_[s]][stream]); });
  const size_t index = static_cast<size_t>(&step - of.steps.data());
  for (size_t i = first_learned_[call]; i < learned_.size(); ++i) {
    if (of.informs[learned_[i].step * of.steps.size() + index])
      sequence = std::max(sequence, learned_[i].clock[stream]);
  }
  return sequence;
}

/// Whether another wait of the same step brings the one for the stream with it.
bool CallWalker::implied(int stream, const Needed& needed, size_t call, const BodyEffect& of, const Step& step) const {
  bool found = false;
  for_streams(needed.streams & ~(1u << stream), [&](int s) {
    found = found || (needed.sequence[s] > known(call, of, step, s) &&
                      clock_at(needed.sequence[s])[stream] >= needed.sequence[stream]);
  });
  return found;
}

/// What a task before the current call knew, and itself.
LinkClock CallWalker::clock_at(uint32_t sequence) const {
  const size_t c = static_cast<size_t>(std::ranges::upper_bound(first_task_, sequence - 1) - first_task_.begin()) - 1;
  const BodyEffect& of = effect(program_->calls[c].body);
  const size_t index = of.step_of[sequence - 1 - first_task_[c]];
  const uint8_t stream = of.steps[index].stream;
  if (index != of.last[stream]) return clock_of(c, of, index);
  LinkClock clock = clocks_[clock_after_[first_before_[c] + of.place[stream]]];
  clock[stream] = sequence;
  return clock;
}

/// What a call's step knows when it has ended.
LinkClock CallWalker::clock_of(size_t call, const BodyEffect& of, size_t index) const {
  const Step& step = of.steps[index];
  const uint32_t* const before = clock_before_.data() + first_before_[call];
  LinkClock clock = clocks_[before[of.place[step.stream]]];
  for_streams(step.knows & ~(1u << step.stream), [&](int s) { join(clock, clocks_[before[of.place[s]]]); });
  for (size_t i = first_learned_[call]; i < first_learned_[call + 1]; ++i) {
    if (of.informs[learned_[i].step * of.steps.size() + index]) join(clock, learned_[i].clock);
  }
  for_streams(step.knows, [&](int s) { clock[s] = first_task_[call] + step.latest[s]; });
  clock[step.stream] = first_task_[call] + step.sequence;
  return clock;
}

/// What a stream knows after a call that has no other: all that its steps have learned.
LinkClock CallWalker::clock_of_alone(size_t call, uint8_t stream) const {
  LinkClock clock = clocks_[clock_[stream]];
  for (size_t i = first_learned_[call]; i < first_learned_[call + 1]; ++i) join(clock, learned_[i].clock);
  return clock;
}

/// What the call's streams know after it.
void CallWalker::leave(size_t call, const BodyEffect& of) {
  const bool has_learned = first_learned_[call] < first_learned_[call + 1];
  for (const uint8_t s : of.streams) {
    if (has_learned || of.steps[of.last[s]].knows != 1u << s) {
      const LinkClock clock = of.streams.size() == 1 ? clock_of_alone(call, s) : clock_of(call, of, of.last[s]);
      clock_[s] = static_cast<uint32_t>(clocks_.size());
      clocks_.push_back(clock);
    }
    clock_after_.push_back(clock_[s]);
  }
}

}  // namespace pgram
