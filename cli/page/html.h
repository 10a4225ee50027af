// Pieces of a page in HTML: the whole document, tables, text that folds away. No script is needed to read it.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgram::page {

/// The whole document. `title` is text, `body` is HTML. It refers to nothing outside itself.
std::string document(std::string_view title, const std::string& body);

std::string heading(int level, std::string_view text);
std::string paragraph(std::string_view text, const char* css = "");
std::string answer(std::string_view lead, std::string_view text);  ///< a sentence with its first words in bold
std::string code_block(std::string_view text);                     ///< lines stay as they are
/// `content` is HTML.
std::string folded(std::string_view summary, const std::string& content, bool open = false);

struct Cell {
  Cell(std::string t) : text(std::move(t)) {}
  Cell(std::string t, double v) : text(std::move(t)), value(v) {}
  std::string text;
  std::optional<double> value;  ///< what it sorts by, where that is not its text; such cells stand to the right
};
struct Table {
  struct Column {
    std::string name;
    bool code = false;  ///< layouts and commands
  };
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;  ///< each as wide as the columns
};
std::string to_html(const Table&);
/// A table behind a picture, open if it has at most `open` rows. `most`: rows that are written; it says how many were
/// left out.
std::string folded_table(std::string_view summary, const Table&, size_t most = 500, size_t open = 12);

}  // namespace pgram::page
