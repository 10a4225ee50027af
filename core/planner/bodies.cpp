#include "core/planner/bodies.h"

#include <algorithm>

namespace pgram {

int BodyBuilder::add_record(const std::string& name, RecordKind kind, std::vector<Field> fields) {
  Record record;
  record.name = name;
  record.kind = kind;
  record.fields = std::move(fields);
  record.lay_out();
  plan_.records.push_back(std::move(record));
  return static_cast<int>(plan_.records.size()) - 1;
}

uint32_t BodyBuilder::attribute_index(const Attributes& attributes) {
  const auto found = std::find(plan_.attributes.begin(), plan_.attributes.end(), attributes);
  if (found != plan_.attributes.end()) return static_cast<uint32_t>(found - plan_.attributes.begin());
  plan_.attributes.push_back(attributes);
  return static_cast<uint32_t>(plan_.attributes.size()) - 1;
}

int BodyBuilder::add_body(const std::string& name, Category category, std::span<const PlacedOp> ops,
                          const std::array<int, kFormals>& records) {
  Body& body = plan_.bodies.emplace_back();
  body.name = name;
  body.category = category;
  body.ops.reserve(ops.size());
  first_formal_.push_back(static_cast<uint32_t>(formals_.size()));
  std::array<int, kFormals> index;
  index.fill(-1);
  const auto operand = [&](const Placed& placed) {
    int& formal = index[static_cast<int>(placed.formal)];
    if (formal < 0) {
      formal = static_cast<int>(body.formals.size());
      body.formals.push_back(static_cast<uint16_t>(records[static_cast<int>(placed.formal)]));
      formals_.push_back(placed.formal);
    }
    Operand o;
    o.formal = static_cast<uint8_t>(formal);
    o.fields = placed.fields;
    o.field = placed.field;
    body.operands.push_back(o);
  };
  for (const PlacedOp& placed : ops) {
    Op op;
    op.kernel = placed.kernel;
    op.stream = placed.stream;
    op.comm = placed.comm;
    op.first_operand = static_cast<uint32_t>(body.operands.size());
    op.num_writes = static_cast<uint8_t>(placed.writes.size());
    op.num_operands = static_cast<uint8_t>(placed.writes.size() + placed.reads.size());
    op.read_writes = placed.read_writes;
    op.micro_batch_offset = placed.micro_batch_offset;
    op.flops = placed.flops;
    op.bytes = placed.bytes;
    op.attributes = attribute_index(placed.attributes);
    for (const Placed& p : placed.writes) operand(p);
    for (const Placed& p : placed.reads) operand(p);
    body.ops.push_back(op);
  }
  scratch_.push_back(index[static_cast<int>(Formal::scratch)] < 0 ? -1 : records[static_cast<int>(Formal::scratch)]);
  return static_cast<int>(plan_.bodies.size()) - 1;
}

namespace {

struct Lifetime {
  Var var = -1;
  size_t first = 0, last = 0;
  bool compute_only = true;
};

/// When each temporary of one list of ops lives.
std::vector<Lifetime> lifetimes(const Tape& tape, const std::vector<TapeOp>& ops, const std::vector<uint8_t>& lists,
                                uint8_t only) {
  std::vector<int> index(tape.variables.size(), -1);
  std::vector<Lifetime> result;
  for (size_t i = 0; i < ops.size(); ++i) {
    for (const std::vector<Var>* vars : {&ops[i].writes, &ops[i].reads}) {
      for (Var v : *vars) {
        const Var root = tape.resolve(v);
        if (tape.at(root).formal >= 0 || lists[root] != only) continue;
        if (index[root] < 0) {
          index[root] = static_cast<int>(result.size());
          result.push_back({root, i, i, true});
        }
        Lifetime& life = result[index[root]];
        life.last = i;
        life.compute_only &= ops[i].stream == Stream::compute;
      }
    }
  }
  return result;
}

/// Packs scratch: temporaries that only the compute stream touches share memory where their lives do not overlap (the
/// stream's order keeps them apart); those that a collective touches keep a place of their own, because nothing but
/// their own waits orders them.
Record pack_scratch(const Tape& tape, const std::vector<Lifetime>& lives, const std::string& name) {
  constexpr uint64_t kAlign = 64;
  const auto size = [&](const Lifetime& l) { return (tape.at(l.var).field.bytes() + kAlign - 1) / kAlign * kAlign; };
  Record record;
  record.name = name;
  record.kind = RecordKind::scratch;
  std::vector<uint64_t> offset(lives.size(), 0);
  for (size_t i = 0; i < lives.size(); ++i) {
    if (lives[i].compute_only) continue;
    offset[i] = record.bytes;
    record.bytes += size(lives[i]);
  }
  const uint64_t shared_base = record.bytes;
  std::vector<size_t> by_size;
  for (size_t i = 0; i < lives.size(); ++i) {
    if (lives[i].compute_only) by_size.push_back(i);
  }
  std::stable_sort(by_size.begin(), by_size.end(), [&](size_t a, size_t b) { return size(lives[a]) > size(lives[b]); });
  std::vector<size_t> placed;
  for (size_t i : by_size) {  // first fit, large ones first
    std::vector<std::pair<uint64_t, uint64_t>> taken;
    for (size_t other : placed) {
      if (lives[other].first <= lives[i].last && lives[i].first <= lives[other].last) {
        taken.emplace_back(offset[other], offset[other] + size(lives[other]));
      }
    }
    std::sort(taken.begin(), taken.end());
    uint64_t at = shared_base;
    for (const auto& [begin, end] : taken) {
      if (begin >= at + size(lives[i])) break;
      at = std::max(at, end);
    }
    offset[i] = at;
    record.bytes = std::max(record.bytes, at + size(lives[i]));
    placed.push_back(i);
  }
  for (size_t i = 0; i < lives.size(); ++i) {
    Field field = tape.at(lives[i].var).field;
    field.offset = offset[i];
    record.fields.push_back(std::move(field));
  }
  return record;
}

}  // namespace

Block BodyBuilder::add_block(const std::string& name, const Tape& tape, std::array<int, kFormals> records,
                             bool master_copy, bool moments) {
  constexpr uint8_t kForward = 1, kBackward = 2;
  std::vector<uint8_t> lists(tape.variables.size(), 0);
  const auto mark = [&](const std::vector<TapeOp>& ops, uint8_t list) {
    for (const TapeOp& op : ops) {
      for (Var v : op.writes) lists[tape.resolve(v)] |= list;
      for (Var v : op.reads) lists[tape.resolve(v)] |= list;
    }
  };
  mark(tape.forward, kForward);
  mark(tape.backward, kBackward);

  Block block;
  block.name = name;
  std::vector<Placed> place(tape.variables.size());
  std::vector<Field> saved;
  for (size_t v = 0; v < tape.variables.size(); ++v) {
    const Variable& variable = tape.variables[v];
    if (variable.formal >= 0) {
      place[v] = {static_cast<Formal>(variable.formal), variable.index, variable.fields};
    } else if (lists[v] == (kForward | kBackward)) {
      place[v] = {Formal::saved, static_cast<uint16_t>(saved.size()), 1};
      saved.push_back(variable.field);
    }
  }
  const auto set = [&](Formal f, int record) { records[static_cast<int>(f)] = record; };
  if (!tape.parameters.empty()) {
    std::vector<Field> gradients = tape.parameters, state;
    for (Field& field : gradients) field.dtype = DType::f32;
    const auto add_state = [&](const char* suffix) {
      for (Field field : gradients) {
        field.name += suffix;
        field.joined = false;
        state.push_back(std::move(field));
      }
    };
    if (moments) add_state(".m"), add_state(".v");
    if (master_copy) add_state(".master");
    block.parameters = add_record(name + ".parameters", RecordKind::parameter, tape.parameters);
    block.gradients = add_record(name + ".gradients", RecordKind::gradient, std::move(gradients));
    if (!state.empty()) block.state = add_record(name + ".optimizer", RecordKind::optimizer, std::move(state));
  }
  if (!saved.empty()) block.saved = add_record(name + ".saved", RecordKind::saved, std::move(saved));
  set(Formal::parameters, block.parameters);
  set(Formal::gradients, block.gradients);
  set(Formal::optimizer, block.state);
  set(Formal::saved, block.saved);

  const auto body = [&](const std::vector<TapeOp>& ops, uint8_t list, const std::string& suffix, Category category) {
    const std::vector<Lifetime> lives = lifetimes(tape, ops, lists, list);
    if (!lives.empty()) {
      for (size_t i = 0; i < lives.size(); ++i) place[lives[i].var] = {Formal::scratch, static_cast<uint16_t>(i), 1};
      plan_.records.push_back(pack_scratch(tape, lives, name + suffix + ".scratch"));
      set(Formal::scratch, static_cast<int>(plan_.records.size()) - 1);
    }
    std::vector<PlacedOp> placed;
    for (const TapeOp& op : ops) {
      PlacedOp p;
      p.kernel = op.kernel;
      p.stream = op.stream;
      p.comm = op.comm;
      p.read_writes = op.read_writes;
      p.flops = op.flops;
      p.bytes = op.bytes;
      p.attributes = op.attributes;
      for (Var v : op.writes) p.writes.push_back(place[tape.resolve(v)]);
      for (Var v : op.reads) p.reads.push_back(place[tape.resolve(v)]);
      placed.push_back(std::move(p));
    }
    return add_body(name + suffix, category, placed, records);
  };
  block.forward = body(tape.forward, kForward, ".f", Category::forward);
  block.backward = body(tape.backward, kBackward, ".b", Category::backward);
  return block;
}

}  // namespace pgram
