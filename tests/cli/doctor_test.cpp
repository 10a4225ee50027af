// pgram doctor on the machine that runs the tests, whatever it has.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "program.h"

namespace pgram {
namespace {

using nlohmann::json;
using test::Folder;
using test::Outcome;
using test::run;

TEST(Doctor, SaysOnOneScreenWhatIsThere) {
  const Folder folder;
  const Outcome o = run(folder, "doctor");
  EXPECT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(o.err, "");
  EXPECT_LE(std::count(o.out.begin(), o.out.end(), '\n'), 40) << o.out;
  for (const char* label : {"CPU ", "libraries ", "driver ", "CUDA ", "GPUs ", "links ", "MPI ", "ready "}) {
    EXPECT_NE(o.out.find("\n" + std::string(label)), std::string::npos) << label << "\n" << o.out;
  }
}

TEST(Doctor, HelpHasAnExample) {
  const Folder folder;
  const Outcome help = run(folder, "doctor --help");
  EXPECT_EQ(help.code, 0);
  EXPECT_NE(help.out.find("Example:\n  pgram doctor"), std::string::npos) << help.out;
}

TEST(Doctor, JsonHasTheFields) {
  const Folder folder;
  const Outcome o = run(folder, "doctor --json");
  ASSERT_EQ(o.code, 0) << o.err;
  const json report = json::parse(o.out);
  EXPECT_GE(report["cpu"]["cores"], 1);
  EXPECT_GT(report["cpu"]["memory_bytes"], 1 << 20);
  EXPECT_TRUE(report["libraries"].contains("oneDNN"));
  const json& driver = report["driver"];
  if (driver["version"].is_null()) {  // a machine without a driver
    EXPECT_TRUE(driver["error"].is_string());
    EXPECT_TRUE(driver["gpus"].empty());
    EXPECT_TRUE(report["cuda"]["gpus"].empty());
    for (const json& command : report["commands"]) {
      if (command["command"] == "run --backend cuda") {
        EXPECT_EQ(command["ready"], false);
        EXPECT_TRUE(command["get"].is_string());
      }
    }
  }
}

}  // namespace
}  // namespace pgram
