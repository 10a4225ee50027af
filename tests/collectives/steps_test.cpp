// Every algorithm really performed on numbers: what comes out, in whatever order its messages are done; how much each
// member sends, and in how many steps.
#include <gtest/gtest.h>

#include <numeric>

#include "core/base/errors.h"
#include "tests/collectives/cases.h"

namespace pgram::sim::test {
namespace {

const std::vector<std::vector<uint32_t>> kGroups{
    {2},    {3},       {4},    {5},          {6},       {7},    {8},       {9},          {12},      {13},  {16},
    {1, 1}, {1, 1, 1}, {2, 2}, {1, 1, 1, 1}, {2, 2, 2}, {4, 4}, {3, 3, 3}, {2, 2, 2, 2}, {3, 1, 2}, {8, 8}};

void expect_right(const StepProgram& program, const std::string& what, std::span<const uint32_t> order = {}) {
  const std::vector<Array> in = inputs(program.members, size_t{program.blocks} * program.members);
  const std::vector<Array> out = apply(program, in, order);
  const Expected expected = expected_of(program.collective, in);
  for (uint32_t m = 0; m < program.members; ++m) {
    for (size_t i = 0; i < out[m].size(); ++i) {
      if (!expected.defined[m][i]) continue;
      ASSERT_EQ(out[m][i], expected.arrays[m][i]) << what << ": member " << m << ", number " << i;
    }
  }
}

/// One of the orders in which the messages may be done.
std::vector<uint32_t> any_order(const StepProgram& program, std::mt19937& random) {
  const size_t count = program.transfers.size();
  std::vector<std::vector<uint32_t>> successors(count);
  std::vector<uint32_t> missing(count), ready, order;
  for (uint32_t t = 0; t < count; ++t) {
    missing[t] = program.transfers[t].num_predecessors;
    for (const uint32_t p : program.predecessors_of(program.transfers[t])) successors[p].push_back(t);
    if (missing[t] == 0) ready.push_back(t);
  }
  while (!ready.empty()) {
    std::swap(ready[random() % ready.size()], ready.back());
    order.push_back(ready.back());
    ready.pop_back();
    for (const uint32_t next : successors[order.back()]) {
      if (--missing[next] == 0) ready.push_back(next);
    }
  }
  return order;
}

TEST(Steps, EveryAlgorithmComputesTheRightThingInAnyOrder) {
  std::mt19937 random(1);
  for (const Case& c : all_cases()) {
    for (const auto& sizes : kGroups) {
      const GroupNodes group = group_of(sizes);
      if (!possible(c, group)) continue;
      for (const uint32_t chunks : {1u, 3u}) {
        const StepProgram program = make_steps(c.collective, c.algorithm, group, {0, chunks});
        const std::string what = text_of(c, group) + ", " + std::to_string(chunks) + " chunks";
        expect_right(program, what);
        for (int i = 0; i < 3; ++i) {
          const std::vector<uint32_t> order = any_order(program, random);
          ASSERT_EQ(order.size(), program.transfers.size()) << what;
          expect_right(program, what, order);
        }
      }
    }
  }
}

TEST(Steps, ForgottenPredecessorIsSeen) {
  // Were the predecessors not needed, the test above would prove nothing: a ring all-reduce of 4 done backwards.
  const StepProgram program = make_steps(Collective::all_reduce, Algorithm::ring, GroupNodes::single(4));
  std::vector<uint32_t> order(program.transfers.size());
  std::iota(order.rbegin(), order.rend(), 0u);
  EXPECT_THROW(apply(program, inputs(4, 16), order), RunError);
}

TEST(Steps, AsManyStepsAndBytesAsInTheBooks) {
  struct Row {
    Collective collective;
    Algorithm algorithm;
    GroupNodes group;
    uint32_t steps;
    double sent;  // by the member that sends most, in arrays
  };
  using enum Collective;
  const GroupNodes eight = GroupNodes::single(8), nodes = GroupNodes::even(4, 8);
  const std::vector<Row> rows{
      {all_reduce, Algorithm::ring, eight, 14, 14.0 / 8},                        // 2(n-1) steps of 1/n
      {reduce_scatter, Algorithm::ring, eight, 7, 7.0 / 8},                      //
      {all_gather, Algorithm::ring, eight, 7, 7.0 / 8},                          //
      {all_reduce, Algorithm::ring, nodes, 62, 62.0 / 32},                       // over nodes too
      {all_reduce, Algorithm::halving_doubling, eight, 6, 14.0 / 8},             // 2 log2 n
      {all_reduce, Algorithm::halving_doubling, GroupNodes::single(6), 6, 2.5},  // 4: 3/2, and the whole back
      {all_reduce, Algorithm::direct, eight, 2, 14.0 / 8},                       //
      {all_to_all, Algorithm::direct, eight, 1, 7.0 / 8},                        //
      {all_reduce, Algorithm::nvls, eight, 4, 9.0 / 8},  // all up, and a part; each by way of the switch
      {reduce_scatter, Algorithm::nvls, eight, 2, 1},    //
      {all_gather, Algorithm::nvls, eight, 2, 1.0 / 8},  //
      // Two binary trees of 8: height 3, up and down; an inner vertex of one is a leaf of the other: 1/2 up and 2/2
      // down in the one, 1/2 up in the other.
      {all_reduce, Algorithm::tree, eight, 6, 2},
      {all_gather, Algorithm::pat, GroupNodes::even(8, 1), 3, 7.0 / 8},  // log2 n
      {all_gather, Algorithm::pat, GroupNodes::even(5, 1), 2, 4.0 / 5},  // bits in 3 = 2 + 1, the most below 5
      // 7 steps within the node and 3 across, and back: 7/8 + 3/4 of an eighth, twice.
      {all_reduce, Algorithm::hierarchical, nodes, 20, 2 * (7.0 / 8 + 3.0 / 32)},
      {broadcast, Algorithm::ring, eight, 7, 1},
  };
  for (const Row& row : rows) {
    const StepProgram program = make_steps(row.collective, row.algorithm, row.group);
    const std::vector<double> sent = program.sent();
    const std::string what = text_of({row.collective, row.algorithm}, row.group);
    EXPECT_EQ(program.steps, row.steps) << what;
    EXPECT_DOUBLE_EQ(*std::max_element(sent.begin(), sent.begin() + row.group.members()), row.sent) << what;
  }
}

TEST(Steps, AllReduceIsReduceScatterAndThenAllGather) {
  for (const Algorithm algorithm :
       {Algorithm::ring, Algorithm::halving_doubling, Algorithm::direct, Algorithm::nvls, Algorithm::hierarchical}) {
    for (const auto& sizes : {std::vector<uint32_t>{8}, {4, 4}, {2, 2, 2, 2}}) {
      const GroupNodes group = group_of(sizes);
      if (!possible({Collective::all_reduce, algorithm}, group)) continue;
      const std::string what = text_of({Collective::all_reduce, algorithm}, group);
      const StepProgram both = make_steps(Collective::all_reduce, algorithm, group);
      const StepProgram scatter = make_steps(Collective::reduce_scatter, algorithm, group);
      const StepProgram gather = make_steps(Collective::all_gather, algorithm, group);
      const std::vector<Array> in = inputs(8, size_t{both.blocks} * 8);
      EXPECT_EQ(apply(gather, apply(scatter, in)), apply(both, in)) << what;
      EXPECT_EQ(both.messages(), scatter.messages() + gather.messages()) << what;
      EXPECT_EQ(both.steps, scatter.steps + gather.steps) << what;
      const std::vector<double> sent = both.sent(), first = scatter.sent(), second = gather.sent();
      for (size_t m = 0; m < sent.size(); ++m) EXPECT_DOUBLE_EQ(sent[m], first[m] + second[m]) << what;
    }
  }
}

TEST(Steps, EveryMemberOfANodeSendsItsShareAcross) {
  // 4 nodes of 8, 8 channels: 2 * 31/32 of the array leaves each node, an eighth of it from each member, and arrives at
  // the member of the same place in the next node.
  const GroupNodes group = GroupNodes::even(4, 8);
  const StepProgram program = make_steps(Collective::all_reduce, Algorithm::ring, group);
  EXPECT_EQ(program.channels, 8u);
  std::vector<uint64_t> leaves(32, 0);
  for (const Transfer& t : program.transfers) {
    if (t.source / 8 == t.target / 8) continue;
    EXPECT_EQ((t.source / 8 + 1) % 4, t.target / 8);
    EXPECT_EQ(t.source % 8, t.target % 8);
    leaves[t.source] += t.count;
  }
  for (const uint64_t blocks : leaves) EXPECT_EQ(blocks * 32 * 8, 2 * 31 * program.blocks);
}

TEST(Steps, TwoTreesShareTheirLeavesOut) {
  // No vertex has children in both, but for one where the number is odd; heights are ceil(log2 n).
  for (uint32_t n = 2; n <= 70; ++n) {
    const StepProgram program = make_steps(Collective::all_reduce, Algorithm::tree, GroupNodes::single(n));
    uint32_t height = 0;
    while ((1u << height) < n) ++height;
    EXPECT_EQ(program.steps, 2 * height) << n;
    const std::vector<double> sent = program.sent();
    EXPECT_LE(*std::max_element(sent.begin(), sent.end()), 2) << n;
  }
}

std::string refusal(Collective collective, Algorithm algorithm, const GroupNodes& group, StepOptions options = {}) {
  try {
    make_steps(collective, algorithm, group, options);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(Steps, WhatCannotBeIsRefused) {
  using enum Collective;
  const GroupNodes eight = GroupNodes::single(8);
  EXPECT_EQ(refusal(all_reduce, Algorithm::ring, GroupNodes::single(1)),
            "collective: all_reduce by ring: needs at least 2 members, got 1");
  EXPECT_EQ(refusal(all_gather, Algorithm::halving_doubling, GroupNodes::single(6)),
            "collective: all_gather by halving_doubling: needs a power of two of members, got 6");
  EXPECT_EQ(refusal(all_reduce, Algorithm::nvls, GroupNodes::even(2, 8)),
            "collective: all_reduce by nvls: is for one node; between nodes there are nvls_tree and hierarchical");
  EXPECT_EQ(refusal(all_reduce, Algorithm::hierarchical, group_of({3, 5})),
            "collective: all_reduce by hierarchical: needs several nodes with as many members each");
  EXPECT_EQ(refusal(all_to_all, Algorithm::ring, eight),
            "collective: all_to_all by ring: there is no such algorithm; see pgram collective --help");
  EXPECT_EQ(refusal(all_reduce, Algorithm::ring, eight, {1, 0}),
            "collective: all_reduce by ring: expected 1 to 4096 chunks, got 0");
  EXPECT_EQ(refusal(all_reduce, Algorithm::ring, GroupNodes::single(16384)),
            "collective: all_reduce by ring: more than 16777216 messages: take a smaller group or fewer chunks");
}

}  // namespace
}  // namespace pgram::sim::test
