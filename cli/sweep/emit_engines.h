// One function for each engine; `shards` and `out` of the Emission are set.
#pragma once
#include "cli/sweep/emit.h"

namespace pgram::sweep {

std::string emit_slurm(const Sweep&, const Emission&);
std::string emit_kubernetes(const Sweep&, const Emission&);
std::string emit_ray(const Sweep&, const Emission&);

}  // namespace pgram::sweep
