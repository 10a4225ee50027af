// Every collective and channel of several meshes against plain loops: through NCCL, a device for each rank, and on one
// card that all ranks share.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "core/base/errors.h"
#include "cuda_backend/nccl_communication.h"
#include "cuda_backend/nccl_groups.h"
#include "cuda_backend/processes.h"
#include "cuda_backend/shared_gpu.h"
#include "tests/cuda_comm/ranks.h"
#include "tests/emulation/find_control.h"

namespace pgram::testing {
namespace {

using Floats = std::vector<float>;

/// NCCL adds in an order of its own, so its sums must be exact: multiples of 1/64. Our own add in the order of ranks;
/// random numbers prove it.
bool exact_numbers = true;

/// The same on every rank that asks for it.
Floats numbers(uint32_t rank, size_t count, uint32_t seed) {
  std::mt19937 random(rank * 1000 + seed);
  std::uniform_real_distribution<float> value(-1, 1);
  Floats values(count);
  for (float& v : values) v = exact_numbers ? std::floor(64 * value(random)) / 64 : value(random);
  return values;
}

Floats combined(const std::vector<uint32_t>& ranks, size_t count, uint32_t seed, bool maximum) {
  Floats sum = numbers(ranks[0], count, seed);
  for (size_t m = 1; m < ranks.size(); ++m) {
    const Floats other = numbers(ranks[m], count, seed);
    for (size_t i = 0; i < count; ++i) sum[i] = maximum ? std::max(sum[i], other[i]) : sum[i] + other[i];
  }
  return sum;
}

struct Case {
  bool share;
  uint32_t tp, dp, pp;
  std::string name() const {
    return (share ? "Shared" : "Nccl") + std::to_string(tp) + "x" + std::to_string(dp) + "x" + std::to_string(pp);
  }
};

/// For the names of tests.
void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name();
}

class CommCollectives : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    exact_numbers = !GetParam().share;
    int devices = 0;
    ASSERT_EQ(cudaGetDeviceCount(&devices), cudaSuccess);
    const int ranks = static_cast<int>(plan().mesh.ranks());
    if (!GetParam().share && devices < ranks) GTEST_SKIP() << devices << " GPUs for " << ranks << " ranks of NCCL";
  }
  /// Runs the body on all ranks and expects no error of any, and nothing left behind.
  void run(const Plan& plan, const std::function<void(Rank&)>& body) {
    const emulation::Control* stand_in = emulation::find_control();
    const emulation::Live before = stand_in ? stand_in->live() : emulation::Live{};
    {
      Processes alone{ProcessPlace{}};
      const auto connections =
          GetParam().share ? shared_gpu_connections(plan, 20) : nccl_connections(plan, alone, {20, 20});
      const auto errors = on_ranks(plan, *connections, GetParam().share, body);
      for (size_t r = 0; r < errors.size(); ++r) EXPECT_EQ(errors[r], "") << "rank " << r;
    }
    EXPECT_FALSE(nccl_hangs());
    if (stand_in) {
      EXPECT_TRUE(stand_in->live() == before);
    }
  }
  Plan plan(bool paired = false) const { return mesh_plan(GetParam().tp, GetParam().dp, GetParam().pp, paired); }
};
INSTANTIATE_TEST_SUITE_P(Meshes, CommCollectives,
                         ::testing::Values(Case{false, 2, 1, 1}, Case{false, 2, 2, 2}, Case{false, 1, 1, 4},
                                           Case{false, 3, 2, 1}, Case{true, 2, 1, 1}, Case{true, 2, 2, 2},
                                           Case{true, 1, 1, 4}, Case{true, 3, 2, 1}),
                         [](const auto& info) { return info.param.name(); });

/// Meshes with neighbours.
class CommExchanges : public CommCollectives {};
INSTANTIATE_TEST_SUITE_P(Meshes, CommExchanges,
                         ::testing::Values(Case{false, 2, 2, 2}, Case{false, 1, 1, 4}, Case{true, 2, 2, 2},
                                           Case{true, 1, 1, 4}),
                         [](const auto& info) { return info.param.name(); });

/// Sizes that allow 16-byte accesses and that do not; two operands at once; sum and maximum.
TEST_P(CommCollectives, AllReduce) {
  const Plan p = plan();
  run(p, [&](Rank& rank) {
    for (uint16_t comm : {kTensor, kData, kAll}) {
      const std::vector<uint32_t> group = members(p, comm, rank.number());
      for (size_t count : {1, 64, 257}) {
        const Tensor a = rank.upload(numbers(rank.number(), count, 1));
        const Tensor b = rank.upload(numbers(rank.number(), 8, 2));
        const Tensor c = rank.upload(numbers(rank.number(), count, 3));
        rank.issue(Kernel::all_reduce, comm, {a, b});
        rank.issue(Kernel::all_reduce_max, comm, {c});
        ASSERT_TRUE(rank.synchronize());
        EXPECT_EQ(rank.download(a), combined(group, count, 1, false));
        EXPECT_EQ(rank.download(b), combined(group, 8, 2, false));
        EXPECT_EQ(rank.download(c), combined(group, count, 3, true));
      }
    }
  });
}

/// What the first rank brings is still being made on its stream when the last one comes, whose stream has been idle.
TEST_P(CommCollectives, WaitsForTheMembersStreams) {
  const Plan p = plan();
  run(p, [&](Rank& rank) {
    if (rank.number() != 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const Floats mine = numbers(rank.number(), 16, 6);
    const Tensor x = rank.number() == 0 ? rank.upload_late(mine) : rank.upload(mine);
    rank.issue(Kernel::all_reduce, kAll, {x});
    ASSERT_TRUE(rank.synchronize());
    EXPECT_EQ(rank.download(x), combined(members(p, kAll, rank.number()), 16, 6, false));
  });
}

TEST_P(CommCollectives, AllGatherAndReduceScatter) {
  const Plan p = plan();
  run(p, [&](Rank& rank) {
    for (uint16_t comm : {kTensor, kData, kAll}) {
      const std::vector<uint32_t> group = members(p, comm, rank.number());
      const size_t mine = std::find(group.begin(), group.end(), rank.number()) - group.begin();
      for (size_t count : {1, 64, 33}) {
        const Tensor part = rank.upload(numbers(rank.number(), count, 4)), whole = rank.empty(count * group.size());
        const Tensor summands = rank.upload(numbers(rank.number(), count * group.size(), 5)), sum = rank.empty(count);
        rank.issue(Kernel::all_gather, comm, {whole, part});
        rank.issue(Kernel::reduce_scatter, comm, {sum, summands});
        ASSERT_TRUE(rank.synchronize());
        Floats gathered;
        for (uint32_t member : group) {
          const Floats of_member = numbers(member, count, 4);
          gathered.insert(gathered.end(), of_member.begin(), of_member.end());
        }
        EXPECT_EQ(rank.download(whole), gathered);
        const Floats all = combined(group, count * group.size(), 5, false);
        EXPECT_EQ(rank.download(sum), Floats(all.begin() + mine * count, all.begin() + (mine + 1) * count));
      }
    }
  });
}

/// Three messages down the pipeline and back up; the k-th send meets the k-th receive.
TEST_P(CommCollectives, ChannelsKeepOrder) {
  const Plan p = plan();
  const uint32_t roles = p.mesh.size[2];
  run(p, [&](Rank& rank) {
    const auto at = rank.at();
    const auto neighbour = [&](uint32_t role) { return p.mesh.rank({at[0], at[1], role}); };
    std::vector<Tensor> received;
    for (uint32_t message = 0; message < 3; ++message) {
      if (at[2] > 0) {
        received.push_back(rank.empty(5 + message));
        rank.issue(Kernel::recv, forward_channel(at[2] - 1), {received.back()});
      }
      if (at[2] + 1 < roles) {
        rank.issue(Kernel::send, forward_channel(at[2]), {rank.upload(numbers(rank.number(), 5 + message, message))});
      }
    }
    for (uint32_t message = 0; message < 3; ++message) {
      if (at[2] + 1 < roles) {
        received.push_back(rank.empty(9));
        rank.issue(Kernel::recv, backward_channel(at[2]), {received.back()});
      }
      if (at[2] > 0) {
        rank.issue(Kernel::send, backward_channel(at[2] - 1), {rank.upload(numbers(rank.number(), 9, 10 + message))});
      }
    }
    ASSERT_TRUE(rank.synchronize());
    size_t next = 0;
    for (uint32_t message = 0; message < 3 && at[2] > 0; ++message) {
      EXPECT_EQ(rank.download(received[next++]), numbers(neighbour(at[2] - 1), 5 + message, message));
    }
    for (uint32_t message = 0; message < 3 && at[2] + 1 < roles; ++message) {
      EXPECT_EQ(rank.download(received[next++]), numbers(neighbour(at[2] + 1), 9, 10 + message));
    }
  });
}

/// Both neighbours send first and receive then. As two tasks that would be a deadlock; as a group it is an exchange.
TEST_P(CommExchanges, OfBothDirections) {
  const Plan p = plan(true);
  run(p, [&](Rank& rank) {
    const auto at = rank.at();
    const auto exchange = [&](uint32_t lower_role, uint32_t round) {
      const bool lower = at[2] == lower_role;
      const uint32_t other = p.mesh.rank({at[0], at[1], lower ? lower_role + 1 : lower_role});
      const uint16_t out = lower ? forward_channel(lower_role) : backward_channel(lower_role);
      const uint16_t in = lower ? backward_channel(lower_role) : forward_channel(lower_role);
      const Tensor sent = rank.upload(numbers(rank.number(), 12, round)), received = rank.empty(12);
      rank.issue(Kernel::send, out, {sent}, Rank::kOpens);
      rank.issue(Kernel::recv, in, {received}, Rank::kCloses);
      ASSERT_TRUE(rank.synchronize());
      EXPECT_EQ(rank.download(received), numbers(other, 12, round));
    };
    for (uint32_t round = 0; round < 3; ++round) {
      if (at[2] > 0) exchange(at[2] - 1, round);
      if (at[2] + 1 < p.mesh.size[2]) exchange(at[2], round);
    }
  });
}

/// pp2: f and b channels have streams of their own, or share the neighbour's. So do their communicators.
TEST(NcclGroups, ChannelsOnOneStreamShareACommunicator) {
  const Plan channels = mesh_plan(2, 1, 2), paired = mesh_plan(2, 1, 2, true);
  const NcclGroups apart(channels), together(paired);
  EXPECT_EQ(apart.first(), (std::vector<uint16_t>{kTensor, kData, kAll, 3, 4}));
  EXPECT_EQ(together.first(), (std::vector<uint16_t>{kTensor, kData, kAll, 3}));
  EXPECT_EQ(together.of(3), together.of(4));
  // Ranks 0, 1 are stage 0, ranks 2, 3 stage 1: the pairs are {0, 2} and {1, 3}.
  for (uint32_t rank = 0; rank < 4; ++rank) {
    const NcclGroups::Place place = together.place(3, rank);
    EXPECT_EQ(place.colour, static_cast<int>(rank % 2));
    EXPECT_EQ(place.key, static_cast<int>(rank / 2));
  }
}

/// A communicator that no op uses is not made; a role without ops on one is no member.
TEST(NcclGroups, OnlyWhatIsUsed) {
  Plan plan = mesh_plan(2, 2, 2);
  for (Body& body : plan.bodies) {
    if (body.ops[0].comm == kData) body.ops[0].comm = kNoComm;
  }
  // Role 1 does nothing over tp: its calls begin behind the three groups and two channels of role 0.
  plan.bodies[plan.programs[1].calls[kTensor].body].ops[0].comm = kNoComm;
  const NcclGroups groups(plan);
  EXPECT_EQ(groups.of(kData), -1);
  EXPECT_EQ(groups.first(), (std::vector<uint16_t>{kTensor, kAll, 3, 4}));
  EXPECT_EQ(groups.place(0, 0).colour, 0);
  EXPECT_EQ(groups.place(0, plan.mesh.rank({0, 0, 1})).colour, -1);
}

}  // namespace
}  // namespace pgram::testing
