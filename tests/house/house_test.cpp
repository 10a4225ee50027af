// The rules of the house: who may include whom, what headers may pull in, and what no file may say.
#include <gtest/gtest.h>

#include "tests/house/source_tree.h"

namespace pgram::house {
namespace {

/// The folder that an include names, if it is one of ours: the longest prefix of the path that has rules.
std::string included_folder(const FolderRules& rules, const std::string& include) {
  for (std::filesystem::path folder = std::filesystem::path(include).parent_path(); !folder.empty();
       folder = folder.parent_path()) {
    if (rules.contains(folder.generic_string())) return folder.generic_string();
  }
  return {};
}

TEST(Includes, OnlyFoldersThatTheBuildFileNames) {
  const FolderRules rules = folder_rules();
  ASSERT_TRUE(rules.contains("core/plan"));
  for (const SourceFile& source : product_sources()) {
    ASSERT_TRUE(rules.contains(source.folder)) << source.path << " lies in no folder with a CMakeLists.txt";
    const std::set<std::string> allowed = reachable(rules, source.folder);
    for (const std::string& include : source.includes) {
      const std::string folder = included_folder(rules, include);
      if (folder.empty() || folder == source.folder) continue;
      EXPECT_TRUE(allowed.contains(folder)) << source.path << " includes " << include << ", but " << source.folder
                                            << "/CMakeLists.txt names no library that may use " << folder;
    }
  }
}

TEST(Includes, ProjectHeadersAreNamedFromTheRoot) {
  const FolderRules rules = folder_rules();
  for (const SourceFile& source : product_sources()) {
    for (const std::string& include : source.includes) {
      if (!include.ends_with(".h") || include.find('/') == std::string::npos) continue;
      const std::string top = include.substr(0, include.find('/'));
      if (!std::filesystem::is_directory(std::filesystem::path(PGRAM_SOURCE_DIR) / top)) continue;
      EXPECT_TRUE(std::filesystem::exists(std::filesystem::path(PGRAM_SOURCE_DIR) / include))
          << source.path << " includes " << include << ", which does not exist";
    }
  }
}

TEST(Includes, NothingFlowsBackUp) {
  const FolderRules rules = folder_rules();
  for (const auto& [folder, allowed] : rules) {
    const std::set<std::string> below = reachable(rules, folder);
    EXPECT_FALSE(below.contains(folder)) << folder << " depends on itself through others";
    if (folder.starts_with("core/")) {
      for (const std::string& other : below) {
        EXPECT_TRUE(other.starts_with("core/")) << folder << " (core) depends on " << other;
      }
    }
  }
  EXPECT_FALSE(reachable(rules, "sim").contains("core/exec")) << "the simulator must not know the executor";
  EXPECT_FALSE(reachable(rules, "cpu_backend").contains("sim")) << "the executor must not know the simulator";
  EXPECT_EQ(reachable(rules, "core/plan"), (std::set<std::string>{"core/base"})) << "a Plan depends on nothing";
  EXPECT_FALSE(reachable(rules, "core/model").contains("core/cluster")) << "a Model knows nothing of clusters";
  EXPECT_FALSE(reachable(rules, "core/cluster").contains("core/model")) << "a Cluster knows nothing of models";
}

TEST(Includes, HeavyHeadersStayInSourceFiles) {
  for (const SourceFile& source : product_sources()) {
    if (!source.is_header()) continue;
    for (const std::string& include : source.includes) {
      if (include == "nlohmann/json_fwd.hpp") continue;  // forward declarations only
      for (const char* heavy :
           {"nlohmann/", "boost/", "yaml-cpp/", "dnnl", "oneapi/", "tbb/", "hwloc", "pugixml", "sqlite3"}) {
        EXPECT_FALSE(include.starts_with(heavy)) << source.path << " includes " << include << "; only a .cpp may";
      }
    }
  }
}

TEST(Files, StayShort) {
  for (const SourceFile& source : product_sources()) {
    EXPECT_LE(source.lines.size(), 600u) << source.path << " is too long to hold in the head";
  }
}

TEST(Files, HeadersBeginWithWhatTheyAre) {
  for (const SourceFile& source : product_sources()) {
    if (!source.is_header()) continue;
    ASSERT_FALSE(source.lines.empty()) << source.path;
    EXPECT_TRUE(source.lines.front().starts_with("// ")) << source.path << " must begin with a sentence on what it is";
  }
}

TEST(Files, SpeakOfNoMachine) {
  // Put together here, so that this file passes its own test.
  const std::string forbidden[] = {std::string("/wo") + "rk/", std::string("/ro") + "ot/", std::string("/ho") + "me/"};
  for (const std::filesystem::path& path : all_files()) {
    int number = 0;
    for (const std::string& line : read_lines(path)) {
      ++number;
      for (const std::string& word : forbidden) {
        EXPECT_EQ(line.find(word), std::string::npos) << relative_path(path) << ":" << number << " holds " << word;
      }
    }
  }
}

}  // namespace
}  // namespace pgram::house
