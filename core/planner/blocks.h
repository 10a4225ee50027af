// Blocks: the forward of embedding, transformer layer and head as tapes, in this rank's local shapes.
#pragma once
#include "core/layout/layout.h"
#include "core/model/model.h"
#include "core/planner/tape.h"
#include "core/workload/workload.h"

namespace pgram {

/// Sizes of one rank: tensor-parallel degrees divided out.
struct LocalShape {
  LocalShape(const Model&, const Layout&, const Workload&);

  uint32_t tokens;          ///< of a micro-batch
  uint32_t tokens_outside;  ///< outside the tensor-parallel regions (tokens / tp with sequence parallelism)
  uint32_t hidden, heads, kv_heads, head_dim, ffn;
  uint32_t vocabulary;  ///< rows of the vocabulary shard: padded up to a multiple of tp
  DType activation, parameter;
};

struct BlockContext {
  const Model& model;
  const Layout& layout;
  const Workload& workload;
  LocalShape shape;

  Tape tape() const { return {layout.tp, layout.sequence_parallel, shape.activation, shape.parameter, layout.dp}; }
};

Tape embedding_tape(const BlockContext&);
Tape layer_tape(const BlockContext&);
/// Final norm, head and cross-entropy. `tied_here`: the embedding's record is on this rank and is used itself;
/// otherwise a tied head has a copy of the matrix whose gradient is summed with the embedding's.
Tape head_tape(const BlockContext&, bool tied_here);

}  // namespace pgram
