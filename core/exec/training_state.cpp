#include "core/exec/training_state.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>

#include "core/base/errors.h"

namespace pgram {
namespace {

constexpr double kInitialDeviation = 0.02;
const std::string kLayerMark = "{}";

bool starts_with(const std::string& text, const std::string& prefix) {
  return text.rfind(prefix, 0) == 0;
}

bool in_layer(const Field& field) {
  return field.stored_name.find(kLayerMark) != std::string::npos;
}

/// splitmix64's finaliser (Steele, Lea, Flood 2014).
uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

/// FNV-1a.
uint64_t hash_text(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001b3ull;
  return hash;
}

/// In (0, 1).
double uniform(uint64_t key) {
  return (static_cast<double>(mix(key) >> 11) + 0.5) * 0x1p-53;
}

/// Box-Muller.
double normal(uint64_t key, uint64_t index) {
  const uint64_t at = mix(key + 2 * index);
  return std::sqrt(-2 * std::log(uniform(at))) * std::cos(2 * std::numbers::pi * uniform(at + 1));
}

/// One element of a shard: where it lies in the shard and in the whole tensor.
template <typename Visit>
void for_each_element(const ShardPlace& place, const Field& field, const Visit& visit) {
  for (uint64_t r = 0; r < field.dims[0]; ++r) {
    for (uint64_t c = 0; c < field.dims[1]; ++c) {
      visit(r * field.dims[1] + c, place.first_row + r, place.first_column + c);
    }
  }
}

bool is_padding(const ShardPlace& place, uint64_t row, uint64_t column) {
  return row >= place.rows || column >= place.columns;
}

/// Position of an element of the whole field in its stored tensor, which may hold several fields and be transposed.
uint64_t stored_index(const Field& field, const ShardPlace& place, uint64_t row, uint64_t column) {
  const uint64_t stored_rows = place.rows * field.stored_parts;
  const uint64_t stored_row = place.rows * field.stored_part + row;
  return field.stored_transposed ? column * stored_rows + stored_row : stored_row * place.columns + column;
}

std::vector<uint64_t> stored_shape(const Field& field, const ShardPlace& place) {
  const uint64_t rows = place.rows * field.stored_parts;
  if (field.num_dims == 1) return {rows};
  return field.stored_transposed ? std::vector{place.columns, rows} : std::vector{rows, place.columns};
}

std::string with_suffix(const std::string& name, const std::string& suffix) {
  return suffix.empty() ? name : "optimizer." + name + suffix;
}

std::string shape_text(const std::vector<uint64_t>& shape) {
  std::string text = "[";
  for (uint64_t dim : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(dim);
  return text + "]";
}

}  // namespace

std::vector<ParameterSlot> parameter_slots(const Plan& plan, uint32_t role) {
  const Program& program = plan.programs[role];
  std::map<std::pair<uint32_t, uint32_t>, ParameterSlot> found;
  for (const Call& call : program.calls) {
    const Body& body = plan.bodies[call.body];
    const auto place = [&](size_t formal) {
      const Arg arg = program.args[call.first_arg + formal];
      return ParameterSlot::Place{static_cast<uint16_t>(arg.pool()), arg.slot(), &plan.records[body.formals[formal]]};
    };
    for (size_t formal = 0; formal < body.formals.size(); ++formal) {
      if (plan.records[body.formals[formal]].kind != RecordKind::parameter) continue;
      const auto here = place(formal);
      ParameterSlot& slot = found[{here.pool, here.slot}];
      slot.weights = here;
      slot.layer = std::max(slot.layer, call.layer);
    }
    for (const Op& op : body.ops) {
      if (op.kernel != Kernel::adamw && op.kernel != Kernel::sgd) continue;
      const auto formal = [&](int operand) { return body.operands[op.first_operand + operand].formal; };
      const auto weights = place(formal(0));
      ParameterSlot& slot = found[{weights.pool, weights.slot}];
      slot.weights = weights;
      if (op.kernel == Kernel::adamw) slot.state = place(formal(1));
      slot.gradients = place(formal(op.kernel == Kernel::adamw ? 2 : 1));
    }
  }
  std::vector<ParameterSlot> slots;
  for (const auto& [key, slot] : found) slots.push_back(slot);
  return slots;
}

uint32_t count_layers(const Plan& plan) {
  uint32_t layers = 0;
  for (uint32_t role = 0; role < plan.programs.size(); ++role) {
    for (const ParameterSlot& slot : parameter_slots(plan, role)) {
      const auto& fields = slot.weights.record->fields;
      if (std::any_of(fields.begin(), fields.end(), in_layer)) layers = std::max<uint32_t>(layers, slot.layer + 1u);
    }
  }
  return layers;
}

std::string own_name(const Record& parameters, const Field& field, uint16_t layer) {
  const std::string block = parameters.name.substr(0, parameters.name.find('.'));
  return block + "." + (in_layer(field) ? std::to_string(layer) + "." : "") + field.name;
}

std::string stored_name(const Record& parameters, const Field& field, uint16_t layer) {
  if (field.stored_name.empty()) return own_name(parameters, field, layer);
  std::string name = field.stored_name;
  const size_t mark = name.find(kLayerMark);
  if (mark != std::string::npos) name.replace(mark, kLayerMark.size(), std::to_string(layer));
  return name;
}

ShardPlace shard_place(const Mesh& mesh, const Field& field, const std::array<uint32_t, kMeshAxes>& coordinates) {
  ShardPlace place{field.dims[0], field.dims[1], 0, 0};
  if (field.shard_axes == 0) return place;
  uint64_t shards = 1, shard = 0;
  for (int axis = 0; axis < kMeshAxes; ++axis) {
    if (!(field.shard_axes >> axis & 1)) continue;
    shard += shards * coordinates[axis];
    shards *= mesh.size[axis];
  }
  uint64_t& whole = field.shard_dim == 0 ? place.rows : place.columns;
  (field.shard_dim == 0 ? place.first_row : place.first_column) = shard * field.dims[field.shard_dim];
  whole = field.full_dim ? field.full_dim : whole * shards;
  return place;
}

void initialise_field(const Plan& plan, const std::array<uint32_t, kMeshAxes>& coordinates, const ParameterSlot& slot,
                      const Field& field, uint64_t seed, uint32_t layers, float* values) {
  if (starts_with(field.name, "norm") || starts_with(field.name, "bias")) {
    std::fill_n(values, field.count(), starts_with(field.name, "norm") ? 1.0f : 0.0f);
    return;
  }
  double deviation = kInitialDeviation;
  if (field.name == "wo" || field.name == "wd") deviation /= std::sqrt(2.0 * std::max(1u, layers));
  const ShardPlace place = shard_place(plan.mesh, field, coordinates);
  const uint64_t key = mix(seed) ^ hash_text(stored_name(*slot.weights.record, field, slot.layer) + "#" +
                                             std::to_string(field.stored_part));
  for_each_element(place, field, [&](uint64_t at, uint64_t row, uint64_t column) {
    values[at] = is_padding(place, row, column)
                     ? 0.0f
                     : static_cast<float>(deviation * normal(key, row * place.columns + column));
  });
}

void Gathered::add(const Plan& plan, const std::array<uint32_t, kMeshAxes>& coordinates, const ParameterSlot& slot,
                   const Field& field, const std::string& suffix, const float* values) {
  const ShardPlace place = shard_place(plan.mesh, field, coordinates);
  FloatTensor& tensor = tensors_[with_suffix(stored_name(*slot.weights.record, field, slot.layer), suffix)];
  if (tensor.values.empty()) {
    tensor.shape = stored_shape(field, place);
    tensor.values.resize(place.rows * field.stored_parts * place.columns);
  }
  for_each_element(place, field, [&](uint64_t at, uint64_t row, uint64_t column) {
    if (!is_padding(place, row, column)) tensor.values[stored_index(field, place, row, column)] = values[at];
  });
}

TrainingFile::TrainingFile(const std::string& path) : path_(path), file_(path) {
  const auto& metadata = file_.metadata();
  if (const auto step = metadata.find("step"); step != metadata.end()) {
    const std::string& text = step->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), step_);
    if (error != std::errc() || end != text.data() + text.size() || step_ > uint64_t{1} << 53) {
      throw InputError(path, 0, "__metadata__.step", "expected the number of training steps, got \"" + text + "\"");
    }
  }
  for (const auto& [name, tensor] : file_.tensors()) has_optimizer_ |= starts_with(name, "optimizer.");
}

void TrainingFile::scatter(const Plan& plan, const std::array<uint32_t, kMeshAxes>& coordinates,
                           const ParameterSlot& slot, const Field& field, const std::string& suffix,
                           float* values) const {
  std::string name = with_suffix(stored_name(*slot.weights.record, field, slot.layer), suffix);
  const auto& tensors = file_.tensors();
  // GPT-2 is published with and without this prefix.
  if (!tensors.contains(name) && tensors.contains("transformer." + name)) name = "transformer." + name;
  const auto found = tensors.find(name);
  const ShardPlace place = shard_place(plan.mesh, field, coordinates);
  const std::vector<uint64_t> expected = stored_shape(field, place);
  if (found == tensors.end()) {
    throw InputError(
        path_, 0, name,
        "missing; expected a tensor of shape " + shape_text(expected) + " (is the file of another model?)");
  }
  if (found->second.shape != expected) {
    throw InputError(path_, 0, name,
                     "shape is " + shape_text(found->second.shape) + ", expected " + shape_text(expected) +
                         " (is the file of another model?)");
  }
  const std::vector<float> whole = file_.read_floats(name);
  for_each_element(place, field, [&](uint64_t at, uint64_t row, uint64_t column) {
    values[at] = is_padding(place, row, column) ? 0.0f : whole[stored_index(field, place, row, column)];
  });
}

}  // namespace pgram
