#include "sim/topology_views.h"

#include <algorithm>

#include "core/base/errors.h"

namespace pgram::sim {

void DetourView::route(uint32_t from, uint32_t to, std::vector<uint32_t>& links) const {
  whole_->route(from, to, links);
  const auto is_down = [&](uint32_t link) { return std::ranges::binary_search(down_, link); };
  if (std::ranges::none_of(links, is_down) || whole_->route_around(from, to, down_, links)) return;
  throw InputError("link", "is down, and then device " + std::to_string(from) + " has no way to device " +
                               std::to_string(to) + "; leave another link up or make it slow instead");
}

}  // namespace pgram::sim
