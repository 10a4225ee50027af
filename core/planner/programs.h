// Programs: every role's Calls in issue order, with slots given out by first and last use.
#pragma once
#include <vector>

#include "core/layout/layout.h"
#include "core/planner/bodies.h"
#include "core/planner/schedule.h"

namespace pgram {

enum class BlockKind : uint8_t { embedding, layer, head };
constexpr int kBlockKinds = 3;

struct StageBlock {
  BlockKind kind = BlockKind::layer;
  uint16_t layer = 0;
};

/// Everything that the programs of all roles are made of.
struct ProgramParts {
  std::array<Block, kBlockKinds> blocks;
  std::vector<std::vector<StageBlock>> stages;  ///< per stage, in forward order
  int edge = -1, io = -1, misc = -1;            ///< records
  // Bodies around the micro-batches; -1 in a plan that does not train.
  int zero_misc = -1, input = -1, reduce_loss = -1, global_norm = -1, reduce_tied = -1;
  bool tied_here = false;  ///< pp = 1: the head uses the embedding's record
  uint32_t micro_batches = 1;
};

/// Appends one Program per row to the plan (and the bodies and channels of its sends and receives).
void build_programs(Plan&, BodyBuilder&, const ProgramParts&, const Schedule& rows, PointToPoint);

}  // namespace pgram
