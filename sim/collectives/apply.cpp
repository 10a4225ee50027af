#include "sim/collectives/apply.h"

#include <algorithm>
#include <cassert>
#include <string>

#include "core/base/errors.h"

namespace pgram::sim {

static void require_done(const StepProgram& program, uint32_t index, const std::vector<bool>& done) {
  for (const uint32_t p : program.predecessors_of(program.transfers[index])) {
    if (!done[p])
      throw RunError("message " + std::to_string(index) + " comes before message " + std::to_string(p) +
                     ", which it must wait for");
  }
}

static std::vector<Array> second_arrays(const StepProgram& program, const std::vector<Array>& arrays) {
  std::vector<Array> second(arrays.size(), Array(arrays[0].size(), 0));
  if (program.collective != Collective::all_to_all) return second;
  const auto part = static_cast<ptrdiff_t>(arrays[0].size() / arrays.size());
  for (size_t m = 0; m < arrays.size(); ++m) {
    const auto first = static_cast<ptrdiff_t>(m) * part;
    std::copy_n(arrays[m].begin() + first, part, second[m].begin() + first);
  }
  return second;
}

std::vector<Array> apply(const StepProgram& program, std::vector<Array> arrays, std::span<const uint32_t> order) {
  assert(arrays.size() == program.members && arrays[0].size() % program.blocks == 0);
  const size_t length = arrays[0].size(), block = length / program.blocks;
  std::vector<Array> second;
  if (program.separate_output) second = second_arrays(program, arrays);
  arrays.resize(program.members + program.switches, Array(length, 0));
  std::vector<Array>& targets = program.separate_output ? second : arrays;
  std::vector<bool> done(program.transfers.size(), false);
  for (uint32_t i = 0; i < program.transfers.size(); ++i) {
    const uint32_t index = order.empty() ? i : order[i];
    const Transfer& t = program.transfers[index];
    require_done(program, index, done);
    done[index] = true;
    for (uint32_t b = 0; b < t.count; ++b) {
      const int64_t* from = &arrays[t.source][program.position[t.source_block + b] * block];
      int64_t* to = &targets[t.target][program.position[t.target_block + b] * block];
      for (size_t i_in_block = 0; i_in_block < block; ++i_in_block)
        to[i_in_block] = t.reduces ? to[i_in_block] + from[i_in_block] : from[i_in_block];
    }
  }
  targets.resize(program.members);
  return std::move(targets);
}

}  // namespace pgram::sim
