// Channels between the roles of a pipeline, and the bodies of what is sent and received on them.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "core/layout/layout.h"
#include "core/planner/bodies.h"

namespace pgram {

/// A channel and the bodies of its two ends.
struct Channel {
  uint16_t comm = kNoComm;
  int send = -1, receive = -1;
};

/// Makes each when it is first asked for.
class ChannelBuilder {
 public:
  ChannelBuilder(Plan&, BodyBuilder&, int edge, PointToPoint, size_t roles);

  /// Between neighbours.
  Channel channel(uint16_t source, uint16_t target, bool gradient);
  /// The grouped body of a send and a receive of the micro-batch `offset` further on.
  int exchange(const Channel& out, const Channel& in, int offset);

  /// Whether the body is one of these.
  bool made(int body) const { return body >= first_body_; }
  /// The body that does the same between the roles after those of `body`.
  int next(int body);

 private:
  /// What a body moves.
  struct Traffic {
    uint16_t out = kNoComm, in = kNoComm;  ///< channels; a group has both
    int offset = 0;
  };

  Stream stream(bool up, bool gradient, bool receives) const;
  PlacedOp message(Kernel, uint16_t comm, Formal buffer) const;
  Channel next_channel(uint16_t comm);
  int body(const std::string& name, std::span<const PlacedOp>, Traffic);

  Plan& plan_;
  BodyBuilder& bodies_;
  int edge_;
  bool paired_;
  int first_body_;
  std::vector<std::array<Channel, 4>> channels_;  ///< by lower role: upwards or downwards, activations or gradients
  std::map<std::tuple<uint16_t, uint16_t, int>, int> exchanges_;
  std::vector<Traffic> traffic_;  ///< of each body
};

}  // namespace pgram
