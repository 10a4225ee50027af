// Strict JSON for everything we read: nothing is guessed, and every refusal names file, line or field.
#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace pgram {

/// A whole text file; InputError when it is missing, a folder, unreadable or larger than `max_bytes`.
std::string read_text_file(const std::string& path, uint64_t max_bytes = uint64_t{1} << 30);

/// RFC 8259 JSON. InputError with `file` and line for syntax errors, duplicate keys, text after the value, NaN, numbers
/// that no double holds, and more than 64 levels of nesting.
nlohmann::json parse_json(const std::string& text, const std::string& file);

/// Typed, bounded access to one JSON object that outlives it. Every error is an InputError with the file and the path
/// of the field: "config.json: rope_scaling.factor: expected a number from 1 to 1000, got true".
class JsonObject {
 public:
  /// `path`: where the object lies in the file, "" for the top.
  JsonObject(const nlohmann::json& value, std::string file, std::string path = "");

  /// Present and not null. (Hugging Face writes null for "not set".)
  bool has(const std::string& key) const;
  /// Present, null or not.
  bool contains(const std::string& key) const;

  /// Required fields; both bounds are allowed values. Integers written as 3.0 are refused.
  uint32_t u32(const std::string& key, uint32_t min, uint32_t max) const;
  uint64_t u64(const std::string& key, uint64_t min, uint64_t max) const;
  int64_t i64(const std::string& key, int64_t min, int64_t max) const;
  double number(const std::string& key, double min, double max) const;
  bool boolean(const std::string& key) const;
  std::string string(const std::string& key) const;
  JsonObject object(const std::string& key) const;
  std::vector<uint64_t> u64s(const std::string& key, uint64_t min, uint64_t max, size_t max_count) const;
  std::vector<std::string> strings(const std::string& key, size_t max_count) const;
  std::vector<JsonObject> objects(const std::string& key, size_t max_count) const;
  /// A required array as it is, for formats with their own dense rows; `path_of(key)` + "[3]" names an element.
  const nlohmann::json& array(const std::string& key, size_t max_count) const;

  /// Optional fields: `fallback` when missing or null.
  uint32_t u32_or(const std::string& key, uint32_t min, uint32_t max, uint32_t fallback) const;
  double number_or(const std::string& key, double min, double max, double fallback) const;
  bool boolean_or(const std::string& key, bool fallback) const;
  std::string string_or(const std::string& key, const std::string& fallback) const;

  std::vector<std::string> keys() const;
  /// For our own formats: refuses every key that is not in `known`, naming the nearest known one.
  void allow_only(const std::vector<std::string>& known) const;

  /// Throws InputError at a field of this object.
  [[noreturn]] void fail(const std::string& key, const std::string& message) const;
  std::string path_of(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }
  const std::string& file() const { return file_; }

 private:
  const nlohmann::json& at(const std::string& key, const std::string& expected) const;

  const nlohmann::json* value_;
  std::string file_, path_;
};

/// A name from a file as it may stand in a message: quoted, control and non-ASCII characters escaped, shortened.
std::string json_quoted(const std::string& text);

/// One integer outside of an object, such as an element of a dense row; `path` is only for the message.
uint64_t json_u64(const nlohmann::json& value, uint64_t min, uint64_t max, const std::string& file,
                  const std::string& path);

}  // namespace pgram
