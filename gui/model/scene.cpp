#include "gui/model/scene.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace pgram::gui {

void Scene::set_timelines(std::shared_ptr<const Timeline> upper, std::shared_ptr<const Timeline> lower) {
  std::array<std::shared_ptr<const Timeline>, 2> timelines{std::move(upper), std::move(lower)};
  for (size_t side = 0; side < 2; ++side) {
    painted_[side].clear();
    memory_[side].clear();
    reasons_[side].reset();
    stores_[side].reset();
    if (!timelines[side] || timelines[side]->steps.empty()) continue;
    const size_t step = timelines[side]->median_step();
    stores_[side] = std::make_unique<TrackStore>(make_tracks(std::move(timelines[side]), step));
    painted_[side].resize(stores_[side]->tracks.size());
    reasons_[side] = std::make_unique<Reasons>(*stores_[side]->timeline, step);
  }
  matcher_ = Matcher(store(0), store(1));
  const TrackStore* leader = store(0) ? store(0) : store(1);
  fullest_rank_ = leader ? gui::fullest_rank(*leader) : 0;
  make_rows_again();
}

void Scene::set_colours(const Theme& theme, ColourMode mode) {
  theme_ = &theme;
  mode_ = mode;
  for (auto& side : painted_) {
    for (Painted& painted : side) painted = {};
  }
}

void Scene::show_communication(bool shown) {
  communication_ = shown;
  make_rows_again();
}

void Scene::make_rows_again() {
  rows_ = make_rows(store(0), store(1), communication_);
}

Picoseconds Scene::duration() const {
  Picoseconds longest = 0;
  for (const auto& store : stores_) longest = std::max(longest, store ? store->duration : 0);
  return longest;
}

std::string Scene::title(int side) const {
  const Timeline *own = timeline(side), *other = timeline(1 - side);
  if (own && other && own->source == other->source) return side == 0 ? "A" : "B";
  if (own) return own->source == TimelineSource::simulated ? "Simulated" : "Measured";
  if (other) return other->source == TimelineSource::simulated ? "Measured" : "Simulated";
  return side == 0 ? "Simulated" : "Measured";
}

const Track* Scene::track(int side, size_t row) const {
  const auto index = rows_[row].track[static_cast<size_t>(side)];
  return index ? &store(side)->tracks[*index] : nullptr;
}

const RowRaster* Scene::raster(int side, size_t row) const {
  const auto index = rows_[row].track[static_cast<size_t>(side)];
  if (!index) return nullptr;
  Painted& painted = painted_[static_cast<size_t>(side)][*index];
  if (!painted.raster) {
    const Track& track = store(side)->tracks[*index];
    painted.classes = mode_ == ColourMode::kind ? track.kind : matcher_.difference_classes(side, track);
    painted.raster = std::make_unique<RowRaster>(track, painted.classes, theme_->palette(mode_));
  }
  return painted.raster.get();
}

std::optional<Spot> Scene::spot_at(int side, size_t row, double time) const {
  if (row >= rows_.size()) return std::nullopt;
  const Track* pieces = track(side, row);
  if (!pieces) return std::nullopt;
  const auto piece = pieces->piece_at(static_cast<Picoseconds>(std::floor(time)));
  if (!piece) return std::nullopt;
  return Spot{side, row, pieces->span[*piece]};
}

std::optional<Pixel> Scene::colour_at(int side, size_t row, double time) const {
  const Track* pieces = track(side, row);
  if (!pieces || !raster(side, row)) return std::nullopt;
  const auto piece = pieces->piece_at(static_cast<Picoseconds>(std::floor(time)));
  if (!piece) return std::nullopt;
  const Painted& painted = painted_[static_cast<size_t>(side)][*rows_[row].track[static_cast<size_t>(side)]];
  return theme_->palette(mode_)[painted.classes[*piece]];
}

std::string Scene::idle_text(int side, size_t row, double time) const {
  if (row >= rows_.size() || !track(side, row)) return "";
  Reasons& reasons = *reasons_[static_cast<size_t>(side)];
  const auto at = static_cast<Picoseconds>(std::floor(time)) + store(side)->origin;
  const auto idle = reasons.at(rows_[row].rank, rows_[row].stream, at);
  return idle ? "idle for " + format_time(idle->end - idle->start) + ": " + reasons.text(*idle) : "";
}

std::vector<PathPiece> Scene::critical_path(int side) const {
  if (!store(side) || store(side)->spans().empty()) return {};
  const Plan& plan = *timeline(side)->plan;
  std::map<std::pair<uint32_t, Stream>, size_t> row_of;
  for (size_t row = 0; row < rows_.size(); ++row) row_of[{rows_[row].rank, rows_[row].stream}] = row;
  std::vector<PathPiece> pieces;
  for (const Segment& segment : reasons_[static_cast<size_t>(side)]->path().segments) {
    if (!segment.task || segment.what == PathWhat::host) continue;
    const Task& task = *segment.task;
    const Stream stream = plan.bodies[plan.programs[plan.role(task.rank)].calls[task.call].body].ops[task.op].stream;
    auto found = row_of.find({task.rank, stream});
    if (found == row_of.end()) found = row_of.find({timeline(side)->representative_of(task.rank), stream});
    if (found == row_of.end()) continue;
    const Picoseconds origin = store(side)->origin;
    pieces.push_back({found->second, segment.start - origin, segment.end - origin});
  }
  return pieces;
}

const MemoryCurve& Scene::memory(int side, uint32_t rank) const {
  auto& kept = memory_[static_cast<size_t>(side)];
  const auto found = kept.find(rank);
  return found != kept.end() ? found->second : kept.emplace(rank, memory_curve(*store(side), rank)).first->second;
}

Task Scene::task(const Spot& spot) const {
  const Span& own = span(spot);
  return {rows_[spot.row].rank, own.call, own.op};
}

std::optional<Spot> Scene::partner(const Spot& spot) const {
  if (!matcher_.matched()) return std::nullopt;
  const auto other = matcher_.find(1 - spot.side, task(spot));
  if (!other) return std::nullopt;
  return Spot{1 - spot.side, spot.row, *other};
}

std::string Scene::text(const Spot& spot) const {
  return to_text(*timeline(spot.side)->plan, task(spot));
}

namespace {

std::string format_quantity(double value, const char* unit) {
  constexpr std::array<const char*, 6> kPrefixes{"", "k", "M", "G", "T", "P"};
  size_t prefix = 0;
  while (std::abs(value) >= 999.5 && prefix + 1 < kPrefixes.size()) {
    value /= 1000;
    ++prefix;
  }
  char text[64];
  std::snprintf(text, sizeof text, "%.3g %s%s", value, kPrefixes[prefix], unit);
  return text;
}

}  // namespace

std::string format_difference(double own, double base) {
  if (base == 0 || !std::isfinite(own / base)) return own == base ? "+0.0 %" : "-";
  char text[64];
  std::snprintf(text, sizeof text, "%+.1f %%", (own - base) / base * 100);
  return text;
}

std::vector<Detail> describe(const Scene& scene, const Spot& spot) {
  std::array<std::optional<Spot>, 2> spots;
  spots[static_cast<size_t>(spot.side)] = spot;
  spots[static_cast<size_t>(1 - spot.side)] = scene.partner(spot);
  const auto row = [&](const char* name, auto value) {
    Detail detail{name, "-", "-"};
    if (spots[0]) detail.upper = value(*spots[0]);
    if (spots[1]) detail.lower = value(*spots[1]);
    return detail;
  };
  const auto since_start = [&](const Spot& s, Picoseconds time) { return time - scene.store(s.side)->origin; };
  const Plan& plan = *scene.timeline(spot.side)->plan;
  const Span& own = scene.span(spot);
  const Body& body = plan.bodies[plan.programs[plan.role(own.rank)].calls[own.call].body];
  const Op& op = body.ops[own.op];

  std::vector<Detail> details;
  details.push_back(row("Start", [&](const Spot& s) { return format_time(since_start(s, scene.span(s).start)); }));
  details.push_back(row("End", [&](const Spot& s) { return format_time(since_start(s, scene.span(s).end)); }));
  details.push_back(
      row("Duration", [&](const Spot& s) { return format_time(scene.span(s).end - scene.span(s).start); }));
  if (is_communication(op.kernel)) {
    details.push_back(row("Waiting", [&](const Spot& s) { return format_time(scene.span(s).wait()); }));
  }
  const auto rate = [&](const Spot& s) {
    const double seconds = to_seconds(own_time(scene.span(s)));
    if (seconds <= 0) return std::string("-");
    return op.flops > 0 ? format_quantity(static_cast<double>(op.flops) / seconds, "FLOP/s")
                        : format_quantity(static_cast<double>(op.bytes) / seconds, "B/s");
  };
  details.push_back(row("Rate", rate));
  if (spots[0] && spots[1]) {
    const auto base = static_cast<double>(own_time(scene.span(*spots[0])));
    details.push_back(
        {"Difference", "", format_difference(static_cast<double>(own_time(scene.span(*spots[1]))), base)});
  } else {
    details.push_back({"Difference", "", scene.matcher().matched() ? "no such task there" : "no counterpart"});
  }
  const auto fact = [&](const char* name, const std::string& value) { details.push_back({name, value, ""}); };
  fact("Kernel", std::string(name_of(op.kernel)));
  fact("Category", std::string(name_of(category_of(body, op))));
  fact("Stream", name_of(static_cast<Stream>(own.stream)));
  if (op.flops > 0) fact("FLOPs", format_quantity(static_cast<double>(op.flops), "FLOP"));
  fact("Bytes", format_bytes(op.bytes));
  return details;
}

}  // namespace pgram::gui
