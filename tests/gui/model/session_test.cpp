#include "gui/model/session.h"

#include <gtest/gtest.h>

#include "core/base/errors.h"
#include "gui/model/execution.h"

namespace pgram::gui {
namespace {

/// 4 heads, 2 key-value heads, 6 layers.
Model small_model() {
  Model model;
  model.name = "small";
  model.kind = "llama";
  model.layers = 6;
  model.hidden = 32;
  model.heads = 4;
  model.kv_heads = 2;
  model.head_dim = 8;
  model.rotary_dims = 8;
  model.ffn = 64;
  model.vocabulary = 256;
  model.max_positions = 256;
  return model;
}

using Values = std::vector<uint32_t>;

TEST(Choices, OfferOnlyWhatValidatesAndFitsTheDevices) {
  SessionInputs inputs;
  inputs.layout = {.tp = 2, .pp = 2};
  inputs.work = {.global_batch = 12, .micro_batch = 1, .sequence = 128};
  const Choices offered = choices(small_model(), inputs, 16);
  EXPECT_EQ(offered.tp, (Values{1, 2}));              // 4 does not divide the 2 key-value heads
  EXPECT_EQ(offered.pp, (Values{1, 2, 3, 4, 5, 6}));  // 6 layers; 16 / 2 devices would allow 8
  EXPECT_EQ(offered.dp, (Values{1, 2, 3, 4}));        // 16 / 4 devices, divisors of 12
  EXPECT_EQ(offered.micro_batch, (Values{1, 2, 3, 4, 6, 12}));
  EXPECT_EQ(offered.sequence, (Values{16, 32, 64, 128, 256}));
  EXPECT_TRUE(offered.sequence_parallel);
}

TEST(Choices, LaterValuesGiveWayToEarlierOnes) {
  SessionInputs inputs;
  inputs.layout = {.tp = 3, .pp = 9, .dp = 7, .sequence_parallel = true};
  inputs.work = {.global_batch = 8, .micro_batch = 5, .sequence = 1000};
  const SessionInputs valid = nearest_valid(small_model(), inputs, 8);
  EXPECT_EQ(valid.layout.tp, 2u);
  EXPECT_EQ(valid.layout.pp, 4u);  // of 8 / 2 devices
  EXPECT_EQ(valid.layout.dp, 1u);
  EXPECT_EQ(valid.work.micro_batch, 4u);  // the largest divisor of 8 that is not above 5
  EXPECT_EQ(valid.work.sequence, 256u);
  EXPECT_TRUE(valid.layout.sequence_parallel);
  EXPECT_EQ(nearest_valid(small_model(), valid, 8), valid);
}

TEST(Session, PlansAndSimulates) {
  Session session;
  const SessionResult result = session.plan_and_simulate({});  // tiny-llama, tp2.pp2 on this machine
  ASSERT_TRUE(result.timeline);
  EXPECT_EQ(result.timeline->source, TimelineSource::simulated);
  EXPECT_EQ(result.plan->mesh.ranks(), 4u);
  EXPECT_GT(result.timeline->median_step_time(), 0);
  EXPECT_FALSE(result.timeline->spans.empty());
  EXPECT_GT(result.tasks, 0u);
  EXPECT_EQ(why_not_runnable(result), "");
  const auto again = inputs_of(*result.timeline);
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, result.inputs);
}

TEST(Session, RefusesWithAReason) {
  Session session;
  SessionInputs inputs;
  inputs.model = "no-such-model";
  EXPECT_THROW(session.plan_and_simulate(inputs), InputError);
  inputs = {};
  inputs.layout.tp = 3;
  EXPECT_THROW(session.plan_and_simulate(inputs), InputError);
}

TEST(Session, SaysWhatDoesNotFitAndWhyItCannotRunHere) {
  Session session;
  SessionInputs inputs;
  inputs.model = "llama-3.1-70b";
  inputs.cluster = "dgx-h100";
  inputs.layout = {.tp = 8};
  inputs.work = {.global_batch = 8, .micro_batch = 1, .sequence = 8192, .precision = Precision::bf16};
  const SessionResult result = session.plan_and_simulate(inputs);
  EXPECT_NE(result.does_not_fit.find("GiB more than"), std::string::npos) << result.does_not_fit;
  EXPECT_NE(why_not_runnable(result).find("dgx-h100"), std::string::npos);
}

TEST(Execution, RunsThePlanAndCanBeStopped) {
  Session session;
  SessionInputs inputs;
  inputs.work = {.global_batch = 4, .micro_batch = 2, .sequence = 32};
  const SessionResult result = session.plan_and_simulate(inputs);
  uint32_t last = 0;
  const auto timeline = execute(result.plan, 3, {}, [&](uint32_t done, uint32_t steps, double loss, Picoseconds time) {
    last = done;
    EXPECT_EQ(steps, 3u);
    EXPECT_GT(loss, 0);
    EXPECT_GT(time, 0);
  });
  ASSERT_TRUE(timeline);
  EXPECT_EQ(last, 3u);
  EXPECT_EQ(timeline->source, TimelineSource::measured);
  EXPECT_EQ(timeline->steps.size(), 3u);
  EXPECT_EQ(timeline->of_step(2).size(), timeline->of_step(0).size());

  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(execute(result.plan, 3, stop.get_token(), [](auto...) {}), nullptr);
}

}  // namespace
}  // namespace pgram::gui
