// docs/batch.md, in small: every command of pgram on the page is run, with fewer layouts, GPUs and days, and says what
// the page concludes from it.
#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <vector>

#include "tests/sweep/cases.h"

namespace pgram::sweep::test {
namespace {

using pgram::test::Outcome;
using pgram::test::run;

std::vector<std::string> commands_of(const std::string& page) {
  const std::string prompt = "$ pgram ";
  std::istringstream lines(page);
  std::vector<std::string> commands;
  for (std::string line; std::getline(lines, line);) {
    line.erase(0, line.find_first_not_of(' '));
    if (line.starts_with(prompt)) commands.push_back(line.substr(prompt.size()));
  }
  return commands;
}

void replace(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

std::string in_small(std::string command, const Folder& folder) {
  replace(command, "models/sweeps/llama-70b-h100.yaml", PGRAM_SOURCE_DIR "/models/sweeps/llama-70b-h100-small.yaml");
  replace(command, " out/", " " + (folder / ""));
  replace(command, "--gpus 64:4096", "--gpus 64:128");
  replace(command, "--days 152", "--days 5");
  return command;
}

void expect_in_order(const std::string& text, const std::vector<std::string>& words) {
  size_t at = 0;
  for (const std::string& word : words) {
    const size_t found = text.find(word, at);
    EXPECT_NE(found, std::string::npos) << "'" << word << "' in its place in:\n" << text;
    if (found != std::string::npos) at = found + word.size();
  }
}

TEST(BatchTutorial, EveryCommandRunsAndSaysWhatThePageConcludes) {
  const Folder folder;
  const std::vector<std::string> commands = commands_of(file_text(PGRAM_SOURCE_DIR "/docs/batch.md"));
  std::map<std::string, std::string> said;  // by the command as it is on the page
  for (const std::string& command : commands) {
    const Outcome o = run(folder, in_small(command, folder));
    EXPECT_EQ(o.code, 0) << command << "\n" << o.err;
    said[command] = o.out;
  }
  const auto answer_to = [&](const std::string& words) -> const std::string& {
    static const std::string kNone;
    for (const auto& [command, out] : said) {
      if (command.find(words) != std::string::npos) return out;
    }
    ADD_FAILURE() << "no command of the page has " << words;
    return kNone;
  };
  expect_in_order(answer_to("--dry-run"), {"llama-70b-h100-small: 12 cases of ", "about "});
  // The smaller batch: four cards are cheaper on 512 GPUs and dearer on 1,024.
  expect_in_order(answer_to("global_batch = 1024"), {"dgx-h100-4nic:64 ", "tp8.pp4.dp16.sp", "dgx-h100:64 ",
                                                     "dgx-h100:128 ", "tp8.pp4.dp32.sp", "dgx-h100-4nic:128 "});
  expect_in_order(answer_to("70b.db --json"), {"\"questions\"", "\"best_layouts\"", "\"kind\": \"dgx-h100\"",
                                               "\"cost_per_token\"", "\"front\"", "\"command\""});
  expect_in_order(answer_to("merge"), {"12 rows from 2 files"});
  expect_in_order(answer_to("goodput"), {"llama-3.1-70b on dgx-h100:128", "best", "for a million tokens"});
  expect_in_order(answer_to("scale"),
                  {"twice the model?", "tp8.pp8.sp", "twice as fast?", "100.0 %", "(weak scaling)"});
  EXPECT_NE(file_text(folder / "70b.html").find("dgx-h100-4nic"), std::string::npos);
  EXPECT_NE(file_text(folder / "70b.sh").find("#SBATCH --array="), std::string::npos);
  EXPECT_NE(file_text(folder / "70b.yaml").find("completionMode: Indexed"), std::string::npos);
  EXPECT_NE(file_text(folder / "70b.py").find("import ray"), std::string::npos);
  EXPECT_NE(file_text(folder / "scale.html").find("what more GPUs buy"), std::string::npos);
}

}  // namespace
}  // namespace pgram::sweep::test
