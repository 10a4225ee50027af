// NCCL's tuning model: what NCCL 2.28.9 believes that an algorithm and protocol cost (graph/tuning.cc), on the channels
// that its search found (CollectiveProfile).
#pragma once
#include <limits>
#include <optional>

#include "core/cluster/collective_profile.h"
#include "core/cost/collective.h"
#include "core/cost/group_shape.h"

namespace pgram {

/// nullopt where NCCL has or enables no such thing: trees only for all-reduce; broadcast and reduce only as rings; nvls
/// and nvls_tree only Simple, on Hopper and later, with three members or more in a node, nvls in one node and nvls_tree
/// over several; pat only Simple, for all-gather and reduce-scatter with one device a node; ll128 only where the links
/// keep its order.
///
/// The time is latency + bytes / bandwidth. NCCL's own corrections for the size are in both: the dip of medium sized
/// trees, and the plateau of rings over several nodes (latency x 1.4, x 1.9 before Ampere).
/// `share`: bytes/s that the fabric leaves a member between the nodes. NCCL does not know it; where it is less than
/// what a channel counts on, the channels get no more.
std::optional<CollectiveCost> nccl_cost(Collective, Algorithm, Protocol, Bytes, const GroupShape&,
                                        const CollectiveProfile&,
                                        double share = std::numeric_limits<double>::infinity());

/// Whether NCCL has the algorithm for the operation at all, on any system.
bool nccl_has(Collective, Algorithm);
/// Channels, and so thread blocks, of a communicator before small sizes take fewer: two a channel of the search; on
/// Hopper and later over several nodes four, if there are fewer than 16.
uint32_t nccl_channels(const CollectiveProfile&, uint32_t nodes, uint32_t per_node);
/// Send and receive, which NCCL does not tune: the start of its ring kernel and one hop. ll up to 16 KiB, then Simple.
Seconds nccl_exchange_latency(Protocol, const CollectiveProfile&, bool crosses_nodes);
constexpr Bytes kNcclExchangeLlBytes = 16384;

}  // namespace pgram
