// The section `nccl:` of node files, and what it gives for groups.
#include "core/cluster/collective_profile.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "core/base/errors.h"
#include "core/base/yaml_reader.h"

namespace pgram {
namespace {

const std::string kProfile =
    "architecture: blackwell\n"
    "cpu: amd\n"
    "links: nvlink\n"
    "network_latency_us: 2.5\n"
    "one_node:\n"
    "  ring: {channels: 16, intra_gb_per_s: 45, inter_gb_per_s: 44}\n"
    "  tree: {channels: 15, intra_gb_per_s: 40, inter_gb_per_s: 39}\n"
    "  nvls: {channels: 8, intra_gb_per_s: 80, inter_gb_per_s: 90}\n"
    "several_nodes:\n"
    "  ring: {channels: 8, intra_gb_per_s: 48, inter_gb_per_s: 47}\n"
    "  tree: {channels: 8, intra_gb_per_s: 96, inter_gb_per_s: 48}\n"
    "  tree_pattern: tree\n";

CollectiveProfile read(const std::string& text) {
  return read_collective_profile(parse_yaml(text, "node.yaml"), 8);
}

TEST(CollectiveProfile, IsRead) {
  const CollectiveProfile profile = read(kProfile);
  EXPECT_EQ(profile.architecture, CollectiveProfile::Architecture::blackwell);
  EXPECT_EQ(profile.cpu, CollectiveProfile::CpuVendor::amd);
  EXPECT_TRUE(profile.nvlink);
  EXPECT_TRUE(profile.ll128);
  EXPECT_DOUBLE_EQ(profile.network_latency, 2.5e-6);
  EXPECT_EQ(profile.devices_per_node, 8u);
  EXPECT_EQ(profile.one_node.ring.channels, 16u);
  EXPECT_EQ(profile.one_node.ring.intra_bytes_per_second, 45e9);
  EXPECT_EQ(profile.one_node.tree.inter_bytes_per_second, 39e9);
  EXPECT_EQ(profile.one_node.nvls.channels, 8u);
  EXPECT_TRUE(profile.one_node.same_channels);
  EXPECT_FALSE(profile.one_node.tree_by_one_device);
  ASSERT_TRUE(profile.several_nodes);
  EXPECT_TRUE(profile.several_nodes->tree_by_one_device);
  EXPECT_FALSE(profile.several_nodes->same_channels);
  EXPECT_EQ(profile.several_nodes->nvls.channels, 0u);
}

void expect_refused(const std::string& from, const std::string& to, const std::string& message) {
  std::string text = kProfile;
  text.replace(text.find(from), from.size(), to);
  try {
    read(text);
    FAIL() << "no refusal: " << to;
  } catch (const InputError& error) {
    EXPECT_EQ(std::string(error.what()).find(message), 0u) << error.what();
  }
}

TEST(CollectiveProfile, ErrorsNameFileLineAndField) {
  expect_refused("blackwell", "turing", "node.yaml:1: architecture: expected volta, ampere, hopper or blackwell, got");
  expect_refused("nvlink", "pci", "node.yaml:3: links: expected nvlink or pcie, got \"pci\"");
  expect_refused("channels: 16", "channels: 65", "node.yaml:6: one_node.ring.channels: expected");
  expect_refused("channels: 16", "channels: 0", "node.yaml:6: one_node.ring.channels: expected");
  expect_refused("intra_gb_per_s: 40", "intra_gb_per_s: -1", "node.yaml:7: one_node.tree.intra_gb_per_s: expected");
  expect_refused("inter_gb_per_s: 90", "inter_gb_per_s: .nan", "node.yaml:8: one_node.nvls.inter_gb_per_s: expected");
  expect_refused("tree_pattern: tree", "tree_pattern: oak", "node.yaml:12: several_nodes.tree_pattern: expected");
  expect_refused("tree_pattern", "pattern", "node.yaml:12: several_nodes: unknown key \"pattern\"");
  expect_refused("cpu: amd\n", "", "node.yaml:1: cpu: missing");
}

/// Any text ends in a profile or an InputError.
TEST(CollectiveProfile, SurvivesDamagedText) {
  std::mt19937 random(7);
  int refused = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string text = kProfile;
    if (i % 2 == 0) {
      text.resize(random() % text.size());
    } else {
      for (int flips = 0; flips < 3; ++flips) text[random() % text.size()] ^= static_cast<char>(1 << random() % 8);
    }
    try {
      read(text);
    } catch (const InputError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST(CollectiveProfile, ChannelsOfPartsOfNodes) {
  CollectiveProfile profile = read(kProfile);
  // One node: rings stay; NVLS of 4 could carry 640 / 4 = 160 each and gets 90.
  EXPECT_EQ(profile.channels(1, 4).ring.channels, 16u);
  EXPECT_EQ(profile.channels(1, 4).nvls.channels, 4u);
  EXPECT_EQ(profile.channels(1, 4).nvls.intra_bytes_per_second, 90e9);
  EXPECT_EQ(profile.channels(1, 2).nvls.channels, 0u);
  EXPECT_EQ(profile.channels(1, 8).nvls.intra_bytes_per_second, 80e9);
  profile.devices_per_node = 16;
  // Hopper's steps: 640 / 15 = 42.7, so 40.
  profile.architecture = CollectiveProfile::Architecture::hopper;
  EXPECT_EQ(profile.channels(1, 15).nvls.intra_bytes_per_second, 40e9);
  profile.devices_per_node = 8;
  // Several nodes: a channel for each of 8 NICs, so one for one member.
  EXPECT_EQ(profile.channels(4, 1).ring.channels, 1u);
  EXPECT_EQ(profile.channels(4, 5).ring.channels, 5u);
  EXPECT_EQ(profile.channels(4, 5).ring.inter_bytes_per_second, 47e9);
  EXPECT_EQ(profile.channels(4, 8).tree.channels, 8u);
}

}  // namespace
}  // namespace pgram
