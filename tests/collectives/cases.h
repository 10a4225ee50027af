// What the tests of this folder share: which algorithms there are for what, and groups of all shapes.
#pragma once
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "sim/collectives/apply.h"
#include "sim/collectives/steps.h"

namespace pgram::sim::test {

struct Case {
  Collective collective;
  Algorithm algorithm;
};

inline std::vector<Case> all_cases() {
  using enum Collective;
  using enum Algorithm;
  return {{all_reduce, ring},
          {all_reduce, tree},
          {all_reduce, halving_doubling},
          {all_reduce, direct},
          {all_reduce, nvls},
          {all_reduce, nvls_tree},
          {all_reduce, hierarchical},
          {reduce_scatter, ring},
          {reduce_scatter, halving_doubling},
          {reduce_scatter, direct},
          {reduce_scatter, nvls},
          {reduce_scatter, hierarchical},
          {reduce_scatter, pat},
          {all_gather, ring},
          {all_gather, halving_doubling},
          {all_gather, direct},
          {all_gather, nvls},
          {all_gather, hierarchical},
          {all_gather, pat},
          {broadcast, ring},
          {broadcast, tree},
          {broadcast, direct},
          {Collective::reduce, ring},
          {Collective::reduce, tree},
          {Collective::reduce, direct},
          {all_to_all, direct},
          {send_recv, direct}};
}

/// Nodes of so many members each.
inline GroupNodes group_of(const std::vector<uint32_t>& sizes) {
  GroupNodes group;
  uint32_t member = 0;
  for (const uint32_t size : sizes) {
    group.nodes.emplace_back();
    for (uint32_t i = 0; i < size; ++i) group.nodes.back().push_back(member++);
  }
  return group;
}

inline bool possible(const Case& c, const GroupNodes& group) {
  const uint32_t n = group.members();
  const bool one = group.nodes.size() == 1;
  switch (c.algorithm) {
    case Algorithm::nvls:
      return one;
    case Algorithm::nvls_tree:
    case Algorithm::hierarchical:
      return !one && group.is_even();
    case Algorithm::halving_doubling:
      return c.collective == Collective::all_reduce || (n & (n - 1)) == 0;
    default:
      return true;
  }
}

inline std::string text_of(const Case& c, const GroupNodes& group) {
  std::string text = std::string(name_of(c.collective)) + " " + name_of(c.algorithm) + " of";
  for (const auto& node : group.nodes) text += " " + std::to_string(node.size());
  return text;
}

/// Different numbers everywhere.
inline std::vector<Array> inputs(uint32_t members, size_t length) {
  std::mt19937_64 random(members * 1000003 + length);
  std::vector<Array> arrays(members, Array(length));
  for (Array& array : arrays) {
    for (int64_t& value : array) value = static_cast<int64_t>(random() >> 16);
  }
  return arrays;
}

/// What each member must have afterwards; only what `defined` says, for reduce and reduce_scatter.
struct Expected {
  std::vector<Array> arrays;
  std::vector<std::vector<bool>> defined;
};

inline Expected expected_of(Collective collective, const std::vector<Array>& in) {
  const size_t n = in.size(), length = in[0].size(), part = length / n;
  Expected out{in, std::vector(n, std::vector<bool>(length, true))};
  Array sum(length, 0);
  for (const Array& array : in) {
    for (size_t i = 0; i < length; ++i) sum[i] += array[i];
  }
  for (size_t m = 0; m < n; ++m) {
    for (size_t i = 0; i < length; ++i) {
      const size_t owner = i / part;
      int64_t& value = out.arrays[m][i];
      switch (collective) {
        case Collective::all_reduce:
          value = sum[i];
          break;
        case Collective::reduce_scatter:
          value = sum[i];
          out.defined[m][i] = owner == m;
          break;
        case Collective::all_gather:
          value = in[owner][i];
          break;
        case Collective::broadcast:
          value = in[0][i];
          break;
        case Collective::reduce:
          value = sum[i];
          out.defined[m][i] = m == 0;
          break;
        case Collective::all_to_all:
          value = in[owner][m * part + i % part];
          break;
        case Collective::send_recv:
          value = m > 0 ? in[m - 1][i] : 0;
          break;
      }
    }
  }
  return out;
}

}  // namespace pgram::sim::test
