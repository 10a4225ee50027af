// The project's own sources as the house rules see them.
#pragma once
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace pgram::house {

struct SourceFile {
  std::string path;    ///< relative to the project's root
  std::string folder;  ///< the nearest folder upwards that has a CMakeLists.txt
  std::vector<std::string> lines;
  std::vector<std::string> includes;  ///< what stands between the quotes or brackets

  bool is_header() const { return path.ends_with(".h"); }
};

/// A folder with a library: the folders whose libraries its CMakeLists.txt names. This is the one table of who may
/// include whom.
using FolderRules = std::map<std::string, std::set<std::string>>;

/// Every .h and .cpp of the product's folders (not tests, not bench).
std::vector<SourceFile> product_sources();
FolderRules folder_rules();
/// All folders that `folder` reaches over the rules, itself only where there is a cycle.
std::set<std::string> reachable(const FolderRules&, const std::string& folder);
/// Every text file of the project: sources, build files, documents, data.
std::vector<std::filesystem::path> all_files();
std::vector<std::string> read_lines(const std::filesystem::path&);
std::string relative_path(const std::filesystem::path&);

}  // namespace pgram::house
