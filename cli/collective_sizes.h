// Sizes as people write them: "1K:8G" (doubling), "1K:8G:4" (times 4), "64K,1M,3M".
#pragma once
#include <string>
#include <vector>

#include "core/base/units.h"

namespace pgram::cli {

/// K, M, G, T (and KiB ...) are powers of 1,024. InputError for what is no size, for 0 and for rows that never end.
std::vector<Bytes> parse_sizes(const std::string& text);

constexpr size_t kMostSizes = 1000;
constexpr Bytes kLargestSize = Bytes{1} << 50;

}  // namespace pgram::cli
