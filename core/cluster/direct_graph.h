// Devices wired to one another without switches: ring, torus, fully connected.
#pragma once
#include "core/cluster/network_graph.h"

namespace pgram {

/// A ring is a torus of one dimension. Device (x, y, z) of dims [X, Y, Z] is number (x * Y + y) * Z + z;
/// `devices_per_node` that follow each other are a node. Both ways around a dimension of two are the same wire.
///
/// Of equally short routes the one that goes along the first dimension first is taken; half around an even dimension,
/// forwards to devices of even and backwards to those of odd place in it, so that both directions carry the same.
ShapedGraph torus_graph(const std::vector<uint32_t>& dims, uint32_t devices_per_node, const Wire&);

ShapedGraph fully_connected_graph(uint32_t devices, uint32_t devices_per_node, const Wire&);

}  // namespace pgram
