#include <algorithm>
#include <string>

#include "core/base/errors.h"
#include "core/base/units.h"
#include "core/planner/planner.h"

namespace pgram {
namespace {

std::string text(uint64_t n) {
  return std::to_string(n);
}

/// True, or what `refuse(field, message)` says to the first thing that is wrong. `message` makes the text: only whoever
/// shows it pays for it.
template <class Refuse>
bool accepts(const Model& model, const Layout& layout, const Workload& work, const Refuse& refuse) {
  constexpr uint64_t kMaxRanks = 1u << 20;
  constexpr uint32_t kMaxMicroBatches = 16384;
  const auto tp_divides = [&](const char* what, uint32_t value) {
    return value % layout.tp == 0 ||
           refuse("tp", [&] { return text(layout.tp) + " does not divide the model's " + text(value) + " " + what; });
  };
  if (!layout.tp || !layout.pp || !layout.dp)
    return refuse("layout", [&] { return "degrees must be at least 1, got " + to_text(layout); });
  if (layout.ranks() > kMaxRanks) {
    return refuse("layout", [&] {
      return to_text(layout) + " has " + format_count(layout.ranks()) + " ranks; at most " + format_count(kMaxRanks);
    });
  }
  if (!work.global_batch || !work.micro_batch || !work.sequence) {
    return refuse("workload", [&] {
      return "global batch, micro-batch and sequence must be at least 1, got " + text(work.global_batch) + ", " +
             text(work.micro_batch) + ", " + text(work.sequence);
    });
  }
  if (!tp_divides("attention heads", model.heads) || !tp_divides("key-value heads", model.kv_heads) ||
      !tp_divides("feed-forward columns", model.ffn)) {
    return false;
  }
  if (layout.tp > model.vocabulary) {
    return refuse(
        "tp", [&] { return text(layout.tp) + " is more than the model's vocabulary of " + text(model.vocabulary); });
  }
  if (layout.p2p == PointToPoint::paired && layout.pp == 1) {
    return refuse("p2p", [] {
      return std::string("paired is about what pipeline stages send each other and needs pp of at least 2");
    });
  }
  if (layout.pp > model.layers) {
    return refuse(
        "pp", [&] { return text(layout.pp) + " stages are more than the model's " + text(model.layers) + " layers"; });
  }
  if (work.sequence > model.max_positions) {
    return refuse("sequence", [&] {
      return text(work.sequence) + " tokens are more than the model's " + text(model.max_positions) + " positions";
    });
  }
  if (model.sliding_window && work.sequence > model.sliding_window) {
    return refuse("sequence", [&] {
      return text(work.sequence) + " tokens are more than the model's sliding window of " + text(model.sliding_window) +
             "; windowed attention is not available yet";
    });
  }
  const uint64_t tokens = uint64_t{work.micro_batch} * work.sequence;
  constexpr uint64_t kMaxTokens = 1u << 26;
  if (tokens > kMaxTokens) {
    return refuse("micro-batch", [&] {
      return text(work.micro_batch) + " x " + text(work.sequence) + " tokens are more than " + format_count(kMaxTokens);
    });
  }
  if (layout.sequence_parallel && tokens % layout.tp != 0) {
    return refuse("sp", [&] {
      return "tp " + text(layout.tp) + " does not divide the micro-batch's " + text(tokens) + " tokens (" +
             text(work.micro_batch) + " x " + text(work.sequence) + ")";
    });
  }
  const uint64_t per_step = uint64_t{layout.dp} * work.micro_batch;
  if (work.global_batch % per_step != 0) {
    return refuse("global batch", [&] {
      return text(work.global_batch) + " is not a multiple of dp x micro-batch = " + text(layout.dp) + " x " +
             text(work.micro_batch) + " = " + text(per_step);
    });
  }
  if (micro_batches(layout, work) > kMaxMicroBatches) {
    return refuse("global batch", [&] {
      return text(work.global_batch) + " makes " + text(micro_batches(layout, work)) +
             " micro-batches a step; at most " + text(kMaxMicroBatches);
    });
  }
  return true;
}

}  // namespace

void validate(const Model& model, const Layout& layout, const Workload& work) {
  accepts(model, layout, work,
          [](const char* field, const auto& message) -> bool { throw InputError(field, message()); });
}

bool is_legal(const Model& model, const Layout& layout, const Workload& work) {
  return accepts(model, layout, work, [](const char*, const auto&) { return false; });
}

uint32_t micro_batches(const Layout& layout, const Workload& work) {
  return static_cast<uint32_t>(work.global_batch / (uint64_t{layout.dp} * work.micro_batch));
}

std::vector<uint32_t> partition_layers(uint32_t layers, uint32_t stages) {
  std::vector<uint32_t> share(stages, layers / stages);
  const uint32_t rest = layers % stages;
  for (uint32_t i = 0; i < rest; ++i) ++share[(stages - rest) / 2 + i];
  return share;
}

}  // namespace pgram
