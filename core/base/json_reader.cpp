#include "core/base/json_reader.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/errors.h"
#include "core/base/library.h"
#include "core/base/units.h"

namespace pgram {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 64;

/// Walks the text and counts lines, so that errors found between the parser's own can say where they are.
struct LineCounter {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  const char* at;
  int* line;

  reference operator*() const { return *at; }
  LineCounter& operator++() {
    *line += *at == '\n';
    ++at;
    return *this;
  }
  LineCounter operator++(int) {
    LineCounter before = *this;
    ++*this;
    return before;
  }
  bool operator==(const LineCounter& other) const { return at == other.at; }
};

std::string shortened(std::string text, size_t limit) {
  if (text.size() > limit) text = text.substr(0, limit) + "...";
  return text;
}

/// "[json.exception.parse_error.101] parse error at line 3, column 5: unexpected ..." -> "unexpected ...".
std::string reason_of(const json::exception& error) {
  std::string text = error.what();
  if (const size_t bracket = text.find("] "); bracket != std::string::npos) text.erase(0, bracket + 2);
  if (text.starts_with("parse error at line"))
    if (const size_t colon = text.find(": "); colon != std::string::npos) text.erase(0, colon + 2);
  // It repeats the bytes before the error, which need not be text.
  for (char& c : text)
    if (c < ' ' || c > '~') c = '?';
  return shortened(text, 200);
}

int line_of(const std::string& text, size_t byte) {
  return 1 + static_cast<int>(std::count(
                 text.begin(), text.begin() + static_cast<std::ptrdiff_t>(std::min(byte, text.size())), '\n'));
}

std::string got(const json& value) {
  if (value.is_object()) return ", got an object";
  if (value.is_array()) return ", got an array";
  return ", got " + shortened(value.dump(-1, ' ', true, json::error_handler_t::replace), 40);
}

std::string plain(double value) {
  const json number = value;
  std::string text = number.dump();
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

std::string signed_count(int64_t value) {
  return value < 0 ? std::string("-").append(format_count(0 - static_cast<uint64_t>(value)))
                   : format_count(static_cast<uint64_t>(value));
}

}  // namespace

std::string read_text_file(const std::string& path, uint64_t max_bytes) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) throw InputError(path, 0, "", "expected a file, this is a folder");
  std::ifstream in(path, std::ios::binary);
  if (!in) throw InputError(path, 0, "", "cannot open this file; check that it exists and may be read");
  std::string text;
  std::vector<char> block(1 << 16);
  // Read by blocks: a device or pipe has no size to ask for beforehand.
  while (in.read(block.data(), static_cast<std::streamsize>(block.size())) || in.gcount() > 0) {
    text.append(block.data(), static_cast<size_t>(in.gcount()));
    if (text.size() > max_bytes)
      throw InputError(path, 0, "", "expected at most " + format_bytes(max_bytes) + ", the file is larger");
  }
  if (in.bad()) throw InputError(path, 0, "", "reading this file failed");
  return text;
}

json parse_json(const std::string& text, const std::string& file) {
  // The parser takes a zero byte for the end of the text and would not look behind it.
  if (const size_t zero = text.find('\0'); zero != std::string::npos)
    throw InputError(file, line_of(text, zero), "", "not valid JSON: a zero byte");
  int line = 1;
  std::vector<std::set<std::string>> keys;
  const auto check = [&](int depth, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start || event == json::parse_event_t::array_start) {
      if (depth >= kMaxDepth)
        throw InputError(file, line, "", "expected at most " + std::to_string(kMaxDepth) + " levels of nesting");
      if (event == json::parse_event_t::object_start) keys.emplace_back();
    } else if (event == json::parse_event_t::object_end) {
      keys.pop_back();
    } else if (event == json::parse_event_t::key && !keys.back().insert(value.get_ref<const std::string&>()).second) {
      throw InputError(file, line, json_quoted(value.get_ref<const std::string&>()),
                       "this key is given twice in one object; keep one");
    }
    return true;
  };
  const LineCounter first{text.data(), &line}, last{text.data() + text.size(), &line};
  try {
    return json::parse(first, last, check);
  } catch (const json::parse_error& error) {
    throw InputError(file, line_of(text, error.byte > 0 ? error.byte - 1 : 0), "",
                     "not valid JSON: " + reason_of(error));
  } catch (const json::exception& error) {
    throw InputError(file, line, "", "not valid JSON: " + reason_of(error));
  }
}

JsonObject::JsonObject(const json& value, std::string file, std::string path)
    : value_(&value), file_(std::move(file)), path_(std::move(path)) {
  if (!value.is_object()) throw InputError(file_, 0, path_, "expected a JSON object" + got(value));
}

bool JsonObject::has(const std::string& key) const {
  const auto found = value_->find(key);
  return found != value_->end() && !found->is_null();
}

bool JsonObject::contains(const std::string& key) const {
  return value_->contains(key);
}

void JsonObject::fail(const std::string& key, const std::string& message) const {
  throw InputError(file_, 0, path_of(key), message);
}

const json& JsonObject::at(const std::string& key, const std::string& expected) const {
  const auto found = value_->find(key);
  if (found == value_->end()) fail(key, "this field is missing; expected " + expected);
  return *found;
}

std::string json_quoted(const std::string& text) {
  return shortened(json(text).dump(-1, ' ', true, json::error_handler_t::replace), 60);
}

uint64_t json_u64(const json& value, uint64_t min, uint64_t max, const std::string& file, const std::string& path) {
  // A non-negative integer is stored as unsigned by the parser, and as signed where a program made the value.
  const bool whole = value.is_number_unsigned() || (value.is_number_integer() && value.get<int64_t>() >= 0);
  if (!whole || value.get<uint64_t>() < min || value.get<uint64_t>() > max)
    throw InputError(file, 0, path,
                     "expected an integer from " + format_count(min) + " to " + format_count(max) + got(value));
  return value.get<uint64_t>();
}

uint64_t JsonObject::u64(const std::string& key, uint64_t min, uint64_t max) const {
  const json& value = at(key, "an integer from " + format_count(min) + " to " + format_count(max));
  return json_u64(value, min, max, file_, path_of(key));
}

uint32_t JsonObject::u32(const std::string& key, uint32_t min, uint32_t max) const {
  return static_cast<uint32_t>(u64(key, min, max));
}

int64_t JsonObject::i64(const std::string& key, int64_t min, int64_t max) const {
  const std::string expected = "an integer from " + signed_count(min) + " to " + signed_count(max);
  const json& value = at(key, expected);
  const bool fits = value.is_number_integer() &&
                    (!value.is_number_unsigned() || value.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX));
  if (!fits || value.get<int64_t>() < min || value.get<int64_t>() > max) fail(key, "expected " + expected + got(value));
  return value.get<int64_t>();
}

double JsonObject::number(const std::string& key, double min, double max) const {
  const std::string expected = "a number from " + plain(min) + " to " + plain(max);
  const json& value = at(key, expected);
  // Written so that NaN would be refused as well.
  if (!value.is_number() || !(value.get<double>() >= min && value.get<double>() <= max))
    fail(key, "expected " + expected + got(value));
  return value.get<double>();
}

bool JsonObject::boolean(const std::string& key) const {
  const json& value = at(key, "true or false");
  if (!value.is_boolean()) fail(key, "expected true or false" + got(value));
  return value.get<bool>();
}

std::string JsonObject::string(const std::string& key) const {
  const json& value = at(key, "a string");
  if (!value.is_string()) fail(key, "expected a string" + got(value));
  return value.get<std::string>();
}

JsonObject JsonObject::object(const std::string& key) const {
  return JsonObject(at(key, "a JSON object"), file_, path_of(key));
}

const json& JsonObject::array(const std::string& key, size_t max_count) const {
  const json& value = at(key, "an array");
  if (!value.is_array()) fail(key, "expected an array" + got(value));
  if (value.size() > max_count)
    fail(key, "expected at most " + format_count(max_count) + " elements, got " + format_count(value.size()));
  return value;
}

std::vector<uint64_t> JsonObject::u64s(const std::string& key, uint64_t min, uint64_t max, size_t max_count) const {
  std::vector<uint64_t> values;
  for (const json& value : array(key, max_count))
    values.push_back(json_u64(value, min, max, file_, path_of(key) + "[" + std::to_string(values.size()) + "]"));
  return values;
}

std::vector<std::string> JsonObject::strings(const std::string& key, size_t max_count) const {
  std::vector<std::string> values;
  for (const json& value : array(key, max_count)) {
    if (!value.is_string()) fail(key + "[" + std::to_string(values.size()) + "]", "expected a string" + got(value));
    values.push_back(value.get<std::string>());
  }
  return values;
}

std::vector<JsonObject> JsonObject::objects(const std::string& key, size_t max_count) const {
  std::vector<JsonObject> values;
  for (const json& value : array(key, max_count))
    values.emplace_back(value, file_, path_of(key) + "[" + std::to_string(values.size()) + "]");
  return values;
}

uint32_t JsonObject::u32_or(const std::string& key, uint32_t min, uint32_t max, uint32_t fallback) const {
  return has(key) ? u32(key, min, max) : fallback;
}

double JsonObject::number_or(const std::string& key, double min, double max, double fallback) const {
  return has(key) ? number(key, min, max) : fallback;
}

bool JsonObject::boolean_or(const std::string& key, bool fallback) const {
  return has(key) ? boolean(key) : fallback;
}

std::string JsonObject::string_or(const std::string& key, const std::string& fallback) const {
  return has(key) ? string(key) : fallback;
}

std::vector<std::string> JsonObject::keys() const {
  std::vector<std::string> names;
  for (const auto& item : value_->items()) names.push_back(item.key());
  return names;
}

void JsonObject::allow_only(const std::vector<std::string>& known) const {
  for (const std::string& key : keys()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    const std::string near = nearest_name(key, known);
    fail(json_quoted(key), "unknown key" + (near.empty() ? "; remove it" : "; did you mean \"" + near + "\"?"));
  }
}

}  // namespace pgram
