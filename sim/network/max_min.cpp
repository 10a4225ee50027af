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
    bounds_.resize(slot + 1);
  }
  Flow& flow = flows_[slot];
  flow.limit = limit;
  flow.block = uses_.take(static_cast<uint32_t>(uses.size()));
  flow.num_uses = 0;
  for (const LinkUse& use : uses) {
    if (use.weight <= 0) continue;
    Link& link = links_[use.link];
    if (User* const last = last_user(link); last && last->slot == slot) {  // its second time there
      last->weight = uses_[last->use].weight += use.weight;
      continue;
    }
    const uint32_t number = flow.block.first + flow.num_uses++;
    uses_[number] = {use.link, link.num_users, use.weight};
    add_user(link, {slot, number, use.weight});
    // Whoever is alone on a link is held back by his bound.
    if (link.num_users > 1) reach(use.link);
  }
  find_bound(flow);
  find_lowest(slot);
  mark_changed(slot);
}

MaxMin::User* MaxMin::last_user(const Link& link) {
  return link.num_users ? &users_[link.block.first + link.num_users - 1] : nullptr;
}

void MaxMin::add_user(Link& link, const User& user) {
  if (link.num_users == link.block.places) {
    const auto larger = users_.take(link.num_users + 1);
    for (uint32_t i = 0; i < link.num_users; ++i) users_[larger.first + i] = users_[link.block.first + i];
    if (link.block.places > 0) users_.give_back(link.block);
    link.block = larger;
  }
  users_[link.block.first + link.num_users++] = user;
}

void MaxMin::remove(uint32_t slot) {
  const Flow& flow = flows_[slot];
  for (const Use& use : uses_of(flow)) {
    Link& link = links_[use.link];
    const User last = *last_user(link);
    users_[link.block.first + use.place] = last;
    uses_[last.use].place = use.place;
    if (--link.num_users == 0) {
      users_.give_back(std::exchange(link.block, {}));
      link.level = kInfinity;
    } else if (link.level < kInfinity) {
      reach(use.link);
    }
  }
  uses_.give_back(flow.block);
}

void MaxMin::set_capacity(uint32_t link, double capacity) {
  links_[link].capacity = capacity;
  reach(link);
  for (const User& user : users_of(links_[link])) {
    Flow& flow = flows_[user.slot];
    const double bound = flow.bound;
    find_bound(flow);
    if (flow.bound == bound) continue;
    find_lowest(user.slot);
    mark_changed(user.slot);
    for (const Use& use : uses_of(flow)) reach(use.link);
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
    bounds_[slot].changed = false;
    touched_ += bounds_[slot].seen != call_;
  }
  return reported_;
}

/// The level at which the link is full, from the bounds of its flows elsewhere.
double MaxMin::fill(uint32_t number) {
  const Link& link = links_[number];
  if (link.num_users < 2) return kInfinity;
  filling_.clear();
  double wanted = 0, rising = 0;
  for (const User& user : users_of(link)) {
    Bound& bound = bounds_[user.slot];
    touched_ += bound.seen != call_;
    bound.seen = call_;
    const double elsewhere = bound.link == number ? bound.second : bound.lowest;
    filling_.emplace_back(elsewhere, user.weight);
    wanted += elsewhere * user.weight;
    rising += user.weight;
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
  for (const User& user : users_of(link)) {
    const Bound& bound = bounds_[user.slot];
    if (bound.link == number) {
      find_lowest(user.slot);
      mark_changed(user.slot);
      for (const Use& use : uses_of(flows_[user.slot])) widen(use.link, old);
    } else if (bound.link != kNone && bound.second >= old) {
      // The link that holds the flow back, at this same level, may have counted on this one.
      find_lowest(user.slot);
      links_[bound.link].stale = true;
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
  for (const User& user : users_of(link)) lower_level(user.slot, number, level);
}

void MaxMin::lower_level(uint32_t slot, uint32_t link, double level) {
  Bound& bound = bounds_[slot];
  if (bound.link == link) {
    bound.lowest = level;
  } else if (level < bound.lowest) {
    bound.second = bound.lowest;
    bound.lowest = level;
    bound.link = link;
  } else {
    bound.second = std::min(bound.second, level);
    return;
  }
  mark_changed(slot);
  for (const Use& use : uses_of(flows_[slot])) {
    const uint32_t other = use.link;
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

void MaxMin::find_bound(Flow& flow) const {
  flow.bound = flow.limit;
  for (const Use& use : uses_of(flow)) flow.bound = std::min(flow.bound, links_[use.link].capacity / use.weight);
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
  const Flow& flow = flows_[slot];
  Bound& bound = bounds_[slot];
  bound.lowest = flow.bound;
  bound.second = kInfinity;
  bound.link = kNone;
  for (const Use& use : uses_of(flow)) {
    const double level = links_[use.link].level;
    if (level < bound.lowest) {
      bound.second = bound.lowest;
      bound.lowest = level;
      bound.link = use.link;
    } else {
      bound.second = std::min(bound.second, level);
    }
  }
}

void MaxMin::mark_changed(uint32_t slot) {
  if (bounds_[slot].changed) return;
  bounds_[slot].changed = true;
  changed_.push_back(slot);
}

}  // namespace pgram::sim
