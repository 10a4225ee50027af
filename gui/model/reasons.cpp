#include "gui/model/reasons.h"

#include <algorithm>

namespace pgram::gui {

const StepGraph& Reasons::graph() {
  if (!graph_) graph_ = std::make_unique<StepGraph>(timeline_, step_);
  return *graph_;
}

std::optional<Idle> Reasons::at(uint32_t rank, Stream stream, Picoseconds time) {
  const auto [entry, is_new] = idle_.try_emplace(rank);
  if (is_new) entry->second = idle_of_rank(graph(), rank);
  const auto found = std::ranges::find_if(entry->second, [&](const Idle& idle) {
    return idle.stream == static_cast<uint8_t>(stream) && idle.start <= time && time < idle.end;
  });
  return found == entry->second.end() ? std::nullopt : std::optional(*found);
}

std::string Reasons::text(const Idle& idle) {
  return to_text(graph(), idle);
}

const CriticalPath& Reasons::path() {
  if (!path_) path_ = critical_path(graph());
  return *path_;
}

}  // namespace pgram::gui
