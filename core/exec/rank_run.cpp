#include "core/exec/rank_run.h"

#include <algorithm>
#include <cstring>

#include "core/base/errors.h"

namespace pgram {

static const Attributes& attributes_of(const Plan& plan, const Op& op) {
  static const Attributes kNone;
  return op.attributes < plan.attributes.size() ? plan.attributes[op.attributes] : kNone;
}

RankRun::RankRun(const PreparedPlan& prepared, uint32_t rank, Backend& backend, const RunOptions& options)
    : prepared_(prepared),
      rank_(rank),
      at_(prepared.plan.mesh.coordinates(rank)),
      backend_(backend),
      options_(options),
      parameters_(parameter_slots(prepared.plan, at_[2])) {
  find_inputs();
}

/// The micro-batch's size follows from the `input` task's tensor and its sequence length.
void RankRun::find_inputs() {
  const Plan& plan = prepared_.plan;
  for (const Call& call : program().calls) {
    const Body& body = plan.bodies[call.body];
    for (size_t i = 0; i < body.ops.size(); ++i) {
      const Op& op = body.ops[i];
      computes_loss_ |= op.kernel == Kernel::ce_loss;
      if (op.kernel != Kernel::input) continue;
      const uint64_t count = prepared_.bodies[call.body].ops[i].operands.at(0).tensor.count();
      const uint32_t sequence = attributes_of(plan, op).sequence;
      if (sequence == 0 || count == 0 || count % sequence != 0) {
        throw InputError("plan", "body " + body.name + ": " + std::to_string(count) +
                                     " input tokens are no multiple of the sequence length " +
                                     std::to_string(sequence));
      }
      if (!options_.tokens) throw InputError("tokens", "the plan reads tokens, but the run has no source of them");
      inputs_[call.micro_batch] = {sequence, static_cast<uint32_t>(count / sequence), std::vector<int32_t>(2 * count)};
    }
  }
}

void RankRun::open() {
  device_ = backend_.open(rank_);
  for (const Pool& pool : program().pools) {
    arenas_.push_back(device_->allocate(uint64_t{pool.slots} * prepared_.plan.records[pool.record].bytes));
  }
}

void RankRun::initialise(uint32_t layers) {
  for (const ParameterSlot& slot : parameters_) {
    std::vector<std::byte> image(slot.weights.record->bytes);
    for (const Field& field : slot.weights.record->fields) {
      initialise_field(prepared_.plan, at_, slot, field, options_.seed, layers,
                       reinterpret_cast<float*>(image.data() + field.offset));
    }
    device_->copy_to_device(address(slot.weights.pool, slot.weights.slot), image.data(), image.size());
  }
}

void RankRun::load(const TrainingFile& file) {
  for (const ParameterSlot& slot : parameters_) {
    const auto& fields = slot.weights.record->fields;
    std::vector<std::byte> image(slot.weights.record->bytes);
    for (const Field& field : fields) {
      file.scatter(prepared_.plan, at_, slot, field, "", reinterpret_cast<float*>(image.data() + field.offset));
    }
    device_->copy_to_device(address(slot.weights.pool, slot.weights.slot), image.data(), image.size());
    if (slot.state.record == nullptr || !file.has_optimizer()) continue;
    // The state lists every first moment in the parameters' order, then every second one.
    std::vector<std::byte> state(slot.state.record->bytes);
    for (size_t i = 0; i < 2 * fields.size(); ++i) {
      file.scatter(prepared_.plan, at_, slot, fields[i % fields.size()], i < fields.size() ? ".m" : ".v",
                   reinterpret_cast<float*>(state.data() + slot.state.record->fields.at(i).offset));
    }
    device_->copy_to_device(address(slot.state.pool, slot.state.slot), state.data(), state.size());
  }
}

void RankRun::fill_tokens(uint64_t step) {
  for (auto& [micro_batch, input] : inputs_) {
    const uint32_t first = (at_[1] * prepared_.micro_batches + micro_batch) * input.samples;
    const size_t targets = input.tokens.size() / 2;
    for (uint32_t i = 0; i < input.samples; ++i) {
      int32_t* tokens = input.tokens.data() + size_t{i} * input.sequence;
      options_.tokens(step, first + i, input.sequence, tokens, tokens + targets);
    }
  }
}

void RankRun::run_step(uint64_t step) {
  for (uint32_t call = 0; call < program().calls.size(); ++call) issue_call(call, step);
  device_->synchronize();
  step_end_ = backend_.now();
}

void RankRun::issue_call(uint32_t index, uint64_t step) {
  const Plan& plan = prepared_.plan;
  const Call& call = program().calls[index];
  const Body& body = plan.bodies[call.body];
  const PreparedBody& prepared = prepared_.bodies[call.body];
  const Arg* args = program().args.data() + call.first_arg;
  const Sync* syncs = program().syncs.data() + call.first_sync;

  Launch launch;
  launch.layer = call.layer;
  launch.step = step;
  launch.hyperparameters = &options_.hyperparameters;
  for (size_t i = 0; i < body.ops.size(); ++i) {
    const Op& op = body.ops[i];
    const PreparedOp& item = prepared.ops[i];
    for (uint16_t event : item.waits) device_->wait(event, op.stream);
    for (int s = 0; s < call.num_syncs; ++s) {
      if (syncs[s].op == i && !syncs[s].records()) device_->wait(syncs[s].slot(), op.stream);
    }
    launch.op = &op;
    launch.attributes = &attributes_of(plan, op);
    launch.task = {rank_, index, static_cast<uint16_t>(i)};
    launch.micro_batch = static_cast<uint16_t>(micro_batch_of(call, op));
    launch.group_begin = !body.grouped || i == 0;
    launch.group_end = !body.grouped || i + 1 == body.ops.size();
    launch.host_tokens = op.kernel == Kernel::input ? inputs_.at(call.micro_batch).tokens.data() : nullptr;
    for (size_t o = 0; o < item.operands.size(); ++o) {
      const PreparedOperand& operand = item.operands[o];
      const Arg arg = args[operand.formal];
      launch.operands[o] = operand.tensor;
      launch.operands[o].data = address(arg.pool(), arg.slot()) + operand.offset;
    }
    device_->launch(launch);
    if (item.records != kNoEvent) device_->record(item.records, op.stream);
    for (int s = 0; s < call.num_syncs; ++s) {
      if (syncs[s].op == i && syncs[s].records()) device_->record(syncs[s].slot(), op.stream);
    }
  }
}

void RankRun::quiesce() noexcept {
  try {
    if (device_) device_->synchronize();
  } catch (...) {
    // The run has failed already; only the waiting matters.
  }
}

double RankRun::read_misc(const std::string& name) const {
  for (size_t pool = 0; pool < program().pools.size(); ++pool) {
    const Record& record = prepared_.plan.records[program().pools[pool].record];
    if (record.kind != RecordKind::misc) continue;
    for (const Field& field : record.fields) {
      if (field.name != name) continue;
      float value = 0;
      device_->copy_to_host(&value, arenas_[pool] + field.offset, sizeof value);
      return value;
    }
  }
  return 0;
}

/// The loss is the same on all tensor-parallel ranks, and summed over the replicas already.
RankReport RankRun::report() const {
  const bool speaks = at_[0] == 0 && first_replica() && computes_loss_;
  return {rank_, speaks ? read_misc("loss") : 0, read_misc("norm"), step_end_};
}

std::vector<std::byte> RankRun::fetch(const ParameterSlot::Place& place) const {
  std::vector<std::byte> image(place.record->bytes);
  device_->copy_to_host(image.data(), address(place.pool, place.slot), image.size());
  return image;
}

Shard RankRun::checkpoint_shard(uint32_t slot) const {
  const ParameterSlot& place = parameters_.at(slot);
  Shard shard{rank_, slot, fetch(place.weights), {}};
  if (place.state.record) shard.state = fetch(place.state);
  return shard;
}

Shard RankRun::gradient_shard(uint32_t slot) const {
  const ParameterSlot& place = parameters_.at(slot);
  Shard shard{rank_, slot, {}, {}};
  if (place.gradients.record) shard.values = fetch(place.gradients);
  return shard;
}

}  // namespace pgram
