// A filter of a sweep: an expression in SQLite's words over the inputs of a case.
#pragma once
#include <memory>
#include <string>

#include "cli/sweep/case.h"
#include "cli/sweep/sweep_file.h"

namespace pgram::sweep {

/// Not thread-safe.
class Filter {
 public:
  /// InputError with file and line for what is no expression over the inputs.
  Filter(std::string file, const Sweep::Filter&);
  Filter(Filter&&) noexcept;
  ~Filter();

  /// It asks for nothing that differs between the cases of a PlanGroup (cluster, network, disturbance).
  bool is_of_group() const;
  /// InputError where the expression cannot be computed for this case.
  bool keeps(const Case&);
  int line() const;
  std::string shown() const;  ///< in quotes, for messages: not long, and on one line

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgram::sweep
