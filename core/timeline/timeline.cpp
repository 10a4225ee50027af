#include "core/timeline/timeline.h"

#include <algorithm>
#include <numeric>

namespace pgram {

size_t Timeline::median_step() const {
  if (steps.empty()) return 0;
  std::vector<size_t> order(steps.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto middle = order.begin() + (static_cast<ptrdiff_t>(steps.size()) - 1) / 2;
  std::nth_element(order.begin(), middle, order.end(), [&](size_t x, size_t y) {
    const Picoseconds time_x = steps[x].end - steps[x].start, time_y = steps[y].end - steps[y].start;
    return time_x != time_y ? time_x < time_y : x < y;
  });
  return *middle;
}

Picoseconds Timeline::median_step_time() const {
  if (steps.empty()) return 0;
  const Step& step = steps[median_step()];
  return step.end - step.start;
}

void Timeline::set_spans(std::vector<Span> owned) {
  auto held = std::make_shared<const std::vector<Span>>(std::move(owned));
  spans = *held;
  alike.clear();
  in_plan_order = false;
  storage = std::move(held);
}

}  // namespace pgram
