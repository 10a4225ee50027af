// Paired sends and receives: which of them start together, and that in-order blocking rendezvous of the groups
// finishes.
#include "core/planner/exchanges.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "core/plan/verify.h"
#include "core/planner/planner.h"
#include "tests/planner/small_models.h"

namespace pgram {
namespace {

Schedule paired(const Schedule& rows) {
  return pair_exchanges(add_send_recv(rows));
}

// Megatron's non-interleaved schedule: warm-up alone, then send_forward_recv_backward and send_backward_recv_forward,
// the last backward of the steady state and the cool-down alone.
TEST(Exchanges, OneForwardOneBackwardGolden) {
  EXPECT_EQ(to_text(paired(one_f_one_b(2, 3))),
            "0F0,0SEND_F0,0F1,0SEND_F1+0RECV_B0,0B0,0F2,0SEND_F2+0RECV_B1,0B1,0RECV_B2,0B2\n"
            "1RECV_F0,1F0,1B0,1SEND_B0+1RECV_F1,1F1,1B1,1SEND_B1+1RECV_F2,1F2,1B2,1SEND_B2\n");
  EXPECT_EQ(
      to_text(paired(one_f_one_b(4, 4))),
      "0F0,0SEND_F0,0F1,0SEND_F1,0F2,0SEND_F2,0F3,0SEND_F3+0RECV_B0,0B0,0RECV_B1,0B1,0RECV_B2,0B2,0RECV_B3,0B3\n"
      "1RECV_F0,1F0,1SEND_F0,1RECV_F1,1F1,1SEND_F1,1RECV_F2,1F2,1SEND_F2+1RECV_B0,1B0,1SEND_B0+1RECV_F3,1F3,"
      "1SEND_F3+1RECV_B1,1B1,1SEND_B1,1RECV_B2,1B2,1SEND_B2,1RECV_B3,1B3,1SEND_B3\n"
      "2RECV_F0,2F0,2SEND_F0,2RECV_F1,2F1,2SEND_F1+2RECV_B0,2B0,2SEND_B0+2RECV_F2,2F2,2SEND_F2+2RECV_B1,2B1,"
      "2SEND_B1+2RECV_F3,2F3,2SEND_F3+2RECV_B2,2B2,2SEND_B2,2RECV_B3,2B3,2SEND_B3\n"
      "3RECV_F0,3F0,3B0,3SEND_B0+3RECV_F1,3F1,3B1,3SEND_B1+3RECV_F2,3F2,3B2,3SEND_B2+3RECV_F3,3F3,3B3,3SEND_B3\n");
}

// GPipe exchanges once, where the forwards end and the backwards begin.
TEST(Exchanges, GPipeGolden) {
  EXPECT_EQ(to_text(paired(gpipe(3, 2))),
            "0F0,0SEND_F0,0F1,0SEND_F1+0RECV_B0,0B0,0RECV_B1,0B1\n"
            "1RECV_F0,1F0,1SEND_F0,1RECV_F1,1F1,1SEND_F1+1RECV_B0,1B0,1SEND_B0,1RECV_B1,1B1,1SEND_B1\n"
            "2RECV_F0,2F0,2RECV_F1,2F1,2B0,2SEND_B0,2B1,2SEND_B1\n");
}

int count_groups(const Plan& plan, size_t role, const std::string& name) {
  int n = 0;
  for (const Call& call : plan.programs[role].calls) {
    const Body& body = plan.bodies[call.body];
    n += body.grouped && body.name == name;
  }
  return n;
}

// 1F1B: rank r has w = min(P - 1 - r, M) warm-up forwards, then each of its M - w forwards is exchanged for a gradient
// with the next rank; that rank's M - w' backwards are exchanged for activations but for the last one. Where a last
// forward meets a first backward, with GPipe or M <= w, the two are exchanged as well.
TEST(Exchanges, AllPlansAreGoodAndPairTheSteadyState) {
  for (uint32_t ranks = 1; ranks <= 8; ++ranks) {
    for (uint32_t m = 1; m <= 16; ++m) {
      for (const Schedule& rows : {gpipe(ranks, m), one_f_one_b(ranks, m)}) {
        const Schedule lowered = paired(rows);
        EXPECT_TRUE(rendezvous_finishes(lowered)) << to_text(lowered);
        const Plan plan = make_schedule_plan(rows, PointToPoint::paired);
        ASSERT_EQ(verify(plan), "") << to_text(lowered);
        EXPECT_EQ(plan.tasks(), 2 * ranks * m + 4 * (ranks - 1) * m) << "as many as with channels";
        for (uint32_t r = 0; r + 1 < ranks; ++r) {
          const std::string f = "f" + std::to_string(r) + ">" + std::to_string(r + 1),
                            b = "b" + std::to_string(r + 1) + ">" + std::to_string(r);
          const int warm_up = static_cast<int>(std::min(ranks - 1 - r, m)),
                    warm_up_of_next = static_cast<int>(std::min(ranks - 2 - r, m));
          const bool alternates = rows == one_f_one_b(ranks, m);
          const int all = static_cast<int>(m);
          EXPECT_EQ(count_groups(plan, r, "exchange " + f + " " + b), alternates ? std::max(1, all - warm_up) : 1)
              << to_text(lowered);
          EXPECT_EQ(count_groups(plan, r + 1, "exchange " + b + " " + f),
                    alternates ? std::max(0, all - warm_up_of_next - 1) : 0)
              << to_text(lowered);
        }
      }
    }
  }
}

// A channel has one stream per end: both directions between two neighbours share one, and nothing else is on it.
TEST(Exchanges, OneStreamPerNeighbour) {
  const Plan plan = make_schedule_plan(one_f_one_b(4, 6), PointToPoint::paired);
  for (const Body& body : plan.bodies) {
    for (const Op& op : body.ops) {
      if (op.comm == kNoComm) continue;
      const Communicator& comm = plan.comms[op.comm];
      const bool up = (comm.target > comm.source) == (op.kernel == Kernel::send);
      EXPECT_EQ(op.stream, neighbour_stream(up)) << body.name;
      if (op.kernel == Kernel::send) {
        EXPECT_EQ(comm.stream, op.stream);
      }
    }
  }
}

// Two forwards, then two backwards, on both ranks: with late receives rank 0 sends F2 while rank 1 sends B0 and B1
// without a receive in between, so that neither comes to its receive. The rows keep PyTorch's receives instead.
TEST(Exchanges, RowsThatCannotPairLateStillFinish) {
  const Schedule rows = parse_schedule("0F0,0F1,0F2,0F3,0B0,0B1,0B2,0B3\n1F0,1F1,1B0,1B1,1F2,1F3,1B2,1B3\n", "rows");
  EXPECT_EQ(
      to_text(paired(rows)),
      "0F0,0SEND_F0,0F1,0SEND_F1,0F2,0SEND_F2+0RECV_B0,0F3,0SEND_F3+0RECV_B1,0B0,0B1,0RECV_B2,0B2,0RECV_B3,0B3\n"
      "1RECV_F0,1F0,1RECV_F1,1F1,1RECV_F2,1B0,1SEND_B0+1RECV_F3,1B1,1SEND_B1,1F2,1F3,1B2,1SEND_B2,1B3,1SEND_B3\n");
  EXPECT_TRUE(rendezvous_finishes(paired(rows)));
  EXPECT_EQ(verify(make_schedule_plan(rows, PointToPoint::paired)), "");
}

/// Rows by chance: each rank goes on with any op whose input is there.
Schedule random_rows(std::mt19937& random, uint32_t ranks, uint32_t m) {
  Schedule rows(ranks);
  std::vector<std::vector<bool>> forward(ranks, std::vector<bool>(m)), backward = forward;
  for (uint32_t left = 2 * ranks * m; left > 0;) {
    const uint32_t rank = random() % ranks, mb = random() % m;
    const uint16_t r = static_cast<uint16_t>(rank), i = static_cast<uint16_t>(mb);
    if (!forward[rank][mb]) {
      if (rank > 0 && !forward[rank - 1][mb]) continue;
      forward[rank][mb] = true;
      rows[rank].push_back({SlotKind::F, r, i});
    } else if (!backward[rank][mb]) {
      if (rank + 1 < ranks && !backward[rank + 1][mb]) continue;
      backward[rank][mb] = true;
      rows[rank].push_back({SlotKind::B, r, i});
    } else {
      continue;
    }
    --left;
  }
  return rows;
}

TEST(Exchanges, RandomRowsFinish) {
  std::mt19937 random(5);
  int late = 0, early = 0;
  for (int i = 0; i < 300; ++i) {
    const uint32_t ranks = 2 + random() % 4, m = 1 + random() % 6;
    const Schedule rows = random_rows(random, ranks, m);
    validate_schedule(rows, ranks, m, "rows");
    const Schedule lowered = paired(rows);
    ASSERT_TRUE(rendezvous_finishes(lowered)) << to_text(lowered);
    ASSERT_EQ(verify(make_schedule_plan(rows, PointToPoint::paired)), "") << to_text(lowered);
    // In the early form every op is where add_send_recv put it.
    Schedule unjoined = lowered;
    for (ScheduleRow& row : unjoined) {
      for (ScheduleOp& op : row) op.joins = false;
    }
    ++(unjoined == add_send_recv(rows) ? early : late);
  }
  EXPECT_GT(late, 50);
  EXPECT_GT(early, 50);
}

TEST(Exchanges, RendezvousSeesDeadlocks) {
  const auto rows = [](bool joined) {
    return Schedule{{{SlotKind::send_f, 0, 1}, {SlotKind::recv_b, 0, 0, joined}},
                    {{SlotKind::send_b, 1, 0}, {SlotKind::recv_f, 1, 1, joined}}};
  };
  EXPECT_TRUE(rendezvous_finishes(rows(true)));
  EXPECT_FALSE(rendezvous_finishes(rows(false))) << "both send first";
  EXPECT_FALSE(rendezvous_finishes({{{SlotKind::send_f, 0, 0}}, {}})) << "nobody receives";
}

TEST(Exchanges, PairedNeedsStages) {
  Layout layout;
  layout.p2p = PointToPoint::paired;
  EXPECT_EQ(test::refusal([&] { make_plan(test::llama(), layout, test::work(2, 1)); }),
            "p2p: paired is about what pipeline stages send each other and needs pp of at least 2");
}

}  // namespace
}  // namespace pgram
