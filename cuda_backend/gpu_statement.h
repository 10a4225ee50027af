// GpuStatement: what one process says of its GPUs to the others before a run.
#pragma once
#include <string>
#include <vector>

namespace pgram {

struct GpuStatement {
  std::string refusal;                     ///< why this process cannot run its ranks; empty if it can
  std::vector<std::string> names, places;  ///< of each GPU: its kind, and its host and bus address

  std::string to_text() const;  ///< a line each
  static GpuStatement from_text(const std::string&);
};

/// Why the processes' GPUs do not go together; empty if they do. The first refusal counts for all.
std::string refusal_of(const std::vector<GpuStatement>&, bool share_gpu);

}  // namespace pgram
