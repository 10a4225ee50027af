// The one interpreter: walks a Program and issues its Tasks to a Backend, for every rank of this process.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "core/exec/backend.h"
#include "core/timeline/timeline.h"

namespace pgram {

/// Tokens of sample `index` (of the global batch, 0-based) in training step `step`: fills tokens[sequence] and
/// targets[sequence] (the tokens shifted by one). Called from several threads; must be a pure function.
using TokenSource =
    std::function<void(uint64_t step, uint32_t index, uint32_t sequence, int32_t* tokens, int32_t* targets)>;

struct RunOptions {
  uint32_t steps = 1;
  Hyperparameters hyperparameters;
  TokenSource tokens;
  uint64_t seed = 1;       ///< initial weights (a pure function of seed, tensor name and global index)
  std::string load, save;  ///< safetensors; optimizer state and step are loaded when the file has them
  bool keep_spans = true;
  bool keep_gradients = false;  ///< tests: whole (unsharded) gradients of the first step, by tensor name
  std::stop_token stop;         ///< finishes the running step, then ends and saves
  /// After every step, on the calling thread.
  std::function<void(uint32_t step, double loss, double gradient_norm, Picoseconds time)> on_step;
};

struct RunResult {
  Timeline timeline;                                    ///< measured; as many steps as were finished
  std::vector<double> losses;                           ///< per step, mean over the tokens of the global batch
  std::vector<double> gradient_norms;                   ///< unclipped
  uint64_t first_step = 0;                              ///< > 0 after --load of a checkpoint with a step
  std::map<std::string, std::vector<float>> gradients;  ///< "layer.3.wq" -> row-major whole tensor
};

/// Runs the plan; one interpreter thread per local rank. A barrier ends every step (all streams of all ranks
/// synchronised), so steps do not overlap. Throws RunError naming rank and task when a task fails; the other ranks
/// are aborted and nothing hangs.
RunResult run(const Plan&, Backend&, const RunOptions&);

}  // namespace pgram
