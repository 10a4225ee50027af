// `pgram scale` as a person types it.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/sweep/cases.h"

namespace pgram::sweep::test {
namespace {

using nlohmann::json;
using pgram::test::Outcome;
using pgram::test::run;

const std::string kSmallScale = "scale tiny-llama --cluster dgx-h100 --gpus 4:16 --seq 64 --global-batch 64 ";

TEST(ScaleCommand, JsonCsvPageAndTextSayTheSame) {
  const Folder folder;
  const std::string csv = folder / "scale.csv", page = folder / "scale.html";
  const Outcome o = run(folder, kSmallScale + "--json --csv " + csv + " --out " + page);
  ASSERT_EQ(o.code, 0) << o.err;
  const json out = json::parse(o.out);
  EXPECT_EQ(out["sequence"], 64);
  EXPECT_EQ(out["precision"], "bf16");
  EXPECT_EQ(out["bytes_per_parameter"], 18);
  EXPECT_EQ(out["stopped"], false);
  for (const char* promise : {"memory", "strong", "weak"}) ASSERT_EQ(out[promise].size(), 3u) << promise;
  for (const char* promise : {"strong", "weak"}) {
    for (const json& point : out[promise]) {
      const double gpus = point["gpus"];
      double lost = 0, seconds = 0;
      for (const json& part : point["lost_gpus"]) lost += part.get<double>();
      for (const json& part : point["seconds"]) seconds += part.get<double>();
      EXPECT_NEAR(lost, gpus * (1 - point["of_ideal"].get<double>()), 1e-9 * gpus);
      EXPECT_NEAR(seconds, point["step_seconds"].get<double>(), 1e-9 * seconds);
    }
  }
  EXPECT_EQ(out["memory"][0]["bytes"].size(), 7u);

  // A line for each promise and number of GPUs; as many fields as columns.
  std::istringstream lines(file_text(csv));
  std::string line;
  int rows = 0;
  while (std::getline(lines, line)) {
    EXPECT_EQ(std::count(line.begin(), line.end(), ','), 25) << line;
    ++rows;
  }
  EXPECT_EQ(rows, 1 + 3 * 3);
  EXPECT_NE(file_text(page).find("pgram scale tiny-llama --cluster dgx-h100 --gpus 4:16 --seq 64 --global-batch 64"),
            std::string::npos);

  const Outcome text = run(folder, kSmallScale);
  ASSERT_EQ(text.code, 0) << text.err;
  for (const std::string words : {"Twice the GPUs, twice the model?", "twice as fast?", "(weak scaling)", "100.0 %"})
    EXPECT_NE(text.out.find(words), std::string::npos) << text.out;
  EXPECT_NE(text.out.find(out["strong"][2]["layout"].get<std::string>()), std::string::npos) << text.out;
}

TEST(ScaleCommand, CasesThatFitNowhereAreRowsAndExitOne) {
  const Folder folder;
  // 405B parameters x 18 bytes are 7.3 TB; 8 GPUs have 0.68 TB.
  const Outcome o =
      run(folder, "scale llama-3.1-405b --cluster dgx-h100 --gpus 8 --global-batch 8 --json --network analytic");
  EXPECT_EQ(o.code, 0) << "a smaller model of the family fits";
  const json out = json::parse(o.out);
  EXPECT_EQ(out["strong"][0]["unfit"], "no layout fits into memory");
  EXPECT_GT(out["memory"][0]["parameters"].get<double>(), 1e9);
  const Outcome csv = run(folder, "scale llama-3.1-405b --cluster dgx-h100 --gpus 8 --global-batch 7 --csv -");
  EXPECT_NE(csv.out.find("strong,8,no layout fits into memory,"), std::string::npos) << csv.out;
}

TEST(ScaleCommand, BadInputIsOneLineAndExitTwo) {
  const Folder folder;
  const auto refused = [&](const std::string& flags, const std::string& words) {
    const Outcome o = run(folder, "scale " + flags);
    EXPECT_EQ(o.code, 2) << flags;
    EXPECT_NE(o.err.find(words), std::string::npos) << o.err;
    EXPECT_EQ(std::count(o.err.begin(), o.err.end(), '\n'), 1) << o.err;
  };
  refused("tiny-llama --cluster dgx-h100 --gpus 8:", "--gpus: expected FIRST:LAST");
  refused("tiny-llama --cluster dgx-h100 --gpus 16:8", "begins above its end");
  refused("tiny-lama --cluster dgx-h100 --gpus 8", "tiny-llama");
  refused("tiny-llama --cluster dgx-h100:2 --gpus 8", "name it 'dgx-h100'");
  refused("tiny-llama --cluster torus-4x4x4 --gpus 64:128", "cannot grow to 128 devices (cluster: torus-4x4x4");
  refused("tiny-llama --cluster dgx-h100 --gpus 524288:1048576", "expected 1 to 32768 nodes of 8 devices");
  refused("tiny-llama --cluster dgx-h100 --gpus 8 --network step", "--network: expected flow or analytic");
  refused("tiny-llama --cluster dgx-h100 --gpus 8 --precision fp8", "fp8");
  refused("tiny-llama --cluster dgx-h100 --gpus 8 --seq 100000", "100000");
}

}  // namespace
}  // namespace pgram::sweep::test
