#include "core/base/yaml_reader.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>

#include "core/base/errors.h"
#include "core/base/json_reader.h"
#include "core/base/library.h"

namespace pgram {

constexpr uint64_t kMaxFileBytes = 16 << 20;
constexpr size_t kMaxDepth = 8;
constexpr size_t kMaxKeys = 256;  ///< of one mapping

struct YamlValue {
  enum class Kind : uint8_t { null, scalar, sequence, mapping };
  Kind kind = Kind::null;
  int line = 0;     ///< 1-based
  std::string key;  ///< of a child of a mapping
  std::string text;
  std::vector<YamlValue> children;
};

namespace {

using Kind = YamlValue::Kind;

/// What a message may show of a file's text: short and on one line.
std::string quoted(const std::string& text) {
  constexpr size_t kShown = 60;
  std::string shown = text.substr(0, kShown);
  for (char& c : shown)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return "\"" + shown + (text.size() > kShown ? "...\"" : "\"");
}

std::string describe(const YamlValue& value) {
  switch (value.kind) {
    case Kind::null:
      return "nothing";
    case Kind::scalar:
      return quoted(value.text);
    case Kind::sequence:
      return "a list";
    case Kind::mapping:
      return "a mapping";
  }
  return "";
}

/// Builds the tree from yaml-cpp's events: five times faster than its nodes on tables of thousands of rows, and it sees
/// every key, where the nodes keep one of two equal ones.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const std::string& file) : file_(file) {}

  YamlValue root;

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    add(mark, Kind::null, "");
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { fail(mark, "aliases (*name) are not taken"); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    add(mark, Kind::scalar, value);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Kind::sequence);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Kind::mapping);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

 private:
  struct Frame {
    YamlValue value;
    std::string key;
    int key_line = 0;
    bool expects_key = false;
  };

  [[noreturn]] void fail(const YAML::Mark& mark, const std::string& message) const {
    throw InputError(file_, mark.line + 1, "", message);
  }
  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) const {
    if (anchor != YAML::NullAnchor) fail(mark, "anchors (&name) are not taken");
  }
  void refuse_tag(const YAML::Mark& mark, const std::string& tag) const {
    // "?" is a plain and "!" a quoted value.
    if (!tag.empty() && tag != "?" && tag != "!") fail(mark, "tags (!name) are not taken");
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Kind kind) {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    if (!stack_.empty() && stack_.back().expects_key) fail(mark, "a key must be a plain word");
    if (stack_.size() == kMaxDepth) fail(mark, "nested more than " + std::to_string(kMaxDepth) + " deep");
    Frame frame;
    frame.value.kind = kind;
    frame.value.line = mark.line + 1;
    frame.expects_key = kind == Kind::mapping;
    stack_.push_back(std::move(frame));
  }

  void close() {
    YamlValue value = std::move(stack_.back().value);
    stack_.pop_back();
    attach(std::move(value));
  }

  void add(const YAML::Mark& mark, Kind kind, const std::string& text) {
    if (!stack_.empty() && stack_.back().expects_key) return take_key(mark, kind, text);
    YamlValue value;
    value.kind = kind;
    value.line = mark.line + 1;
    value.text = text;
    attach(std::move(value));
  }

  void take_key(const YAML::Mark& mark, Kind kind, const std::string& text) {
    Frame& frame = stack_.back();
    if (kind != Kind::scalar || text.empty()) fail(mark, "a key must be a plain word");
    if (frame.value.children.size() == kMaxKeys) fail(mark, "more than " + std::to_string(kMaxKeys) + " keys");
    for (const YamlValue& other : frame.value.children)
      if (other.key == text)
        fail(mark, "the key " + quoted(text) + " is given twice, first in line " + std::to_string(other.line));
    frame.key = text;
    frame.key_line = mark.line + 1;
    frame.expects_key = false;
  }

  void attach(YamlValue value) {
    if (stack_.empty()) {
      root = std::move(value);
      return;
    }
    Frame& frame = stack_.back();
    if (frame.value.kind == Kind::mapping) {
      value.key = std::move(frame.key);
      if (value.kind == Kind::null) value.line = frame.key_line;  // yaml-cpp says where the next key is
      frame.expects_key = true;
    }
    frame.value.children.push_back(std::move(value));
  }

  const std::string& file_;
  std::vector<Frame> stack_;
};

void refuse_binary(const std::string& text, const std::string& file) {
  int line = 1;
  for (const char c : text) {
    if (c == '\n') ++line;
    const bool printable = static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t' || c == '\r';
    if (!printable) throw InputError(file, line, "", "expected a text file (YAML), found binary data");
  }
}

/// Decimal number: [sign] digits [. digits] [e exponent], nothing else. Returns text with the exponent shifted.
std::optional<double> parse_decimal(const std::string& text, int decimal_exponent) {
  const size_t e = std::min(text.find_first_of("eE"), text.size());
  const std::string mantissa = text.substr(text.starts_with('+') ? 1 : 0, e - (text.starts_with('+') ? 1 : 0));
  if (mantissa.empty() || mantissa.find_first_not_of("0123456789.-") != std::string::npos) return std::nullopt;
  int exponent = 0;
  if (e < text.size()) {
    const char* first = text.data() + e + 1;
    if (first < text.data() + text.size() && *first == '+') ++first;
    const auto [end, error] = std::from_chars(first, text.data() + text.size(), exponent);
    if (error != std::errc() || end != text.data() + text.size() || std::abs(exponent) > 400) return std::nullopt;
  }
  const std::string shifted = mantissa + "e" + std::to_string(exponent + decimal_exponent);
  double value = 0;
  const auto [end, error] = std::from_chars(shifted.data(), shifted.data() + shifted.size(), value);
  if (error != std::errc() || end != shifted.data() + shifted.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<uint64_t> parse_whole(const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

double checked_number(const std::string& file, const std::string& field, const YamlValue& value, double min, double max,
                      int decimal_exponent) {
  const auto plain = value.kind == Kind::scalar ? parse_decimal(value.text, 0) : std::nullopt;
  const auto scaled = plain ? parse_decimal(value.text, decimal_exponent) : std::nullopt;
  if (!scaled || !(*plain >= min && *plain <= max))
    throw InputError(
        file, value.line, field,
        "expected a number from " + format_number(min) + " to " + format_number(max) + ", got " + describe(value));
  return *scaled;
}

uint64_t checked_integer(const std::string& file, const std::string& field, const YamlValue& value, uint64_t min,
                         uint64_t max) {
  const auto whole = value.kind == Kind::scalar ? parse_whole(value.text) : std::nullopt;
  if (!whole || *whole < min || *whole > max)
    throw InputError(file, value.line, field,
                     "expected a whole number from " + std::to_string(min) + " to " + std::to_string(max) + ", got " +
                         describe(value));
  return *whole;
}

std::shared_ptr<const YamlValue> parse_tree(const std::string& text, const std::string& file) {
  if (text.size() > kMaxFileBytes)
    throw InputError(file, 0, "", "larger than " + std::to_string(kMaxFileBytes >> 20) + " MiB");
  refuse_binary(text, file);
  try {
    // At the end of the file yaml-cpp closes an open quote itself; at a document's end it complains.
    std::istringstream stream(text + "\n...\n");
    YAML::Parser parser(stream);
    TreeBuilder builder(file);
    if (!parser.HandleNextDocument(builder) || builder.root.kind == Kind::null)
      throw InputError(file, 0, "", "the file is empty");
    // yaml-cpp takes whatever follows the first document for another one, with or without "---" between them.
    TreeBuilder after(file);
    if (parser.HandleNextDocument(after))
      throw InputError(file, after.root.line, "", "expected one document, found text after its end");
    return std::make_shared<const YamlValue>(std::move(builder.root));
  } catch (const YAML::Exception& error) {
    const int last_line = static_cast<int>(std::count(text.begin(), text.end(), '\n')) + !text.ends_with('\n');
    throw InputError(file, std::min(error.mark.line + 1, last_line), "",
                     "not YAML (" + error.msg + "); a text with \": \" or \"#\" in it needs quotes");
  }
}

}  // namespace

YamlRow::YamlRow(std::shared_ptr<const std::string> file, std::string field, const YamlValue& value)
    : file_(std::move(file)), field_(std::move(field)), value_(&value) {}

size_t YamlRow::size() const {
  return value_->children.size();
}
int YamlRow::line() const {
  return value_->line;
}
void YamlRow::fail(const std::string& message) const {
  throw InputError(*file_, value_->line, field_, message);
}

const YamlValue& YamlRow::at(size_t index) const {
  if (index >= size())
    fail("expected at least " + std::to_string(index + 1) + " values, got " + std::to_string(size()));
  return value_->children[index];
}

std::string YamlRow::text(size_t index) const {
  const YamlValue& value = at(index);
  if (value.kind != Kind::scalar) fail("expected a name, got " + describe(value));
  return value.text;
}

uint64_t YamlRow::integer(size_t index, uint64_t min, uint64_t max) const {
  return checked_integer(*file_, field_, at(index), min, max);
}

double YamlRow::number(size_t index, double min, double max, int decimal_exponent) const {
  return checked_number(*file_, field_, at(index), min, max, decimal_exponent);
}

YamlItem::YamlItem(std::shared_ptr<const std::string> file, std::shared_ptr<const YamlValue> tree, std::string field,
                   const YamlValue& value)
    : file_(std::move(file)), tree_(std::move(tree)), field_(std::move(field)), value_(&value) {}

bool YamlItem::is_mapping() const {
  return value_->kind == Kind::mapping;
}
int YamlItem::line() const {
  return value_->line;
}
void YamlItem::fail(const std::string& message) const {
  throw InputError(*file_, value_->line, field_, message);
}
std::string YamlItem::text() const {
  if (value_->kind != Kind::scalar) fail("expected one value, got " + describe(*value_));
  return value_->text;
}
uint64_t YamlItem::integer(uint64_t min, uint64_t max) const {
  return checked_integer(*file_, field_, *value_, min, max);
}
double YamlItem::number(double min, double max, int decimal_exponent) const {
  return checked_number(*file_, field_, *value_, min, max, decimal_exponent);
}
YamlFields YamlItem::fields() const {
  return YamlFields(file_, tree_, field_, *value_);
}

YamlFields::YamlFields(std::shared_ptr<const std::string> file, std::shared_ptr<const YamlValue> tree, std::string path,
                       const YamlValue& value)
    : file_(std::move(file)), tree_(std::move(tree)), path_(std::move(path)), value_(&value) {
  if (value.kind != Kind::mapping)
    throw InputError(*file_, value.line, path_, "expected \"key: value\" lines, got " + describe(value));
}

std::string YamlFields::path_of(const std::string& key) const {
  return path_.empty() ? key : path_ + "." + key;
}

void YamlFields::fail(const std::string& key, const std::string& message) const {
  int line = value_->line;
  for (const YamlValue& child : value_->children)
    if (child.key == key) line = child.line;
  throw InputError(*file_, line, path_of(key), message);
}

const YamlValue* YamlFields::find(const std::string& key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.push_back(key);
  for (const YamlValue& child : value_->children)
    if (child.key == key) return &child;
  return nullptr;
}

const YamlValue& YamlFields::need(const std::string& key) {
  const YamlValue* value = find(key);
  if (value == nullptr) fail(key, "missing");
  return *value;
}

const YamlValue& YamlFields::need_scalar(const std::string& key) {
  const YamlValue& value = need(key);
  if (value.kind != Kind::scalar) fail(key, "expected one value, got " + describe(value));
  return value;
}

bool YamlFields::has(const std::string& key) {
  return find(key) != nullptr;
}
std::string YamlFields::text(const std::string& key) {
  return need_scalar(key).text;
}
std::string YamlFields::text_or(const std::string& key, const std::string& fallback) {
  return has(key) ? text(key) : fallback;
}

uint64_t YamlFields::integer(const std::string& key, uint64_t min, uint64_t max) {
  return checked_integer(*file_, path_of(key), need(key), min, max);
}
uint64_t YamlFields::integer_or(const std::string& key, uint64_t min, uint64_t max, uint64_t fallback) {
  return has(key) ? integer(key, min, max) : fallback;
}

double YamlFields::number(const std::string& key, double min, double max, int decimal_exponent) {
  return checked_number(*file_, path_of(key), need(key), min, max, decimal_exponent);
}
double YamlFields::number_or(const std::string& key, double min, double max, double fallback, int decimal_exponent) {
  return has(key) ? number(key, min, max, decimal_exponent) : fallback * std::pow(10.0, decimal_exponent);
}

YamlFields YamlFields::fields(const std::string& key) {
  const YamlValue& value = need(key);
  return YamlFields(file_, tree_, path_of(key), value);
}

std::vector<YamlRow> YamlFields::rows(const std::string& key) {
  std::vector<YamlRow> rows;
  const YamlValue* value = find(key);
  if (value == nullptr || value->kind == Kind::null) return rows;
  if (value->kind != Kind::sequence) fail(key, "expected a list of rows, got " + describe(*value));
  rows.reserve(value->children.size());
  for (const YamlValue& child : value->children) {
    if (child.kind != Kind::sequence)
      throw InputError(*file_, child.line, path_of(key), "expected a row [..., ...], got " + describe(child));
    rows.emplace_back(file_, path_of(key), child);
  }
  return rows;
}

YamlRow YamlFields::row(const std::string& key) {
  const YamlValue& value = need(key);
  if (value.kind != Kind::sequence) fail(key, "expected a row [..., ...], got " + describe(value));
  return YamlRow(file_, path_of(key), value);
}

std::vector<YamlItem> YamlFields::items(const std::string& key) {
  const YamlValue* value = find(key);
  if (value == nullptr) return {};
  if (value->kind != Kind::sequence) return {YamlItem(file_, tree_, path_of(key), *value)};
  std::vector<YamlItem> items;
  items.reserve(value->children.size());
  for (const YamlValue& child : value->children) items.emplace_back(file_, tree_, path_of(key), child);
  return items;
}

void YamlFields::refuse_unknown() const {
  for (const YamlValue& child : value_->children) {
    if (std::find(known_.begin(), known_.end(), child.key) != known_.end()) continue;
    const std::string nearest = nearest_name(child.key, known_);
    throw InputError(
        *file_, child.line, path_,
        "unknown key " + quoted(child.key) + (nearest.empty() ? "" : "; did you mean \"" + nearest + "\"?"));
  }
}

YamlFields read_yaml(const std::string& path) {
  return parse_yaml(read_text_file(path, kMaxFileBytes), path);
}

YamlFields parse_yaml(const std::string& text, const std::string& file_name) {
  auto file = std::make_shared<const std::string>(file_name);
  auto tree = parse_tree(text, file_name);
  const YamlValue& root = *tree;
  return YamlFields(std::move(file), std::move(tree), "", root);
}

std::string format_number(double value, int decimal_exponent) {
  char buffer[40];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, std::abs(value), std::chars_format::scientific);
  const std::string text(buffer, result.ptr);
  const size_t e = text.find('e');
  int exponent = std::stoi(text.substr(e + 1)) - decimal_exponent;
  std::string digits = text.substr(0, 1) + (e > 2 ? text.substr(2, e - 2) : "");
  const std::string sign = value < 0 ? "-" : "";
  if (value == 0) return "0";
  const int count = static_cast<int>(digits.size());
  if (exponent < -6 || exponent > 15)
    return sign + digits.substr(0, 1) + (count > 1 ? "." + digits.substr(1) : "") + "e" + std::to_string(exponent);
  if (exponent < 0) return sign + "0." + std::string(-exponent - 1, '0') + digits;
  if (exponent >= count - 1) return sign + digits + std::string(exponent - count + 1, '0');
  return sign + digits.substr(0, exponent + 1) + "." + digits.substr(exponent + 1);
}

}  // namespace pgram
