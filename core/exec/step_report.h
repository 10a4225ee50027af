// StepReport: what each process of a run tells process 0 between two steps.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/units.h"
#include "core/timeline/timeline.h"

namespace pgram {

struct RankReport {
  uint32_t rank = 0;
  double loss = 0;  ///< its share; 0 where another rank says the same
  double gradient_norm = 0;
  Picoseconds end = 0;
};

struct StepReport {
  uint64_t next_step = 0;         ///< of the training run: processes that loaded different files differ
  uint8_t stop = 0;               ///< somebody asked this process to end the run
  std::vector<RankReport> ranks;  ///< of the finished step; empty before the first
  std::vector<Span> spans;

  std::string encode() const;
  /// RunError for bytes that are no report.
  static StepReport decode(const std::string&);
};

}  // namespace pgram
