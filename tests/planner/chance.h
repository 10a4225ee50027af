// Models, layouts and workloads by chance, with fixed seeds.
#pragma once
#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "tests/planner/small_models.h"

namespace pgram::test {

class Chance {
 public:
  explicit Chance(uint32_t seed) : random_(seed) {}
  uint32_t draw(uint32_t low, uint32_t high) { return std::uniform_int_distribution<uint32_t>(low, high)(random_); }
  template <typename T>
  T pick(const std::vector<T>& choices) {
    return choices[draw(0, static_cast<uint32_t>(choices.size()) - 1)];
  }

  Model model() {
    Model m = pick(all_kinds());
    m.layers = draw(1, 7);
    m.hidden = 8 * draw(1, 9);
    m.vocabulary = draw(4, 150);
    m.ffn = 4 * draw(1, 30);
    m.head_dim = 2 * draw(1, 8);
    m.rotary_dims = m.positions == Positions::rope ? m.head_dim : 0;
    if (m.kind == "gpt_neox") m.rotary_dims = 2;
    m.qkv_bias = draw(0, 1);
    m.projection_bias = draw(0, 1);
    m.mlp_bias = draw(0, 1);
    m.tied_embeddings = draw(0, 1);
    m.parallel_residual = draw(0, 1);
    return m;
  }

  Layout layout() {
    Layout l;
    l.tp = pick<uint32_t>({1, 2, 4});
    l.pp = draw(1, 5);
    l.dp = draw(1, 4);
    l.sequence_parallel = l.tp > 1 && draw(0, 1);
    l.schedule = pick<std::string>({"gpipe", "1f1b"});
    std::shuffle(l.order.begin(), l.order.end(), random_);
    return l;
  }

  Workload workload(const Layout& l) {
    Workload w = work(0, draw(1, 3), draw(1, 24));
    w.global_batch = l.dp * w.micro_batch * draw(1, 9);
    w.precision = pick<Precision>({Precision::fp32, Precision::bf16});
    w.optimizer = pick<Optimizer>({Optimizer::adamw, Optimizer::sgd});
    return w;
  }

 private:
  std::mt19937 random_;
};

}  // namespace pgram::test
