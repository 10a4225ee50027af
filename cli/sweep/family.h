// A model's family: shapes like it, smaller and larger, as the question "how large a model can these devices train?"
// needs them.
#pragma once
#include "core/model/model.h"

namespace pgram::sweep {

constexpr int kSizesPerDoubling = 64;  ///< of the parameters: a size is 1.1 % more than the one before

/// The member that has about 2^(size / kSizesPerDoubling) times the parameters in its layers; size 0 is the model
/// itself. Width and depth grow together, as in families that were published (hidden / layers of Llama 3: 128, 102 and
/// 130). Kept: the size of a head, the number of key-value heads where it is smaller than that of the heads, the ratio
/// of ffn to hidden, the vocabulary, everything else. Heads stay a multiple of the key-value heads, or else of the
/// largest power of two up to 8 that divides the model's own, so that tensor parallelism stays possible; what the width
/// lacks or has too much by that, the depth makes up for.
Model family_member(const Model&, int size);

/// Sizes whose members have at least one layer and at most as many layers as a plan can number.
struct SizeRange {
  int least = 0, most = 0;
};
SizeRange family_sizes(const Model&);

}  // namespace pgram::sweep
