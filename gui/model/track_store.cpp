#include "gui/model/track_store.h"

#include <algorithm>
#include <cctype>
#include <map>

namespace pgram::gui {
namespace {

/// Nothing read from a file is trusted: a span must name a task of the plan and a stream that exists.
bool names_a_task(const Plan& plan, const Span& span) {
  if (span.rank >= plan.mesh.ranks() || span.stream >= kStreams || span.end < span.start) return false;
  const uint32_t role = plan.role(span.rank);
  if (role >= plan.programs.size() || span.call >= plan.programs[role].calls.size()) return false;
  const uint16_t body = plan.programs[role].calls[span.call].body;
  return body < plan.bodies.size() && span.op < plan.bodies[body].ops.size();
}

void add_piece(Track& track, Picoseconds start, Picoseconds end, uint32_t span, uint8_t kind) {
  if (!track.end.empty()) {  // drawn pieces never overlap, whatever a file says
    start = std::max(start, track.start.back());
    end = std::max(end, start);
    track.end.back() = std::min(track.end.back(), start);
  }
  track.start.push_back(start);
  track.end.push_back(end);
  track.span.push_back(span);
  track.kind.push_back(kind);
}

std::string block_label(const SlotOp& slot) {
  switch (slot.kind) {
    case SlotKind::F:
    case SlotKind::B:
    case SlotKind::I:
    case SlotKind::W:
      return name_of(slot.kind) + std::to_string(slot.micro_batch);
    default: {
      std::string name = name_of(slot.kind);
      std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
      return name;
    }
  }
}

void add_to_blocks(const Program& program, Track& track, const Span& span, Category category, Picoseconds start,
                   Picoseconds end, uint32_t& previous_slot) {
  const uint32_t slot = program.calls[span.call].slot_op;
  if (slot >= program.slot_ops.size()) return;
  if (!track.blocks.empty() && slot == previous_slot) {
    track.blocks.back().end = end;
    return;
  }
  track.blocks.push_back({start, end, block_label(program.slot_ops[slot]), category});
  previous_slot = slot;
}

void add_span(const Plan& plan, Track& track, const Span& span, uint32_t index, Picoseconds origin,
              uint32_t& previous_slot) {
  const Program& program = plan.programs[plan.role(span.rank)];
  const Body& body = plan.bodies[program.calls[span.call].body];
  const Op& op = body.ops[span.op];
  const Category category = category_of(body, op);
  const Picoseconds start = span.start - origin, end = span.end - origin;
  const Picoseconds waited = std::min<Picoseconds>(end - start, span.wait());
  if (is_communication(op.kernel) && waited > 0) add_piece(track, start, start + waited, index, kWaitingClass);
  if (!is_communication(op.kernel) || waited < end - start || waited == 0) {
    add_piece(track, start + (is_communication(op.kernel) ? waited : 0), end, index, static_cast<uint8_t>(category));
  }
  if (track.stream == Stream::compute) add_to_blocks(program, track, span, category, start, end, previous_slot);
}

}  // namespace

size_t Track::first_ending_after(double time) const {
  // ends are sorted because pieces are and do not overlap
  return static_cast<size_t>(
      std::upper_bound(end.begin(), end.end(), time,
                       [](double t, Picoseconds piece_end) { return t < static_cast<double>(piece_end); }) -
      end.begin());
}

std::optional<size_t> Track::piece_at(Picoseconds time) const {
  const size_t i = first_ending_after(static_cast<double>(time));
  if (i < size() && start[i] <= time) return i;
  return std::nullopt;
}

std::string short_name(const Plan& plan, const Body& body, const Op& op) {
  const size_t step = body.name.find(": ");
  if (!plan.facts.contains("collective") || step == std::string::npos) return std::string(name_of(op.kernel));
  std::string name = body.name.substr(step + 2);
  if (const size_t rank = name.find(" rank "); rank != std::string::npos) name.erase(rank, 5);
  return name;
}

std::optional<uint32_t> TrackStore::find(uint32_t rank, Stream stream) const {
  if (rank >= ranks()) return std::nullopt;
  const auto key = std::pair(timeline->representative_of(rank), stream);
  const auto it = std::lower_bound(tracks.begin(), tracks.end(), key, [](const Track& track, const auto& wanted) {
    return std::pair(track.rank, track.stream) < wanted;
  });
  if (it == tracks.end() || std::pair(it->rank, it->stream) != key) return std::nullopt;
  return static_cast<uint32_t>(it - tracks.begin());
}

TrackStore make_tracks(std::shared_ptr<const Timeline> timeline, size_t step) {
  TrackStore store;
  store.step = step;
  store.origin = timeline->steps[step].start;
  store.duration = std::max<Picoseconds>(1, timeline->steps[step].end - store.origin);
  store.timeline = std::move(timeline);
  const Plan& plan = *store.timeline->plan;
  const auto spans = store.spans();

  std::vector<uint32_t> order;
  order.reserve(spans.size());
  for (uint32_t i = 0; i < spans.size(); ++i) {
    if (names_a_task(plan, spans[i])) order.push_back(i);
  }
  const auto key = [&](uint32_t i) { return std::tuple(spans[i].rank, spans[i].stream, spans[i].start, spans[i].end); };
  const auto earlier = [&](uint32_t a, uint32_t b) { return key(a) < key(b); };
  if (!std::is_sorted(order.begin(), order.end(), earlier)) std::stable_sort(order.begin(), order.end(), earlier);

  uint32_t previous_slot = 0;
  for (const uint32_t i : order) {
    const Span& span = spans[i];
    const auto stream = static_cast<Stream>(span.stream);
    if (store.tracks.empty() || store.tracks.back().rank != span.rank || store.tracks.back().stream != stream) {
      store.tracks.emplace_back();
      store.tracks.back().rank = span.rank;
      store.tracks.back().stream = stream;
    }
    add_span(plan, store.tracks.back(), span, i, store.origin, previous_slot);
  }
  return store;
}

std::vector<Row> make_rows(const TrackStore* upper, const TrackStore* lower, bool communication, uint32_t max_ranks) {
  const std::array<const TrackStore*, 2> stores{upper, lower};
  uint32_t ranks = 0;
  for (const TrackStore* store : stores) ranks = std::max(ranks, store ? store->ranks() : 0);
  const TrackStore* leader = upper ? upper : lower;

  std::map<uint32_t, uint32_t> shown;  // rank -> how many it stands for
  for (uint32_t rank = 0; rank < ranks; ++rank) {
    const bool folds = ranks > max_ranks && rank < leader->ranks();
    ++shown[folds ? leader->timeline->representative_of(rank) : rank];
  }
  std::vector<Row> rows;
  for (const auto& [rank, stands_for] : shown) {
    bool first = true;
    for (int stream = 0; stream < kStreams; ++stream) {
      if (stream != static_cast<int>(Stream::compute) && !communication) break;
      Row row{rank, static_cast<Stream>(stream), {}, stands_for, first};
      for (int side = 0; side < 2; ++side) {
        if (stores[side]) row.track[side] = stores[side]->find(rank, row.stream);
      }
      if (!row.track[0] && !row.track[1]) continue;
      rows.push_back(row);
      first = false;
    }
  }
  return rows;
}

namespace {

std::optional<uint32_t> memory_counter(const Timeline& timeline) {
  const auto& names = timeline.counter_names;
  const auto it = std::find(names.begin(), names.end(), "memory");
  if (it == names.end()) return std::nullopt;
  return static_cast<uint32_t>(it - names.begin());
}

}  // namespace

MemoryCurve memory_curve(const TrackStore& store, uint32_t rank) {
  MemoryCurve curve;
  const Timeline& timeline = *store.timeline;
  const auto counter = memory_counter(timeline);
  if (!counter || rank >= store.ranks()) return curve;
  const uint32_t shown = timeline.representative_of(rank);
  for (const CounterSample& sample : timeline.counters) {
    if (sample.counter == *counter && sample.rank == shown)
      curve.emplace_back(sample.time - store.origin, sample.value);
  }
  std::stable_sort(curve.begin(), curve.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  // what happened before the step counts as its initial value
  auto first = std::upper_bound(curve.begin(), curve.end(), Picoseconds{0},
                                [](Picoseconds time, const auto& sample) { return time < sample.first; });
  if (first != curve.begin()) {
    --first;
    first->first = 0;
  }
  curve.erase(curve.begin(), first);
  while (!curve.empty() && curve.back().first > store.duration) curve.pop_back();
  return curve;
}

uint32_t fullest_rank(const TrackStore& store) {
  const auto counter = memory_counter(*store.timeline);
  uint32_t rank = 0;
  int64_t most = -1;
  for (const CounterSample& sample : store.timeline->counters) {
    if (!counter || sample.counter != *counter || sample.time - store.origin > store.duration) continue;
    if (sample.value > most || (sample.value == most && sample.rank < rank)) {
      most = sample.value;
      rank = sample.rank;
    }
  }
  return rank;
}

}  // namespace pgram::gui
