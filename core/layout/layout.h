// Layout: how a model is split over ranks. A small value: equality, text form "tp4.pp2.dp2.sp.paired".
#pragma once
#include <array>
#include <compare>
#include <cstdint>
#include <string>

namespace pgram {

/// Dimensions of the rank grid (an *axis* is never a tensor's *dim*).
enum class Axis : uint8_t { tp, dp, pp };
constexpr int kAxes = 3;
const char* name_of(Axis);

/// How the stages of a pipeline send and receive.
enum class PointToPoint : uint8_t {
  channels,  ///< each end of a channel is a stream of its own, in each direction of data
  paired,    ///< both directions of an exchange with a neighbour in one group call on one stream, as Megatron
};
const char* name_of(PointToPoint);
/// InputError for anything but channels and paired.
PointToPoint parse_point_to_point(const std::string& text);

struct Layout {
  uint32_t tp = 1, pp = 1, dp = 1;
  bool sequence_parallel = false;  ///< ".sp": activations outside the matrix products are split over tp by tokens
  std::string schedule = "1f1b";   ///< gpipe, 1f1b, or the path of a file of rows
  PointToPoint p2p = PointToPoint::channels;  ///< ".paired"
  /// Fastest-varying axis first: rank = sum of coordinate * stride. Megatron's order.
  std::array<Axis, kAxes> order{Axis::tp, Axis::dp, Axis::pp};

  uint64_t ranks() const { return uint64_t{tp} * pp * dp; }
  bool operator==(const Layout&) const = default;
};

/// "tp4.pp2.dp2.sp": degrees in any order, missing ones are 1. InputError names the part that is wrong.
Layout parse_layout(const std::string& text);
std::string to_text(const Layout&);  ///< canonical: degrees of 1 left out, "tp1" if all are

}  // namespace pgram
