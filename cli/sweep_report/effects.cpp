#include "cli/sweep_report/effects.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace pgram::sweep_report {
namespace {

bool same_choice(const Row& a, const Row& b) {
  return a.inputs.cluster == b.inputs.cluster && a.inputs.layout == b.inputs.layout &&
         a.inputs.workload == b.inputs.workload;
}

void summarise(Effect& effect) {
  std::vector<double> more;
  for (size_t i = 0; i < effect.at.size(); ++i) {
    const Effect::At& at = effect.at[i];
    if (at.another_is_best()) ++effect.others_best;
    if (!at.same) continue;
    more.push_back(at.more());
    if (more.size() == 1 || at.more() > effect.at[effect.worst].more()) effect.worst = i;
  }
  effect.same = more.size();
  if (more.empty()) return;
  std::sort(more.begin(), more.end());
  const size_t half = more.size() / 2;
  effect.median = more.size() % 2 ? more[half] : (more[half - 1] + more[half]) / 2;
}

}  // namespace

double Effect::At::more() const {
  return same->outcome.figures.step_seconds / point.fastest->outcome.figures.step_seconds - 1;
}

bool Effect::At::another_is_best() const {
  return best && (!same || best->outcome.figures.step_seconds < same->outcome.figures.step_seconds);
}

std::vector<Effect> effects_of(const Topic& topic) {
  std::vector<Effect> effects;
  if (topic.conditions.size() < 2) return effects;
  const std::vector<Point> points = best_points(topic.usual());
  std::map<std::pair<std::string, uint32_t>, size_t> index;
  for (size_t i = 0; i < points.size(); ++i) index[{points[i].kind, points[i].devices}] = i;
  for (size_t c = 1; c < topic.conditions.size(); ++c) {
    effects.push_back({topic.conditions[c], {}, 0, 0, 0, 0});
    for (const Point& point : points) effects.back().at.push_back({point, nullptr, nullptr});
  }
  for (const Row& row : topic.fits) {
    const Condition condition = condition_of(row);
    const auto effect =
        std::find_if(effects.begin(), effects.end(), [&](const Effect& e) { return e.condition == condition; });
    if (effect == effects.end()) continue;
    const auto found = index.find({kind_of_cluster(row.inputs.cluster), row.inputs.devices});
    if (found == index.end()) continue;
    Effect::At& at = effect->at[found->second];
    if (same_choice(row, *at.point.fastest)) at.same = &row;
    if (!at.best || row.outcome.figures.step_seconds < at.best->outcome.figures.step_seconds) at.best = &row;
  }
  for (Effect& effect : effects) summarise(effect);
  return effects;
}

std::string to_text(const Condition& condition, const Topic& topic) {
  const auto differs = [&](auto member) {
    return std::any_of(topic.conditions.begin(), topic.conditions.end(),
                       [&](const Condition& c) { return c.*member != topic.conditions.front().*member; });
  };
  const std::string network = "by network " + condition.network,
                    disturbance = condition.disturbance == "none" ? "undisturbed" : condition.disturbance;
  if (!differs(&Condition::network)) return disturbance;
  return differs(&Condition::disturbance) ? network + ", " + disturbance : network;
}

}  // namespace pgram::sweep_report
