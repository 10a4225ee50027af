#include "core/cluster/library_files.h"

#include <algorithm>
#include <filesystem>

#include "core/base/errors.h"
#include "core/base/library.h"

namespace pgram {

bool is_path(const std::string& name_or_path) {
  if (name_or_path.find('/') != std::string::npos) return true;
  const auto ends = {".yaml", ".yml", ".xml", ".txt"};
  return std::any_of(ends.begin(), ends.end(), [&](const char* end) { return name_or_path.ends_with(end); });
}

std::vector<std::string> library_names(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(library_directory() + "/" + folder, error))
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

void fail_unknown_name(const std::string& field, const std::string& name, const std::vector<std::string>& known) {
  std::string list;
  for (const std::string& each : known) list += (list.empty() ? "" : ", ") + each;
  std::string shown = name.substr(0, 60);
  for (char& c : shown)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  const std::string nearest = nearest_name(name, known);
  const std::string hint = nearest.empty() ? "expected one of " + list : "did you mean \"" + nearest + "\"?";
  throw InputError(field, "unknown " + field + " \"" + shown + "\"; " + hint);
}

std::string library_file(const std::string& folder, const std::string& name, const std::string& field) {
  const std::vector<std::string> names = library_names(folder);
  if (std::find(names.begin(), names.end(), name) == names.end()) fail_unknown_name(field, name, names);
  return library_directory() + "/" + folder + "/" + name + ".yaml";
}

void refuse_version(YamlFields& fields, const std::string& key, uint64_t version) {
  if (!fields.has(key))
    fields.fail(key, "missing: expected a file that begins with \"" + key + ": " + std::to_string(version) + "\"");
  const uint64_t found = fields.integer(key, 0, UINT64_MAX);
  if (found != version)
    fields.fail(key, "version " + std::to_string(found) + " is not known to this program; it reads version " +
                         std::to_string(version));
}

}  // namespace pgram
