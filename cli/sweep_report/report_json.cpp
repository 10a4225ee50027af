#include "cli/sweep_report/report_json.h"

#include <nlohmann/json.hpp>

#include "cli/sweep/table.h"
#include "cli/sweep_report/effects.h"
#include "cli/sweep_report/pictures.h"

namespace pgram::sweep_report {
namespace {

using nlohmann::ordered_json;

ordered_json reasons(const std::vector<Reason>& reasons) {
  ordered_json json = ordered_json::array();
  for (const Reason& reason : reasons) json.push_back({{"cases", reason.cases}, {"reason", reason.text}});
  return json;
}

ordered_json case_or_null(const Row* row) {
  return row ? sweep::to_json(*row) : ordered_json();
}

ordered_json step_or_null(const Row* row) {
  return row ? ordered_json(row->outcome.figures.step_seconds) : ordered_json();
}

ordered_json best_layouts(const std::vector<Point>& points) {
  ordered_json json = ordered_json::array();
  for (const Point& point : points) {
    ordered_json& entry = json.emplace_back(ordered_json{{"kind", point.kind}, {"fits", point.fits}});
    entry.update(sweep::to_json(*point.fastest));
  }
  return json;
}

ordered_json front_json(const Front& front) {
  ordered_json json = ordered_json::array();
  for (size_t i = 0; i < front.members.size(); ++i) {
    ordered_json& entry = json.emplace_back(sweep::to_json(*front.members[i]));
    entry["equal_cases"] = front.equals[i];
    entry["command"] = simulate_command(*front.members[i]);
  }
  return json;
}

ordered_json effects_json(const std::vector<Effect>& effects) {
  ordered_json json = ordered_json::array();
  for (const Effect& effect : effects) {
    ordered_json points = ordered_json::array();
    for (const Effect::At& at : effect.at) {
      points.push_back({{"kind", at.point.kind},
                        {"devices", at.point.devices},
                        {"usual", at.point.fastest->inputs.number},
                        {"usual_step_time", at.point.fastest->outcome.figures.step_seconds},
                        {"step_time", step_or_null(at.same)},
                        {"longer_by", at.same ? ordered_json(at.more()) : ordered_json()},
                        {"best", at.best ? ordered_json(at.best->inputs.number) : ordered_json()},
                        {"best_step_time", step_or_null(at.best)}});
    }
    json.push_back({{"network", effect.condition.network},
                    {"disturbance", effect.condition.disturbance},
                    {"median_longer_by", effect.same ? ordered_json(effect.median) : ordered_json()},
                    {"points", std::move(points)}});
  }
  return json;
}

ordered_json question_json(const Topic& topic) {
  const std::vector<const Row*> usual = topic.usual();
  const Best best = best_of(usual);
  return {{"model", topic.question.model},
          {"global_batch", topic.question.global_batch},
          {"sequence", topic.question.sequence},
          {"precision", name_of(topic.question.precision)},
          {"optimizer", name_of(topic.question.optimizer)},
          {"network", topic.conditions.front().network},
          {"disturbance", topic.conditions.front().disturbance},
          {"fits", usual.size()},
          {"fastest", case_or_null(best.step_time)},
          {"cheapest", case_or_null(best.cost)},
          {"least_memory", case_or_null(best.memory)},
          {"best_layouts", best_layouts(best_points(usual))},
          {"front", front_json(front_of(usual))},
          {"effects", effects_json(effects_of(topic))}};
}

}  // namespace

ordered_json report_json(const PageInputs& in) {
  const Study& study = in.study;
  ordered_json questions = ordered_json::array();
  for (const Topic& topic : study.topics) questions.push_back(question_json(topic));
  return {{"sweep", in.sweep.name},
          {"version", in.sweep.version},
          {"cases", in.sweep.cases},
          {"rows", in.sweep.rows},
          {"where", in.where},
          {"shown", study.rows},
          {"fits", study.fits},
          {"unfit", study.unfit},
          {"failed", study.failed},
          {"why_unfit", reasons(study.why_unfit)},
          {"why_failed", reasons(study.why_failed)},
          {"questions", std::move(questions)}};
}

}  // namespace pgram::sweep_report
