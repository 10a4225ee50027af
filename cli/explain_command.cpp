// pgram explain: why every stream of a rank is idle when it is, and the critical path of the step.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "core/base/units.h"
#include "core/timeline/explanation.h"
#include "core/timeline/text_table.h"

namespace pgram::cli {
namespace {

struct Flags {
  std::string timeline;
  uint32_t rank = 0;
  bool critical_path = false, json = false;
};

nlohmann::ordered_json to_json(const Plan& plan, const Idle& idle) {
  nlohmann::ordered_json json;
  json["stream"] = pgram::name_of(static_cast<Stream>(idle.stream));
  json["reason"] = pgram::name_of(idle.reason);
  if (idle.awaited) {
    json["awaited"] = pgram::to_text(plan, *idle.awaited);
    json["running"] = idle.running;
  }
  json["start_seconds"] = to_seconds(idle.start);
  json["end_seconds"] = to_seconds(idle.end);
  return json;
}

void print_idle(const StepGraph& graph, uint32_t rank, const std::vector<Idle>& idle) {
  const Picoseconds begin = graph.step().start;
  std::printf("idle time of rank %u, step of %s\n", rank, format_time(graph.step().end - begin).c_str());
  for (size_t at = 0; at < idle.size(); ++at) {
    const Idle& piece = idle[at];
    if (at == 0 || idle[at - 1].stream != piece.stream) {
      const auto stream = static_cast<Stream>(piece.stream);
      const Picoseconds total = sum_idle(graph, idle, stream).total();
      std::printf(
          "\nstream %s: idle %s, %s of the step\n", pgram::name_of(stream), format_time(total).c_str(),
          format_percent(share_of(static_cast<double>(total), static_cast<double>(graph.step().end - begin))).c_str());
    }
    std::printf("  %10s  for %10s  %s\n", format_time(piece.start - begin).c_str(),
                format_time(piece.end - piece.start).c_str(), to_text(graph, piece).c_str());
  }
}

void print_path(const StepGraph& graph, const CriticalPath& path) {
  std::printf("critical path of %s\n", format_time(path.length()).c_str());
  for (const Segment& segment : path.segments) {
    std::printf("  %10s  for %10s  %-15s  %s\n", format_time(segment.start - graph.step().start).c_str(),
                format_time(segment.end - segment.start).c_str(),
                segment.what == PathWhat::work ? std::string(pgram::name_of(segment.category)).c_str()
                                               : pgram::name_of(segment.what),
                to_text(graph, segment).c_str());
  }
}

int run(const Flags& flags) {
  const Timeline timeline = read_timeline(flags.timeline);
  const uint32_t ranks = timeline.plan->mesh.ranks();
  if (flags.rank >= ranks)
    throw InputError("--rank", std::to_string(flags.rank) + " is not a rank of the plan; expected 0 to " +
                                   std::to_string(ranks - 1));
  const size_t step = timeline.median_step();
  if (timeline.steps[step].num_spans == 0)
    throw InputError(flags.timeline, "holds no spans of its median step: nothing to explain");
  const StepGraph graph(timeline, step);
  const std::vector<Idle> idle = idle_of_rank(graph, flags.rank);
  const Explanation explanation = explain(timeline);
  if (flags.json) {
    auto json = nlohmann::ordered_json::parse(explanation_to_json(timeline, explanation));
    json["rank"] = flags.rank;
    json["intervals"] = nlohmann::ordered_json::array();
    for (const Idle& piece : idle) json["intervals"].push_back(to_json(*timeline.plan, piece));
    std::printf("%s\n", json.dump(2).c_str());
    return kGood;
  }
  if (flags.critical_path) {
    print_path(graph, explanation.path);
  } else {
    print_idle(graph, flags.rank, idle);
  }
  std::printf("%s", explanation_to_text(timeline, explanation).c_str());
  return kGood;
}

}  // namespace

void add_explain_command(Command& app, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  Command* command = add_command(app, "explain", "Say why a rank's streams are idle, and what the critical path is",
                                 "pgram explain sim.timeline --rank 3\n  pgram explain run.timeline --critical-path",
                                 exit_code, [=] { return run(*flags); });
  command->add_option("TIMELINE", flags->timeline, "Timeline file")->required();
  command->add_option("--rank", flags->rank, "Whose idle time")->capture_default_str();
  command->add_flag("--critical-path", flags->critical_path, "The path's segments instead of idle time");
  command->add_flag("--json", flags->json, "Machine-readable, both");
}

}  // namespace pgram::cli
