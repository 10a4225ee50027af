#include "core/base/library.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <numeric>

#include "core/base/errors.h"

namespace pgram {

namespace fs = std::filesystem;

std::string library_directory() {
  std::error_code error;
  if (const char* chosen = std::getenv("PGRAM_LIBRARY"); chosen != nullptr && *chosen != '\0') {
    if (fs::is_directory(chosen, error)) return chosen;
    // Falling back would hide the user's mistake behind other shapes than the ones asked for.
    throw InputError("PGRAM_LIBRARY", std::string("expected the folder of the model library, \"") + chosen +
                                          "\" is not a folder; correct or unset it");
  }
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) {
    const fs::path installed = program.parent_path().parent_path() / "share" / "pgram" / "models";
    if (fs::is_directory(installed, error)) return installed.string();
  }
  const fs::path source = fs::path(PGRAM_SOURCE_DIR) / "models";
  if (fs::is_directory(source, error)) return source.string();
  throw InputError("PGRAM_LIBRARY",
                   "the model library was not found beside the program (../share/pgram/models); "
                   "set PGRAM_LIBRARY to its folder");
}

/// Levenshtein's distance without regard to case, one row at a time.
static size_t edit_distance(const std::string& a, const std::string& b) {
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (lower(a[i]) != lower(b[j]));
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

std::string nearest_name(const std::string& name, const std::vector<std::string>& candidates) {
  // Half of the letters may be wrong: "llama3-8b" still finds "llama-3.1-8b", "resnet" finds nothing.
  constexpr size_t kLongestName = 200;
  if (name.size() > kLongestName) return "";
  std::string nearest;
  size_t least = name.size() / 2 + 1;
  for (const std::string& candidate : candidates) {
    const size_t distance = edit_distance(name, candidate);
    if (distance < least) least = distance, nearest = candidate;
  }
  return nearest;
}

}  // namespace pgram
