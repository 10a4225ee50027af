#include "core/exec/calibration_grid.h"

#include <algorithm>
#include <string>

namespace pgram {
namespace {

using Sizes = std::vector<uint32_t>;

struct Level {
  Sizes product, rows, columns;
};

struct Scale {
  double most_flops = 0;  ///< of a case
  uint64_t most_elements = 0;
  Sizes heads, head_sizes;
  std::vector<Level> levels;
};

const Scale& scale_of(GridScale scale) {
  static const Scale kCore{1e9,
                           uint64_t{1} << 22,
                           {1, 8},
                           {16, 32, 64, 128},
                           {{{128, 512}, {128, 1024}, {256}},
                            {{64, 256, 1024}, {64, 256, 512}, {64, 1024}},
                            {{64, 128, 256, 512, 1024, 2048}, {64, 128, 256, 512, 1024, 4096}, {64, 256, 1024, 4096}}}};
  static const Scale kGpu{2e12,
                          uint64_t{1} << 27,
                          {4, 32},
                          {64, 128},
                          {{{512, 4096}, {512, 4096}, {1024}},
                           {{128, 1024, 8192}, {128, 2048}, {128, 4096}},
                           {{128, 256, 512, 1024, 2048, 4096, 8192, 16384},
                            {64, 128, 256, 512, 1024, 2048, 4096, 8192},
                            {128, 512, 1024, 4096, 16384}}}};
  return scale == GridScale::core ? kCore : kGpu;
}

/// Builds the op operand by operand.
class OpPlan {
 public:
  explicit OpPlan(Kernel kernel) {
    plan_.attributes.emplace_back();
    Body& body = plan_.bodies.emplace_back();
    body.name = name_of(kernel);
    body.ops.emplace_back();
    body.ops[0].kernel = kernel;
  }
  Attributes& attributes() { return plan_.attributes[0]; }

  OpPlan& writes(uint32_t rows, uint32_t columns) {
    ++op().num_writes;
    return add(rows, columns, DType::f32, RecordKind::scratch);
  }
  OpPlan& reads(uint32_t rows, uint32_t columns) { return add(rows, columns, DType::f32, RecordKind::saved); }
  OpPlan& tokens(uint32_t n) { return add(n, 0, DType::i32, RecordKind::input); }
  OpPlan& weights(uint32_t rows, uint32_t columns = 0) { return add(rows, columns, DType::f32, RecordKind::parameter); }
  /// `copies` fields of `n` elements as one whole record.
  OpPlan& whole(RecordKind kind, uint32_t n, int copies = 1) {
    add(n, 0, DType::f32, kind);
    Record& record = plan_.records.back();
    for (int i = 1; i < copies; ++i) record.fields.push_back(record.fields[0]);
    record.lay_out();
    plan_.bodies[0].operands.back().field = kWhole;
    return *this;
  }
  Plan finish(int writes = 0) {
    if (writes) op().num_writes = static_cast<uint8_t>(writes);
    Program& program = plan_.programs.emplace_back();
    for (uint16_t record = 0; record < plan_.records.size(); ++record) {
      program.pools.push_back({record, 1});
      program.args.emplace_back(record, 0);
    }
    program.calls.emplace_back();
    return std::move(plan_);
  }

 private:
  Op& op() { return plan_.bodies[0].ops[0]; }
  OpPlan& add(uint32_t rows, uint32_t columns, DType dtype, RecordKind kind) {
    Record record;
    record.name = "operand" + std::to_string(plan_.records.size());
    record.kind = kind;
    Field field;
    field.name = "x";
    field.dtype = dtype;
    field.num_dims = columns ? 2 : 1;
    field.dims = {rows, std::max(1u, columns)};
    record.fields.push_back(field);
    record.lay_out();
    Body& body = plan_.bodies[0];
    body.formals.push_back(static_cast<uint16_t>(plan_.records.size()));
    Operand operand;
    operand.formal = static_cast<uint8_t>(plan_.records.size());
    body.operands.push_back(operand);
    plan_.records.push_back(record);
    ++op().num_operands;
    return *this;
  }
  Plan plan_;
};

/// Queries, keys and values of `columns` in all, as many key heads as query heads, of 32 dims where that divides.
void set_heads(Attributes& a, uint32_t rows, uint32_t columns) {
  a.head_dim = columns % 96 == 0 ? 32 : 1;
  a.heads = a.kv_heads = columns / 3 / a.head_dim;
  a.rotary_dims = a.head_dim;
  a.rope_base = 10000;
  a.sequence = rows;
}

Plan product_plan(const GridCase& g) {
  OpPlan p(g.kernel);
  const uint32_t n = g.a, out = g.b, in = g.c;
  switch (g.kernel) {
    case Kernel::matmul:
      return p.writes(n, out).reads(n, in).weights(out, in).finish();
    case Kernel::matmul_dx:
      return p.writes(n, in).reads(n, out).weights(out, in).finish();
    default:
      return p.writes(out, in).reads(n, out).reads(n, in).finish();
  }
}

Plan attention_plan(const GridCase& g) {
  OpPlan p(g.kernel);
  const uint32_t n = g.a, heads = g.b, d = g.c;
  Attributes& a = p.attributes();
  a.sequence = n, a.heads = a.kv_heads = heads, a.head_dim = d;
  if (g.kernel == Kernel::attention) return p.writes(n, heads * d).writes(n, heads).reads(n, 3 * heads * d).finish();
  return p.writes(n, 3 * heads * d)
      .reads(n, heads * d)
      .reads(n, 3 * heads * d)
      .reads(n, heads * d)
      .reads(n, heads)
      .finish();
}

Plan norm_plan(const GridCase& g) {
  OpPlan p(g.kernel);
  const uint32_t n = g.a, h = g.b;
  p.attributes().epsilon = 1e-5f;
  switch (g.kernel) {
    case Kernel::rms_norm:
      return p.writes(n, h).writes(n, 0).reads(n, h).weights(h).finish();
    case Kernel::rms_norm_dx:
      return p.writes(n, h).reads(n, h).reads(n, h).weights(h).reads(n, 0).reads(n, h).finish();
    case Kernel::rms_norm_dw:
      return p.writes(h, 0).reads(n, h).reads(n, h).reads(n, 0).finish();
    case Kernel::layer_norm:
      return p.writes(n, h).writes(n, 2).reads(n, h).weights(h).weights(h).finish();
    case Kernel::layer_norm_dx:
      return p.writes(n, h).reads(n, h).reads(n, h).weights(h).reads(n, 2).reads(n, h).finish();
    default:
      return p.writes(h, 0).writes(h, 0).reads(n, h).reads(n, h).reads(n, 2).finish();
  }
}

Plan head_plan(const GridCase& g) {
  OpPlan p(g.kernel);
  const uint32_t n = g.a, w = g.b;
  set_heads(p.attributes(), n, w);
  p.attributes().epsilon = 1e-5f;
  const uint32_t d = p.attributes().head_dim;
  switch (g.kernel) {
    case Kernel::head_norm:
      return p.writes(n, w).reads(n, w).weights(d).weights(d).finish();
    case Kernel::head_norm_dx:
      return p.writes(n, w).reads(n, w).reads(n, w).weights(d).weights(d).finish();
    case Kernel::head_norm_dw:
      return p.writes(d, 0).writes(d, 0).reads(n, w).reads(n, w).finish();
    default:  // rope, rope_bwd
      return p.writes(n, w).finish();
  }
}

Plan token_plan(const GridCase& g) {
  OpPlan p(g.kernel);
  const uint32_t n = g.a, h = g.b;
  constexpr uint32_t kVocabulary = 256;
  Attributes& a = p.attributes();
  a.sequence = n;
  switch (g.kernel) {
    case Kernel::embed:
      a.vocabulary = kVocabulary;
      return p.writes(n, h).tokens(n).weights(kVocabulary, h).finish();
    case Kernel::embed_dw:
      a.vocabulary = kVocabulary;
      return p.writes(kVocabulary, h).reads(n, h).tokens(n).finish();
    case Kernel::positions:
      return p.writes(n, h).reads(n, h).weights(n, h).finish();
    case Kernel::positions_dw:
      return p.writes(n, h).reads(n, h).finish();
    default:  // input: tokens and targets
      return p.tokens(n).tokens(n).finish(2);
  }
}

Plan loss_plan(const GridCase& g) {
  OpPlan p(g.kernel);
  const uint32_t n = g.a, v = g.b;
  p.attributes().vocabulary = v;
  switch (g.kernel) {
    case Kernel::ce_max:
      return p.writes(n, 0).reads(n, v).finish();
    case Kernel::ce_sum:
      return p.writes(n, 2).reads(n, v).reads(n, 0).tokens(n).finish();
    case Kernel::ce_loss:
      return p.writes(1, 0).reads(n, 2).reads(n, 0).finish();
    default:  // ce_bwd
      return p.writes(n, v).reads(n, v).reads(n, 0).reads(n, 2).tokens(n).finish();
  }
}

Plan element_plan(const GridCase& g) {
  OpPlan p(g.kernel);
  const uint32_t n = g.a, w = g.b;
  switch (g.kernel) {
    case Kernel::bias:
      return p.writes(n, w).reads(n, w).weights(w).finish();
    case Kernel::bias_dw:
      return p.writes(w, 0).reads(n, w).finish();
    case Kernel::swiglu:
      return p.writes(n, w).reads(n, 2 * w).finish();
    case Kernel::swiglu_bwd:
      return p.writes(n, 2 * w).reads(n, w).reads(n, 2 * w).finish();
    case Kernel::gelu:
      return p.writes(n, w).reads(n, w).finish();
    default:  // gelu_bwd, add
      return p.writes(n, w).reads(n, w).reads(n, w).finish();
  }
}

Plan optimizer_plan(const GridCase& g) {
  OpPlan p(g.kernel);
  const uint32_t n = g.a;
  switch (g.kernel) {
    case Kernel::zero:
      return p.whole(RecordKind::gradient, n).finish(1);
    case Kernel::sum_squares:
      return p.writes(1, 0).whole(RecordKind::gradient, n).finish();
    case Kernel::clip:
      return p.writes(1, 0).writes(1, 0).reads(1, 0).finish();
    case Kernel::adamw:
      return p.whole(RecordKind::parameter, n)
          .whole(RecordKind::optimizer, n, 2)
          .whole(RecordKind::gradient, n)
          .reads(1, 0)
          .finish(2);
    default:  // sgd
      return p.whole(RecordKind::parameter, n).whole(RecordKind::gradient, n).reads(1, 0).finish(1);
  }
}

/// Kernels that share operands and sizes.
struct Family {
  Plan (*plan)(const GridCase&);
  std::vector<Kernel> kernels;
};

const std::vector<Family>& families() {
  static const std::vector<Family> kFamilies{
      {product_plan, {Kernel::matmul, Kernel::matmul_dx, Kernel::matmul_dw}},
      {attention_plan, {Kernel::attention, Kernel::attention_bwd}},
      {norm_plan,
       {Kernel::rms_norm, Kernel::rms_norm_dx, Kernel::rms_norm_dw, Kernel::layer_norm, Kernel::layer_norm_dx,
        Kernel::layer_norm_dw}},
      {head_plan, {Kernel::head_norm, Kernel::head_norm_dx, Kernel::head_norm_dw, Kernel::rope, Kernel::rope_bwd}},
      {token_plan, {Kernel::input, Kernel::embed, Kernel::embed_dw, Kernel::positions, Kernel::positions_dw}},
      {loss_plan, {Kernel::ce_max, Kernel::ce_sum, Kernel::ce_loss, Kernel::ce_bwd}},
      {element_plan,
       {Kernel::bias, Kernel::bias_dw, Kernel::swiglu, Kernel::swiglu_bwd, Kernel::gelu, Kernel::gelu_bwd,
        Kernel::add}},
      {optimizer_plan, {Kernel::zero, Kernel::sum_squares, Kernel::clip, Kernel::adamw, Kernel::sgd}}};
  return kFamilies;
}

/// Shapes of a family at a level, for any of its kernels.
std::vector<GridCase> shapes_of(const Family& family, const Scale& scale, const Level& level) {
  const auto& [product, rows, columns] = level;
  std::vector<GridCase> shapes;
  const Kernel first = family.kernels.front();
  if (first == Kernel::matmul) {
    for (uint32_t n : product) {
      for (uint32_t out : product) {
        for (uint32_t in : product)
          if (2.0 * n * out * in <= scale.most_flops) shapes.push_back({first, n, out, in});
      }
    }
  } else if (first == Kernel::attention) {
    for (uint32_t n : rows) {
      for (uint32_t heads : scale.heads) {
        for (uint32_t d : scale.head_sizes)
          if (4.0 * n * n * heads * d <= scale.most_flops) shapes.push_back({first, n, heads, d});
      }
    }
  } else {
    const bool by_element = first == Kernel::zero;
    for (uint32_t n : rows) {
      for (uint32_t w : columns)
        if (uint64_t{n} * w <= scale.most_elements) {
          // A head's dims three times (query, key, value); an optimizer's elements in one dim.
          shapes.push_back(by_element ? GridCase{first, n * w, 1, 1}
                                      : GridCase{first, n, first == Kernel::head_norm ? w * 3 : w, 1});
        }
    }
  }
  return shapes;
}

bool same_shape(const GridCase& x, const GridCase& y) {
  return x.a == y.a && x.b == y.b && x.c == y.c;
}

}  // namespace

std::vector<std::vector<GridCase>> calibration_grid(GridScale grid_scale) {
  const Scale& scale = scale_of(grid_scale);
  std::vector<std::vector<GridCase>> grid(scale.levels.size());
  for (const Family& family : families()) {
    std::vector<GridCase> known;
    for (size_t level = 0; level < scale.levels.size(); ++level) {
      for (const GridCase& shape : shapes_of(family, scale, scale.levels[level])) {
        if (std::any_of(known.begin(), known.end(), [&](const GridCase& k) { return same_shape(k, shape); })) continue;
        known.push_back(shape);
        for (Kernel kernel : family.kernels) {
          GridCase item = shape;
          item.kernel = kernel;
          grid[level].push_back(item);
        }
      }
    }
  }
  return grid;
}

Plan grid_plan(const GridCase& grid_case) {
  for (const Family& family : families()) {
    if (std::find(family.kernels.begin(), family.kernels.end(), grid_case.kernel) != family.kernels.end())
      return family.plan(grid_case);
  }
  return {};
}

}  // namespace pgram
