#include "core/cluster/direct_graph.h"

namespace pgram {

ShapedGraph torus_graph(const std::vector<uint32_t>& dims, uint32_t devices_per_node, const Wire& wire) {
  uint32_t devices = 1;
  for (const uint32_t dim : dims) devices *= dim;
  GraphBuilder graph;
  graph.add_devices(devices / devices_per_node, devices_per_node);
  // What a step along each dimension adds to the number of a device.
  std::vector<uint32_t> steps(dims.size(), 1);
  for (size_t d = dims.size(); d-- > 1;) steps[d - 1] = steps[d] * dims[d];
  std::vector<uint8_t> dim_of_link;
  for (uint32_t device = 0; device < devices; ++device)
    for (uint8_t d = 0; d < dims.size(); ++d) {
      const uint32_t place = device / steps[d] % dims[d], first = device - place * steps[d];
      if (dims[d] == 1) continue;
      graph.add_link(device, first + (place + 1) % dims[d] * steps[d], wire);
      dim_of_link.push_back(d);
      if (dims[d] == 2) continue;
      graph.add_link(device, first + (place + dims[d] - 1) % dims[d] * steps[d], wire);
      dim_of_link.push_back(d);
    }
  ShapedGraph shaped;
  shaped.graph = graph.take();
  shaped.devices = devices, shaped.devices_per_node = devices_per_node;
  shaped.rule = [dims, steps, dim_of_link = std::move(dim_of_link)](uint32_t, uint32_t device,
                                                                    std::span<const uint32_t> links) -> size_t {
    const uint8_t d = dim_of_link[links[0]];
    const bool both_ways = dim_of_link[links[1]] == d;
    return both_ways ? device / steps[d] % dims[d] % 2 : 0;
  };
  return shaped;
}

ShapedGraph fully_connected_graph(uint32_t devices, uint32_t devices_per_node, const Wire& wire) {
  GraphBuilder graph;
  graph.add_devices(devices / devices_per_node, devices_per_node);
  for (uint32_t a = 0; a < devices; ++a)
    for (uint32_t b = 0; b < devices; ++b)
      if (a != b) graph.add_link(a, b, wire);
  ShapedGraph shaped;
  shaped.graph = graph.take();
  shaped.devices = devices, shaped.devices_per_node = devices_per_node;
  // Only where links are down is there more than one shortest way.
  shaped.rule = [](uint32_t, uint32_t device, std::span<const uint32_t> links) { return device % links.size(); };
  return shaped;
}

}  // namespace pgram
