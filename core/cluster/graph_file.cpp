#include "core/cluster/graph_file.h"

#include <unordered_map>

#include "core/base/errors.h"
#include "core/base/yaml_reader.h"
#include "core/cluster/graph_topology.h"

namespace pgram {

namespace {

constexpr size_t kMaxVertices = 1 << 16;

class GraphReader {
 public:
  explicit GraphReader(YamlFields& fields) : fields_(fields) {}

  ShapedGraph read() {
    read_nodes();
    for (const YamlRow& row : fields_.rows("nics")) {
      if (nics_of_nodes_ == nodes_) row.fail("more rows than there are nodes");
      for (size_t i = 0; i < row.size(); ++i) add(row, row.text(i), VertexKind::nic, nics_of_nodes_);
      ++nics_of_nodes_;
    }
    if (fields_.has("switches")) {
      const YamlRow row = fields_.row("switches");
      for (size_t i = 0; i < row.size(); ++i) add(row, row.text(i), VertexKind::switch_, GraphBuilder::kBetweenNodes);
    }
    for (const YamlRow& row : fields_.rows("links")) read_link(row, true);
    for (const YamlRow& row : fields_.rows("one_way_links")) read_link(row, false);

    ShapedGraph shaped;
    shaped.devices = devices_;
    shaped.devices_per_node = devices_ / nodes_;
    shaped.graph = graph_.take();
    shaped.rule = [](uint32_t, uint32_t device, std::span<const uint32_t> links) { return device % links.size(); };
    if (const Unreachable lost = find_unreachable(shaped.graph, devices_); lost.found)
      fields_.fail("links", "device \"" + shaped.graph.vertices[lost.to].name + "\" cannot be reached from \"" +
                                shaped.graph.vertices[lost.from].name + "\"");
    return shaped;
  }

 private:
  void read_nodes() {
    const std::vector<YamlRow> rows = fields_.rows("nodes");
    if (rows.empty()) fields_.fail("nodes", "expected rows of devices, one for each node: [[a, b], [c, d]]");
    for (const YamlRow& row : rows) {
      if (row.size() == 0) row.fail("a node without devices");
      if (row.size() != rows[0].size())
        row.fail("expected " + std::to_string(rows[0].size()) + " devices as in the first node, got " +
                 std::to_string(row.size()));
      for (size_t i = 0; i < row.size(); ++i) add(row, row.text(i), VertexKind::device, nodes_);
      ++nodes_;
    }
    devices_ = static_cast<uint32_t>(nodes_ * rows[0].size());
  }

  void add(const YamlRow& row, const std::string& name, VertexKind kind, uint32_t node) {
    if (name.empty()) row.fail("expected a name");
    if (names_.size() == kMaxVertices) row.fail("expected at most " + std::to_string(kMaxVertices) + " names");
    const auto [known, is_new] = names_.emplace(name, static_cast<uint32_t>(names_.size()));
    if (!is_new) row.fail("the name \"" + name.substr(0, 40) + "\" is given twice");
    graph_.add(kind, name, node);
  }

  uint32_t find(const YamlRow& row, const std::string& name) {
    const auto known = names_.find(name);
    if (known == names_.end())
      row.fail("unknown name \"" + name.substr(0, 40) + "\"; expected a device, NIC or switch from above");
    return known->second;
  }

  void read_link(const YamlRow& row, bool both_ways) {
    if (row.size() != 4 && row.size() != 5) row.fail("expected [from, to, GB/s, latency in us, kind]");
    const uint32_t from = find(row, row.text(0)), to = find(row, row.text(1));
    if (from == to) row.fail("a link from \"" + row.text(0).substr(0, 40) + "\" to itself");
    Wire wire;
    wire.bytes_per_second = row.number(2, 1e-3, 1e6, 9);
    wire.latency = row.number(3, 0, 1e6, -6);
    wire.kind = row.size() == 5 ? row.text(4).substr(0, 20) : "link";
    graph_.add_link(from, to, wire);
    if (both_ways) graph_.add_link(to, from, wire);
  }

  YamlFields& fields_;
  GraphBuilder graph_;
  std::unordered_map<std::string, uint32_t> names_;  ///< vertices
  uint32_t nodes_ = 0, devices_ = 0, nics_of_nodes_ = 0;
};

}  // namespace

ShapedGraph read_graph(YamlFields& fields) {
  return GraphReader(fields).read();
}

}  // namespace pgram
