// Reasons: why the streams of a shown step are idle, and its critical path; made when first asked for.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/timeline/critical_path.h"
#include "core/timeline/idle.h"

namespace pgram::gui {

class Reasons {
 public:
  /// The timeline must outlive it.
  Reasons(const Timeline& timeline, size_t step) : timeline_(timeline), step_(step) {}

  /// What a stream waits for at a time of the timeline's clock; nothing where it is busy.
  std::optional<Idle> at(uint32_t rank, Stream, Picoseconds time);
  std::string text(const Idle&);
  const CriticalPath& path();

 private:
  const StepGraph& graph();

  const Timeline& timeline_;
  size_t step_;
  std::unique_ptr<StepGraph> graph_;
  std::map<uint32_t, std::vector<Idle>> idle_;  ///< by rank
  std::optional<CriticalPath> path_;
};

}  // namespace pgram::gui
