#include "core/planner/programs.h"

#include <algorithm>
#include <array>

#include "core/planner/channels.h"
#include "core/planner/exchanges.h"

namespace pgram {
namespace {

/// One spare slot in the pools of received and sent edges: with none, a receive waits for the buffer of the one before
/// and the latency laws do not hold (docs/architecture.md, "Point-to-point").
constexpr size_t kSpareSlots = 1;

/// Where a formal of a block's bodies is: a slot, or a buffer with a lifetime, whose slot is given out later.
struct Place {
  int pool = -1;
  uint32_t slot = 0;
  int buffer = -1;  ///< of micro-batch 0
};
using Places = std::array<Place, kFormals>;

Place& at(Places& places, Formal f) {
  return places[static_cast<int>(f)];
}

/// What the builders of all roles use one after another.
struct Workspace {
  struct Use {
    uint32_t call = 0, arg = 0, buffer = 0;
  };
  struct Buffer {
    uint32_t last_use = 0, slot = 0;
    bool has_slot = false;
  };
  struct FreeSlots {
    std::vector<uint32_t> slots;  ///< oldest first
    size_t taken = 0;
  };
  std::vector<Use> uses;  ///< of buffers with a lifetime
  std::vector<Buffer> buffers;
  std::vector<FreeSlots> free;  ///< by pool
  std::vector<int> pool_of;     ///< by variant and record
};

class ProgramBuilder {
 public:
  ProgramBuilder(Plan& plan, BodyBuilder& bodies, ChannelBuilder& channels, const ProgramParts& parts, uint16_t role,
                 Workspace& workspace)
      : plan_(plan),
        bodies_(bodies),
        channels_(channels),
        parts_(parts),
        work_(workspace),
        role_(role),
        blocks_(parts.stages[role]),
        stages_(static_cast<uint32_t>(parts.stages.size())) {
    work_.uses.clear();
    work_.pool_of.assign(kVariants * plan.records.size(), -1);
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
    for (uint32_t j = 0; j < blocks_.size(); ++j) places_.push_back(places_of(j));
  }

  Program build(const ScheduleRow& row) {
    reserve(row);
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
  /// Counts backwards, and makes room for what is to come, or a little more.
  void reserve(const ScheduleRow& row) {
    constexpr size_t kCallsAround = 5, kArgs = 5;  // zero, reduce, norm, optimizer, input or the like; of most calls
    size_t calls = kCallsAround * (blocks_.size() + 1);
    for (const ScheduleOp& op : row) {
      const bool computes = op.kind == SlotKind::F || op.kind == SlotKind::B;
      calls += computes ? blocks_.size() : 1;
      backwards_left_ += op.kind == SlotKind::B;
    }
    program_.calls.reserve(calls);
    program_.args.reserve(calls * kArgs);
    program_.slot_ops.reserve(row.size() + 3);  // prologue, gradients, optimizer
  }

  struct KindPools {
    uint32_t slots = 0;
    int parameters = -1, gradients = -1, state = -1, saved = -1;
  };

  int add_pool(int record, uint32_t slots, uint32_t variant) {
    int& index = work_.pool_of[variant * plan_.records.size() + static_cast<size_t>(record)];
    if (index < 0) {
      index = static_cast<int>(program_.pools.size());
      program_.pools.push_back({static_cast<uint16_t>(record), 0});
    }
    Pool& pool = program_.pools[index];
    pool.slots = std::max(pool.slots, slots);
    return index;
  }
  int static_pool(int record, uint32_t slots) { return add_pool(record, slots, 0); }
  int dynamic_pool(int record, uint32_t variant = 0) { return add_pool(record, 0, variant); }

  // Buffers with a lifetime: per micro-batch an activation and a gradient on each edge between blocks, what each
  // block saved, and the tokens.
  uint32_t edges() const { return static_cast<uint32_t>(blocks_.size()) + 1; }
  uint32_t buffers_each() const { return edges() * 4; }  ///< of a micro-batch
  static int buffer(uint32_t edge, int which) { return static_cast<int>(edge * 4) + which; }
  Place edge(uint32_t at, bool gradient) const {
    const bool from_previous = at == 0 && role_ > 0, to_next = at + 1 == edges() && role_ + 1u < stages_;
    const bool comes = gradient ? to_next : from_previous, goes = gradient ? from_previous : to_next;
    return {comes ? received_ : goes ? sent_ : inner_, 0, buffer(at, gradient)};
  }
  Place misc_place() const { return {misc_, 0, -1}; }
  Place io_place() const { return {io_, 0, buffer(0, 3)}; }

  Places places_of(uint32_t j) const {
    const KindPools& pools = pools_[static_cast<int>(blocks_[j].kind)];
    const uint32_t slot = slot_of_[j];
    Places p;
    at(p, Formal::parameters) = {pools.parameters, slot, -1};
    at(p, Formal::gradients) = {pools.gradients, slot, -1};
    at(p, Formal::optimizer) = {pools.state, slot, -1};
    if (parts_.tied_here) {
      const KindPools& embedding = pools_[static_cast<int>(BlockKind::embedding)];
      at(p, Formal::tied_parameters) = {embedding.parameters, 0, -1};
      at(p, Formal::tied_gradients) = {embedding.gradients, 0, -1};
    }
    at(p, Formal::saved) = {pools.saved, 0, buffer(j, 2)};
    at(p, Formal::x) = edge(j, false);
    at(p, Formal::y) = edge(j + 1, false);
    at(p, Formal::dx) = edge(j, true);
    at(p, Formal::dy) = edge(j + 1, true);
    at(p, Formal::io) = io_place();
    at(p, Formal::misc) = misc_place();
    return p;
  }

  void begin(SlotKind kind, uint16_t stage, uint16_t micro_batch) {
    program_.slot_ops.push_back({kind, stage, micro_batch, static_cast<uint32_t>(program_.calls.size()), 0});
  }

  /// `place_of`: where a formal is.
  template <class PlaceOf>
  void call(int body, uint16_t layer, uint16_t micro_batch, uint32_t first_buffer, PlaceOf&& place_of) {
    const uint32_t index = static_cast<uint32_t>(program_.calls.size());
    Call& call = program_.calls.emplace_back();
    call.body = static_cast<uint16_t>(body);
    call.layer = layer;
    call.micro_batch = micro_batch;
    call.first_arg = static_cast<uint32_t>(program_.args.size());
    call.slot_op = static_cast<uint32_t>(program_.slot_ops.size()) - 1;
    ++program_.slot_ops.back().num_calls;
    for (const Formal f : bodies_.formals(body)) {
      const Place& place = place_of(f);
      if (place.buffer >= 0) {
        const uint32_t arg = static_cast<uint32_t>(program_.args.size());
        work_.uses.push_back({index, arg, first_buffer + static_cast<uint32_t>(place.buffer)});
      }
      program_.args.emplace_back(static_cast<uint32_t>(place.pool), place.slot);
    }
  }

  /// Of a body with one formal.
  void call_with(int body, uint16_t layer, uint16_t micro_batch, const Place& place) {
    call(body, layer, micro_batch, micro_batch * buffers_each(), [&](Formal) -> const Place& { return place; });
  }

  void call_block(size_t j, int body, uint16_t micro_batch) {
    Places& places = places_[j];
    if (const int scratch = bodies_.scratch_record(body); scratch >= 0)
      at(places, Formal::scratch) = {static_pool(scratch, 1), 0, -1};
    call(body, blocks_[j].layer, micro_batch, micro_batch * buffers_each(),
         [&](Formal f) -> const Place& { return at(places, f); });
  }

  const Block& block(size_t j) const { return parts_.blocks[static_cast<int>(blocks_[j].kind)]; }

  void call_misc(int body) {
    if (body >= 0) call_with(body, 0, 0, misc_place());
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
    if (parts_.input >= 0 && has_data()) call_with(parts_.input, 0, micro_batch, io_place());
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
    Place place;
  };
  Transfer transfer_of(const ScheduleOp& op) {
    const bool gradient = op.kind == SlotKind::send_b || op.kind == SlotKind::recv_b;
    const bool sends = op.kind == SlotKind::send_f || op.kind == SlotKind::send_b;
    const uint16_t peer = static_cast<uint16_t>(sends != gradient ? role_ + 1 : role_ - 1);
    const uint32_t at_edge = sends != gradient ? edges() - 1 : 0;
    return {channels_.channel(sends ? role_ : peer, sends ? peer : role_, gradient), sends, edge(at_edge, gradient)};
  }

  void transfer(const ScheduleOp& op) {
    const Transfer t = transfer_of(op);
    call_with(t.sends ? t.channel.send : t.channel.receive, op.stage, op.micro_batch, t.place);
  }

  void exchange(const ScheduleOp& send, const ScheduleOp& receive) {
    Transfer out = transfer_of(send), in = transfer_of(receive);
    out.place.buffer += static_cast<int>(send.micro_batch * buffers_each());
    in.place.buffer += static_cast<int>(receive.micro_batch * buffers_each());
    call(channels_.exchange(out.channel, in.channel, receive.micro_batch - send.micro_batch), send.stage,
         send.micro_batch, 0, [&](Formal f) -> const Place& { return f == Formal::x ? out.place : in.place; });
    begin(receive.kind, receive.stage, receive.micro_batch);
  }

  void epilogue() {
    begin(SlotKind::gradients, role_, 0);
    if (parts_.reduce_tied >= 0 && has_data()) {
      const size_t j = role_ == 0 ? 0 : blocks_.size() - 1;
      call_with(role_ == 0 ? parts_.reduce_tied : parts_.reduce_tied + 1, 0, 0, at(places_[j], Formal::gradients));
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
    const std::vector<Workspace::Use>& uses = work_.uses;
    work_.buffers.assign(size_t{parts_.micro_batches} * buffers_each(), {});
    Workspace::Buffer* const buffers = work_.buffers.data();
    Arg* const args = program_.args.data();
    for (uint32_t i = 0; i < uses.size(); ++i) buffers[uses[i].buffer].last_use = i;
    work_.free.resize(std::max(work_.free.size(), program_.pools.size()));
    for (Workspace::FreeSlots& free : work_.free) free.slots.clear(), free.taken = 0;
    for (uint32_t first = 0, end = 0; first < uses.size(); first = end) {
      bool frees = false;
      for (; end < uses.size() && uses[end].call == uses[first].call; ++end) {
        Workspace::Buffer& buffer = buffers[uses[end].buffer];
        const uint32_t pool = args[uses[end].arg].pool();
        const bool is_first = !buffer.has_slot, is_last = buffer.last_use == end;
        if (is_first) buffer.slot = take_slot(pool), buffer.has_slot = true;
        args[uses[end].arg] = Arg(pool, buffer.slot, is_first, is_last);
        frees |= is_last;
      }
      for (uint32_t i = first; frees && i < end; ++i) {
        const Arg arg = args[uses[i].arg];
        if (arg.frees()) work_.free[arg.pool()].slots.push_back(arg.slot());
      }
    }
  }

  uint32_t take_slot(uint32_t pool) {
    const bool is_remote = static_cast<int>(pool) == received_ || static_cast<int>(pool) == sent_;
    Workspace::FreeSlots& free = work_.free[pool];
    const bool has_free = free.slots.size() - free.taken > (is_remote ? kSpareSlots : 0);
    return has_free ? free.slots[free.taken++] : program_.pools[pool].slots++;
  }

  static constexpr size_t kVariants = 3;  // of the pool of edges: between blocks, received, sent

  Plan& plan_;
  BodyBuilder& bodies_;
  ChannelBuilder& channels_;
  const ProgramParts& parts_;
  Workspace& work_;
  uint16_t role_;
  const std::vector<StageBlock>& blocks_;
  uint32_t stages_;
  uint32_t backwards_left_ = 0;
  Program program_;
  std::array<KindPools, kBlockKinds> pools_;
  std::vector<uint32_t> slot_of_;  ///< per block of the stage: its slot in the pools of its kind
  std::vector<Places> places_;     ///< per block of the stage
  int inner_ = -1, received_ = -1, sent_ = -1, misc_ = -1, io_ = -1;
};

/// Whether two neighbours do the same, each to its own layers and neighbours.
bool are_alike(const ProgramParts& parts, const Schedule& rows, uint16_t role, uint16_t next) {
  if (role == 0 || next + 1u == rows.size()) return false;  // the ends have data, and a neighbour less
  const auto same_block = [&](const StageBlock& a, const StageBlock& b) {
    return a.kind == b.kind && b.layer - a.layer == parts.stages[next][0].layer - parts.stages[role][0].layer;
  };
  const auto same_op = [](const ScheduleOp& a, const ScheduleOp& b) {
    return a.kind == b.kind && a.micro_batch == b.micro_batch && a.joins == b.joins;
  };
  return std::ranges::equal(parts.stages[role], parts.stages[next], same_block) &&
         std::ranges::equal(rows[role], rows[next], same_op);
}

/// The program of the next role, which is alike.
Program next_program(const Plan& plan, const ProgramParts& parts, ChannelBuilder& channels, uint16_t role) {
  Program program = plan.programs[role];
  const int layers = parts.stages[role + 1u][0].layer - parts.stages[role][0].layer;
  std::vector<std::pair<uint16_t, uint16_t>> bodies;  // of channels: this role's and the next one's
  for (Call& call : program.calls) {
    if (!channels.made(call.body)) {
      const bool is_of_layer = call.body != parts.zero_misc && call.body != parts.global_norm;
      if (is_of_layer) call.layer = static_cast<uint16_t>(call.layer + layers);
      continue;
    }
    auto found = std::ranges::find(bodies, call.body, &std::pair<uint16_t, uint16_t>::first);
    if (found == bodies.end())
      found = bodies.insert(found, {call.body, static_cast<uint16_t>(channels.next(call.body))});
    call.body = found->second;
    ++call.layer;
  }
  for (SlotOp& slot : program.slot_ops) ++slot.stage;
  return program;
}

}  // namespace

void build_programs(Plan& plan, BodyBuilder& bodies, const ProgramParts& parts, const Schedule& rows,
                    PointToPoint p2p) {
  ChannelBuilder channels(plan, bodies, parts.edge, p2p, rows.size());
  Schedule lowered = add_send_recv(rows);
  if (p2p == PointToPoint::paired) lowered = pair_exchanges(lowered);
  Workspace workspace;
  plan.programs.reserve(lowered.size());
  for (uint16_t role = 0; role < lowered.size(); ++role) {
    const uint16_t before = static_cast<uint16_t>(role - 1);
    plan.programs.push_back(role > 0 && are_alike(parts, lowered, before, role)
                                ? next_program(plan, parts, channels, before)
                                : ProgramBuilder(plan, bodies, channels, parts, role, workspace).build(lowered[role]));
  }
}

}  // namespace pgram
