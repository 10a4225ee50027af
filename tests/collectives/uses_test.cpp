// What a collective puts on the links of a cluster: the formula against the messages themselves, and by hand.
#include "sim/collectives/uses.h"

#include <gtest/gtest.h>

#include <numeric>

#include "core/base/errors.h"
#include "tests/collectives/cases.h"

namespace pgram::sim::test {
namespace {

void expect_same(const std::vector<LinkUse>& a, const std::vector<LinkUse>& b, const std::string& what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].link, b[i].link) << what;
    EXPECT_NEAR(a[i].weight, b[i].weight, 1e-12 * b[i].weight) << what;
  }
}

TEST(CollectiveUses, FormulaIsTheSumOfTheMessages) {
  const Cluster cluster = find_cluster("dgx-h100:40");  // two leaves a rail
  std::mt19937 random(7);
  std::vector<std::vector<uint32_t>> groups{{0, 1},       {0, 8}, {0, 8, 16, 24}, {3, 5, 6}, {0, 1, 8, 9, 256, 257},
                                            {0, 255, 256}};
  groups.emplace_back(24);
  std::iota(groups.back().begin(), groups.back().end(), 8u);
  for (const uint32_t nodes : {2u, 3u, 5u}) {  // even ones, of some places in any order
    for (const std::vector<uint32_t>& places : {std::vector<uint32_t>{2}, {5, 1}, {0, 7, 4}}) {
      auto& group = groups.emplace_back();
      for (uint32_t node = 0; node < nodes; ++node) {
        for (const uint32_t place : places) group.push_back(8 * (37 - 5 * node) + place);
      }
    }
  }
  for (int i = 0; i < 5; ++i) {  // any members, in any order
    std::vector<uint32_t> devices(320);
    std::iota(devices.begin(), devices.end(), 0u);
    std::shuffle(devices.begin(), devices.end(), random);
    devices.resize(2 + random() % 12);
    groups.push_back(devices);
  }
  for (const auto& group : groups) {
    const GroupNodes nodes = GroupNodes::of(group, cluster);
    for (const Case& c : all_cases()) {
      if (c.algorithm != Algorithm::ring) continue;
      expect_same(collective_uses(c.collective, c.algorithm, group, cluster),
                  program_uses(make_steps(c.collective, c.algorithm, nodes), group, cluster), text_of(c, nodes));
    }
  }
}

TEST(CollectiveUses, RingOfARail) {
  // Four nodes, the device of place 3 in each: up and down the NIC of rail 3 goes 2 * 3/4 of the array, nothing else is
  // touched. A node's links there: device to PCIe switch, to NIC, to leaf, and the same back.
  const Cluster cluster = find_cluster("dgx-h100:4");
  const std::vector<uint32_t> group{3, 11, 19, 27};
  const std::vector<LinkUse> uses = collective_uses(Collective::all_reduce, Algorithm::ring, group, cluster);
  EXPECT_EQ(uses.size(), 4u * 6);
  for (const LinkUse& use : uses) EXPECT_DOUBLE_EQ(use.weight, 1.5);
  for (const LinkUse& use :
       collective_uses(Collective::all_reduce, Algorithm::ring, group, cluster, wire_bytes(Protocol::ll)))
    EXPECT_DOUBLE_EQ(use.weight, 3);
}

TEST(CollectiveUses, RingOverNodesLoadsEveryNicAlike) {
  // Two nodes of 8, 8 channels: an eighth of 2 * 15/16 over each NIC both ways; inside, 7 of 8 channels use each
  // device's NVLink each way. No rail is left, so no spine.
  const Cluster cluster = find_cluster("dgx-h100:2");
  std::vector<uint32_t> group(16);
  std::iota(group.begin(), group.end(), 0u);
  const std::vector<LinkUse> uses = collective_uses(Collective::all_reduce, Algorithm::ring, group, cluster);
  int nics = 0, nvlinks = 0;
  for (const LinkUse& use : uses) {
    const std::string kind = cluster.graph().links[use.link].kind;
    if (kind == "infiniband") {
      EXPECT_NEAR(use.weight, 30.0 / 16 / 8, 1e-12);
      ++nics;
    } else if (kind == "nvlink") {
      EXPECT_NEAR(use.weight, 30.0 / 16 * 7 / 8, 1e-12);
      ++nvlinks;
    }
  }
  EXPECT_EQ(nics, 2 * 16);
  EXPECT_EQ(nvlinks, 2 * 16);
}

TEST(CollectiveUses, RingsOfAMeshUseEveryWireOnce) {
  // DGX-1V: 6 NVLinks a device, 24 in all, one or two between neighbours. Three rings of 8 wires take all of them, each
  // way round: 6 channels, of 2 * 7/8 of a sixth of the array over every wire each way.
  const Cluster cluster = find_cluster("dgx-1v");
  std::vector<uint32_t> group(8);
  std::iota(group.begin(), group.end(), 0u);
  EXPECT_EQ(GroupNodes::of(group, cluster).rings.size(), 6u);
  const std::vector<LinkUse> uses = collective_uses(Collective::all_reduce, Algorithm::ring, group, cluster);
  EXPECT_EQ(uses.size(), 32u);
  for (const LinkUse& use : uses) {
    EXPECT_EQ(cluster.graph().links[use.link].kind, "nvlink");
    EXPECT_NEAR(use.weight, 1.75 / 6 * cluster.topology->link(use.link).bytes_per_second / 20e9, 1e-12);
  }
  // Four of them hang together still, with fewer rings; in a node with a switch there is no need.
  const std::vector<uint32_t> quad{0, 1, 2, 3};
  EXPECT_EQ(GroupNodes::of(quad, cluster).rings.size(), 4u);
  EXPECT_TRUE(GroupNodes::of(group, find_cluster("dgx-h100")).rings.empty());
}

TEST(CollectiveUses, SwitchSumsUp) {
  // NVLS on 8: all of the array and the eighth that the member owns go up, and as much comes down.
  const Cluster cluster = find_cluster("dgx-h100");
  std::vector<uint32_t> group(8);
  std::iota(group.begin(), group.end(), 0u);
  const std::vector<LinkUse> uses = collective_uses(Collective::all_reduce, Algorithm::nvls, group, cluster);
  EXPECT_EQ(uses.size(), 16u);
  for (const LinkUse& use : uses) EXPECT_DOUBLE_EQ(use.weight, 9.0 / 8);
}

TEST(CollectiveUses, GroupOfManyIsQuick) {
  // 128 members, one in every eighth node of 16,384 devices; and 1,024 in whole nodes.
  const Cluster cluster = find_cluster("dgx-h100:2048");
  std::vector<uint32_t> far(128), whole(1024);
  for (uint32_t i = 0; i < 128; ++i) far[i] = i * 128;
  std::iota(whole.begin(), whole.end(), 0u);
  EXPECT_GT(collective_uses(Collective::all_reduce, Algorithm::ring, far, cluster).size(), 128u * 6);
  EXPECT_GT(collective_uses(Collective::all_reduce, Algorithm::ring, whole, cluster).size(), 1024u * 4);
}

std::string refusal(const std::vector<uint32_t>& group, Algorithm algorithm = Algorithm::ring) {
  try {
    collective_uses(Collective::all_reduce, algorithm, group, find_cluster("dgx-h100:2"));
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(CollectiveUses, GroupsThatAreNoneAreRefused) {
  EXPECT_EQ(refusal({0, 1, 16}), "group: has member 16, but dgx-h100:2 has only 16 devices");
  EXPECT_EQ(refusal({0, 1, 0}), "group: has member 0 twice");
  EXPECT_EQ(refusal({4}), "group: expected at least 2 members, got 1");
  EXPECT_EQ(refusal({0, 8}, Algorithm::nvls_tree),
            "collective: a sum in the switch needs at least 2 members in every node");
}

}  // namespace
}  // namespace pgram::sim::test
