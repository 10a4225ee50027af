#include "core/planner/channels.h"

#include <algorithm>

namespace pgram {

ChannelBuilder::ChannelBuilder(Plan& plan, BodyBuilder& bodies, int edge, PointToPoint p2p, size_t roles)
    : plan_(plan),
      bodies_(bodies),
      edge_(edge),
      paired_(p2p == PointToPoint::paired),
      first_body_(static_cast<int>(plan.bodies.size())),
      channels_(roles) {
  const size_t channels = roles < 2 ? 0 : 2 * (roles - 1);  // activations one way, gradients the other
  plan.comms.reserve(plan.comms.size() + channels);
  plan.bodies.reserve(plan.bodies.size() + 2 * channels);
}

Channel ChannelBuilder::channel(uint16_t source, uint16_t target, bool gradient) {
  Channel& ends = channels_[std::min(source, target)][(target > source ? 2 : 0) + (gradient ? 1 : 0)];
  if (ends.send >= 0) return ends;
  ends.comm = static_cast<uint16_t>(plan_.comms.size());
  Communicator& comm = plan_.comms.emplace_back();
  comm.name = (gradient ? "b" : "f") + std::to_string(source) + ">" + std::to_string(target);
  comm.axes = kPp;
  comm.directed = true;
  comm.source = source;
  comm.target = target;
  comm.stream = stream(target > source, gradient, false);
  const PlacedOp send = message(Kernel::send, ends.comm, Formal::x);
  const PlacedOp receive = message(Kernel::recv, ends.comm, Formal::x);
  ends.send = body("send " + comm.name, {&send, 1}, {ends.comm, kNoComm, 0});
  ends.receive = body("recv " + comm.name, {&receive, 1}, {kNoComm, ends.comm, 0});
  return ends;
}

int ChannelBuilder::exchange(const Channel& out, const Channel& in, int offset) {
  const auto [found, added] = exchanges_.try_emplace({out.comm, in.comm, offset}, -1);
  if (!added) return found->second;
  std::array<PlacedOp, 2> ops{message(Kernel::send, out.comm, Formal::x), message(Kernel::recv, in.comm, Formal::y)};
  ops[1].micro_batch_offset = offset;
  found->second = body("exchange " + plan_.comms[out.comm].name + " " + plan_.comms[in.comm].name, ops,
                       {out.comm, in.comm, offset});
  plan_.bodies[static_cast<size_t>(found->second)].grouped = true;
  return found->second;
}

int ChannelBuilder::next(int body) {
  const Traffic traffic = traffic_[static_cast<size_t>(body - first_body_)];
  if (traffic.in == kNoComm) return next_channel(traffic.out).send;
  if (traffic.out == kNoComm) return next_channel(traffic.in).receive;
  const Channel out = next_channel(traffic.out), in = next_channel(traffic.in);
  return exchange(out, in, traffic.offset);
}

Channel ChannelBuilder::next_channel(uint16_t comm) {
  const Communicator& same = plan_.comms[comm];
  return channel(same.source + 1, same.target + 1, same.name[0] == 'b');
}

Stream ChannelBuilder::stream(bool up, bool gradient, bool receives) const {
  return paired_ ? neighbour_stream(up) : channel_stream(up, gradient, receives);
}

PlacedOp ChannelBuilder::message(Kernel kernel, uint16_t channel, Formal buffer) const {
  const Communicator& comm = plan_.comms[channel];
  const bool receives = kernel == Kernel::recv, gradient = comm.name[0] == 'b';
  PlacedOp op;
  op.kernel = kernel;
  op.stream = stream((comm.target > comm.source) != receives, gradient, receives);
  op.comm = channel;
  op.bytes = plan_.records[edge_].fields[0].bytes();
  (receives ? op.writes : op.reads).push_back({buffer, 0, 1});
  return op;
}

int ChannelBuilder::body(const std::string& name, std::span<const PlacedOp> ops, Traffic traffic) {
  std::array<int, kFormals> records;
  records.fill(-1);
  for (Formal f : {Formal::x, Formal::y}) records[static_cast<int>(f)] = edge_;
  traffic_.push_back(traffic);
  return bodies_.add_body(name, Category::pipeline_comm, ops, records);
}

}  // namespace pgram
