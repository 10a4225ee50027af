// What tests of results and runs share: small sweeps, rows with every column set, results as CSV.
#pragma once
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cli/sweep/results.h"
#include "cli/sweep/run.h"
#include "cli/sweep/table.h"
#include "core/base/errors.h"
#include "tests/cli/program.h"

namespace pgram::sweep::test {

using pgram::test::file_text;
using pgram::test::Folder;

/// 2 (micro-batches) x 13 (layouts of 8 devices, with and without sequence parallelism) x 2 cases and some unfit ones.
inline const char* const kSmall =
    "pgram_sweep: 1\n"
    "name: small\n"
    "models: tiny-llama\n"
    "clusters: dgx-h100:1\n"
    "layouts: all\n"
    "global_batch: 16\n"
    "micro_batch: [1, 2]\n"
    "sequence: 64\n"
    "disturbances: [none, {name: slow-gpu, slow: \"0:1.3\"}]\n";

/// One with much more to do: every case is simulated rank by rank.
inline const char* const kLonger =
    "pgram_sweep: 1\n"
    "name: longer\n"
    "models: tiny-llama\n"
    "clusters: dgx-h100:1\n"
    "layouts: all\n"
    "global_batch: 32\n"
    "micro_batch: [1, 2]\n"
    "sequence: 64\n"
    "disturbances:\n"
    "  - {name: a, jitter: \"0.05:1\"}\n"
    "  - {name: b, jitter: \"0.05:2\"}\n"
    "  - {name: c, jitter: \"0.05:3\"}\n"
    "  - {name: d, jitter: \"0.05:4\"}\n";

inline Sweep sweep_of(const Folder& folder, const std::string& text, const std::string& name = "sweep.yaml") {
  return read_sweep(folder.write(name, text));
}

inline std::string csv(const Folder& folder, const std::string& database) {
  const std::string path = folder / "rows.csv";
  write_csv(Results::open(database), {}, path);
  return file_text(path);
}

inline size_t lines(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

/// The whole sweep by one process, as CSV.
inline std::string run_whole(const Folder& folder, const Sweep& sweep, const std::string& name, unsigned threads = 1) {
  const Grid grid(sweep);
  Results results = Results::open_or_make(folder / name, sweep, grid.cases());
  RunOptions options;
  options.threads = threads;
  run_sweep(sweep, grid, results, options);
  return csv(folder, folder / name);
}

template <class Work>
std::string error_of(const Work& work) {
  try {
    work();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

/// One line that has every word.
template <class Work>
void expect_refused(const Work& work, std::initializer_list<std::string> words) {
  const std::string error = error_of(work);
  EXPECT_NE(error, "") << "not refused";
  EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  for (const std::string& word : words) EXPECT_NE(error.find(word), std::string::npos) << word << " in: " << error;
}

}  // namespace pgram::sweep::test
