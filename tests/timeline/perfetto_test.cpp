#include "core/timeline/perfetto.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/timeline/hand_made.h"

namespace pgram {
namespace {

using Json = nlohmann::json;

std::string exported_text(const Timeline& timeline, bool all_steps) {
  const TemporaryFile file("trace.json");
  write_perfetto(timeline, file.path(), all_steps);
  std::ostringstream text;
  text << std::ifstream(file.path(), std::ios::binary).rdbuf();
  return text.str();
}

struct Trace {
  explicit Trace(const Timeline& timeline, bool all_steps = true)
      : json(Json::parse(exported_text(timeline, all_steps))) {
    for (const Json& event : json["traceEvents"]) by_phase[event["ph"]].push_back(event);
  }
  Json json;
  std::map<std::string, std::vector<Json>> by_phase;
};

/// Slices of one thread must not overlap partially, else viewers drop them.
void expect_proper_nesting(const Trace& trace) {
  std::map<std::pair<int, int>, std::vector<std::pair<double, double>>> threads;
  for (const Json& event : trace.by_phase.at("X"))
    threads[{event["pid"], event["tid"]}].push_back(
        {event["ts"], event["ts"].get<double>() + event["dur"].get<double>()});
  for (auto& [thread, slices] : threads) {
    std::sort(slices.begin(), slices.end());
    for (size_t i = 1; i < slices.size(); ++i) EXPECT_LE(slices[i - 1].second, slices[i].first + 1e-9);
  }
}

TEST(Perfetto, OneSlicePerSpan) {
  const Trace trace(hand_made_timeline());
  ASSERT_EQ(trace.by_phase.at("X").size(), 14u);
  expect_proper_nesting(trace);
  const Json& first = trace.by_phase.at("X")[0];
  EXPECT_EQ(first["name"], "first.f " + std::string(name_of(Kernel::opaque)));
  EXPECT_EQ(first["pid"], 0);
  EXPECT_EQ(first["tid"], 0);
  EXPECT_DOUBLE_EQ(first["ts"], 0);
  EXPECT_DOUBLE_EQ(first["dur"], 0.01);  // 10 ns in microseconds
  EXPECT_EQ(first["args"]["task"], to_text(hand_made_plan(), {0, 0, 0}));
  EXPECT_EQ(first["args"]["layer"], 5);
  EXPECT_EQ(first["args"]["flops"], 600);
  const Json& receive = trace.by_phase.at("X")[12];
  EXPECT_EQ(receive["tid"], static_cast<int>(kReceiveStream));
  EXPECT_DOUBLE_EQ(receive["args"]["wait_us"], 0.01);
  EXPECT_EQ(receive["args"]["bytes"], 128);
}

TEST(Perfetto, PicosecondsSurvive) {
  Timeline timeline = hand_made_timeline();
  auto spans = hand_made_spans();
  spans[1].start += 1;  // 10,001 ps = 0.010001 us
  timeline.set_spans(spans);
  EXPECT_NE(exported_text(timeline, true).find("\"ts\":0.010001,\"dur\":0.009999"), std::string::npos);
}

TEST(Perfetto, ProcessesAndThreadsAreNamed) {
  const Trace trace(folded_timeline());
  std::map<std::string, int> names;
  for (const Json& event : trace.by_phase.at("M")) {
    if (event["args"].contains("name")) ++names[event["args"]["name"]];
  }
  EXPECT_EQ(names["rank 0 (pp 0, dp 0, tp 0) +1 alike"], 1);
  EXPECT_EQ(names["rank 2 (pp 1, dp 0, tp 0) +1 alike"], 1);
  EXPECT_EQ(names["compute"], 2);
  EXPECT_EQ(names["tensor"], 2);
  EXPECT_EQ(names[name_of(kSendStream)], 1);
}

TEST(Perfetto, EachSendPointsToItsReceive) {
  const Trace trace(hand_made_timeline());
  const auto &starts = trace.by_phase.at("s"), &ends = trace.by_phase.at("f");
  ASSERT_EQ(starts.size(), 2u);
  ASSERT_EQ(ends.size(), 2u);
  // Sends begin at 10 and 20 ns; receives [0,14] and [14,24] ns are pointed at 1 ns before their ends.
  const double begins[] = {0.010, 0.020}, arrivals[] = {0.013, 0.023};
  for (int k = 0; k < 2; ++k) {
    EXPECT_EQ(starts[k]["id"], ends[k]["id"]);
    EXPECT_EQ(ends[k]["bp"], "e");
    EXPECT_EQ(starts[k]["pid"], 0);
    EXPECT_EQ(ends[k]["pid"], 1);
    EXPECT_EQ(starts[k]["tid"], static_cast<int>(kSendStream));
    EXPECT_EQ(ends[k]["tid"], static_cast<int>(kReceiveStream));
    EXPECT_DOUBLE_EQ(starts[k]["ts"], begins[k]);
    EXPECT_DOUBLE_EQ(ends[k]["ts"], arrivals[k]);
  }
  EXPECT_NE(starts[0]["id"], starts[1]["id"]);
}

TEST(Perfetto, FlowsInEveryStepAndToRepresentatives) {
  Timeline timeline = folded_timeline();
  std::vector<Span> twice(timeline.spans.begin(), timeline.spans.end());
  for (size_t i = 0; i < 14; ++i) {
    twice.push_back(twice[i]);
    twice.back().start += 200 * kUnit;
    twice.back().end += 200 * kUnit;
  }
  timeline.set_spans(twice);
  timeline.steps.push_back({14, 14, 200 * kUnit, 301 * kUnit, 0, 0});
  const Trace all(timeline);
  EXPECT_EQ(all.by_phase.at("X").size(), 28u);
  EXPECT_EQ(all.by_phase.at("s").size(), 4u);
  expect_proper_nesting(all);
  for (const Json& end : all.by_phase.at("f")) EXPECT_EQ(end["pid"], 2);
  // The median (lower of two) is the first step of 100 ns.
  const Trace median(timeline, false);
  EXPECT_EQ(median.by_phase.at("X").size(), 14u);
  EXPECT_EQ(median.by_phase.at("s").size(), 2u);
}

TEST(Perfetto, OverlappingSpansOfOneStreamGoToLanes) {
  Timeline timeline = hand_made_timeline();
  auto spans = hand_made_spans();
  spans[13].start = 12 * kUnit;  // receives [0,14] and [12,24] overlap
  timeline.set_spans(spans);
  const Trace trace(timeline);
  expect_proper_nesting(trace);
  EXPECT_EQ(trace.by_phase.at("X")[13]["tid"], static_cast<int>(kReceiveStream) + kStreams);
  EXPECT_EQ(trace.by_phase.at("f")[1]["tid"], static_cast<int>(kReceiveStream) + kStreams);
}

TEST(Perfetto, CountersAreCounterEvents) {
  const Trace trace(hand_made_timeline());
  const auto& counters = trace.by_phase.at("C");
  ASSERT_EQ(counters.size(), 5u);
  EXPECT_EQ(counters[1]["name"], "memory");
  EXPECT_EQ(counters[1]["pid"], 0);
  EXPECT_DOUBLE_EQ(counters[1]["ts"], 0.02);
  EXPECT_EQ(counters[1]["args"]["memory"], 3000);
}

TEST(Perfetto, NegativeTimesAreShiftedToZero) {
  Timeline timeline = hand_made_timeline();
  auto spans = hand_made_spans();
  for (Span& span : spans) {
    span.start -= 500 * kUnit;
    span.end -= 500 * kUnit;
  }
  timeline.set_spans(spans);
  timeline.steps[0].start -= 500 * kUnit;
  timeline.steps[0].end -= 500 * kUnit;
  const Trace trace(timeline);
  for (const Json& event : trace.by_phase.at("X")) EXPECT_GE(event["ts"].get<double>(), 0);
}

TEST(Perfetto, NamesWithSpecialCharactersStayValidJson) {
  Timeline timeline = hand_made_timeline();
  Plan plan = hand_made_plan();
  plan.bodies[0].name = "quote\" backslash\\ tab\t null" + std::string(1, '\0') + " bad\xff\xc3 e\xcc\x81";
  timeline.plan = std::make_shared<Plan>(plan);
  timeline.facts["device\n"] = "\x80\"";
  timeline.counter_names[1] = "mem\"ory";
  const std::string text = exported_text(timeline, true);
  for (const char byte : text) EXPECT_TRUE(byte == '\n' || (byte >= 0x20 && byte < 0x7f));
  const Json json = Json::parse(text);
  EXPECT_TRUE(json["otherData"].contains("device\n"));
  bool found = false;
  for (const Json& event : json["traceEvents"]) found |= event["ph"] == "C" && event["name"] == "mem\"ory";
  EXPECT_TRUE(found);
}

}  // namespace
}  // namespace pgram
