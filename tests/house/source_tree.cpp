#include "tests/house/source_tree.h"

#include <algorithm>
#include <fstream>
#include <regex>

namespace pgram::house {
namespace fs = std::filesystem;

static const fs::path& root() {
  static const fs::path kRoot = PGRAM_SOURCE_DIR;
  return kRoot;
}

constexpr const char* kProductFolders[] = {"core", "sim", "cpu_backend", "cuda_backend", "gui", "cli"};

std::string relative_path(const fs::path& path) {
  return path.lexically_relative(root()).generic_string();
}

std::vector<std::string> read_lines(const fs::path& path) {
  std::vector<std::string> lines;
  std::ifstream stream(path);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

static std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> files;
  if (!fs::exists(folder)) return files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

static std::string folder_of(const fs::path& file) {
  fs::path folder = file.parent_path();
  while (folder != root() && !fs::exists(folder / "CMakeLists.txt")) folder = folder.parent_path();
  return relative_path(folder);
}

static SourceFile read_source(const fs::path& path) {
  static const std::regex kInclude(R"re(^\s*#\s*include\s*["<]([^">]+)[">])re");
  SourceFile source{relative_path(path), folder_of(path), read_lines(path), {}};
  for (const std::string& line : source.lines) {
    std::smatch match;
    if (std::regex_search(line, match, kInclude)) source.includes.push_back(match[1]);
  }
  return source;
}

std::vector<SourceFile> product_sources() {
  std::vector<SourceFile> sources;
  for (const char* folder : kProductFolders) {
    for (const fs::path& path : files_below(root() / folder)) {
      if (path.extension() == ".h" || path.extension() == ".cpp") sources.push_back(read_source(path));
    }
  }
  return sources;
}

/// Words of a CMakeLists.txt without its comments.
static std::vector<std::string> cmake_words(const fs::path& file) {
  std::vector<std::string> words;
  for (std::string line : read_lines(file)) {
    line = line.substr(0, line.find('#'));
    static const std::regex kWord("[A-Za-z0-9_]+");
    for (auto it = std::sregex_iterator(line.begin(), line.end(), kWord); it != std::sregex_iterator(); ++it) {
      words.push_back(it->str());
    }
  }
  return words;
}

FolderRules folder_rules() {
  std::map<std::string, std::string> folder_of_library;
  std::map<std::string, std::vector<std::string>> words_of_folder;
  for (const char* top : kProductFolders) {
    for (const fs::path& path : files_below(root() / top)) {
      if (path.filename() != "CMakeLists.txt") continue;
      std::vector<std::string>& words = words_of_folder[folder_of(path)];
      words = cmake_words(path);
      for (size_t i = 0; i + 1 < words.size(); ++i) {
        if (words[i] == "pgram_library" || words[i] == "add_library") folder_of_library[words[i + 1]] = folder_of(path);
      }
    }
  }
  FolderRules rules;
  for (const auto& [folder, words] : words_of_folder) {
    std::set<std::string>& allowed = rules[folder];
    for (const std::string& word : words) {
      const auto library = folder_of_library.find(word);
      if (library != folder_of_library.end() && library->second != folder) allowed.insert(library->second);
    }
  }
  return rules;
}

std::set<std::string> reachable(const FolderRules& rules, const std::string& folder) {
  std::set<std::string> found;
  std::vector<std::string> open{folder};
  while (!open.empty()) {
    const std::string next = open.back();
    open.pop_back();
    const auto rule = rules.find(next);
    if (rule == rules.end()) continue;
    for (const std::string& allowed : rule->second) {
      if (found.insert(allowed).second) open.push_back(allowed);
    }
  }
  return found;
}

std::vector<fs::path> all_files() {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(root())) {
    const std::string name = entry.path().filename().string();
    if (name == ".git" || name == "build" || name == "out" || name == "compile_commands.json") continue;
    if (entry.is_regular_file()) files.push_back(entry.path());
    if (entry.is_directory()) {
      const std::vector<fs::path> below = files_below(entry.path());
      files.insert(files.end(), below.begin(), below.end());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace pgram::house
