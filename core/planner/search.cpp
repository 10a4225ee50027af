#include "core/planner/search.h"

#include <algorithm>
#include <array>
#include <exception>

#include "core/base/errors.h"
#include "core/base/units.h"
#include "core/plan/link.h"

namespace pgram {
namespace {

constexpr size_t kMaxCandidates = 20000;

struct Shape {
  uint32_t tp = 1, pp = 1, dp = 1;
  bool operator==(const Shape&) const = default;
};

Shape shape_of(const Layout& layout) {
  return {layout.tp, layout.pp, layout.dp};
}

std::string text_of(const Candidate& candidate) {
  return to_text(candidate.layout) + " (micro-batch " + std::to_string(candidate.workload.micro_batch) + ", " +
         candidate.layout.schedule + ")";
}

/// Only a legal candidate has been planned, and only a planned one has a memory bill.
bool is_legal(const Candidate& candidate) {
  return candidate.memory_bytes > 0;
}

std::vector<uint32_t> divisors(uint32_t n) {
  std::vector<uint32_t> result;
  for (uint32_t d = 1; uint64_t{d} * d <= n; ++d) {
    if (n % d) continue;
    result.push_back(d);
    if (d != n / d) result.push_back(n / d);
  }
  std::sort(result.begin(), result.end());
  return result;
}

/// Shapes whose every degree could be used by itself: a tp beyond the heads or a pp beyond the layers is no near miss
/// and would only fill the list.
std::vector<Shape> shapes(const Model& model, const Workload& work, uint32_t devices, uint32_t smallest_micro_batch) {
  std::vector<Shape> result;
  for (uint32_t tp : divisors(devices)) {
    if (tp > model.heads) continue;
    for (uint32_t pp : divisors(devices / tp)) {
      const uint32_t dp = devices / tp / pp;
      if (pp > model.layers || uint64_t{dp} * smallest_micro_batch > work.global_batch) continue;
      result.push_back({tp, pp, dp});
    }
  }
  return result;
}

void check_space(const SearchSpace& space) {
  constexpr uint32_t kMaxDevices = 1u << 20;
  if (!space.devices || space.devices > kMaxDevices) {
    throw InputError("devices", "expected 1 to " + format_count(kMaxDevices) + ", got " + format_count(space.devices));
  }
  if (space.micro_batch_sizes.empty()) throw InputError("micro-batch sizes", "expected at least one");
  if (std::count(space.micro_batch_sizes.begin(), space.micro_batch_sizes.end(), 0u)) {
    throw InputError("micro-batch sizes", "expected sizes of at least 1, got 0");
  }
  if (space.schedules.empty()) throw InputError("schedules", "expected at least one, for example 1f1b");
}

/// Everything that could be tried, in a fixed order.
std::vector<Candidate> enumerate(const Model& model, const Workload& work, const SearchSpace& space) {
  std::vector<uint32_t> micro_batches = space.micro_batch_sizes;
  std::sort(micro_batches.begin(), micro_batches.end());
  micro_batches.erase(std::unique(micro_batches.begin(), micro_batches.end()), micro_batches.end());
  const std::vector<Shape> all = shapes(model, work, space.devices, micro_batches.front());
  const size_t most = all.size() * micro_batches.size() * space.schedules.size() * (space.sequence_parallel ? 2 : 1);
  if (most > kMaxCandidates) {
    throw InputError("search", format_count(space.devices) + " devices split in " + format_count(all.size()) +
                                   " ways, which makes up to " + format_count(most) + " candidates; at most " +
                                   format_count(kMaxCandidates) + ", try fewer micro-batch sizes or schedules");
  }
  std::vector<Candidate> candidates;
  for (const Shape& shape : all) {
    for (const std::string& schedule : space.schedules) {
      for (const bool sequence_parallel : {false, true}) {
        if (sequence_parallel && (shape.tp == 1 || !space.sequence_parallel)) continue;
        for (uint32_t micro_batch : micro_batches) {
          Candidate c;
          c.layout.tp = shape.tp;
          c.layout.pp = shape.pp;
          c.layout.dp = shape.dp;
          c.layout.sequence_parallel = sequence_parallel;
          c.layout.schedule = schedule;
          if (shape.pp > 1) c.layout.p2p = space.p2p;
          c.workload = work;
          c.workload.micro_batch = micro_batch;
          candidates.push_back(std::move(c));
        }
      }
    }
  }
  return candidates;
}

const char* words_of(RecordKind kind) {
  switch (kind) {
    case RecordKind::parameter:
      return "parameters";
    case RecordKind::gradient:
      return "gradients";
    case RecordKind::optimizer:
      return "optimizer states";
    case RecordKind::saved:
      return "activations saved for the backward";
    default:
      return "working buffers";
  }
}

/// "needs 93.2 GiB of 80.0 GiB a device, 13.2 GiB too much; parameters take the most, 60.0 GiB"
std::string missing_memory(const MemoryBill& bill, uint64_t available) {
  const auto* most = std::max_element(bill.bytes.begin(), bill.bytes.end());
  const RecordKind kind = static_cast<RecordKind>(most - bill.bytes.begin());
  return "needs " + format_bytes(bill.total) + " of " + format_bytes(available) + " a device, " +
         format_bytes(bill.total - available) + " too much; " + words_of(kind) + " take the most, " +
         format_bytes(*most);
}

void judge(const Model& model, const SearchSpace& space, const Estimator& estimator, Candidate& c) {
  Plan plan;
  try {
    plan = make_unlinked_plan(model, c.layout, c.workload);
  } catch (const InputError& error) {
    c.unfit = error.what();
    return;
  }
  const std::vector<MemoryBill> bills = memory_bill(plan);
  const MemoryBill& fullest = *std::max_element(
      bills.begin(), bills.end(), [](const MemoryBill& a, const MemoryBill& b) { return a.total < b.total; });
  c.memory_bytes = fullest.total;
  if (c.memory_bytes > space.memory_bytes) {
    c.unfit = missing_memory(fullest, space.memory_bytes);
    return;
  }
  link(plan);
  c.estimate = estimator(plan);
}

/// Of the illegal candidates of a shape at most the first stays, and none where the shape has a legal one.
std::vector<Candidate> without_repeated_refusals(std::vector<Candidate> candidates) {
  std::vector<Candidate> kept;
  for (size_t first = 0; first < candidates.size();) {
    size_t end = first;
    bool any_legal = false;
    while (end < candidates.size() && shape_of(candidates[end].layout) == shape_of(candidates[first].layout)) {
      any_legal |= is_legal(candidates[end++]);
    }
    for (size_t i = first; i < end; ++i) {
      if (is_legal(candidates[i]) || (!any_legal && i == first)) kept.push_back(std::move(candidates[i]));
    }
    first = end;
  }
  return kept;
}

/// Fit ones by step time, then those that need too much memory by how much, then illegal ones in the order tried.
bool ranks_before(const Candidate& a, const Candidate& b) {
  const auto group = [](const Candidate& c) { return c.unfit.empty() ? 0 : is_legal(c) ? 1 : 2; };
  if (group(a) != group(b)) return group(a) < group(b);
  if (group(a) == 0 && a.estimate.step_seconds != b.estimate.step_seconds) {
    return a.estimate.step_seconds < b.estimate.step_seconds;
  }
  return a.memory_bytes < b.memory_bytes;
}

}  // namespace

std::vector<Candidate> search_layouts(const Model& model, const Workload& work, const SearchSpace& space,
                                      const Estimator& estimator, const ParallelFor& parallel_for,
                                      std::stop_token stop) {
  check_space(space);
  std::vector<Candidate> candidates = enumerate(model, work, space);
  std::vector<uint8_t> done(candidates.size(), 0);
  std::vector<std::exception_ptr> failures(candidates.size());
  parallel_for(candidates.size(), [&](size_t i) {
    if (stop.stop_requested()) return;
    try {
      judge(model, space, estimator, candidates[i]);
      done[i] = 1;
    } catch (...) {  // handed to the caller below, not to the thread that happened to meet it
      failures[i] = std::current_exception();
    }
  });
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  std::vector<Candidate> finished;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (done[i]) finished.push_back(std::move(candidates[i]));
  }
  finished = without_repeated_refusals(std::move(finished));
  std::stable_sort(finished.begin(), finished.end(), ranks_before);
  return finished;
}

std::vector<Candidate> legal_layouts(const Model& model, const Workload& work, const SearchSpace& space) {
  check_space(space);
  std::vector<Candidate> candidates = enumerate(model, work, space);
  std::erase_if(candidates, [&](const Candidate& c) { return !is_legal(model, c.layout, c.workload); });
  return candidates;
}

int rule_of_thumb(const std::vector<Candidate>& candidates, const SearchSpace& space) {
  uint32_t tp = 0;
  for (const Candidate& c : candidates) {
    if (is_legal(c) && c.layout.tp <= space.devices_per_node) tp = std::max(tp, c.layout.tp);
  }
  int chosen = -1;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& c = candidates[i];
    if (!c.unfit.empty() || c.layout.tp != tp) continue;
    // The list is ranked: the first of equal pp is the best of its micro-batches.
    if (chosen < 0 || c.layout.pp < candidates[static_cast<size_t>(chosen)].layout.pp) chosen = static_cast<int>(i);
  }
  return chosen;
}

namespace {

struct Part {
  const char* name;
  double first = 0, other = 0;  ///< seconds
};

/// Where the time of a step goes. Exposed communication is idle time of the compute stream, so it is taken out of the
/// bubble and no second counts twice.
std::array<Part, 3> parts_of(const Estimate& a, const Estimate& b) {
  const auto bubble = [](const Estimate& e) { return std::max(0.0, e.bubble - e.exposed_comm) * e.step_seconds; };
  const auto exposed = [](const Estimate& e) { return std::min(e.bubble, e.exposed_comm) * e.step_seconds; };
  const auto compute = [](const Estimate& e) { return (1 - e.bubble) * e.step_seconds; };
  return {Part{"bubble", bubble(a), bubble(b)}, Part{"exposed communication", exposed(a), exposed(b)},
          Part{"compute", compute(a), compute(b)}};
}

std::string seconds_text(double seconds) {
  return format_time(to_picoseconds(seconds));
}

std::string listed(const std::vector<Part>& parts) {
  std::string text;
  for (const Part& part : parts) {
    text += (text.empty() ? "" : ", ") + std::string(part.name) + " " + seconds_text(part.first) + " against " +
            seconds_text(part.other);
  }
  return text;
}

}  // namespace

std::string why_first(const std::vector<Candidate>& candidates) {
  if (candidates.empty()) return "No layout was tried.";
  const Candidate& first = candidates.front();
  if (!first.unfit.empty()) return "No layout fits; the nearest, " + text_of(first) + ": " + first.unfit + ".";
  const auto other = std::find_if(candidates.begin(), candidates.end(), [&](const Candidate& c) {
    return c.unfit.empty() && shape_of(c.layout) != shape_of(first.layout);
  });
  if (other == candidates.end()) {
    return text_of(first) + " wins with " + seconds_text(first.estimate.step_seconds) +
           " a step: no other shape of dp x tp x pp fits.";
  }
  std::vector<Part> gains, losses;
  // Differences below a thousandth of the step are not what decides.
  const double threshold = other->estimate.step_seconds / 1000;
  for (const Part& part : parts_of(first.estimate, other->estimate)) {
    if (part.other - part.first > threshold) gains.push_back(part);
    if (part.first - part.other > threshold) losses.push_back(part);
  }
  std::stable_sort(gains.begin(), gains.end(),
                   [](const Part& a, const Part& b) { return a.other - a.first > b.other - b.first; });
  std::string text = text_of(first) + " takes " + seconds_text(first.estimate.step_seconds) + " a step, " +
                     seconds_text(other->estimate.step_seconds - first.estimate.step_seconds) + " less than " +
                     text_of(*other) + ", the best of another shape";
  if (gains.empty()) return text + ": they are alike in compute, bubble and exposed communication.";
  text += ": " + listed(gains);
  if (!losses.empty()) text += "; it pays with " + listed(losses);
  return text + ".";
}

}  // namespace pgram
