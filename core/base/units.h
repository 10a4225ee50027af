// Units as they appear in types, names and printed text.
#pragma once
#include <cstdint>
#include <string>

namespace pgram {

using Picoseconds = int64_t;  ///< simulated and measured time; 2^63 ps are 106 days
using Bytes = uint64_t;
using Seconds = double;

constexpr double kPicosecondsPerSecond = 1e12;
constexpr Picoseconds to_picoseconds(Seconds s) {
  return static_cast<Picoseconds>(s * kPicosecondsPerSecond + 0.5);
}
constexpr Seconds to_seconds(Picoseconds t) {
  return static_cast<double>(t) / kPicosecondsPerSecond;
}

std::string format_bytes(Bytes);       ///< "512 B", "1.50 KiB", "54.0 GiB": three significant digits, binary units
std::string format_time(Picoseconds);  ///< "12.3 us", "279 ms", "24.4 s"
std::string format_count(uint64_t);    ///< thousands separated by commas: "8,030,261,248"

}  // namespace pgram
