// YAML files that people write, read with bounds: every error names file, line and field.
//
// Taken: one document of block or flow mappings, sequences and scalars. Refused: duplicate and unknown keys, aliases,
// tags, further documents or text after the end, deep nesting, binary.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pgram {

struct YamlValue;  // the parsed tree, hidden in yaml_reader.cpp

/// A sequence of plain values on one line: "[matmul, 1, 12.5, 512, 256]".
class YamlRow {
 public:
  YamlRow(std::shared_ptr<const std::string> file, std::string field, const YamlValue& value);
  size_t size() const;
  int line() const;
  std::string text(size_t index) const;
  uint64_t integer(size_t index, uint64_t min, uint64_t max) const;
  /// The number times 10^`decimal_exponent`, rounded once, so that a written figure is read back exactly.
  double number(size_t index, double min, double max, int decimal_exponent = 0) const;
  [[noreturn]] void fail(const std::string& message) const;

 private:
  const YamlValue& at(size_t index) const;
  std::shared_ptr<const std::string> file_;
  std::string field_;
  const YamlValue* value_;
};

class YamlFields;

/// One entry of a list: a plain value or a mapping.
class YamlItem {
 public:
  YamlItem(std::shared_ptr<const std::string> file, std::shared_ptr<const YamlValue> tree, std::string field,
           const YamlValue& value);
  bool is_mapping() const;
  int line() const;
  std::string text() const;
  uint64_t integer(uint64_t min, uint64_t max) const;
  double number(double min, double max, int decimal_exponent = 0) const;  ///< as YamlRow::number
  YamlFields fields() const;
  [[noreturn]] void fail(const std::string& message) const;

 private:
  std::shared_ptr<const std::string> file_;
  std::shared_ptr<const YamlValue> tree_;
  std::string field_;
  const YamlValue* value_;
};

/// A mapping. Keys that were asked for are the known ones: after reading, `refuse_unknown` names any other.
class YamlFields {
 public:
  bool has(const std::string& key);
  std::string text(const std::string& key);
  std::string text_or(const std::string& key, const std::string& fallback);
  uint64_t integer(const std::string& key, uint64_t min, uint64_t max);
  uint64_t integer_or(const std::string& key, uint64_t min, uint64_t max, uint64_t fallback);
  /// Bounds and fallback are in the unit of the key; the result is multiplied by 10^`decimal_exponent`, rounded once.
  double number(const std::string& key, double min, double max, int decimal_exponent = 0);
  double number_or(const std::string& key, double min, double max, double fallback, int decimal_exponent = 0);
  YamlFields fields(const std::string& key);
  /// Empty when the key is absent.
  std::vector<YamlRow> rows(const std::string& key);
  YamlRow row(const std::string& key);
  /// The entries of a list, or the one value that stands for a list of one. Empty when the key is absent.
  std::vector<YamlItem> items(const std::string& key);

  void refuse_unknown() const;
  const std::string& file() const { return *file_; }
  [[noreturn]] void fail(const std::string& key, const std::string& message) const;

 private:
  friend YamlFields read_yaml(const std::string&);
  friend YamlFields parse_yaml(const std::string&, const std::string&);
  friend YamlFields YamlItem::fields() const;
  YamlFields(std::shared_ptr<const std::string> file, std::shared_ptr<const YamlValue> tree, std::string path,
             const YamlValue& value);
  const YamlValue* find(const std::string& key);
  const YamlValue& need(const std::string& key);
  const YamlValue& need_scalar(const std::string& key);
  std::string path_of(const std::string& key) const;

  std::shared_ptr<const std::string> file_;
  std::shared_ptr<const YamlValue> tree_;  ///< keeps the whole document alive
  std::string path_;
  const YamlValue* value_;
  std::vector<std::string> known_;
};

YamlFields read_yaml(const std::string& path);
/// `file_name` is for messages.
YamlFields parse_yaml(const std::string& text, const std::string& file_name);

/// The shortest text that `number(..., decimal_exponent)` reads back as exactly `value`.
std::string format_number(double value, int decimal_exponent = 0);

}  // namespace pgram
