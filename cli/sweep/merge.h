// Joining the results files of shards.
#pragma once
#include <string>
#include <vector>

namespace pgram::sweep {

struct MergeReport {
  uint64_t rows = 0;     ///< that `into` had not
  uint64_t missing = 0;  ///< cases of its sweeps that still have no row
};

/// All rows of `parts` into `into`, which is made if it is not there; all or, where it throws, none. InputError for
/// files of other sweeps or of other versions of the program, and for a case with different rows in two of them.
MergeReport merge_results(const std::string& into, const std::vector<std::string>& parts);

}  // namespace pgram::sweep
