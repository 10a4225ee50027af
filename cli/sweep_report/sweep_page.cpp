#include "cli/sweep_report/sweep_page.h"

#include <algorithm>

#include "cli/page/html.h"
#include "cli/page/text.h"
#include "cli/sweep_report/choice.h"
#include "cli/sweep_report/topic_section.h"
#include "core/base/errors.h"

namespace pgram::sweep_report {
namespace {

constexpr size_t kMostSections = 8, kMostReasons = 8, kMostText = 40'000;

std::string number(uint64_t count) {
  return page::count_text(static_cast<double>(count));
}

std::string cases(uint64_t count) {
  return number(count) + (count == 1 ? " case" : " cases");
}

std::string reasons_table(const std::vector<Reason>& reasons, const char* column) {
  page::Table table;
  table.columns = {{"cases"}, {column}};
  uint64_t others = 0;
  for (size_t i = 0; i < reasons.size(); ++i) {
    if (i < kMostReasons)
      table.rows.push_back({{number(reasons[i].cases), static_cast<double>(reasons[i].cases)}, {reasons[i].text}});
    else
      others += reasons[i].cases;
  }
  if (others) table.rows.push_back({{number(others), static_cast<double>(others)}, {"other reasons"}});
  return page::to_html(table);
}

std::string header(const PageInputs& in) {
  const sweep::SweepRecord& sweep = in.sweep;
  const Study& study = in.study;
  std::string out = page::heading(1, sweep.name);
  if (!sweep.description.empty()) out += page::paragraph(sweep.description);
  out += page::paragraph((in.where.empty() ? "" : "Of the cases where " + in.where + ": ") + cases(study.rows) + ": " +
                         number(study.fits) + " fit, " + number(study.unfit) + " cannot be used, " +
                         number(study.failed) + " failed.");
  if (sweep.rows < sweep.cases)
    out += page::paragraph("The sweep is not finished: " + number(sweep.rows) + " of " + cases(sweep.cases) +
                               " have a result so far; the same command goes on.",
                           "answer");
  out += page::paragraph("Simulated by pgram " + sweep.version +
                             (sweep.version == PGRAM_VERSION ? "" : ", shown by pgram " PGRAM_VERSION) +
                             ". Every time, cost and share is predicted, none is measured.",
                         "soft");
  if (study.unfit) out += page::folded("Why cases cannot be used", reasons_table(study.why_unfit, "reason"), true);
  if (study.failed) out += page::folded("Why cases failed", reasons_table(study.why_failed, "error"), true);
  return out;
}

std::string how_to_do_it_again(const PageInputs& in) {
  const std::string name = in.sweep.name, file = shell_word(in.results_file);
  const std::string sweep = "pgram sweep " + shell_word(name + ".yaml") + " --out " + file;
  std::string report = "pgram report " + file + " --sweep " + shell_word(name);
  if (!in.where.empty()) report += " --where " + shell_word(in.where);
  std::string out = page::heading(2, "How to do it again");
  out += page::code_block(sweep + "\n" + report + " --out " + shell_word(name + ".html") + "\n");
  const bool is_long = in.sweep.text.size() > kMostText;
  out += page::folded("The sweep's file, here " + name + ".yaml", page::code_block(in.sweep.text.substr(0, kMostText)),
                      !is_long);
  return out + (is_long ? page::paragraph("The file goes on; the results file holds all of it.", "soft") : "");
}

}  // namespace

std::string sweep_page(const PageInputs& in) {
  const Study& study = in.study;
  const std::string devices = device_word(study.topics);
  std::string out = header(in);
  if (study.topics.empty()) {
    out += page::heading(2, "No answer");
    out += page::paragraph(study.rows == 0 ? "There are no cases to show." : "No case fits; the reasons are above.",
                           "answer");
  }
  if (study.topics.size() > 1) out += overview(study.topics, devices);
  for (size_t i = 0; i < std::min(study.topics.size(), kMostSections); ++i)
    out += topic_section(study.topics[i], devices);
  if (study.topics.size() > kMostSections)
    out += page::paragraph("Pictures are of the first " + number(kMostSections) + " of " + number(study.topics.size()) +
                               " questions; pgram report --where shows others.",
                           "soft");
  return page::document(in.sweep.name, out + how_to_do_it_again(in));
}

PageInputs read_report(const sweep::Results& results, const std::string& file, const std::string& name,
                       const std::string& where) {
  const std::vector<sweep::SweepRecord> sweeps = results.sweeps();
  std::string known;
  for (const sweep::SweepRecord& sweep : sweeps) known += (known.empty() ? "" : ", ") + sweep.name;
  if (sweeps.empty()) throw InputError(file, 0, "", "holds no sweep; pgram sweep SWEEP.yaml --out writes one");
  if (name.empty() && sweeps.size() > 1)
    throw InputError("--sweep", file + " holds several sweeps; name one of " + known);
  const auto sweep = std::find_if(sweeps.begin(), sweeps.end(),
                                  [&](const sweep::SweepRecord& s) { return name.empty() || s.name == name; });
  if (sweep == sweeps.end()) throw InputError("--sweep", file + " holds no sweep '" + name + "', but " + known);
  StudyMaker study;
  results.read({sweep->name, where, "", ~uint64_t{0}}, [&](const Row& row) { study.add(row); });
  return {*sweep, file, where, study.finish()};
}

}  // namespace pgram::sweep_report
