// The folder `models/`: shapes, devices, nodes and clusters as data.
#pragma once
#include <string>
#include <vector>

namespace pgram {

/// Environment PGRAM_LIBRARY, else <prefix>/share/pgram/models beside the running program, else the source tree's
/// models/. Throws InputError when none exists.
std::string library_directory();

/// The candidate nearest to `name` by edit distance, for "did you mean"; empty when nothing is near.
std::string nearest_name(const std::string& name, const std::vector<std::string>& candidates);

}  // namespace pgram
