#include "cli/sweep/grid.h"

#include <algorithm>
#include <list>
#include <mutex>
#include <set>
#include <tuple>

#include "cli/sweep/filter.h"
#include "core/base/errors.h"
#include "core/base/units.h"
#include "core/cluster/cluster.h"
#include "core/planner/search.h"

namespace pgram::sweep {
namespace {

/// All clusters of a device count on which a model is computed in one precision: where the same Plans can run.
struct Place {
  uint32_t devices = 0;
  Precision precision = Precision::bf16;
  struct Where {
    std::string cluster;
    uint32_t devices_per_node = 0;
  };
  std::vector<Where> clusters;
};

/// A layout of the file; a data-parallel degree that it leaves out takes what devices there are.
struct Listed {
  Layout layout;
  bool fills = false;
};

std::vector<Listed> parse_layouts(const Sweep& sweep) {
  std::vector<Listed> listed;
  for (const std::string& text : sweep.layouts)
    listed.push_back({parse_layout(text), text.find("dp") == std::string::npos});
  return listed;
}

struct Chosen {
  Layout layout;
  uint32_t micro_batch = 1;
};

/// A PlanGroup that the filters leave.
struct Group {
  uint64_t first = 0;  ///< its first case
  size_t block = 0;
  Chosen chosen;
};

/// Blocks that follow one another, as many as make a good piece to keep at hand.
struct Page {
  uint64_t first_block = 0, first_group = 0, first_case = 0;
};

/// A page has at least so many groups; where there would be more pages than this, pages get larger, so that memory does
/// not grow with the number of cases.
constexpr uint64_t kGroupsOfPage = 512, kMostPages = 4096;
constexpr size_t kPagesAtHand = 4;
constexpr double kMostShown = 1e18;  ///< cases

}  // namespace

/// A block is one model, workload and place, in this order; its layouts are made when they are asked for.
struct Grid::Impl {
  explicit Impl(const Sweep& s) : sweep(s), listed(parse_layouts(s)) {
    for (const std::string& text : sweep.p2p) p2p.push_back(parse_point_to_point(text));
    find_models();
    find_places();
    for (const Sweep::Filter& filter : sweep.filters) {
      Filter made(sweep.path, filter);
      (made.is_of_group() ? group_filters : case_filters).push_back({std::move(made), 0, 0});
    }
  }

  int line_of(const std::vector<int>& lines, size_t i) const { return i < lines.size() ? lines[i] : 0; }

  /// Names file and line, unless the error lies in another file.
  template <class F>
  void placed(const std::string& field, int line, const F& f) const {
    try {
      f();
    } catch (const InputError& error) {
      if (!error.file().empty()) throw;
      throw InputError(sweep.path, line, field, error.what());
    }
  }

  void find_models() {
    for (size_t i = 0; i < sweep.models.size(); ++i)
      placed("models", line_of(sweep.lines.models, i), [&] { models.push_back(find_model(sweep.models[i])); });
  }

  void find_places() {
    for (size_t i = 0; i < sweep.clusters.size(); ++i) {
      placed("clusters", line_of(sweep.lines.clusters, i), [&] {
        const Cluster cluster = find_cluster(sweep.clusters[i]);
        const Precision precision = !sweep.precision.empty() ? parse_precision(sweep.precision)
                                    : cluster.device.is_cpu  ? Precision::fp32
                                                             : Precision::bf16;
        auto place = std::find_if(places.begin(), places.end(), [&](const Place& p) {
          return p.devices == cluster.devices && p.precision == precision;
        });
        if (place == places.end()) place = places.insert(place, {cluster.devices, precision, {}});
        place->clusters.push_back({sweep.clusters[i], cluster.devices_per_node});
      });
    }
  }

  uint64_t blocks() const {
    return uint64_t{models.size()} * sweep.global_batches.size() * sweep.sequences.size() * places.size();
  }

  /// Everything of a case but layout, micro-batch, and what differs within a PlanGroup.
  struct Block {
    const Model* model = nullptr;
    const Place* place = nullptr;
    Case shared;
  };
  Block block(uint64_t index) const {
    const auto digit = [&index](size_t radix) {
      const size_t value = index % radix;
      index /= radix;
      return value;
    };
    Block block;
    block.place = &places[digit(places.size())];
    block.shared.workload.sequence = sweep.sequences[digit(sweep.sequences.size())];
    block.shared.workload.global_batch = sweep.global_batches[digit(sweep.global_batches.size())];
    const size_t model = digit(models.size());
    block.model = &models[model];
    block.shared.model = sweep.models[model];
    block.shared.devices = block.place->devices;
    block.shared.workload.precision = block.place->precision;
    block.shared.workload.optimizer = parse_optimizer(sweep.optimizer);
    return block;
  }

  std::vector<Chosen> layouts_of(const Block& block) const {
    return sweep.all_layouts ? every_layout(block) : listed_layouts(block);
  }

  std::vector<Chosen> every_layout(const Block& block) const {
    SearchSpace space;
    space.devices = block.place->devices;
    space.micro_batch_sizes = sweep.micro_batches;
    // Looked at by no layout: of a long list against a long list of batches nearly all.
    std::erase_if(space.micro_batch_sizes,
                  [&](uint32_t size) { return block.shared.workload.global_batch % size != 0; });
    if (space.micro_batch_sizes.empty()) return {};
    space.schedules = sweep.schedules;
    space.p2p = p2p.front();
    std::vector<Chosen> all;
    placed("layouts", sweep.line_of("layouts"), [&] {
      for (const Candidate& legal : legal_layouts(*block.model, block.shared.workload, space)) {
        all.push_back({legal.layout, legal.workload.micro_batch});
        for (size_t i = 1; i < p2p.size() && legal.layout.pp > 1; ++i) {
          all.push_back(all.back());
          all.back().layout.p2p = p2p[i];
        }
      }
    });
    return all;
  }

  std::vector<Chosen> listed_layouts(const Block& block) const {
    std::vector<Chosen> all;
    std::set<std::tuple<uint32_t, uint32_t, uint32_t, bool, PointToPoint>> seen;
    for (const Listed& each : listed) {
      Layout layout = each.layout;
      if (each.fills) layout.dp = std::max(1u, block.place->devices / (layout.tp * layout.pp));
      // Whether the layout says itself how stages send, or there are none that send.
      const bool is_settled = layout.p2p == PointToPoint::paired || layout.pp == 1;
      const std::vector<PointToPoint> own{layout.p2p};
      for (const PointToPoint way : is_settled ? own : p2p) {
        layout.p2p = way;
        // With a degree written out and one left out two texts can mean the same.
        if (!seen.insert({layout.tp, layout.pp, layout.dp, layout.sequence_parallel, way}).second) continue;
        for (const std::string& schedule : sweep.schedules) {
          layout.schedule = schedule;
          for (const uint32_t micro_batch : sweep.micro_batches) all.push_back({layout, micro_batch});
        }
      }
    }
    return all;
  }

  uint64_t tail_of(const Place& place) const {
    return uint64_t{place.clusters.size()} * sweep.networks.size() * sweep.disturbances.size();
  }

  /// Calls f(case) for each case of a group, before the filters of cases; `shared` has all that they share.
  template <class F>
  void for_cases(const Place& place, Case shared, const F& f) const {
    for (const Place::Where& where : place.clusters) {
      shared.cluster = where.cluster;
      shared.devices_per_node = where.devices_per_node;
      for (const std::string& network : sweep.networks) {
        shared.network = network;
        for (const Disturbance& disturbance : sweep.disturbances) {
          shared.disturbance = disturbance;
          f(shared);
        }
      }
    }
  }

  struct Asked {
    Filter filter;
    uint64_t asked = 0, kept = 0;  ///< cases
  };
  static bool passes(std::vector<Asked>& filters, const Case& c, uint64_t cases) {
    for (Asked& each : filters) {
      each.asked += cases;
      if (!each.filter.keeps(c)) return false;
      each.kept += cases;
    }
    return true;
  }

  /// Cases that the filters leave of a group; f(case) is called for each if there are filters of cases.
  template <class F>
  uint64_t kept_cases(const Block& block, const Case& shared, const F& f) {
    const uint64_t tail = tail_of(*block.place);
    if (!passes(group_filters, shared, tail)) return 0;
    if (case_filters.empty()) return tail;
    uint64_t kept = 0;
    for_cases(*block.place, shared, [&](const Case& c) {
      if (!passes(case_filters, c, 1)) return;
      ++kept;
      f(c);
    });
    return kept;
  }

  /// Calls f(chosen, cases) for every group of a block that the filters leave; returns the cases that they drop.
  template <class F>
  uint64_t for_groups(const Block& block, const F& f) {
    uint64_t dropped = 0;
    Case shared = block.shared;
    for (Chosen& chosen : layouts_of(block)) {
      shared.layout = chosen.layout;
      shared.workload.micro_batch = chosen.micro_batch;
      const uint64_t kept = kept_cases(block, shared, [](const Case&) {});
      dropped += tail_of(*block.place) - kept;
      if (kept > 0) f(chosen, kept);
    }
    return dropped;
  }

  void count(uint64_t most) {
    const uint64_t all_blocks = blocks();
    uint64_t groups_before = 0, model_before = 0;
    for (uint64_t b = 0; b < all_blocks; ++b) {
      if (b == 0 || groups - groups_before >= groups_of_page) {
        pages.push_back({b, groups, cases});
        groups_before = groups;
      }
      dropped += for_groups(block(b), [&](const Chosen&, uint64_t kept) {
        ++groups;
        cases += kept;
      });
      if (pages.size() == kMostPages) halve_pages();
      if (cases > most) refuse_number(most, b + 1);
      if ((b + 1) % (all_blocks / models.size()) != 0) continue;  // models change last
      if (cases == model_before) empty_models.push_back(sweep.models[b / (all_blocks / models.size())]);
      model_before = cases;
    }
    if (cases == 0) refuse_none();
  }

  void halve_pages() {
    for (size_t i = 0; 2 * i < pages.size(); ++i) pages[i] = pages[2 * i];
    pages.resize((pages.size() + 1) / 2);
    groups_of_page *= 2;
  }

  [[noreturn]] void refuse_number(uint64_t most, uint64_t blocks_counted) const {
    const bool is_all = blocks_counted == blocks();
    const double about =
        static_cast<double>(cases) / static_cast<double>(blocks_counted) * static_cast<double>(blocks());
    // The longest list is named. All layouts are as many as what the others leave of the cases.
    double of_all_layouts = about;
    std::string field, product;
    double greatest = 0;
    const std::vector<SweepList> lists = long_lists(sweep);
    for (const SweepList& list : lists) of_all_layouts /= static_cast<double>(std::max<uint64_t>(1, list.values));
    for (const SweepList& list : lists) {
      const double values = list.values ? static_cast<double>(list.values) : of_all_layouts;
      if (values > greatest) field = list.key, greatest = values;
      product += (product.empty() ? " (" : " x ") +
                 (list.values ? list.key + (" " + format_count(list.values)) : std::string("all layouts"));
    }
    throw InputError(
        sweep.path, sweep.line_of(field), field,
        (is_all ? format_count(cases) : "about " + format_count(static_cast<uint64_t>(std::min(about, kMostShown)))) +
            " cases" + product + (product.empty() ? "" : ")") + "; at most " + format_count(most) + " without --yes");
  }

  [[noreturn]] void refuse_none() const {
    for (const std::vector<Asked>* filters : {&group_filters, &case_filters}) {
      for (const Asked& each : *filters) {
        if (each.asked == 0 || each.kept > 0) continue;
        const bool is_alone = each.asked == dropped;
        throw InputError(sweep.path, each.filter.line(), "filters",
                         each.filter.shown() + " drops all " + format_count(each.asked) + " cases" +
                             (is_alone ? "" : " that other filters leave"));
      }
    }
    throw InputError(sweep.path, sweep.line_of("layouts"), "layouts",
                     "no layout is legal for any of the models, workloads and clusters; `pgram layouts` says why");
  }

  /// The groups of a page, in order.
  std::vector<Group> read_page(size_t index) {
    std::vector<Group> found;
    const uint64_t end = index + 1 < pages.size() ? pages[index + 1].first_block : blocks();
    uint64_t first = pages[index].first_case;
    for (uint64_t b = pages[index].first_block; b < end; ++b) {
      for_groups(block(b), [&](Chosen& chosen, uint64_t kept) {
        found.push_back({first, b, std::move(chosen)});
        first += kept;
      });
    }
    return found;
  }

  const std::vector<Group>& page(size_t index) {
    const auto found = std::find_if(at_hand.begin(), at_hand.end(), [&](const auto& p) { return p.first == index; });
    if (found != at_hand.end()) {
      at_hand.splice(at_hand.begin(), at_hand, found);
    } else {
      at_hand.emplace_front(index, read_page(index));
      if (at_hand.size() > kPagesAtHand) at_hand.pop_back();
    }
    return at_hand.front().second;
  }

  PlanGroup group(uint64_t index) {
    const std::lock_guard lock(mutex);
    const auto next = std::upper_bound(pages.begin(), pages.end(), index,
                                       [](uint64_t group, const Page& p) { return group < p.first_group; });
    const size_t of_page = static_cast<size_t>(next - pages.begin()) - 1;
    const Group& group = page(of_page)[index - pages[of_page].first_group];
    const Block in = block(group.block);
    Case shared = in.shared;
    shared.layout = group.chosen.layout;
    shared.workload.micro_batch = group.chosen.micro_batch;
    PlanGroup made;
    made.first = group.first;
    for_cases(*in.place, std::move(shared), [&](const Case& c) {
      if (!passes(case_filters, c, 1)) return;
      made.cases.push_back(c);
      made.cases.back().number = made.first + made.cases.size() - 1;
    });
    return made;
  }

  const Sweep sweep;
  std::vector<Listed> listed;
  std::vector<PointToPoint> p2p;
  std::vector<Model> models;
  std::vector<Place> places;
  std::vector<Asked> group_filters, case_filters;

  uint64_t cases = 0, groups = 0, dropped = 0, groups_of_page = kGroupsOfPage;
  std::vector<Page> pages;
  std::vector<std::string> empty_models;
  std::mutex mutex;                                          ///< of what follows, and of the filters
  std::list<std::pair<size_t, std::vector<Group>>> at_hand;  ///< pages, the last used first
};

Grid::Grid(const Sweep& sweep, uint64_t most) : impl_(std::make_unique<Impl>(sweep)) {
  impl_->count(most);
}
Grid::~Grid() = default;

uint64_t Grid::cases() const {
  return impl_->cases;
}
uint64_t Grid::groups() const {
  return impl_->groups;
}
uint64_t Grid::dropped() const {
  return impl_->dropped;
}
const std::vector<std::string>& Grid::models_without_cases() const {
  return impl_->empty_models;
}
PlanGroup Grid::group(uint64_t index) const {
  return impl_->group(index);
}

}  // namespace pgram::sweep
