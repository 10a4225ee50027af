#include "tests/emulation/ptx/cursor.h"

#include <charconv>

#include "tests/emulation/ptx/types.h"

namespace pgram::emulation::ptx {
namespace {

constexpr uint64_t kMostBytes = uint64_t{1} << 24;  ///< of one variable

std::optional<uint64_t> digits(std::string_view text, int base) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<uint64_t> number_of(std::string_view word) {
  if (word.empty() || word[0] < '0' || word[0] > '9') return std::nullopt;
  const char kind = word.size() > 1 ? static_cast<char>(word[1] | 0x20) : ' ';
  if (word[0] == '0' && kind == 'f') return word.size() == 10 ? digits(word.substr(2), 16) : std::nullopt;
  if (word[0] == '0' && kind == 'd') return word.size() == 18 ? digits(word.substr(2), 16) : std::nullopt;
  if (word.back() == 'U') word.remove_suffix(1);
  if (word[0] == '0' && kind == 'x') return digits(word.substr(2), 16);
  if (word[0] == '0' && kind == 'b') return digits(word.substr(2), 2);
  return digits(word, word[0] == '0' ? 8 : 10);
}

const Token& Cursor::peek(size_t ahead) const {
  return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
}

const Token& Cursor::next() {
  const Token& token = peek();
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool Cursor::accept(std::string_view text) {
  if (!peek().is(text) || at_end()) return false;
  next();
  return true;
}

void Cursor::expect(std::string_view text) {
  if (!accept(text)) fail_here("'" + std::string(text) + "'");
}

std::string_view Cursor::word(const std::string& what) {
  if (peek().kind != Token::word) fail_here(what);
  return next().text;
}

uint64_t Cursor::number() {
  const bool negative = accept("-");
  const std::optional<uint64_t> value = peek().kind == Token::word ? number_of(peek().text) : std::nullopt;
  if (!value) fail_here("a number");
  next();
  return negative ? 0 - *value : *value;
}

void Cursor::skip_line() {
  const int line = peek().line;
  while (!at_end() && peek().line == line) next();
}

void Cursor::skip_statement() {
  while (!accept(";")) {
    if (at_end()) fail_here("';'");
    next();
  }
}

void Cursor::skip_braces() {
  expect("{");
  for (int depth = 1; depth > 0;) {
    if (at_end()) fail_here("'}'");
    const Token& token = next();
    depth += token.is("{") - token.is("}");
  }
}

void Cursor::fail_here(const std::string& expected) const {
  fail_at(peek().line, "expected " + expected + ", found '" + std::string(peek().text) + "'");
}

Variable parse_variable(Cursor& cursor) {
  Variable variable;
  const int line = cursor.peek().line;
  uint64_t vector = 1;
  for (;;) {
    const std::string_view word = cursor.word("a type");
    if (word == ".align") {
      variable.alignment = cursor.number();
    } else if (word == ".v2" || word == ".v4") {
      vector = word == ".v2" ? 2 : 4;
    } else if (word.starts_with('.')) {
      if ((variable.element_bytes = bytes_of(type_named(word.substr(1)))) > 0) break;
      fail_at(line, "'" + std::string(word) + "' is no type of a variable");
    } else {
      fail_at(line, "expected a type, found '" + std::string(word) + "'");
    }
  }
  const uint64_t alignment = variable.alignment;
  if (alignment == 0 || alignment > 4096 || (alignment & (alignment - 1))) fail_at(line, "no such alignment");
  variable.alignment = std::max(alignment, variable.element_bytes * vector);
  variable.name = cursor.word("the name of a variable");
  variable.bytes = variable.element_bytes * vector;
  while (cursor.accept("[")) {
    const uint64_t count = cursor.accept("]") ? 0 : cursor.number();
    if (count > kMostBytes || variable.bytes * count > kMostBytes) {
      fail_at(line, std::string(variable.name) + " is too large");
    }
    variable.bytes *= count;
    if (count > 0) cursor.expect("]");
  }
  return variable;
}

}  // namespace pgram::emulation::ptx
