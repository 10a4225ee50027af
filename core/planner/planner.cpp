#include "core/planner/planner.h"

#include <algorithm>
#include <cstdio>

#include "core/base/errors.h"
#include "core/plan/link.h"
#include "core/planner/blocks.h"
#include "core/planner/bodies.h"
#include "core/planner/programs.h"

namespace pgram {
namespace {

/// Fields of the record `misc`, in order.
enum MiscField : uint16_t { kSumSquares, kLoss, kScale, kNorm };

Mesh make_mesh(const Layout& layout) {
  Mesh mesh;
  mesh.size = {layout.tp, layout.dp, layout.pp};
  for (int i = 0; i < kMeshAxes; ++i) mesh.order[i] = static_cast<uint8_t>(layout.order[i]);
  return mesh;
}

void add_fixed_comms(Plan& plan) {
  const auto add = [&](const char* name, AxisMask axes, Stream stream) {
    Communicator comm;
    comm.name = name;
    comm.axes = axes;
    comm.stream = stream;
    plan.comms.push_back(comm);
  };
  add("tp", kTp, Stream::tensor);
  add("dp", kDp, Stream::data);
  add("model", kTp | kPp, Stream::misc);
}

Field scalar(const std::string& name) {
  Field field;
  field.name = name;
  return field;
}

class Lowering {
 public:
  Lowering(const Model& model, const Layout& layout, const Workload& work)
      : model_(model),
        layout_(layout),
        work_(work),
        context_{model, layout, work, LocalShape(model, layout, work)},
        bodies_(plan_) {
    plan_.mesh = make_mesh(layout);
    add_fixed_comms(plan_);
  }

  Plan lower() {
    add_shared_records();
    std::array<int, kFormals> shared;
    shared.fill(-1);
    const auto set = [&](Formal f, int record) { shared[static_cast<int>(f)] = record; };
    for (Formal f : {Formal::x, Formal::y, Formal::dx, Formal::dy}) set(f, parts_.edge);
    set(Formal::io, parts_.io);
    set(Formal::misc, parts_.misc);
    parts_.tied_here = model_.tied_embeddings && layout_.pp == 1;
    const bool master = work_.precision == Precision::bf16, moments = work_.optimizer == Optimizer::adamw;
    const auto add = [&](BlockKind kind, const char* name, const Tape& tape) -> Block& {
      Block& block = parts_.blocks[static_cast<int>(kind)];
      block = bodies_.add_block(name, tape, shared, master, moments);
      return block;
    };
    Block& embedding = add(BlockKind::embedding, "embedding", embedding_tape(context_));
    if (parts_.tied_here) {
      set(Formal::tied_parameters, embedding.parameters);
      set(Formal::tied_gradients, embedding.gradients);
    }
    add(BlockKind::layer, "layer", layer_tape(context_));
    add(BlockKind::head, "head", head_tape(context_, parts_.tied_here));
    if (model_.tied_embeddings && !parts_.tied_here) add_tied_reduction();
    for (Block& block : parts_.blocks) add_tail_bodies(block);
    add_step_bodies();
    place_stages();
    parts_.micro_batches = micro_batches(layout_, work_);
    build_programs(plan_, bodies_, parts_, find_schedule(layout_.schedule, layout_.pp, parts_.micro_batches),
                   layout_.p2p);
    add_facts();
    return std::move(plan_);
  }

 private:
  void add_shared_records() {
    const LocalShape& s = context_.shape;
    Field edge;
    edge.name = "activation";
    edge.dtype = s.activation;
    edge.num_dims = 2;
    edge.dims = {s.tokens_outside, s.hidden};
    parts_.edge = bodies_.add_record("edge", RecordKind::edge, {edge});
    Field tokens = scalar("tokens"), targets = scalar("targets");
    tokens.dtype = targets.dtype = DType::i32;
    tokens.dims[0] = targets.dims[0] = s.tokens;
    parts_.io = bodies_.add_record("io", RecordKind::input, {tokens, targets});
    std::vector<Field> misc{scalar("sumsq"), scalar("loss"), scalar("scale"), scalar("norm")};
    misc[kLoss].joined = true;  // zeroed together with the sum of squares
    parts_.misc = bodies_.add_record("misc", RecordKind::misc, misc);
  }

  int small_body(const std::string& name, Category category, std::vector<PlacedOp> ops,
                 std::vector<std::pair<Formal, int>> records) {
    std::array<int, kFormals> by_formal;
    by_formal.fill(-1);
    for (const auto& [formal, record] : records) by_formal[static_cast<int>(formal)] = record;
    return bodies_.add_body(name, category, ops, by_formal);
  }

  static PlacedOp op(Kernel kernel, std::vector<Placed> writes, std::vector<Placed> reads, uint8_t read_writes,
                     uint64_t flops, uint64_t bytes) {
    PlacedOp o;
    o.kernel = kernel;
    o.writes = std::move(writes);
    o.reads = std::move(reads);
    o.read_writes = read_writes;
    o.flops = flops;
    o.bytes = bytes;
    return o;
  }

  static PlacedOp all_reduce(Placed what, uint16_t comm, Stream stream, uint64_t bytes) {
    PlacedOp o = op(Kernel::all_reduce, {what}, {}, 1, 0, bytes);
    o.comm = comm;
    o.stream = stream;
    return o;
  }

  /// Embedding and head on different roles hold copies of one matrix; the sum of both gradients makes them agree.
  void add_tied_reduction() {
    Communicator comm;
    comm.name = "tied";
    comm.axes = kPp;
    comm.roles = {0, static_cast<uint16_t>(layout_.pp - 1)};
    comm.stream = Stream::misc;
    const uint16_t index = static_cast<uint16_t>(plan_.comms.size());
    plan_.comms.push_back(comm);
    for (BlockKind kind : {BlockKind::embedding, BlockKind::head}) {
      const Block& block = parts_.blocks[static_cast<int>(kind)];
      Record& gradients = plan_.records[block.gradients];
      uint16_t field = 0;
      while (gradients.fields[field].name != "wte") ++field;
      gradients.fields[field].partial_axes |= kPp;
      const uint64_t bytes = gradients.fields[field].bytes();
      const int body = small_body(block.name + ".tied", Category::other,
                                  {all_reduce({Formal::gradients, field, 1}, index, Stream::misc, bytes)},
                                  {{Formal::gradients, block.gradients}});
      if (parts_.reduce_tied < 0) parts_.reduce_tied = body;
    }
  }

  void add_tail_bodies(Block& block) {
    if (block.parameters < 0) return;
    const Record &weights = plan_.records[block.parameters], &gradients = plan_.records[block.gradients];
    const uint64_t state_bytes = block.state < 0 ? 0 : plan_.records[block.state].bytes;
    const uint64_t weight_bytes = weights.bytes, gradient_bytes = gradients.bytes, count = gradient_bytes / 4;
    const Placed all_gradients{Formal::gradients, kWhole, 1}, all_weights{Formal::parameters, kWhole, 1};

    // Before the data-parallel bucket, so that the tensor stream never waits for it.
    std::vector<PlacedOp> reduce;
    for (uint16_t first = 0; first < gradients.fields.size();) {
      uint16_t end = first;
      uint64_t bytes = 0;
      while (end < gradients.fields.size() && (gradients.fields[end].partial_axes & kTp) &&
             (end == first || gradients.fields[end].joined)) {
        bytes += gradients.fields[end++].bytes();
      }
      if (end > first) {
        reduce.push_back(
            all_reduce({Formal::gradients, first, static_cast<uint8_t>(end - first)}, kCommTp, Stream::tensor, bytes));
      }
      first = std::max<uint16_t>(end, first + 1);
    }
    if (layout_.dp > 1) reduce.push_back(all_reduce(all_gradients, kCommDp, Stream::data, gradient_bytes));

    block.zero =
        small_body(block.name + ".zero", Category::other, {op(Kernel::zero, {all_gradients}, {}, 0, 0, gradient_bytes)},
                   {{Formal::gradients, block.gradients}});
    if (!reduce.empty()) {
      block.reduce =
          small_body(block.name + ".reduce", Category::data_comm, reduce, {{Formal::gradients, block.gradients}});
    }
    block.sum_squares = small_body(
        block.name + ".norm", Category::optimizer,
        {op(Kernel::sum_squares, {{Formal::misc, kSumSquares, 1}}, {all_gradients}, 1, 2 * count, gradient_bytes)},
        {{Formal::misc, parts_.misc}, {Formal::gradients, block.gradients}});
    std::vector<Placed> writes{all_weights};
    if (block.state >= 0) writes.push_back({Formal::optimizer, kWhole, 1});
    const Kernel kernel = work_.optimizer == Optimizer::adamw ? Kernel::adamw : Kernel::sgd;
    block.optimizer = small_body(
        block.name + "." + name_of(work_.optimizer), Category::optimizer,
        {op(kernel, writes, {all_gradients, {Formal::misc, kScale, 1}}, block.state >= 0 ? 3 : 1,
            (kernel == Kernel::adamw ? 12 : 2) * count, 2 * weight_bytes + 2 * state_bytes + gradient_bytes)},
        {{Formal::parameters, block.parameters},
         {Formal::optimizer, block.state},
         {Formal::gradients, block.gradients},
         {Formal::misc, parts_.misc}});
  }

  void add_step_bodies() {
    const std::vector<std::pair<Formal, int>> misc{{Formal::misc, parts_.misc}};
    parts_.zero_misc =
        small_body("zero", Category::other, {op(Kernel::zero, {{Formal::misc, kSumSquares, 2}}, {}, 0, 0, 8)}, misc);
    const uint64_t io_bytes = plan_.records[parts_.io].bytes;
    PlacedOp input = op(Kernel::input, {{Formal::io, 0, 1}, {Formal::io, 1, 1}}, {}, 0, 0, io_bytes);
    input.attributes.sequence = work_.sequence;
    parts_.input = small_body("input", Category::other, {input}, {{Formal::io, parts_.io}});
    if (layout_.dp > 1) {
      parts_.reduce_loss =
          small_body("loss", Category::other, {all_reduce({Formal::misc, kLoss, 1}, kCommDp, Stream::data, 4)}, misc);
    }
    std::vector<PlacedOp> norm;
    if (layout_.tp * layout_.pp > 1)
      norm.push_back(all_reduce({Formal::misc, kSumSquares, 1}, kCommModel, Stream::misc, 4));
    norm.push_back(op(Kernel::clip, {{Formal::misc, kScale, 1}, {Formal::misc, kNorm, 1}},
                      {{Formal::misc, kSumSquares, 1}}, 0, 4, 12));
    parts_.global_norm = small_body("global_norm", Category::optimizer, norm, misc);
  }

  void place_stages() {
    const std::vector<uint32_t> share = partition_layers(model_.layers, layout_.pp);
    uint16_t layer = 0;
    for (uint32_t stage = 0; stage < layout_.pp; ++stage) {
      std::vector<StageBlock> blocks;
      if (stage == 0) blocks.push_back({BlockKind::embedding, 0});
      for (uint32_t i = 0; i < share[stage]; ++i) blocks.push_back({BlockKind::layer, layer++});
      if (stage + 1 == layout_.pp) blocks.push_back({BlockKind::head, 0});
      parts_.stages.push_back(std::move(blocks));
    }
  }

  void add_facts() {
    auto& facts = plan_.facts;
    const double tokens = static_cast<double>(work_.global_batch) * work_.sequence;
    facts["model"] = model_.name;
    facts["layers"] = std::to_string(model_.layers);
    facts["vocabulary"] = std::to_string(model_.vocabulary);
    facts["parameters"] = std::to_string(parameter_count(model_));
    facts["layout"] = to_text(layout_);
    facts["schedule"] = layout_.schedule;
    if (layout_.p2p != PointToPoint::channels) facts["p2p"] = name_of(layout_.p2p);
    facts["global_batch"] = std::to_string(work_.global_batch);
    facts["micro_batch"] = std::to_string(work_.micro_batch);
    facts["micro_batches"] = std::to_string(parts_.micro_batches);
    facts["sequence"] = std::to_string(work_.sequence);
    facts["precision"] = name_of(work_.precision);
    facts["optimizer"] = name_of(work_.optimizer);
    facts["tokens_per_step"] = std::to_string(static_cast<uint64_t>(tokens));
    char flops[40];
    std::snprintf(flops, sizeof flops, "%.17g", training_flops_per_token(model_, work_.sequence) * tokens);
    facts["flops_per_step"] = flops;
  }

  const Model& model_;
  const Layout& layout_;
  const Workload& work_;
  BlockContext context_;
  Plan plan_;
  BodyBuilder bodies_;
  ProgramParts parts_;
};

}  // namespace

Plan make_plan(const Model& model, const Layout& layout, const Workload& work) {
  Plan plan = make_unlinked_plan(model, layout, work);
  link(plan);
  return plan;
}

Plan make_unlinked_plan(const Model& model, const Layout& layout, const Workload& work) {
  validate(model, layout, work);
  return Lowering(model, layout, work).lower();
}

Plan make_schedule_plan(const Schedule& schedule, PointToPoint p2p) {
  const uint32_t stages = static_cast<uint32_t>(schedule.size());
  uint32_t micro_batches = 0;
  for (const ScheduleRow& row : schedule) {
    for (const ScheduleOp& op : row) micro_batches = std::max(micro_batches, op.micro_batch + 1u);
  }
  validate_schedule(schedule, stages, micro_batches, "schedule");
  Plan plan;
  plan.mesh.size = {1, 1, stages};
  add_fixed_comms(plan);
  BodyBuilder bodies(plan);
  ProgramParts parts;
  parts.micro_batches = micro_batches;
  Field value = scalar("value");
  value.dims[0] = 16;
  parts.edge = bodies.add_record("edge", RecordKind::edge, {value});
  const int saved = bodies.add_record("saved", RecordKind::saved, {value});
  std::array<int, kFormals> records;
  records.fill(parts.edge);
  records[static_cast<int>(Formal::saved)] = saved;

  // A stage without a neighbour on a side has no edge there: four shapes of block, one kind each.
  const auto stage_op = [&](bool backward, bool previous, bool next) {
    PlacedOp op;
    op.attributes.opaque_kind = backward ? 1 : 0;
    if (backward) {
      if (previous) op.writes.push_back({Formal::dx, 0, 1});
      if (next) op.reads.push_back({Formal::dy, 0, 1});
      op.reads.push_back({Formal::saved, 0, 1});
    } else {
      if (next) op.writes.push_back({Formal::y, 0, 1});
      op.writes.push_back({Formal::saved, 0, 1});
      if (previous) op.reads.push_back({Formal::x, 0, 1});
    }
    return bodies.add_body(backward ? "B" : "F", backward ? Category::backward : Category::forward, {&op, 1}, records);
  };
  const auto block = [&](bool previous, bool next) {
    Block b;
    b.name = "stage";
    b.saved = saved;
    b.forward = stage_op(false, previous, next);
    b.backward = stage_op(true, previous, next);
    return b;
  };
  parts.blocks = {block(false, stages > 1), block(true, true), block(true, false)};
  for (uint32_t s = 0; s < stages; ++s) {
    const BlockKind kind = s == 0 ? BlockKind::embedding : s + 1 == stages ? BlockKind::head : BlockKind::layer;
    parts.stages.push_back({{kind, static_cast<uint16_t>(s)}});
  }
  build_programs(plan, bodies, parts, schedule, p2p);
  link(plan);
  plan.facts["schedule"] = "rows";
  plan.facts["micro_batches"] = std::to_string(micro_batches);
  return plan;
}

}  // namespace pgram
