// mpirun as the tests call it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace pgram::engines {

/// Empty if it can be run; else why not.
std::string why_no_mpirun();
/// As root, with more ranks than cores, on this machine alone.
std::vector<std::string> mpirun(uint32_t ranks, const std::vector<std::string>& command);

}  // namespace pgram::engines
