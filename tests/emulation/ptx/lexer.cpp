#include "tests/emulation/ptx/lexer.h"

#include <algorithm>
#include <stdexcept>

namespace pgram::emulation::ptx {
namespace {

bool in_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
         c == '%' || c == '.';
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  std::vector<Token> all() {
    std::vector<Token> tokens;
    do {
      tokens.push_back(next());
    } while (tokens.back().kind != Token::end);
    return tokens;
  }

 private:
  std::string_view rest() const { return text_.substr(at_); }

  void skip_blanks() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '\n') ++line_;
      if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
        ++at_;
      } else if (rest().starts_with("//")) {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (rest().starts_with("/*")) {
        const int begin = line_;
        const size_t end = text_.find("*/", at_ + 2);
        if (end == std::string_view::npos) fail_at(begin, "the comment has no end");
        for (; at_ < end + 2; ++at_) line_ += text_[at_] == '\n';
      } else {
        return;
      }
    }
  }

  Token next() {
    skip_blanks();
    const size_t begin = at_;
    if (begin == text_.size()) return {Token::end, "end of the text", line_};
    if (text_[begin] == '"') {
      at_ = text_.find_first_of("\"\n", begin + 1);
      if (at_ == std::string_view::npos || text_[at_] == '\n') fail_at(line_, "the string has no end");
      ++at_;
      return {Token::string, text_.substr(begin + 1, at_ - begin - 2), line_};
    }
    while (at_ < text_.size()) {
      if (in_word(text_[at_])) {
        ++at_;
      } else if (at_ > begin && rest().starts_with("::")) {  // ".L2::128B", but not the ':' after a label
        at_ += 2;
      } else {
        break;
      }
    }
    if (at_ > begin) return {Token::word, text_.substr(begin, at_ - begin), line_};
    ++at_;
    const std::string_view c = text_.substr(begin, 1);
    if (std::string_view("{}()[]<>,;:@!+-=|").find(c) == std::string_view::npos) {
      fail_at(line_, "unexpected character '" + std::string(c) + "'");
    }
    return {Token::punctuation, c, line_};
  }

  std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
};

}  // namespace

std::vector<Token> tokens_of(std::string_view text) {
  return Lexer(text).all();
}

void fail_at(int line, const std::string& message) {
  throw std::runtime_error("PTX, line " + std::to_string(line) + ": " + message);
}

}  // namespace pgram::emulation::ptx
