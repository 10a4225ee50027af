#include "cli/sweep/lists.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/base/errors.h"

namespace pgram::sweep {
namespace {

/// Values in order, without those that were there before.
template <class T>
class Distinct {
 public:
  bool add(const YamlItem& item, const T& value) {
    if (!seen_.insert(value).second) return false;
    if (values.size() == kMostValues) item.fail("more than " + std::to_string(kMostValues) + " values");
    values.push_back(value);
    return true;
  }
  std::vector<T> values;

 private:
  std::set<T> seen_;
};

/// Calls f for every value of {from, to, times | step}.
template <class F>
void read_range(const YamlItem& item, uint64_t min, uint64_t max, const F& f) {
  YamlFields range = item.fields();
  const bool begins = range.has("from"), ends = range.has("to");
  const bool by_times = range.has("times"), by_step = range.has("step");
  range.refuse_unknown();
  const std::string example = "; a range is {from: 8, to: 128, times: 2} or {from: 8, to: 64, step: 8}";
  if (!begins) range.fail("from", "missing" + example);
  if (!ends) range.fail("to", "missing" + example);
  if (!by_times && !by_step) range.fail("times", "missing, and no step either" + example);
  if (by_times && by_step) range.fail("step", "expected times or step, got both" + example);
  const uint64_t from = range.integer("from", min, max), to = range.integer("to", min, max);
  if (from > to)
    range.fail("to", "a range from " + std::to_string(from) + " never ends at " + std::to_string(to) +
                         "; expected at least " + std::to_string(from));
  const std::string key = by_times ? "times" : "step", by = range.text(key);
  if (by_times && (by == "1" || by == "0"))
    range.fail(key, "a range that is multiplied by " + by + " never ends; expected at least 2");
  if (by_step && (by == "0" || by.starts_with('-')))
    range.fail(key, "a range by steps of " + by + " never ends; expected at least 1");
  const uint64_t amount = range.integer(key, 1, UINT32_MAX);
  for (uint64_t value = from; value <= to; value = by_times ? value * amount : value + amount) f(value);
}

}  // namespace

std::vector<YamlItem> need_items(YamlFields& fields, const std::string& key) {
  if (!fields.has(key)) fields.fail(key, "missing");
  std::vector<YamlItem> items = fields.items(key);
  if (items.empty()) fields.fail(key, "expected at least one value");
  return items;
}

std::vector<uint32_t> read_whole_numbers(YamlFields& fields, const std::string& key, uint32_t min, uint32_t max) {
  Distinct<uint32_t> distinct;
  for (const YamlItem& item : need_items(fields, key)) {
    const auto add = [&](uint64_t value) { distinct.add(item, static_cast<uint32_t>(value)); };
    if (item.is_mapping()) {
      read_range(item, min, max, add);
    } else {
      add(item.integer(min, max));
    }
  }
  return distinct.values;
}

std::vector<double> read_numbers(YamlFields& fields, const std::string& key, double min, double max) {
  Distinct<double> distinct;
  for (const YamlItem& item : need_items(fields, key)) {
    if (item.is_mapping()) {
      read_range(item, static_cast<uint64_t>(std::ceil(min)), static_cast<uint64_t>(max),
                 [&](uint64_t value) { distinct.add(item, static_cast<double>(value)); });
    } else {
      distinct.add(item, item.number(min, max));
    }
  }
  return distinct.values;
}

std::vector<std::string> read_texts(YamlFields& fields, const std::string& key, std::vector<int>* lines) {
  Distinct<std::string> distinct;
  for (const YamlItem& item : need_items(fields, key)) {
    const std::string text = item.text();
    if (text.empty()) item.fail("expected a text, got an empty one");
    if (distinct.add(item, text) && lines) lines->push_back(item.line());
  }
  return distinct.values;
}

}  // namespace pgram::sweep
