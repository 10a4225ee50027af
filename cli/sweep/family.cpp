#include "cli/sweep/family.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace pgram::sweep {
namespace {

constexpr double kMostLayers = 4096;

uint32_t multiple(double value, uint32_t of) {
  return of * std::max(1u, static_cast<uint32_t>(std::lround(value / of)));
}

/// In which heads come.
uint32_t head_step(const Model& model) {
  return model.kv_heads < model.heads ? model.kv_heads : std::gcd(model.heads, 8u);
}

/// How much wider than the model, and how many layers then keep the parameters of the layers as wanted.
struct Growth {
  uint32_t heads = 0;
  double layers = 0;
};
Growth growth_of(const Model& model, int size) {
  // Parameters of the layers go with width^2 x depth: both grow by the third root.
  const double layers = std::exp2(static_cast<double>(size) / kSizesPerDoubling);
  const uint32_t heads = multiple(model.heads * std::cbrt(layers), head_step(model));
  const double width = static_cast<double>(heads) / model.heads;
  return {heads, model.layers * layers / (width * width)};
}

}  // namespace

Model family_member(const Model& model, int size) {
  const Growth growth = growth_of(model, size);
  Model member = model;
  member.heads = growth.heads;
  if (model.kv_heads == model.heads) member.kv_heads = member.heads;
  const double width = static_cast<double>(member.heads) / model.heads;
  member.hidden = multiple(model.hidden * width, 1);
  member.ffn = multiple(model.ffn * width, std::gcd(model.ffn, 256u));
  member.layers = multiple(growth.layers, 1);
  return member;
}

SizeRange family_sizes(const Model& model) {
  SizeRange range;
  const auto legal = [&](int size) {
    const double layers = growth_of(model, size).layers;
    return layers >= 0.5 && layers < kMostLayers;
  };
  while (legal(range.least - 1)) --range.least;
  while (legal(range.most + 1)) ++range.most;
  return range;
}

}  // namespace pgram::sweep
