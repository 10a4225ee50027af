// Layout search with an estimator whose every number is arithmetic: no simulator here.
#include "core/planner/search.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <set>
#include <stdexcept>
#include <thread>

#include "core/base/errors.h"
#include "tests/planner/small_models.h"

namespace pgram {
namespace {

using namespace test;

void in_order(size_t n, const std::function<void(size_t)>& f) {
  for (size_t i = 0; i < n; ++i) f(i);
}

void in_two_threads_backwards(size_t n, const std::function<void(size_t)>& f) {
  std::atomic<size_t> left{n};
  const auto work_off = [&] {
    for (size_t i; (i = left.fetch_sub(1) - 1) < n;) f(i);
  };
  std::thread other(work_off);
  work_off();
  other.join();
}

SearchSpace space(uint32_t devices, uint32_t per_node) {
  SearchSpace s;
  s.devices = devices;
  s.devices_per_node = per_node;
  s.memory_bytes = uint64_t{1} << 30;
  return s;
}

/// 1 s for each data-parallel replica, 10 s for each stage, 100 s for each tensor-parallel rank: the pure dp wins.
Estimate prefer_dp(const Plan& plan) {
  Estimate e;
  e.step_seconds = plan.mesh.size[1] + 10.0 * plan.mesh.size[2] + 100.0 * plan.mesh.size[0];
  return e;
}

std::vector<Candidate> search(const SearchSpace& s, const Workload& w, const Estimator& estimator = prefer_dp,
                              const ParallelFor& parallel = in_order) {
  return search_layouts(llama(), w, s, estimator, parallel);
}

std::string text(const Candidate& c) {
  return to_text(c.layout) + " mb" + std::to_string(c.workload.micro_batch) + " " + c.layout.schedule;
}

TEST(Search, TriesEveryShapeSequenceParallelAndMicroBatch) {
  // 4 devices: tp, pp, dp in {1, 2, 4} with product 4: six shapes. Batch 8: every micro-batch of 1 and 2 divides (dp 4
  // x 2 = 8). sp doubles the three shapes with tp > 1 (tp2.pp2, tp2.dp2, tp4): (6 + 3) x 2 = 18.
  SearchSpace s = space(4, 4);
  s.micro_batch_sizes = {2, 1, 2};
  const std::vector<Candidate> found = search(s, work(8, 1));
  std::set<std::string> names;
  for (const Candidate& c : found) {
    EXPECT_EQ(c.unfit, "");
    EXPECT_EQ(c.layout.ranks(), 4u);
    EXPECT_GT(c.memory_bytes, 0u);
    names.insert(text(c));
  }
  EXPECT_EQ(found.size(), 18u);
  EXPECT_EQ(names.size(), 18u) << "some candidate is tried twice";
  EXPECT_TRUE(names.contains("tp2.pp2.sp mb2 1f1b"));
  s.sequence_parallel = false;
  EXPECT_EQ(search(s, work(8, 1)).size(), 12u);
  s.schedules = {"1f1b", "gpipe"};
  EXPECT_EQ(search(s, work(8, 1)).size(), 24u);
}

TEST(Search, LegalLayoutsAreThoseThatArePlanned) {
  // 24 devices, batch 24: tp 3 divides no heads, some dp x micro-batch do not divide the batch, tp 8 not the 4
  // key-value heads.
  SearchSpace s = space(24, 8);
  s.micro_batch_sizes = {4, 1, 2};
  s.schedules = {"1f1b", "gpipe"};
  s.p2p = PointToPoint::paired;
  const std::vector<Candidate> legal = legal_layouts(llama(), work(24, 1), s);
  std::set<std::string> planned, found;
  for (const Candidate& c : search(s, work(24, 1)))
    if (c.memory_bytes > 0) planned.insert(text(c));
  for (const Candidate& c : legal) {
    found.insert(text(c));
    EXPECT_EQ(c.layout.p2p, c.layout.pp > 1 ? PointToPoint::paired : PointToPoint::channels);
  }
  EXPECT_EQ(found, planned);
  EXPECT_EQ(found.size(), legal.size());
  EXPECT_GT(found.size(), 20u);
  s.devices = 0;
  EXPECT_THROW(legal_layouts(llama(), work(24, 1), s), InputError);
}

TEST(Search, RanksByStepTimeThenMemory) {
  // prefer_dp: dp4 = 4 + 10 + 100 = 114, pp2.dp2 = 2 + 20 + 100 = 122, pp4 = 1 + 40 + 100 = 141, tp2 = 2 + 10 + 200 ...
  SearchSpace s = space(4, 4);
  const std::vector<Candidate> found = search(s, work(16, 1));
  ASSERT_GE(found.size(), 7u);
  EXPECT_EQ(text(found[0]), "dp4 mb1 1f1b");  // equal times: the smaller micro-batch needs less memory
  EXPECT_EQ(text(found[1]), "dp4 mb2 1f1b");
  EXPECT_EQ(text(found[2]), "dp4 mb4 1f1b");
  EXPECT_EQ(text(found[3]), "pp2.dp2 mb1 1f1b");
  EXPECT_EQ(text(found[6]), "pp4 mb1 1f1b");
  for (size_t i = 1; i < found.size(); ++i) {
    EXPECT_GE(found[i].estimate.step_seconds, found[i - 1].estimate.step_seconds);
  }
}

TEST(Search, IllegalShapesAreOneLineEachAndOnlyNearOnes) {
  // 24 devices, llama(): 8 heads, 4 kv heads, 4 layers. tp 3 and 6 divide no heads, tp 8 divides 8 heads but not the 4
  // kv heads; tp 12 and 24 are beyond the heads and pp 6, 8, 12, 24 beyond the layers: those are not near.
  const std::vector<Candidate> found = search(space(24, 8), work(24, 1));
  std::map<std::string, int> illegal;
  for (const Candidate& c : found) {
    EXPECT_LE(c.layout.tp, 8u);
    EXPECT_LE(c.layout.pp, 4u);
    if (c.memory_bytes == 0) {
      EXPECT_NE(c.unfit, "");
      ++illegal[to_text(c.layout)];
    }
  }
  for (const auto& [name, count] : illegal) EXPECT_EQ(count, 1) << name;
  EXPECT_TRUE(illegal.contains("tp3.dp8"));
  EXPECT_FALSE(illegal.contains("tp2.dp12")) << "micro-batch 1 is legal there, so that 4 is not is no news";
  for (const Candidate& c : found) {
    if (to_text(c.layout) == "tp8.dp3") {
      EXPECT_EQ(c.unfit, "tp: 8 does not divide the model's 4 key-value heads");
    }
  }
}

TEST(Search, UnfitByMemorySaysHowMuchIsMissing) {
  // Room for exactly what pp2.dp2 micro-batch 1 needs: dp4 holds all layers and does not fit.
  const Plan pp2 = make_plan(llama(), layout("pp2.dp2"), work(8, 1));
  SearchSpace s = space(4, 4);
  s.micro_batch_sizes = {1};
  s.memory_bytes = 0;
  for (const MemoryBill& bill : memory_bill(pp2)) s.memory_bytes = std::max(s.memory_bytes, bill.total);
  int judged = 0;
  const std::vector<Candidate> found = search(s, work(8, 1), [&](const Plan& plan) {
    ++judged;
    for (const MemoryBill& bill : memory_bill(plan)) EXPECT_LE(bill.total, s.memory_bytes);
    return prefer_dp(plan);
  });
  EXPECT_EQ(text(found[0]), "pp2.dp2 mb1 1f1b");
  const auto dp4 = std::find_if(found.begin(), found.end(), [](const Candidate& c) { return c.layout.dp == 4; });
  ASSERT_NE(dp4, found.end());
  EXPECT_GT(dp4->memory_bytes, s.memory_bytes);
  EXPECT_NE(dp4->unfit.find("too much"), std::string::npos) << dp4->unfit;
  EXPECT_NE(dp4->unfit.find("optimizer"), std::string::npos) << dp4->unfit;
  int fit = 0;
  for (const Candidate& c : found) fit += c.unfit.empty();
  EXPECT_EQ(judged, fit) << "the estimator is for layouts that fit";
  // fit first, then those without room, nearest first
  for (size_t i = 1; i < found.size(); ++i) {
    EXPECT_FALSE(found[i].unfit.empty() && !found[i - 1].unfit.empty());
    if (!found[i - 1].unfit.empty() && found[i].memory_bytes) {
      EXPECT_LE(found[i - 1].memory_bytes, found[i].memory_bytes);
    }
  }
}

TEST(Search, SameListForEveryParallelFor) {
  const std::vector<Candidate> a = search(space(8, 4), work(16, 1)),
                               b = search(space(8, 4), work(16, 1), prefer_dp, in_two_threads_backwards);
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].layout, b[i].layout);
    EXPECT_EQ(a[i].workload, b[i].workload);
    EXPECT_EQ(a[i].unfit, b[i].unfit);
    EXPECT_EQ(a[i].estimate.step_seconds, b[i].estimate.step_seconds);
  }
}

TEST(Search, StoppedKeepsWhatWasFound) {
  std::stop_source source;
  int judged = 0;
  const auto estimator = [&](const Plan& plan) {
    if (++judged == 3) source.request_stop();
    return prefer_dp(plan);
  };
  const std::vector<Candidate> found =
      search_layouts(llama(), work(8, 1), space(4, 4), estimator, in_order, source.get_token());
  EXPECT_EQ(found.size(), 3u);
  for (const Candidate& c : found) EXPECT_GT(c.estimate.step_seconds, 0);
}

TEST(Search, FailureOfTheEstimatorReachesTheCaller) {
  const auto estimator = [](const Plan&) -> Estimate { throw RunError("no such device"); };
  EXPECT_THROW(search(space(4, 4), work(8, 1), estimator, in_two_threads_backwards), RunError);
}

TEST(Search, AbsurdSpacesAreRefused) {
  const auto refused = [](auto change) {
    SearchSpace s = space(4, 4);
    change(s);
    return refusal([&] { search(s, work(8, 1)); });
  };
  EXPECT_EQ(refused([](SearchSpace& s) { s.devices = 0; }), "devices: expected 1 to 1,048,576, got 0");
  EXPECT_EQ(refused([](SearchSpace& s) { s.devices = 4000000000; }),
            "devices: expected 1 to 1,048,576, got 4,000,000,000");
  EXPECT_EQ(refused([](SearchSpace& s) { s.micro_batch_sizes = {}; }), "micro-batch sizes: expected at least one");
  EXPECT_EQ(refused([](SearchSpace& s) {
              s.micro_batch_sizes = {1, 0};
            }),
            "micro-batch sizes: expected sizes of at least 1, got 0");
  EXPECT_EQ(refused([](SearchSpace& s) { s.schedules = {}; }), "schedules: expected at least one, for example 1f1b");
  // 4 devices have six shapes; 2000 micro-batch sizes x 6 x 2 (sp) = 24,000 candidates.
  EXPECT_EQ(refused([](SearchSpace& s) {
              s.micro_batch_sizes.clear();
              for (uint32_t i = 1; i <= 2000; ++i) s.micro_batch_sizes.push_back(i);
            }),
            "search: 4 devices split in 6 ways, which makes up to 24,000 candidates; at most 20,000, try fewer "
            "micro-batch sizes or schedules");
}

Candidate candidate(const std::string& name, double step, double bubble, double exposed, uint64_t memory = 1) {
  Candidate c;
  c.layout = layout(name);
  c.workload = work(8, 1);
  c.memory_bytes = memory;
  c.estimate.step_seconds = step;
  c.estimate.bubble = bubble;
  c.estimate.exposed_comm = exposed;
  return c;
}

TEST(RuleOfThumb, LargestTpInTheNodeThenSmallestPpThatFits) {
  std::vector<Candidate> list{candidate("pp4.dp2", 1, 0, 0),    candidate("tp8", 2, 0, 0),
                              candidate("tp4.pp2.sp", 3, 0, 0), candidate("tp4.pp2", 4, 0, 0),
                              candidate("tp2.dp4", 5, 0, 0),    candidate("tp4.dp2", 6, 0, 0)};
  EXPECT_EQ(rule_of_thumb(list, space(8, 4)), 5) << "tp 8 would leave the node of 4";
  list[5].unfit = "needs too much";
  EXPECT_EQ(rule_of_thumb(list, space(8, 4)), 2) << "pp 2 is the smallest that fits, the sp variant ranks first";
  EXPECT_EQ(rule_of_thumb(list, space(8, 8)), 1);
  list[1].unfit = "does not divide";
  list[1].memory_bytes = 0;
  EXPECT_EQ(rule_of_thumb(list, space(8, 8)), 2) << "an illegal tp is not a choice of the rule";
  list[2].unfit = list[3].unfit = "needs too much";
  EXPECT_EQ(rule_of_thumb(list, space(8, 8)), -1) << "the rule's tp fits nowhere";
  EXPECT_EQ(rule_of_thumb({}, space(8, 8)), -1);
}

TEST(WhyFirst, NamesThePartsThatDecide) {
  // first: compute (1 - 0.2) 10 = 8 s, exposed 0.05 * 10 = 0.5 s, bubble (0.2 - 0.05) 10 = 1.5 s
  // other: compute (1 - 0.4) 12 = 7.2 s, exposed 0.3 * 12 = 3.6 s, bubble (0.4 - 0.3) 12 = 1.2 s
  const std::vector<Candidate> list{candidate("pp2.dp4", 10, 0.2, 0.05), candidate("pp2.dp4", 11, 0.2, 0.05),
                                    candidate("tp2.dp4", 12, 0.4, 0.3)};
  EXPECT_EQ(why_first(list),
            "pp2.dp4 (micro-batch 1, 1f1b) takes 10.0 s a step, 2.00 s less than tp2.dp4 (micro-batch 1, 1f1b), the "
            "best of another shape: exposed communication 500 ms against 3.60 s; it pays with bubble 1.50 s against "
            "1.20 s, compute 8.00 s against 7.20 s.");
}

TEST(WhyFirst, SaysSoWhenThereIsNothingToCompare) {
  EXPECT_EQ(why_first({}), "No layout was tried.");
  std::vector<Candidate> list{candidate("pp2.dp4", 10, 0.2, 0.05)};
  EXPECT_EQ(why_first(list),
            "pp2.dp4 (micro-batch 1, 1f1b) wins with 10.0 s a step: no other shape of dp x tp x pp fits.");
  list[0].unfit = "needs 3 GiB of 2 GiB";
  EXPECT_EQ(why_first(list), "No layout fits; the nearest, pp2.dp4 (micro-batch 1, 1f1b): needs 3 GiB of 2 GiB.");
  list = {candidate("dp4", 10, 0.2, 0.05), candidate("tp4", 10.001, 0.2, 0.05)};
  EXPECT_EQ(why_first(list),
            "dp4 (micro-batch 1, 1f1b) takes 10.0 s a step, 1.00 ms less than tp4 (micro-batch 1, 1f1b), the best of "
            "another shape: they are alike in compute, bubble and exposed communication.");
}

}  // namespace
}  // namespace pgram
