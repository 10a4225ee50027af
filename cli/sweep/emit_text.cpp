#include "cli/sweep/emit_text.h"

#include <cctype>
#include <nlohmann/json.hpp>

#include "core/base/errors.h"

namespace pgram::sweep {

std::string shell_quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

std::string string_literal(const std::string& text, const std::string& field) {
  try {
    // YAML counts these two as breaks of a line, and DEL as no character of a text.
    std::string literal = nlohmann::json(text).dump();
    for (const auto& [raw, escaped] : {std::pair("\u2028", "\\u2028"), {"\u2029", "\\u2029"}, {"\x7f", "\\u007f"}})
      for (size_t at = 0; (at = literal.find(raw, at)) != std::string::npos;)
        literal.replace(at, std::string(raw).size(), escaped);
    return literal;
  } catch (const nlohmann::json::exception&) {
    throw InputError(field, "'" + comment_text(text) + "' is not UTF-8, which this engine's file must be");
  }
}

std::string comment_text(const std::string& text) {
  const std::string quoted = nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return quoted.substr(1, quoted.size() - 2);
}

std::string plain_name(const std::string& text, size_t most) {
  std::string name;
  for (const char c : text) {
    if (name.size() == most) break;
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && std::isalnum(byte)) {
      name += static_cast<char>(std::tolower(byte));
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  while (!name.empty() && name.back() == '-') name.pop_back();
  return name.empty() ? "sweep" : name;
}

std::string counted(uint64_t count, const std::string& thing) {
  return std::to_string(count) + " " + thing + (count == 1 ? "" : "s");
}

std::string filled_in(const std::string& text, const std::map<std::string, std::string>& values) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = text.find('@', at);
    const size_t end = begin == std::string::npos ? begin : text.find('@', begin + 1);
    const auto value = end == std::string::npos ? values.end() : values.find(text.substr(begin + 1, end - begin - 1));
    if (value != values.end()) {
      result.append(text, at, begin - at).append(value->second);
      at = end + 1;
    } else {
      const size_t next = begin == std::string::npos ? text.size() : begin + 1;
      result.append(text, at, next - at);
      at = next;
    }
  }
  return result;
}

}  // namespace pgram::sweep
