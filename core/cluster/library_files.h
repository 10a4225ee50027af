// Names of library files and the versions they begin with, shared by the readers of this folder.
#pragma once
#include <string>
#include <vector>

#include "core/base/yaml_reader.h"

namespace pgram {

/// A file rather than a name of the library.
bool is_path(const std::string& name_or_path);
/// Names (without .yaml) of the library's folder, sorted.
std::vector<std::string> library_names(const std::string& folder);
/// <library>/<folder>/<name>.yaml; InputError with the nearest name (`field` says what was asked for).
std::string library_file(const std::string& folder, const std::string& name, const std::string& field);
[[noreturn]] void fail_unknown_name(const std::string& field, const std::string& name,
                                    const std::vector<std::string>& known);

/// The file's kind and version: "pgram_device: 1".
void refuse_version(YamlFields&, const std::string& key, uint64_t version);

}  // namespace pgram
