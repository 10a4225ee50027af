// Rows as a sweep could give them, made up from a seed.
#pragma once
#include <array>
#include <random>
#include <string>
#include <vector>

#include "cli/sweep/results.h"

namespace pgram::sweep_report::test {

using sweep::Row;

/// Of `nodes` nodes of 8; shares add up to 1, and half of the sums are rounded a little off.
inline Row made_row(std::mt19937& random, uint64_t number, const std::string& model, const std::string& kind,
                    uint32_t nodes) {
  const auto share = [&] { return static_cast<double>(random() % 10000) / 10000; };
  Row row;
  row.inputs.number = number;
  row.inputs.model = model;
  row.inputs.cluster = kind + ":" + std::to_string(nodes);
  row.inputs.devices = 8 * nodes, row.inputs.devices_per_node = 8;
  row.inputs.layout.tp = 1u << random() % 4;
  row.inputs.layout.pp = 1u << random() % 4;
  row.inputs.layout.dp = 1u << random() % 6;
  row.inputs.layout.sequence_parallel = random() % 2;
  row.inputs.workload = {512, 1u << random() % 3, 8192, Precision::bf16, Optimizer::adamw};
  sweep::Figures& f = row.outcome.figures;
  const double ideal = 2000.0 / row.inputs.devices;
  f.step_seconds = ideal * (1 + 0.05 * nodes / 16 + share());
  f.tokens_per_second = 512 * 8192 / f.step_seconds;
  f.model_flops_utilisation = 0.55 * ideal / f.step_seconds;
  f.memory_bytes = (20 + 58 * share()) * 0x1p30, f.memory_headroom = 80 * 0x1p30 - f.memory_bytes;
  f.dollars = f.step_seconds * row.inputs.devices * 2.5 / 3600;
  f.dollars_per_million_tokens = f.dollars / (512 * 8192) * 1e6;
  f.joules = f.step_seconds * row.inputs.devices * 600, f.watts_per_device = 600;
  f.goodput = 0.97, f.checkpoint_interval_seconds = 1800;
  const std::array parts{
      &sweep::Figures::forward,         &sweep::Figures::backward,      &sweep::Figures::optimizer,
      &sweep::Figures::tensor_parallel, &sweep::Figures::data_parallel, &sweep::Figures::pipeline_parallel,
      &sweep::Figures::shared_links,    &sweep::Figures::fill,          &sweep::Figures::steady,
      &sweep::Figures::drain,           &sweep::Figures::imbalance,     &sweep::Figures::other_idle};
  constexpr std::array weights{22.0, 45.0, 1.0, 9.0, 4.0, 2.0, 3.0, 4.0, 1.0, 4.0, 1.0, 0.3};
  double sum = 0;
  for (size_t i = 0; i < parts.size(); ++i) sum += f.*parts[i] = weights[i] * (0.6 + share());
  for (const auto part : parts) f.*part /= sum;
  return row;
}

inline std::vector<Row> made_rows(uint32_t seed, size_t count, std::vector<std::string> models = {"llama-3.1-70b"},
                                  std::vector<std::string> kinds = {"dgx-h100"}) {
  std::mt19937 random(seed);
  std::vector<Row> rows;
  for (size_t i = 0; i < count; ++i) {
    const size_t model = i * models.size() / count;
    rows.push_back(made_row(random, i, models[model], kinds[random() % kinds.size()], 8u << random() % 5));
  }
  return rows;
}

inline Row made_unfit(uint64_t number, const std::string& why) {
  std::mt19937 random(1);
  Row row = made_row(random, number, "llama-3.1-70b", "dgx-h100", 8);
  row.outcome = {};
  row.outcome.unfit = why;
  return row;
}

}  // namespace pgram::sweep_report::test
