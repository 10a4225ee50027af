// Simulating groups of cases on all cores, whoever hands them out.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>

#include "cli/sweep/grid.h"
#include "cli/sweep/results.h"

namespace pgram::sweep {

/// Where groups come from and rows go to. All are called by several threads at once.
struct GroupWork {
  std::function<std::optional<uint64_t>()> next;                ///< a group; nothing: there is no more
  std::function<bool(uint64_t group, uint64_t number)> wanted;  ///< the case has no row yet
  std::function<void(Row)> put;
  std::function<void(uint64_t group)> finished;  ///< after its last row; never for a group that was stopped midway
};

/// 0: as many as this process may use.
unsigned threads_or_all(unsigned threads);

/// One Plan for each group; the cases of a large group are shared by the threads. What `work` throws ends it.
void run_groups(const Grid&, const GroupWork& work, unsigned threads, std::stop_token = {});

}  // namespace pgram::sweep
