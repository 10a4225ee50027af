// Lists in a sweep file: values, and ranges {from, to, times | step} that stand for several.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/yaml_reader.h"

namespace pgram::sweep {

constexpr size_t kMostValues = 100'000;  ///< of one list

/// Whole numbers of a key, each once, in the order of their first appearance. InputError for an empty list and for a
/// range that never ends.
std::vector<uint32_t> read_whole_numbers(YamlFields&, const std::string& key, uint32_t min, uint32_t max);
/// The same where a value may be broken; those of a range are whole.
std::vector<double> read_numbers(YamlFields&, const std::string& key, double min, double max);
/// Texts, each once; `lines`, where given, takes the line of each.
std::vector<std::string> read_texts(YamlFields&, const std::string& key, std::vector<int>* lines = nullptr);

/// Items of a key that must be there; InputError for a list of none.
std::vector<YamlItem> need_items(YamlFields&, const std::string& key);

}  // namespace pgram::sweep
