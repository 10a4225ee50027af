// Exchanges: a send to a neighbour and the receive from it that start together, as in Megatron's
// send_forward_recv_backward and send_backward_recv_forward.
#pragma once
#include "core/planner/schedule.h"

namespace pgram {

/// Rows with sends and receives (add_send_recv's), paired. Every receive moves down to just before the op that needs it
/// and joins the send before it if that goes to the same neighbour; what finds no partner (warm-up, cool-down) stays
/// alone. Rows for which that could not finish (two neighbours that both send twice before they receive) keep their
/// receives where they were, and join where the two are neighbours already: starting earlier never blocks anybody.
Schedule pair_exchanges(const Schedule& lowered);

/// Whether in-order blocking rendezvous runs to the end of all rows: a rank goes on once all messages of its group have
/// met their partners.
bool rendezvous_finishes(const Schedule& lowered);

}  // namespace pgram
