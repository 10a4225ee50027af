// Mutated plan files with fixed seeds: each is refused in one line, or is a Plan that verify() and the printers take
// without a crash. Run it under the sanitizers, too.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "core/plan/plan_file.h"
#include "tests/plan/edit.h"

namespace pgram {
namespace {

using namespace test;
using nlohmann::json;

struct Tally {
  int refused = 0, unsound = 0, good = 0;
};

void feed(const std::string& text, Tally& tally) {
  Plan plan;
  try {
    plan = plan_from_json(text, "plan.json");
  } catch (const InputError& error) {
    const std::string line = error.what();
    EXPECT_TRUE(line.starts_with("plan.json:")) << line;
    EXPECT_LT(line.size(), 500u) << line;
    for (const char c : line) EXPECT_TRUE(c >= ' ' && c <= '~') << line;
    ++tally.refused;
    return;
  }
  const std::string error = verify(plan);
  EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  ++(error.empty() ? tally.good : tally.unsound);
  EXPECT_GT(plan_to_text(plan).size(), 0u);
  for (const Body& b : plan.bodies) EXPECT_GT(body_to_dot(plan, b.name).size(), 0u);
  for (uint32_t role = 0; role < plan.programs.size(); ++role) {
    const uint32_t rank = plan.mesh.rank({0, 0, role});
    for (uint32_t c = 0; c < plan.programs[role].calls.size(); c += 7) {
      if (!plan.bodies[plan.programs[role].calls[c].body].ops.empty()) {
        EXPECT_FALSE(to_text(plan, Task{rank, c, 0}).empty());
      }
    }
  }
  for (uint16_t comm = 0; comm < plan.comms.size(); ++comm) {
    EXPECT_LE(members(plan, comm, 0).size(), group_size(plan, comm));
  }
}

/// A schedule alone, so that many mutations still reach verify(), and one file that holds everything.
const std::string& seed_file(bool whole) {
  static const std::string tiny = plan_to_json(make_schedule_plan(one_f_one_b(2, 2), PointToPoint::paired));
  static const std::string full = [] {
    Model model = gpt2();
    model.layers = 2;
    return plan_to_json(make_plan(model, layout("tp2.pp2.dp2"), work(4, 1)));
  }();
  return whole ? full : tiny;
}

TEST(PlanFuzz, BytesChanged) {
  std::mt19937 random(1);
  Tally tally;
  const std::string kAlphabet = "0123456789-.,:[]{}\"eE +truefalsn\\\x01\xff";
  for (int i = 0; i < 2000; ++i) {
    std::string text = seed_file(i % 8 == 0);
    const int edits = 1 + static_cast<int>(random() % 3);
    for (int e = 0; e < edits; ++e) {
      const size_t at = random() % text.size();
      const char c = kAlphabet[random() % kAlphabet.size()];
      switch (random() % 3) {
        case 0:
          text[at] = c;
          break;
        case 1:
          text.insert(at, 1, c);
          break;
        default:
          text.erase(at, 1 + random() % 8);
      }
    }
    feed(text, tally);
  }
  EXPECT_GT(tally.refused, 500);
  EXPECT_GT(tally.unsound + tally.good, 20);
}

/// All values of a document, each by the steps that lead to it.
void collect(json& value, std::vector<json*>& all) {
  all.push_back(&value);
  if (value.is_structured()) {
    for (json& child : value) collect(child, all);
  }
}

json nasty_value(std::mt19937& random) {
  switch (random() % 14) {
    case 0:
      return 0;
    case 1:
      return -1;
    case 2:
      return 1000000000000000000ull;
    case 3:
      return 1e18;
    case 4:
      return 65535;
    case 5:
      return json::array();
    case 6:
      return json::object();
    case 7:
      return "all_reduce";
    case 8:
      return nullptr;
    case 9:
      return 0.5;
    case 10:
      return 18446744073709551615ull;
    case 11:
      return std::string(300, 'x');
    default:
      return random() % 8;
  }
}

TEST(PlanFuzz, ValuesReplacedRemovedRepeatedAndSwapped) {
  std::mt19937 random(2);
  Tally tally;
  const json tiny = json::parse(seed_file(false)), full = json::parse(seed_file(true));
  for (int i = 0; i < 4000; ++i) {
    json plan = i % 8 ? tiny : full;
    for (int e = static_cast<int>(random() % 3); e >= 0; --e) {
      std::vector<json*> all;
      collect(plan, all);
      if (random() % 2) std::erase_if(all, [](const json* v) { return !v->is_number_integer(); });
      if (all.empty()) break;
      json& value = *all[random() % all.size()];
      switch (random() % 5) {
        case 0:
          value = nasty_value(random);
          break;
        case 1:
          if (value.is_array() && !value.empty()) value.erase(random() % value.size());
          break;
        case 2:
          if (value.is_array() && !value.empty()) value.push_back(json(value[random() % value.size()]));
          break;
        default:
          if (value.is_array() && value.size() > 1) {
            std::swap(value[random() % value.size()], value[random() % value.size()]);
          } else if (value.is_number_integer()) {
            value = value.get<int64_t>() + static_cast<int64_t>(random() % 5) - 2;
          }
      }
    }
    feed(plan.dump(), tally);
  }
  EXPECT_GT(tally.refused, 1000);
  EXPECT_GT(tally.unsound, 100) << "the mutations must reach verify()";
  EXPECT_GT(tally.good, 100) << tally.unsound << " unsound";
}

}  // namespace
}  // namespace pgram
