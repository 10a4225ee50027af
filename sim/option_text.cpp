#include "sim/option_text.h"

#include <charconv>
#include <cmath>
#include <cstdio>

#include "core/base/errors.h"

namespace pgram {
namespace {

/// The whole text as a finite number; false for anything else.
bool read_number(std::string_view text, double& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && std::isfinite(number);
}

}  // namespace

Engine parse_engine(const std::string& name) {
  if (name == "auto") return Engine::automatic;
  if (name == "evaluator") return Engine::evaluator;
  if (name == "events") return Engine::events;
  throw InputError("--engine", "expected auto, evaluator or events, got '" + name + "'");
}

NetworkLevel parse_network_level(const std::string& name) {
  if (name == "analytic") return NetworkLevel::analytic;
  if (name == "flow") return NetworkLevel::flow;
  if (name == "step") return NetworkLevel::step;
  throw InputError("--network", "expected analytic, flow or step, got '" + name + "'");
}

std::pair<uint32_t, double> parse_slow_rank(const std::string& text, uint32_t ranks) {
  unsigned rank = 0;
  double factor = 0;
  char rest = 0;
  if (std::sscanf(text.c_str(), "%u:%lf%c", &rank, &factor, &rest) != 2 || rank >= ranks ||
      !(factor > 0 && factor <= 1000)) {
    throw InputError("--slow", "expected RANK:FACTOR with a rank below " + std::to_string(ranks) +
                                   ", for example 3:1.3; got '" + text + "'");
  }
  return {rank, factor};
}

Jitter parse_jitter(const std::string& text) {
  Jitter jitter;
  const size_t colon = text.find(':');
  double seed = 1;
  const bool good = read_number(text.substr(0, colon), jitter.sigma) && jitter.sigma >= 0 && jitter.sigma <= 2 &&
                    (colon == std::string::npos || read_number(text.substr(colon + 1), seed)) && seed >= 0 &&
                    seed < 0x1p53 && seed == std::floor(seed);
  if (!good) {
    throw InputError("--jitter",
                     "expected SIGMA or SIGMA:SEED with a sigma from 0 to 2, for example 0.05:7; got '" + text + "'");
  }
  jitter.seed = static_cast<uint64_t>(seed);
  return jitter;
}

LinkChange parse_link_change(const std::string& text, const Cluster& cluster) {
  const auto bad = [&](const std::string& why) {
    return InputError("--link", why + " in '" + text +
                                    "', expected FROM>TO:FACTOR@TIME with a factor from 0 to 1 or 'down', for example "
                                    "'n0.nic3>leaf3:0.5@10ms'; pgram clusters NAME --route 0:9 names links");
  };
  const size_t arrow = text.find('>'), colon = text.rfind(':'), at = text.rfind('@');
  if (arrow == std::string::npos || colon == std::string::npos || at == std::string::npos || arrow > colon ||
      colon > at)
    throw bad("parts are missing");
  const std::string from = text.substr(0, arrow), to = text.substr(arrow + 1, colon - arrow - 1);
  const std::string factor = text.substr(colon + 1, at - colon - 1), when = text.substr(at + 1);

  LinkChange change;
  if (factor == "down") {
    change.factor = 0;
  } else if (!read_number(factor, change.factor) || change.factor < 0 || change.factor > 1) {
    throw bad("a factor of '" + factor + "'");
  }
  const size_t unit = when.find_first_not_of("0123456789.");
  const std::string suffix = unit == std::string::npos ? "" : when.substr(unit);
  const double scale = suffix == "s" ? 1 : suffix == "ms" ? 1e-3 : suffix == "us" ? 1e-6 : 0;
  double time = 0;
  if (scale == 0 || !read_number(when.substr(0, unit), time) || time * scale > 1e6)
    throw bad("a time of '" + when + "' (units are us, ms and s)");
  change.time = to_picoseconds(time * scale);

  const ClusterGraph& graph = cluster.graph();
  for (size_t i = 0; i < graph.links.size(); ++i) {
    if (graph.vertices[graph.links[i].from].name != from || graph.vertices[graph.links[i].to].name != to) continue;
    change.link = static_cast<uint32_t>(i);
    return change;
  }
  throw bad("no link from '" + from + "' to '" + to + "'");
}

double parse_collective_share(const std::string& text) {
  double share = 0;
  if (!read_number(text, share) || share < 0 || share > 0.95)
    throw InputError("--collective-share", "expected 0 to 0.95, got '" + text + "'");
  return share;
}

}  // namespace pgram
