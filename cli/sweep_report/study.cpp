#include "cli/sweep_report/study.h"

#include <algorithm>
#include <map>

#include "cli/page/text.h"

namespace pgram::sweep_report {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string reason_of(const Row& row) {
  if (row.outcome.figures.memory_headroom < 0) return "needs more memory than a device has";
  return without_numbers(row.outcome.unfit);
}

void count(std::vector<Reason>& reasons, const std::string& text) {
  // Few reasons, many rows: the last one found is often the next.
  for (Reason& reason : reasons) {
    if (reason.text == text) {
      ++reason.cases;
      return;
    }
  }
  reasons.push_back({text, 1});
}

void sort(std::vector<Reason>& reasons) {
  std::stable_sort(reasons.begin(), reasons.end(), [](const Reason& a, const Reason& b) { return a.cases > b.cases; });
}

int detail_of(const std::string& network) {
  return network == "step" ? 2 : network == "flow" ? 1 : 0;
}

void find_conditions(Topic& topic) {
  std::vector<uint64_t> fits;
  for (const Row& row : topic.fits) {
    const Condition condition = condition_of(row);
    const auto found = std::find(topic.conditions.begin(), topic.conditions.end(), condition);
    if (found == topic.conditions.end()) {
      topic.conditions.push_back(condition);
      fits.push_back(1);
    } else {
      ++fits[static_cast<size_t>(found - topic.conditions.begin())];
    }
  }
  size_t usual = 0;
  const auto rank = [&](size_t i) {
    const Condition& condition = topic.conditions[i];
    return std::tuple(condition.disturbance == "none", fits[i], detail_of(condition.network));
  };
  for (size_t i = 1; i < topic.conditions.size(); ++i) {
    if (rank(i) > rank(usual)) usual = i;
  }
  std::rotate(topic.conditions.begin(), topic.conditions.begin() + static_cast<std::ptrdiff_t>(usual),
              topic.conditions.begin() + static_cast<std::ptrdiff_t>(usual) + 1);
}

}  // namespace

Question question_of(const Row& row) {
  const Workload& workload = row.inputs.workload;
  return {row.inputs.model, workload.global_batch, workload.sequence, workload.precision, workload.optimizer};
}

std::string to_text(const Question& question) {
  return question.model + ", " + page::count_text(question.global_batch) + " sequences of " +
         page::count_text(question.sequence) + " tokens a step, " + name_of(question.precision) + ", " +
         name_of(question.optimizer);
}

Condition condition_of(const Row& row) {
  return {row.inputs.network, row.inputs.disturbance.name};
}

std::vector<const Row*> Topic::usual() const {
  std::vector<const Row*> rows;
  for (const Row& row : fits) {
    if (condition_of(row) == conditions.front()) rows.push_back(&row);
  }
  return rows;
}

void StudyMaker::add(const Row& row) {
  ++study_.rows;
  if (!row.outcome.error.empty()) {
    ++study_.failed;
    count(study_.why_failed, without_numbers(row.outcome.error));
  } else if (!row.outcome.unfit.empty()) {
    ++study_.unfit;
    count(study_.why_unfit, reason_of(row));
  } else {
    ++study_.fits;
    const Question question = question_of(row);
    auto topic = std::find_if(study_.topics.rbegin(), study_.topics.rend(),
                              [&](const Topic& t) { return t.question == question; });
    if (topic == study_.topics.rend()) {
      study_.topics.push_back({question, {}, {}});
      topic = study_.topics.rbegin();
    }
    topic->fits.push_back(row);
  }
}

Study StudyMaker::finish() {
  for (Topic& topic : study_.topics) find_conditions(topic);
  sort(study_.why_unfit);
  sort(study_.why_failed);
  return std::move(study_);
}

std::string kind_of_cluster(const std::string& cluster) {
  const size_t colon = cluster.rfind(':');
  if (colon == std::string::npos || colon + 1 == cluster.size() || !is_digit(cluster[colon + 1])) return cluster;
  size_t end = colon + 1;
  while (end < cluster.size() && is_digit(cluster[end])) ++end;
  if (end < cluster.size() && cluster[end] != '@') return cluster;
  return cluster.substr(0, colon) + cluster.substr(end);
}

std::string without_numbers(const std::string& reason) {
  std::string out;
  for (size_t i = 0; i < reason.size();) {
    if (!is_digit(reason[i])) {
      out += reason[i++];
      continue;
    }
    while (i < reason.size() && (is_digit(reason[i]) || ((reason[i] == '.' || reason[i] == ',') &&
                                                         i + 1 < reason.size() && is_digit(reason[i + 1]))))
      ++i;
    out += "…";
  }
  return out;
}

}  // namespace pgram::sweep_report
