// pgram report on a sweep that really ran; the commands on the page show the same figures again.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "program.h"

namespace pgram {
namespace {

using test::Folder;
using test::Outcome;
using test::run;

std::string unescaped(std::string text) {
  for (const auto& [from, to] :
       {std::pair{"&#39;", "'"}, {"&quot;", "\""}, {"&lt;", "<"}, {"&gt;", ">"}, {"&amp;", "&"}}) {
    for (size_t at; (at = text.find(from)) != std::string::npos;) text.replace(at, std::string(from).size(), to);
  }
  return text;
}

/// What stands between the next `begin` and `end` from `at` on; `at` moves behind it.
std::string between(const std::string& page, size_t& at, const std::string& begin, const std::string& end) {
  at = page.find(begin, at);
  if (at == std::string::npos) return "";
  at += begin.size();
  const size_t from = at;
  at = page.find(end, from);
  return page.substr(from, at - from);
}

TEST(Report, ItsCommandsShowTheSameCases) {
  const Folder folder;
  const std::string results = folder / "tiny.db", html = folder / "tiny.html";
  const Outcome sweep = run(folder, "sweep " PGRAM_SOURCE_DIR "/models/sweeps/tiny.yaml --out " + results);
  ASSERT_EQ(sweep.code, 0) << sweep.err;
  const Outcome report = run(folder, "report " + results + " --out " + html);
  ASSERT_EQ(report.code, 0) << report.err;
  EXPECT_NE(report.out.find(html), std::string::npos);
  const std::string page = test::file_text(html);
  const Outcome tables = run(folder, "report " + results + " --json --out " + folder / "again.html");
  ASSERT_EQ(tables.code, 0) << tables.err;
  EXPECT_EQ(test::file_text(folder / "again.html"), page);
  const nlohmann::json front = nlohmann::json::parse(tables.out).at("questions").at(0).at("front");

  // The front's table: the fifth cell of each row is the step time, to nine digits.
  std::vector<double> seconds;
  std::vector<std::string> commands;
  size_t at = page.find("The front (");
  const size_t end = page.find("Commands that show these cases", at);
  ASSERT_NE(end, std::string::npos);
  while ((at = page.find("<tr><td", at)) < end) {
    std::string cell;
    for (int column = 0; column < 5; ++column) cell = between(page, at, "<td", "</td>");
    seconds.push_back(std::stod(cell.substr(cell.find("data-v=\"") + 8)));
  }
  at = end;
  while (at != std::string::npos && commands.size() < seconds.size())
    commands.push_back(unescaped("pgram simulate " + between(page, at, ">pgram simulate ", "</td>")));
  ASSERT_GE(seconds.size(), 2u);
  ASSERT_GE(front.size(), 2u);
  for (size_t i = 0; i < front.size(); ++i) {
    EXPECT_EQ(front[i].at("command"), commands.at(i));
    EXPECT_NEAR(front[i].at("step_time").get<double>() / seconds.at(i), 1, 5e-9);  // of nine digits
  }
  for (size_t i = 0; i < std::min<size_t>(seconds.size(), 3); ++i) {
    const Outcome again = run(folder, commands[i].substr(6) + " --json");
    ASSERT_EQ(again.code, 0) << commands[i] << again.err;
    const double step = nlohmann::json::parse(again.out)["summary"]["step_seconds"];
    EXPECT_NEAR(step / seconds[i], 1, 2e-9) << commands[i];
  }
}

TEST(Report, SaysWhatIsWrong) {
  const Folder folder;
  const std::string results = folder / "tiny.db";
  ASSERT_EQ(run(folder, "sweep " PGRAM_SOURCE_DIR "/models/sweeps/tiny.yaml --out " + results).code, 0);
  const auto expect_refused = [&](const std::string& arguments, const std::string& word) {
    const Outcome outcome = run(folder, "report " + arguments);
    EXPECT_EQ(outcome.code, 2) << arguments;
    EXPECT_NE(outcome.err.find(word), std::string::npos) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  };
  expect_refused(folder / "none.db --out x.html", "none.db");
  expect_refused(folder.write("text.db", "not a database, but long enough to be one\n") + " --out x.html", "text.db");
  expect_refused(results + " --out x.html --sweep huge", "--sweep: " + results + " holds no sweep 'huge', but tiny");
  expect_refused(results + " --out x.html --where 'mfu >'", "--where");
  expect_refused(results, "--out: missing: the page to write");
  expect_refused(results + " --out - --json", "--out: the page and --json both go to standard output");
  expect_refused(results + " --out x.html --where 'no_column = 1'", "--where");
  expect_refused(results + " --out " + folder / "nowhere/x.html", "cannot write this file");
}

}  // namespace
}  // namespace pgram
