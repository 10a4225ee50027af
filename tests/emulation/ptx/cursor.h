// A place in the tokens of a PTX file, and the small parts that declarations and statements share.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/emulation/ptx/lexer.h"

namespace pgram::emulation::ptx {

/// "42", "0x2AU", "0f3F800000" (its 32 bits), "0d3FF0000000000000"; nothing for what is no number.
std::optional<uint64_t> number_of(std::string_view word);

class Cursor {
 public:
  explicit Cursor(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& peek(size_t ahead = 0) const;
  const Token& next();
  bool at_end() const { return peek().kind == Token::end; }
  /// Takes the token if it is this one.
  bool accept(std::string_view text);
  void expect(std::string_view text);
  /// Takes a word; `what` says in the message which one was expected.
  std::string_view word(const std::string& what);
  /// Takes a number, with a sign.
  uint64_t number();
  /// Debugging directives end with their line.
  void skip_line();
  /// Behind the next ';'.
  void skip_statement();
  /// Behind the '}' that closes the '{' ahead.
  void skip_braces();
  [[noreturn]] void fail_here(const std::string& expected) const;

 private:
  std::vector<Token> tokens_;
  size_t at_ = 0;
};

/// ".align 4 .b8 name[2][16]", after the word of the space. The bytes of unsized arrays are 0.
struct Variable {
  std::string_view name;
  uint64_t bytes = 0, alignment = 1, element_bytes = 0;
};
Variable parse_variable(Cursor&);

}  // namespace pgram::emulation::ptx
