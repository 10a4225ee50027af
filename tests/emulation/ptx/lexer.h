// PTX text into words, punctuation and strings.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace pgram::emulation::ptx {

struct Token {
  enum Kind { word, punctuation, string, end } kind = end;
  std::string_view text;  ///< into the file's text
  int line = 0;

  bool is(std::string_view other) const { return kind != string && text == other; }
};

/// A word is an opcode with its modifiers, a directive, a name or a number: "ld.global.v2.f32", ".reg", "%tid.x",
/// "0f3F800000". The last token has the kind end. std::runtime_error for what is none of these.
std::vector<Token> tokens_of(std::string_view text);

/// Throws std::runtime_error("PTX, line 12: ...").
[[noreturn]] void fail_at(int line, const std::string& message);

}  // namespace pgram::emulation::ptx
