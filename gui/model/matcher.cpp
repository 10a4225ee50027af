#include "gui/model/matcher.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <limits>
#include <numeric>

namespace pgram::gui {
namespace {

Task task_of(const Span& span) {
  return {span.rank, span.call, span.op};
}

}  // namespace

double relative_difference(Picoseconds own, Picoseconds other) {
  if (own == other) return 0;
  if (other == 0) return std::numeric_limits<double>::infinity();
  return static_cast<double>(own - other) / static_cast<double>(other);
}

uint8_t difference_class(double relative, double limit) {
  constexpr int kMiddle = kDifferenceSteps / 2;
  const double step = std::clamp(relative / limit, -1.0, 1.0) * kMiddle;
  return static_cast<uint8_t>(kMiddle + std::lround(step));
}

Picoseconds own_time(const Span& span) {
  return std::max<Picoseconds>(0, span.end - span.start - span.wait());
}

Matcher::Matcher(const TrackStore* upper, const TrackStore* lower) : stores_{upper, lower} {
  for (size_t side = 0; side < 2; ++side) {
    if (!stores_[side]) continue;
    const auto spans = stores_[side]->spans();
    auto& order = by_task_[side];
    order.resize(spans.size());
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(),
              [&](uint32_t a, uint32_t b) { return task_of(spans[a]) < task_of(spans[b]); });
  }
  if (!upper || !lower) return;
  try {
    comparison_ = compare(*upper->timeline, *lower->timeline);
  } catch (const std::exception& error) {
    why_not_ = error.what();
  }
}

std::optional<uint32_t> Matcher::find(int side, const Task& task) const {
  const TrackStore* store = stores_[static_cast<size_t>(side)];
  if (!store || task.rank >= store->ranks()) return std::nullopt;
  const Task wanted{store->timeline->representative_of(task.rank), task.call, task.op};
  const auto spans = store->spans();
  const auto& order = by_task_[static_cast<size_t>(side)];
  const auto it = std::lower_bound(order.begin(), order.end(), wanted,
                                   [&](uint32_t span, const Task& key) { return task_of(spans[span]) < key; });
  if (it == order.end() || task_of(spans[*it]) != wanted) return std::nullopt;
  return *it;
}

std::optional<uint32_t> Matcher::partner(int side, uint32_t span) const {
  if (!matched()) return std::nullopt;
  return find(1 - side, task_of(stores_[static_cast<size_t>(side)]->spans()[span]));
}

std::vector<uint8_t> Matcher::difference_classes(int side, const Track& track, double limit) const {
  std::vector<uint8_t> classes(track.size(), kUnmatchedClass);
  if (!matched()) return classes;
  const auto own = stores_[static_cast<size_t>(side)]->spans();
  const auto others = stores_[static_cast<size_t>(1 - side)]->spans();
  for (size_t i = 0; i < track.size(); ++i) {
    if (track.kind[i] == kWaitingClass) {
      classes[i] = kWaitingDifferenceClass;
      continue;
    }
    const auto other = partner(side, track.span[i]);
    if (!other) continue;
    classes[i] = difference_class(relative_difference(own_time(own[track.span[i]]), own_time(others[*other])), limit);
  }
  return classes;
}

}  // namespace pgram::gui
