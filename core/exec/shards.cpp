#include "core/exec/shards.h"

#include <algorithm>

#include "core/exec/byte_stream.h"

namespace pgram {
namespace {

void require_size(const Shard& shard, const std::vector<std::byte>& bytes, const Record* record) {
  if (bytes.size() == (record ? record->bytes : 0)) return;
  throw RunError("rank " + std::to_string(shard.rank) + " sent " + std::to_string(bytes.size()) +
                 " bytes of its state where the plan has " + std::to_string(record ? record->bytes : 0));
}

const float* floats_at(const std::vector<std::byte>& bytes, uint64_t offset) {
  return reinterpret_cast<const float*>(bytes.data() + offset);
}

}  // namespace

std::string Shard::encode() const {
  ByteWriter out;
  out.add(rank);
  out.add(slot);
  out.add(values);
  out.add(state);
  return out.take();
}

Shard Shard::decode(const std::string& bytes) {
  Shard shard;
  ByteReader in(bytes);
  in.read(shard.rank);
  in.read(shard.slot);
  in.read(shard.values);
  in.read(shard.state);
  return shard;
}

void gather_shards(ProcessGroup& processes, uint32_t mine, const std::function<Shard(uint32_t)>& shard,
                   const std::function<void(const Shard&)>& take) {
  uint64_t rounds = 0;
  for (const std::string& count : processes.gather(std::to_string(mine))) {
    rounds = std::max<uint64_t>(rounds, std::stoull(count));
  }
  rounds = std::stoull(processes.broadcast(std::to_string(rounds)));
  for (uint32_t i = 0; i < rounds; ++i) {
    for (const std::string& bytes : processes.gather(i < mine ? shard(i).encode() : "")) {
      if (!bytes.empty()) take(Shard::decode(bytes));
    }
  }
}

const ParameterSlot& ShardPlacer::slot_of(const Shard& shard) {
  if (shard.rank >= plan_.mesh.ranks()) throw RunError("a shard comes from no rank of the plan");
  const uint32_t role = plan_.role(shard.rank);
  const auto [found, added] = slots_.try_emplace(role);
  if (added) found->second = parameter_slots(plan_, role);
  if (shard.slot >= found->second.size()) throw RunError("a shard is of no slot of the plan");
  return found->second[shard.slot];
}

void ShardPlacer::add_checkpoint(const Shard& shard, Gathered& gathered) {
  const ParameterSlot& slot = slot_of(shard);
  require_size(shard, shard.values, slot.weights.record);
  require_size(shard, shard.state, slot.state.record);
  const auto at = plan_.mesh.coordinates(shard.rank);
  const auto& fields = slot.weights.record->fields;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].duplicate) continue;
    const auto add = [&](const std::string& suffix, const std::vector<std::byte>& bytes, uint64_t offset) {
      gathered.add(plan_, at, slot, fields[i], suffix, floats_at(bytes, offset));
    };
    add("", shard.values, fields[i].offset);
    if (!slot.state.record) continue;
    // The state lists every first moment in the parameters' order, then every second one.
    add(".m", shard.state, slot.state.record->fields.at(i).offset);
    add(".v", shard.state, slot.state.record->fields.at(fields.size() + i).offset);
  }
}

void ShardPlacer::add_gradients(const Shard& shard, std::map<std::string, FloatTensor>& tensors) {
  const ParameterSlot& slot = slot_of(shard);
  require_size(shard, shard.values, slot.gradients.record);
  if (!slot.gradients.record) return;
  const auto at = plan_.mesh.coordinates(shard.rank);
  const auto& fields = slot.weights.record->fields;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].duplicate) continue;
    const float* values = floats_at(shard.values, slot.gradients.record->fields.at(i).offset);
    const ShardPlace place = shard_place(plan_.mesh, fields[i], at);
    FloatTensor& whole = tensors[own_name(*slot.weights.record, fields[i], slot.layer)];
    whole.shape = {place.rows, place.columns};
    whole.values.resize(place.rows * place.columns);
    for (uint64_t r = 0; r < fields[i].dims[0] && place.first_row + r < place.rows; ++r) {
      for (uint64_t c = 0; c < fields[i].dims[1] && place.first_column + c < place.columns; ++c) {
        whole.values[(place.first_row + r) * place.columns + place.first_column + c] =
            values[r * fields[i].dims[1] + c];
      }
    }
  }
}

}  // namespace pgram
