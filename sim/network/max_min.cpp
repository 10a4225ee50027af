#include "sim/network/max_min.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace pgram::sim {

// Levels that differ by less are the same level, worked out from sums in another order: nothing is passed on.
static constexpr double kRounding = 1e-13;

MaxMin::MaxMin(std::vector<double> capacities) {
  links_.resize(capacities.size());
  for (size_t link = 0; link < links_.size(); ++link) links_[link].capacity = capacities[link];
}

void MaxMin::add(uint32_t slot, double limit, std::span<const LinkUse> uses) {
  if (slot >= flows_.size()) {
    flows_.resize(slot + 1);
    limits_.resize(slot + 1);
  }
  limits_[slot] = limit;
  Flow& flow = flows_[slot];
  for (const LinkUse& use : uses) {
    if (use.weight <= 0) continue;
    Link& link = links_[use.link];
    const uint32_t users = link.users.size();
    if (users > 0 && users_of(link).back() == slot) {  // its second time there
      set_weight(link, users - 1, weight(link, users - 1) + use.weight);
      continue;
    }
    flow.uses.push(use.link, numbers_);
    add_user(link, slot, use.weight);
    // Whoever is alone on a link is held back by his bound.
    if (users > 0) reach(use.link);
  }
  flow.bound = limit;
  for (const uint32_t number : links_of(flow)) {
    const Link& link = links_[number];
    flow.bound = std::min(flow.bound, link.capacity / weight(link, link.users.size() - 1));
  }
  find_lowest(slot);
  mark_changed(slot);
}

void MaxMin::add_user(Link& link, uint32_t slot, double weight) {
  const uint32_t place = link.users.size(), places = link.users.places();
  link.users.push(slot, numbers_);
  if (link.weights != kNone && link.users.places() != places) {
    const uint32_t larger = weights_.take(link.users.places()).first;
    std::copy_n(weights_.at(link.weights), place, weights_.at(larger));
    drop_weights(link, places);
    link.weights = larger;
  }
  if (weight != 1 || link.weights != kNone) set_weight(link, place, weight);
}

void MaxMin::set_weight(Link& link, uint32_t place, double weight) {
  if (link.weights == kNone) {
    link.weights = weights_.take(link.users.places()).first;
    std::fill_n(weights_.at(link.weights), link.users.size(), 1.0);
  }
  weights_.at(link.weights)[place] = weight;
}

void MaxMin::drop_weights(Link& link, uint32_t places) {
  if (link.weights != kNone) weights_.give_back({std::exchange(link.weights, kNone), places});
}

/// Links most often have few users, and whoever came must look at all of them anyway (see fill).
uint32_t MaxMin::place_of(uint32_t slot, std::span<const uint32_t> users) {
  return static_cast<uint32_t>(std::ranges::find(users, slot) - users.begin());
}

void MaxMin::remove(uint32_t slot) {
  Flow& flow = flows_[slot];
  for (const uint32_t number : links_of(flow)) {
    Link& link = links_[number];
    const uint32_t place = place_of(slot, users_of(link)), places = link.users.places();
    if (link.weights != kNone) set_weight(link, place, weight(link, link.users.size() - 1));
    link.users.take_out(place, numbers_);
    if (link.users.size() == 0) {
      drop_weights(link, places);
      link.level = kInfinity;
    } else if (link.level < kInfinity) {
      reach(number);
    }
  }
  flow.uses.clear(numbers_);
}

void MaxMin::set_capacity(uint32_t link, double capacity) {
  links_[link].capacity = capacity;
  reach(link);
  for (const uint32_t slot : users_of(links_[link])) {
    const double bound = flows_[slot].bound;
    find_bound(slot);
    if (flows_[slot].bound == bound) continue;
    find_lowest(slot);
    mark_changed(slot);
    for (const uint32_t other : links_of(flows_[slot])) reach(other);
  }
}

std::span<const uint32_t> MaxMin::work_out() {
  ++call_;
  for (uint32_t link : reached_) links_[link].before = links_[link].level;
  // Not a range: those that follow are looked at where they are reached.
  for (size_t i = 0, changed = reached_.size(); i < changed; ++i) look_again(reached_[i]);

  while (!stops_.empty()) {
    const auto [level, number] = stops_.front();
    std::pop_heap(stops_.begin(), stops_.end(), std::greater<>());
    stops_.pop_back();
    Link& link = links_[number];
    if (link.state != State::reached || link.stop() != level) continue;
    if (link.stale) {
      link.candidate = fill(number);
      link.stale = false;
      if (link.stop() > level) {
        schedule(number);
        continue;
      }
    }
    if (link.candidate > link.level * (1 + kRounding)) {
      open(number);
    } else {
      fix(number);
    }
  }

  for (uint32_t link : reached_) links_[link].state = State::idle;
  reached_.clear();
  reported_.swap(changed_);
  changed_.clear();
  for (uint32_t slot : reported_) {
    flows_[slot].changed = false;
    touched_ += flows_[slot].seen != call_;
  }
  return reported_;
}

/// The level at which the link is full, from the bounds of its flows elsewhere.
double MaxMin::fill(uint32_t number) {
  const Link& link = links_[number];
  const std::span<const uint32_t> users = users_of(link);
  if (users.size() < 2) return kInfinity;
  filling_.clear();
  double wanted = 0, rising = 0;
  for (uint32_t place = 0; place < users.size(); ++place) {
    Flow& flow = flows_[users[place]];
    touched_ += flow.seen != call_;
    flow.seen = call_;
    const double elsewhere = flow.link == number ? flow.second : flow.lowest, own = weight(link, place);
    filling_.emplace_back(elsewhere, own);
    wanted += elsewhere * own;
    rising += own;
  }
  if (wanted <= link.capacity * (1 + kRounding)) return kInfinity;
  double held = 0, level = link.capacity / rising;
  for (;;) {
    size_t left = 0;
    rising = 0;
    for (const auto& [elsewhere, weight] : filling_) {
      if (elsewhere < level) {
        held += elsewhere * weight;
      } else {
        filling_[left++] = {elsewhere, weight};
        rising += weight;
      }
    }
    if (left == filling_.size() || left == 0) return level;
    filling_.resize(left);
    level = std::max(level, (link.capacity - held) / rising);
  }
}

/// Its level may change.
void MaxMin::reach(uint32_t number) {
  Link& link = links_[number];
  if (link.state != State::idle) return;
  link.state = State::reached;
  link.before = link.level;
  link.stale = false;
  reached_.push_back(number);
}

void MaxMin::look_again(uint32_t number) {
  Link& link = links_[number];
  link.candidate = fill(number);
  link.stale = link.widened = false;
  schedule(number);
}

void MaxMin::schedule(uint32_t number) {
  const double stop = links_[number].stop();
  if (stop == kInfinity) return;
  stops_.emplace_back(stop, number);
  std::push_heap(stops_.begin(), stops_.end(), std::greater<>());
}

/// The rising rates have come to the link's old level and it is not full yet: it lets its flows go on.
void MaxMin::open(uint32_t number) {
  Link& link = links_[number];
  const double old = link.level;
  link.level = kInfinity;
  for (const uint32_t slot : users_of(link)) {
    const Flow& flow = flows_[slot];
    if (flow.link == number) {
      find_lowest(slot);
      mark_changed(slot);
      for (const uint32_t other : links_of(flow)) widen(other, old);
    } else if (flow.link != kNone && flow.second >= old) {
      // The link that holds the flow back, at this same level, may have counted on this one.
      find_lowest(slot);
      links_[flow.link].stale = true;
    }
  }
  schedule(number);
  for (uint32_t other : widened_) look_again(other);
  widened_.clear();
}

/// A flow that elsewhere was held back at `old` is so no more.
void MaxMin::widen(uint32_t number, double old) {
  Link& link = links_[number];
  if (link.state == State::fixed || link.widened) return;
  if (link.state == State::idle) {
    if (link.level <= old) return;
    reach(number);
  } else if (!link.stale && link.candidate <= old) {
    return;
  }
  link.widened = true;
  widened_.push_back(number);
}

/// The rising rates have filled the link.
void MaxMin::fix(uint32_t number) {
  Link& link = links_[number];
  link.state = State::fixed;
  double level = link.candidate;
  if (level >= link.before * (1 - kRounding) && level <= link.before * (1 + kRounding)) level = link.before;
  if (level == link.level) return;
  link.level = level;
  for (const uint32_t slot : users_of(link)) lower_level(slot, number, level);
}

void MaxMin::lower_level(uint32_t slot, uint32_t link, double level) {
  Flow& flow = flows_[slot];
  if (flow.link == link) {
    flow.lowest = level;
  } else if (level < flow.lowest) {
    flow.second = flow.lowest;
    flow.lowest = level;
    flow.link = link;
  } else {
    flow.second = std::min(flow.second, level);
    return;
  }
  mark_changed(slot);
  for (const uint32_t other : links_of(flow)) {
    Link& o = links_[other];
    if (other == link || o.state == State::fixed) continue;
    if (o.state == State::reached) {
      // Where it would be full at this same level, it holds nobody back.
      o.stale = o.stale || o.candidate >= level;
    } else if (o.level < kInfinity && o.level > level) {
      // Slower here, the flow leaves more to the others there: that level can only rise.
      reach(other);
      o.candidate = o.level;
      o.stale = true;
      schedule(other);
    }
  }
}

void MaxMin::find_bound(uint32_t slot) {
  Flow& flow = flows_[slot];
  flow.bound = limits_[slot];
  for (const uint32_t number : links_of(flow)) {
    const Link& link = links_[number];
    const double own = link.weights == kNone ? 1 : weight(link, place_of(slot, users_of(link)));
    flow.bound = std::min(flow.bound, link.capacity / own);
  }
}

double MaxMin::rate_alone(double limit, std::span<const LinkUse> uses) const {
  double rate = limit;
  for (const LinkUse& use : uses) {
    double weight = 0;
    for (const LinkUse& other : uses) weight += other.link == use.link ? other.weight : 0;
    if (weight > 0) rate = std::min(rate, links_[use.link].capacity / weight);
  }
  return rate;
}

void MaxMin::find_lowest(uint32_t slot) {
  Flow& flow = flows_[slot];
  flow.lowest = flow.bound;
  flow.second = kInfinity;
  flow.link = kNone;
  for (const uint32_t link : links_of(flow)) {
    const double level = links_[link].level;
    if (level < flow.lowest) {
      flow.second = flow.lowest;
      flow.lowest = level;
      flow.link = link;
    } else {
      flow.second = std::min(flow.second, level);
    }
  }
}

void MaxMin::mark_changed(uint32_t slot) {
  if (flows_[slot].changed) return;
  flows_[slot].changed = true;
  changed_.push_back(slot);
}

}  // namespace pgram::sim
