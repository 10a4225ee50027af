// A topology written out: devices, switches, NICs and links by name (kind: graph).
#pragma once
#include "core/cluster/network_graph.h"

namespace pgram {

class YamlFields;

/// `nodes` are rows of devices, all of one length; `nics` likewise rows of NICs; `switches` one row. `links` are rows
/// [from, to, GB/s, latency in us, kind], both ways; `one_way_links` the same one way; the kind may be left out.
/// InputError names file, line and field, also where a device cannot be reached.
ShapedGraph read_graph(YamlFields&);

}  // namespace pgram
