// The file of a sweep (`pgram_sweep: 1`): models x clusters x layouts x workloads x disturbances, by lists and ranges,
// less what filters drop. docs/file-formats.md describes it.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cli/sweep/case.h"

namespace pgram::sweep {

struct Sweep {
  std::string path;
  std::string text;  ///< the whole file, kept with its results
  std::string name, description;
  std::vector<std::string> models, clusters;  ///< ranges are written out: "dgx-h100:8", "dgx-h100:16" ...
  bool all_layouts = false;                   ///< every legal one
  std::vector<std::string> layouts;           ///< else these, as parse_layout takes them
  std::vector<std::string> schedules{"1f1b"}, p2p{"channels"};
  std::vector<uint32_t> global_batches, micro_batches{1}, sequences;
  std::string precision, optimizer = "adamw";  ///< precision empty: bf16 on GPUs, fp32 on CPUs
  std::vector<Disturbance> disturbances{{}};
  std::vector<std::string> networks{"flow"};
  struct Filter {
    std::string expression;  ///< over the inputs of a case, in SQLite's words: "tp <= 8 and micro_batches <= 32"
    int line = 0;
  };
  std::vector<Filter> filters;  ///< a case stays if all are true
  /// Where in the file they are, for messages; a Sweep that comes from no file has none.
  struct Lines {
    std::vector<int> models, clusters;  ///< of each value
    std::map<std::string, int> lists;   ///< of each key's first value
  } lines;
  int line_of(const std::string& list) const;  ///< 0 where it is not known
};

/// A key of the file with several values: as many times more cases, less what is not legal or filtered.
struct SweepList {
  const char* key;
  uint64_t values = 0;  ///< 0: all layouts, however many that are
};
std::vector<SweepList> long_lists(const Sweep&);

/// InputError names file, line and field.
Sweep read_sweep(const std::string& path);
Sweep parse_sweep(const std::string& text, const std::string& path);

}  // namespace pgram::sweep
