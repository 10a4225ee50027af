// The quick way through link: a program's waits found call by call, with what a body does in each of its calls.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "core/plan/link_accesses.h"
#include "core/plan/link_clock.h"

namespace pgram {

/// What every call of a body does, its formals being slots of their own and its waits being in place.
struct BodyEffect {
  /// An operation, with what it knows of the body's others when it starts (its waits are over).
  struct Step {
    uint16_t first_op = 0;
    uint16_t sequence = 0;  ///< within the body, from 1
    uint16_t knows = 0;     ///< streams of which it knows an operation of the body, and its own: bits
    uint8_t stream = 0;
    std::array<uint16_t, kStreams> latest{};  ///< of those: the sequence that it knows
    uint32_t end_check = 0;
  };
  /// What the body alone does not order: that a step comes after what touched a field before the call. Of streams that
  /// it does not know anyway.
  struct Check {
    uint16_t step = 0;
    uint8_t formal = 0;
    uint16_t field = 0;
    uint16_t writers = 0, readers = 0;  ///< streams of which it must
  };
  /// The last write of a field, or the last read by a stream since.
  struct Touch {
    uint8_t formal = 0, stream = 0;
    uint16_t stream_bit = 0;
    uint16_t field = 0, sequence = 0;
  };

  std::vector<uint8_t> streams;
  std::array<uint8_t, kStreams> place{};  ///< of a stream among those
  std::array<uint16_t, kStreams> last{};  ///< step of such a stream
  std::vector<Step> steps;
  std::vector<Check> checks;  ///< by step
  std::vector<Touch> writes, reads;
  std::vector<uint8_t> formals;                    ///< that are touched
  std::vector<std::pair<uint8_t, uint8_t>> alike;  ///< of those: two of one record
  std::vector<char> informs;                       ///< from step, to step: what the one learns the other knows
  std::vector<uint16_t> step_of;                   ///< by its last op
};
/// The body's waits must be in place.
BodyEffect effect_of(const Body&, const BodyAccesses&);

/// One for all programs of a plan.
class CallWalker {
 public:
  CallWalker(const Plan&, const SharedAccesses&);
  /// Sets the waits that are missing, ascending by waiter. False: a call uses one slot by two names, which takes a look
  /// at every operation. `first_task`: by call, how many tasks are before it.
  bool run(const Program&, std::span<const uint32_t> first_task, std::vector<LinkWait>& waits);

 private:
  using Step = BodyEffect::Step;
  /// What a step came to know by a wait between calls.
  struct Learned {
    uint16_t step = 0;
    LinkClock clock{};
  };

  const BodyEffect& effect(uint16_t body) const { return effects_[effect_of_[body]]; }
  void start(const Program&);
  const BodyEffect::Check* look(size_t call, const BodyEffect&, const BodyEffect::Check*, std::vector<LinkWait>& waits);
  void leave(size_t call, const BodyEffect&);
  uint32_t known(size_t call, const BodyEffect&, const Step&, int stream) const;
  bool implied(int stream, const Needed&, size_t call, const BodyEffect&, const Step&) const;
  LinkClock clock_at(uint32_t sequence) const;
  LinkClock clock_of(size_t call, const BodyEffect&, size_t step) const;
  LinkClock clock_of_alone(size_t call, uint8_t stream) const;

  std::vector<BodyEffect> effects_;
  std::vector<uint16_t> effect_of_;  ///< by body
  const Program* program_ = nullptr;
  std::span<const uint32_t> first_task_;
  SlotFields fields_;
  std::vector<FieldState*> slots_;  ///< of the call's formals
  /// A stream's clock, but for its own sequence. It changes at the end of a call and is kept for each time it does.
  std::vector<LinkClock> clocks_;
  std::array<uint32_t, kStreams> clock_{};              ///< of each stream: the one that it has now
  std::vector<uint32_t> clock_before_, clock_after_;    ///< by call: the clocks with which its streams came and went
  std::vector<Learned> learned_;                        ///< by call
  std::vector<uint32_t> first_before_, first_learned_;  ///< of each call
};

}  // namespace pgram
