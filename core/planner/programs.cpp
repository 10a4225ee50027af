#include "core/planner/programs.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "core/planner/exchanges.h"

namespace pgram {
namespace {

/// One spare slot in the pools of received and sent edges: with none, a receive waits for the buffer of the one before
/// and the latency laws do not hold (docs/architecture.md, "Point-to-point").
constexpr size_t kSpareSlots = 1;

/// An argument before slots are given out.
struct Binding {
  int pool = -1;
  uint32_t slot = 0;
  int buffer = -1;  ///< >= 0: a buffer with a lifetime, slot assigned later
};

/// A channel and the bodies of its two ends.
struct Channel {
  uint16_t comm = kNoComm;
  int send = -1, receive = -1;
};

class ChannelBuilder {
 public:
  ChannelBuilder(Plan& plan, BodyBuilder& bodies, int edge, PointToPoint p2p)
      : plan_(plan), bodies_(bodies), edge_(edge), paired_(p2p == PointToPoint::paired) {}

  Channel channel(uint16_t source, uint16_t target, bool gradient) {
    Channel& ends = channels_[{source, target, gradient}];
    if (ends.send >= 0) return ends;
    Communicator comm;
    comm.name = (gradient ? "b" : "f") + std::to_string(source) + ">" + std::to_string(target);
    comm.axes = kPp;
    comm.directed = true;
    comm.source = source;
    comm.target = target;
    comm.stream = stream(target > source, gradient, false);
    ends.comm = static_cast<uint16_t>(plan_.comms.size());
    plan_.comms.push_back(comm);
    ends.send = body("send " + comm.name, {message(Kernel::send, ends, Formal::x)});
    ends.receive = body("recv " + comm.name, {message(Kernel::recv, ends, Formal::x)});
    return ends;
  }

  /// The grouped body of a send and a receive of the micro-batch `offset` further on.
  int exchange(const Channel& out, const Channel& in, int offset) {
    const auto [found, added] = exchanges_.try_emplace({out.comm, in.comm, offset}, -1);
    if (!added) return found->second;
    PlacedOp send = message(Kernel::send, out, Formal::x), receive = message(Kernel::recv, in, Formal::y);
    receive.micro_batch_offset = offset;
    found->second = body("exchange " + plan_.comms[out.comm].name + " " + plan_.comms[in.comm].name, {send, receive});
    plan_.bodies[static_cast<size_t>(found->second)].grouped = true;
    return found->second;
  }

 private:
  Stream stream(bool up, bool gradient, bool receives) const {
    return paired_ ? neighbour_stream(up) : channel_stream(up, gradient, receives);
  }

  PlacedOp message(Kernel kernel, const Channel& channel, Formal buffer) const {
    const Communicator& comm = plan_.comms[channel.comm];
    const bool receives = kernel == Kernel::recv, gradient = comm.name[0] == 'b';
    PlacedOp op;
    op.kernel = kernel;
    op.stream = stream((comm.target > comm.source) != receives, gradient, receives);
    op.comm = channel.comm;
    op.bytes = plan_.records[edge_].fields[0].bytes();
    (receives ? op.writes : op.reads).push_back({buffer, 0, 1});
    return op;
  }

  int body(const std::string& name, const std::vector<PlacedOp>& ops) {
    std::array<int, kFormals> records;
    records.fill(-1);
    for (Formal f : {Formal::x, Formal::y}) records[static_cast<int>(f)] = edge_;
    return bodies_.add_body(name, Category::pipeline_comm, ops, records);
  }

  Plan& plan_;
  BodyBuilder& bodies_;
  int edge_;
  bool paired_;
  std::map<std::tuple<uint16_t, uint16_t, bool>, Channel> channels_;
  std::map<std::tuple<uint16_t, uint16_t, int>, int> exchanges_;
};

class ProgramBuilder {
 public:
  ProgramBuilder(Plan& plan, BodyBuilder& bodies, ChannelBuilder& channels, const ProgramParts& parts, uint16_t role)
      : plan_(plan),
        bodies_(bodies),
        channels_(channels),
        parts_(parts),
        role_(role),
        blocks_(parts.stages[role]),
        stages_(static_cast<uint32_t>(parts.stages.size())) {
    inner_ = dynamic_pool(parts.edge);
    received_ = dynamic_pool(parts.edge, 1);
    sent_ = dynamic_pool(parts.edge, 2);
    if (parts.misc >= 0) misc_ = static_pool(parts.misc, 1);
    if (parts.io >= 0) io_ = dynamic_pool(parts.io);
    for (const StageBlock& stage_block : blocks_) {
      KindPools& pools = pools_[static_cast<int>(stage_block.kind)];
      const Block& block = parts.blocks[static_cast<int>(stage_block.kind)];
      const uint32_t slots = ++pools.slots;
      slot_of_.push_back(slots - 1);
      if (block.parameters >= 0) pools.parameters = static_pool(block.parameters, slots);
      if (block.gradients >= 0) pools.gradients = static_pool(block.gradients, slots);
      if (block.state >= 0) pools.state = static_pool(block.state, slots);
      if (block.saved >= 0 && slots == 1) pools.saved = dynamic_pool(block.saved);
    }
  }

  Program build(const ScheduleRow& row) {
    backwards_left_ = static_cast<uint32_t>(
        std::count_if(row.begin(), row.end(), [](const ScheduleOp& op) { return op.kind == SlotKind::B; }));
    if (parts_.zero_misc >= 0) prologue();
    for (size_t i = 0; i < row.size(); ++i) {
      const ScheduleOp& op = row[i];
      begin(op.kind, op.stage, op.micro_batch);
      if (i + 1 < row.size() && row[i + 1].joins) {
        exchange(op, row[++i]);
        continue;
      }
      switch (op.kind) {
        case SlotKind::F:
          forward(op.micro_batch);
          break;
        case SlotKind::B:
          backward(op.micro_batch);
          break;
        default:
          transfer(op);
          break;
      }
    }
    if (parts_.zero_misc >= 0) epilogue();
    give_out_slots();
    return std::move(program_);
  }

 private:
  struct KindPools {
    uint32_t slots = 0;
    int parameters = -1, gradients = -1, state = -1, saved = -1;
  };

  int add_pool(int record, uint32_t slots, int variant) {
    const auto [found, added] = pool_of_.try_emplace({record, variant}, static_cast<int>(program_.pools.size()));
    if (added) {
      program_.pools.push_back({static_cast<uint16_t>(record), 0});
    }
    Pool& pool = program_.pools[found->second];
    pool.slots = std::max(pool.slots, slots);
    return found->second;
  }
  int static_pool(int record, uint32_t slots) { return add_pool(record, slots, 0); }
  int dynamic_pool(int record, int variant = 0) { return add_pool(record, 0, variant); }

  // Buffers with a lifetime: per micro-batch an activation and a gradient on each edge between blocks, what each
  // block saved, and the tokens.
  uint32_t edges() const { return static_cast<uint32_t>(blocks_.size()) + 1; }
  int buffer(uint32_t micro_batch, uint32_t edge, int which) const {
    return static_cast<int>((micro_batch * edges() + edge) * 4 + which);
  }
  Binding edge(uint32_t micro_batch, uint32_t at, bool gradient) const {
    const bool from_previous = at == 0 && role_ > 0, to_next = at + 1 == edges() && role_ + 1u < stages_;
    const bool comes = gradient ? to_next : from_previous, goes = gradient ? from_previous : to_next;
    return {comes ? received_ : goes ? sent_ : inner_, 0, buffer(micro_batch, at, gradient)};
  }

  void begin(SlotKind kind, uint16_t stage, uint16_t micro_batch) {
    program_.slot_ops.push_back({kind, stage, micro_batch, static_cast<uint32_t>(program_.calls.size()), 0});
  }

  using Bindings = std::array<Binding, kFormals>;
  static Binding& at(Bindings& b, Formal f) { return b[static_cast<int>(f)]; }

  void call(int body, uint16_t layer, uint16_t micro_batch, const Bindings& bindings) {
    Call call;
    call.body = static_cast<uint16_t>(body);
    call.layer = layer;
    call.micro_batch = micro_batch;
    call.first_arg = static_cast<uint32_t>(bindings_.size());
    call.slot_op = static_cast<uint32_t>(program_.slot_ops.size()) - 1;
    bindings_.resize(bindings_.size() + plan_.bodies[body].formals.size());
    for (int f = 0; f < kFormals; ++f) {
      const int index = bodies_.formal_index(body, static_cast<Formal>(f));
      if (index >= 0) bindings_[call.first_arg + index] = bindings[f];
    }
    program_.calls.push_back(call);
    ++program_.slot_ops.back().num_calls;
  }

  void call_block(size_t j, int body, uint16_t micro_batch) {
    const StageBlock& stage_block = blocks_[j];
    const KindPools& pools = pools_[static_cast<int>(stage_block.kind)];
    const uint32_t slot = slot_of_[j], position = static_cast<uint32_t>(j);
    Bindings b;
    at(b, Formal::parameters) = {pools.parameters, slot, -1};
    at(b, Formal::gradients) = {pools.gradients, slot, -1};
    at(b, Formal::optimizer) = {pools.state, slot, -1};
    if (parts_.tied_here) {
      const KindPools& embedding = pools_[static_cast<int>(BlockKind::embedding)];
      at(b, Formal::tied_parameters) = {embedding.parameters, 0, -1};
      at(b, Formal::tied_gradients) = {embedding.gradients, 0, -1};
    }
    at(b, Formal::saved) = {pools.saved, 0, buffer(micro_batch, position, 2)};
    at(b, Formal::x) = edge(micro_batch, position, false);
    at(b, Formal::y) = edge(micro_batch, position + 1, false);
    at(b, Formal::dx) = edge(micro_batch, position, true);
    at(b, Formal::dy) = edge(micro_batch, position + 1, true);
    at(b, Formal::io) = {io_, 0, buffer(micro_batch, 0, 3)};
    at(b, Formal::misc) = {misc_, 0, -1};
    if (const int scratch = bodies_.scratch_record(body); scratch >= 0) {
      at(b, Formal::scratch) = {static_pool(scratch, 1), 0, -1};
    }
    call(body, stage_block.layer, micro_batch, b);
  }

  const Block& block(size_t j) const { return parts_.blocks[static_cast<int>(blocks_[j].kind)]; }

  void call_misc(int body) {
    if (body < 0) return;
    Bindings b;
    at(b, Formal::misc) = {misc_, 0, -1};
    call(body, 0, 0, b);
  }

  void prologue() {
    begin(SlotKind::prologue, role_, 0);
    for (size_t j = 0; j < blocks_.size(); ++j) {
      if (block(j).zero >= 0) call_block(j, block(j).zero, 0);
    }
    call_misc(parts_.zero_misc);
  }

  bool has_data() const { return role_ == 0 || role_ + 1u == stages_; }

  void forward(uint16_t micro_batch) {
    if (parts_.input >= 0 && has_data()) {
      Bindings b;
      at(b, Formal::io) = {io_, 0, buffer(micro_batch, 0, 3)};
      call(parts_.input, 0, micro_batch, b);
    }
    for (size_t j = 0; j < blocks_.size(); ++j) call_block(j, block(j).forward, micro_batch);
  }

  void backward(uint16_t micro_batch) {
    --backwards_left_;
    for (size_t j = blocks_.size(); j-- > 0;) {
      call_block(j, block(j).backward, micro_batch);
      // The last micro-batch completes the block's gradients: their bucket goes out while earlier blocks still compute.
      if (backwards_left_ == 0 && block(j).reduce >= 0) call_block(j, block(j).reduce, 0);
    }
  }

  /// What a send or receive is about: its channel, and the buffer at this stage's end.
  struct Transfer {
    Channel channel;
    bool sends = false;
    Binding buffer;
  };
  Transfer transfer_of(const ScheduleOp& op) {
    const bool gradient = op.kind == SlotKind::send_b || op.kind == SlotKind::recv_b;
    const bool sends = op.kind == SlotKind::send_f || op.kind == SlotKind::send_b;
    const uint16_t peer = static_cast<uint16_t>(sends != gradient ? role_ + 1 : role_ - 1);
    const uint32_t at_edge = sends != gradient ? edges() - 1 : 0;
    return {channels_.channel(sends ? role_ : peer, sends ? peer : role_, gradient), sends,
            edge(op.micro_batch, at_edge, gradient)};
  }

  void transfer(const ScheduleOp& op) {
    const Transfer t = transfer_of(op);
    Bindings b;
    at(b, Formal::x) = t.buffer;
    call(t.sends ? t.channel.send : t.channel.receive, op.stage, op.micro_batch, b);
  }

  void exchange(const ScheduleOp& send, const ScheduleOp& receive) {
    const Transfer out = transfer_of(send), in = transfer_of(receive);
    Bindings b;
    at(b, Formal::x) = out.buffer;
    at(b, Formal::y) = in.buffer;
    call(channels_.exchange(out.channel, in.channel, receive.micro_batch - send.micro_batch), send.stage,
         send.micro_batch, b);
    begin(receive.kind, receive.stage, receive.micro_batch);
  }

  void epilogue() {
    begin(SlotKind::gradients, role_, 0);
    if (parts_.reduce_tied >= 0 && has_data()) {
      const size_t j = role_ == 0 ? 0 : blocks_.size() - 1;
      const KindPools& pools = pools_[static_cast<int>(blocks_[j].kind)];
      Bindings b;
      at(b, Formal::gradients) = {pools.gradients, slot_of_[j], -1};
      call(role_ == 0 ? parts_.reduce_tied : parts_.reduce_tied + 1, 0, 0, b);
    }
    if (role_ + 1u == stages_) call_misc(parts_.reduce_loss);
    begin(SlotKind::optimizer, role_, 0);
    for (size_t j = 0; j < blocks_.size(); ++j) {
      if (block(j).sum_squares >= 0) call_block(j, block(j).sum_squares, 0);
    }
    call_misc(parts_.global_norm);
    for (size_t j = 0; j < blocks_.size(); ++j) {
      if (block(j).optimizer >= 0) call_block(j, block(j).optimizer, 0);
    }
  }

  /// First use takes a slot, last use gives it back, oldest free slot first; the peak is the pool's size.
  void give_out_slots() {
    const size_t buffers = size_t{parts_.micro_batches} * edges() * 4;
    std::vector<size_t> last_use(buffers, 0);
    for (size_t i = 0; i < bindings_.size(); ++i) {
      if (bindings_[i].buffer >= 0) last_use[bindings_[i].buffer] = i;
    }
    std::vector<int64_t> slot(buffers, -1);
    std::vector<std::vector<uint32_t>> free_slots(program_.pools.size());
    std::vector<size_t> head(program_.pools.size(), 0);
    program_.args.resize(bindings_.size());
    for (const Call& call : program_.calls) {
      const size_t n = plan_.bodies[call.body].formals.size();
      for (size_t i = call.first_arg; i < call.first_arg + n; ++i) {
        const Binding& b = bindings_[i];
        if (b.buffer < 0) {
          program_.args[i] = Arg(static_cast<uint32_t>(b.pool), b.slot);
          continue;
        }
        const bool first = slot[b.buffer] < 0;
        if (first) {
          const size_t spare = b.pool == received_ || b.pool == sent_ ? kSpareSlots : 0;
          std::vector<uint32_t>& available = free_slots[b.pool];
          slot[b.buffer] =
              available.size() - head[b.pool] > spare ? available[head[b.pool]++] : program_.pools[b.pool].slots++;
        }
        program_.args[i] =
            Arg(static_cast<uint32_t>(b.pool), static_cast<uint32_t>(slot[b.buffer]), first, last_use[b.buffer] == i);
      }
      for (size_t i = call.first_arg; i < call.first_arg + n; ++i) {
        if (program_.args[i].frees()) free_slots[program_.args[i].pool()].push_back(program_.args[i].slot());
      }
    }
  }

  Plan& plan_;
  BodyBuilder& bodies_;
  ChannelBuilder& channels_;
  const ProgramParts& parts_;
  uint16_t role_;
  const std::vector<StageBlock>& blocks_;
  uint32_t stages_;
  uint32_t backwards_left_ = 0;
  Program program_;
  std::vector<Binding> bindings_;
  std::map<std::pair<int, int>, int> pool_of_;
  std::array<KindPools, kBlockKinds> pools_;
  std::vector<uint32_t> slot_of_;  ///< per block of the stage: its slot in the pools of its kind
  int inner_ = -1, received_ = -1, sent_ = -1, misc_ = -1, io_ = -1;
};

}  // namespace

void build_programs(Plan& plan, BodyBuilder& bodies, const ProgramParts& parts, const Schedule& rows,
                    PointToPoint p2p) {
  ChannelBuilder channels(plan, bodies, parts.edge, p2p);
  Schedule lowered = add_send_recv(rows);
  if (p2p == PointToPoint::paired) lowered = pair_exchanges(lowered);
  for (uint16_t role = 0; role < lowered.size(); ++role) {
    plan.programs.push_back(ProgramBuilder(plan, bodies, channels, parts, role).build(lowered[role]));
  }
}

}  // namespace pgram
