// The criterion of parity: what two runs may differ by that should train alike.
#pragma once
#include <cmath>
#include <string>
#include <vector>

#include "core/exec/interpreter.h"

namespace pgram::testing {

inline double norm_of(const std::vector<float>& values) {
  double sum = 0;
  for (float v : values) sum += double{v} * v;
  return std::sqrt(sum);
}

inline double norm_of_difference(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return INFINITY;
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
  return std::sqrt(sum);
}

/// What differs between a run and the one-rank run beyond the tolerances, one line each: loss 1e-6 relative, unclipped
/// gradient norm 1e-5 relative, each gradient of step 1 |dg| <= 1e-5 |g| + 1e-7 |all gradients|.
inline std::vector<std::string> differences(const RunResult& one, const RunResult& many) {
  std::vector<std::string> found;
  const auto compare = [&](const std::string& what, double expected, double got, double tolerance) {
    if (std::abs(got - expected) <= tolerance * std::abs(expected)) return;
    found.push_back(what + ": " + std::to_string(got) + ", expected " + std::to_string(expected));
  };
  if (one.losses.size() != many.losses.size()) return {"steps"};
  for (size_t i = 0; i < one.losses.size(); ++i) {
    compare("loss of step " + std::to_string(i), one.losses[i], many.losses[i], 1e-6);
    compare("norm of step " + std::to_string(i), one.gradient_norms[i], many.gradient_norms[i], 1e-5);
  }
  double all = 0;
  for (const auto& [name, gradient] : one.gradients) all += norm_of(gradient) * norm_of(gradient);
  all = std::sqrt(all);
  if (one.gradients.size() != many.gradients.size()) found.push_back("gradient: other tensors");
  for (const auto& [name, gradient] : one.gradients) {
    const auto other = many.gradients.find(name);
    const double difference = other == many.gradients.end() ? INFINITY : norm_of_difference(gradient, other->second);
    if (difference <= 1e-5 * norm_of(gradient) + 1e-7 * all) continue;
    found.push_back("gradient " + name + " differs by " + std::to_string(difference) + " of " +
                    std::to_string(norm_of(gradient)));
  }
  return found;
}

}  // namespace pgram::testing
