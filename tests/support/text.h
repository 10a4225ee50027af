// Texts that tests look into.
#pragma once
#include <fstream>
#include <iterator>
#include <string>

namespace pgram::test {

/// Empty where there is no such file.
inline std::string file_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace pgram::test
