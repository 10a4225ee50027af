#include "gui/model/execution.h"

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "core/exec/interpreter.h"
#include "cpu_backend/cpu_backend.h"

namespace pgram::gui {
namespace {

/// splitmix64: a good hash of the sample's place, the same in every run.
uint64_t hash(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

TokenSource random_tokens(uint32_t vocabulary) {
  return [vocabulary](uint64_t step, uint32_t index, uint32_t sequence, int32_t* tokens, int32_t* targets) {
    const auto token = [&](uint32_t position) {
      return static_cast<int32_t>(hash(step << 44 ^ uint64_t{index} << 24 ^ position) % vocabulary);
    };
    for (uint32_t i = 0; i < sequence; ++i) {
      tokens[i] = token(i);
      targets[i] = token(i + 1);
    }
  };
}

void leave_out_first_step(Timeline& timeline) {
  const uint64_t first = timeline.steps[0].num_spans;
  std::vector<Span> spans(timeline.spans.begin() + static_cast<std::ptrdiff_t>(first), timeline.spans.end());
  timeline.steps.erase(timeline.steps.begin());
  for (Step& step : timeline.steps) step.first_span -= first;
  timeline.set_spans(std::move(spans));
}

}  // namespace

std::shared_ptr<const Timeline> execute(std::shared_ptr<const Plan> plan, uint32_t steps, std::stop_token stop,
                                        const Progress& progress) {
  const auto fact = plan->facts.find("vocabulary");
  const auto vocabulary = fact == plan->facts.end() ? 0 : std::strtoul(fact->second.c_str(), nullptr, 10);
  CpuOptions options;
  options.threads_per_rank = static_cast<int>(std::max(1u, std::thread::hardware_concurrency() / plan->mesh.ranks()));
  CpuBackend backend(*plan, options);
  RunOptions run_options;
  run_options.steps = steps + 1;
  run_options.tokens = random_tokens(static_cast<uint32_t>(std::max(1ul, vocabulary)));
  run_options.stop = stop;
  run_options.on_step = [&](uint32_t step, double loss, double, Picoseconds time) {
    progress(step, steps, loss, time);
  };
  RunResult result = run(*plan, backend, run_options);
  if (result.timeline.steps.size() < 2) return nullptr;
  result.timeline.plan = plan;
  leave_out_first_step(result.timeline);
  return std::make_shared<const Timeline>(std::move(result.timeline));
}

}  // namespace pgram::gui
