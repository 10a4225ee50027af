// Options of the simulation as people write them in flags and in sweeps. InputError names the flag.
#pragma once
#include <string>
#include <utility>

#include "sim/simulate.h"

namespace pgram {

Engine parse_engine(const std::string&);               ///< auto, evaluator, events
NetworkLevel parse_network_level(const std::string&);  ///< analytic, flow, step
/// RANK:FACTOR, the rank below `ranks`.
std::pair<uint32_t, double> parse_slow_rank(const std::string&, uint32_t ranks);
/// SIGMA or SIGMA:SEED, "0.05:7".
Jitter parse_jitter(const std::string&);
/// FROM>TO:FACTOR@TIME, "n0.nic3>leaf3:0.5@10ms", "...:down@2s"; the link is one of the cluster.
LinkChange parse_link_change(const std::string&, const Cluster&);
double parse_collective_share(const std::string&);

}  // namespace pgram
