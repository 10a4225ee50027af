#include <algorithm>
#include <string>
#include <vector>

#include "core/base/yaml_reader.h"
#include "core/cluster/collective_profile.h"

namespace pgram {

constexpr uint32_t kMaxChannels = 64;  // NCCL's MAXCHANNELS

/// The place of the field's value in `names`.
static size_t choice(YamlFields& fields, const std::string& key, const std::vector<std::string>& names) {
  const std::string text = fields.text(key);
  const auto found = std::find(names.begin(), names.end(), text);
  if (found != names.end()) return static_cast<size_t>(found - names.begin());
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : name == names.back() ? " or " : ", ") + name;
  fields.fail(key, "expected " + list + ", got \"" + text.substr(0, 20) + "\"");
}

static ChannelSet read_channels(YamlFields fields) {
  ChannelSet set;
  set.channels = static_cast<uint32_t>(fields.integer("channels", 1, kMaxChannels));
  set.intra_bytes_per_second = fields.number("intra_gb_per_s", 1e-3, 1e6, 9);
  set.inter_bytes_per_second = fields.number("inter_gb_per_s", 1e-3, 1e6, 9);
  fields.refuse_unknown();
  return set;
}

static ChannelSearch read_search(YamlFields fields, bool same_channels) {
  ChannelSearch search;
  search.ring = read_channels(fields.fields("ring"));
  if (fields.has("tree")) search.tree = read_channels(fields.fields("tree"));
  if (fields.has("nvls")) search.nvls = read_channels(fields.fields("nvls"));
  if (fields.has("tree_pattern")) search.tree_by_one_device = choice(fields, "tree_pattern", {"balanced", "tree"}) == 1;
  search.same_channels = same_channels;
  fields.refuse_unknown();
  return search;
}

CollectiveProfile read_collective_profile(YamlFields fields, uint32_t devices) {
  CollectiveProfile profile;
  profile.devices_per_node = devices;
  profile.architecture = static_cast<CollectiveProfile::Architecture>(
      choice(fields, "architecture", {"volta", "ampere", "hopper", "blackwell"}));
  profile.cpu = static_cast<CollectiveProfile::CpuVendor>(choice(fields, "cpu", {"intel", "amd", "other"}));
  profile.nvlink = choice(fields, "links", {"nvlink", "pcie"}) == 0;
  // NCCL trusts 128-byte stores over NVLink only.
  profile.ll128 = profile.nvlink;
  if (fields.has("network_latency_us")) profile.network_latency = fields.number("network_latency_us", 0, 1e6, -6);
  profile.one_node = read_search(fields.fields("one_node"), true);
  if (fields.has("several_nodes")) profile.several_nodes = read_search(fields.fields("several_nodes"), false);
  fields.refuse_unknown();
  return profile;
}

}  // namespace pgram
