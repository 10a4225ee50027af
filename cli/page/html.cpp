#include "cli/page/html.h"

#include <cstdio>

#include "cli/page/colours.h"
#include "cli/page/text.h"

namespace pgram::page {
namespace {

constexpr const char* kStyle = R"(
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1120px; margin: 2em auto; padding: 0 1em;
  print-color-adjust: exact; -webkit-print-color-adjust: exact; }
h1 { font-size: 1.6em; margin-bottom: .2em; } h2 { font-size: 1.25em; margin: 2em 0 .4em; border-top: 1px solid var(--line); padding-top: .8em; }
h3 { font-size: 1.05em; margin: 1.6em 0 .3em; } p { margin: .4em 0; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
td, th { padding: .25em .5em; border-bottom: 1px solid var(--line); text-align: left; vertical-align: baseline; } th { font-weight: 600; }
td { white-space: nowrap; } td.long { white-space: normal; } td.n, th.n { text-align: right; } th.sorts { cursor: pointer; }
th { vertical-align: bottom; } pre, td.code { font: 12px/1.45 ui-monospace, "DejaVu Sans Mono", monospace; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--line); border-radius: 4px; padding: .6em .8em; }
summary { cursor: pointer; margin: .5em 0; } .soft { color: var(--soft); } .answer { font-size: 1.05em; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--ink); font: 11px system-ui, sans-serif; } svg text.soft { fill: var(--soft); }
svg text.strong { font-weight: 600; font-size: 12px; } svg text.on { fill: #fff; font-size: 9.5px; font-weight: 600; } svg text.dark { fill: #14171a; }
.axis { stroke: var(--line); stroke-width: 1; } .mark { stroke: var(--paper); stroke-width: 1; }
.dots { stroke: var(--dot); stroke-width: 3; stroke-linecap: round; opacity: .6; fill: none; } .few { stroke-width: 5; opacity: .8; }
@media print { body { max-width: none; margin: 0; font-size: 12px; } h2, h3, p.soft { break-after: avoid; } svg, tr { break-inside: avoid; }
  table { font-size: 8.5px; } pre, td.code { font-size: 7.8px; } td, th { padding: .2em .35em; } .scroll { overflow: visible; }
  td.long { overflow-wrap: anywhere; } }
)";

/// A click on a column's name sorts by it; without a script the table is as it was written.
constexpr const char* kScript = R"(
document.querySelectorAll("table").forEach(table => table.querySelectorAll("th").forEach((head, column) => {
  let turn = 1;
  head.className += " sorts";
  head.title = "click to sort";
  head.onclick = () => {
    const key = row => { const cell = row.cells[column], v = cell.dataset.v; return v === undefined ? cell.textContent : Number(v); };
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => { const x = key(a), y = key(b); return turn * (x < y ? -1 : x > y ? 1 : 0); });
    turn = -turn;
    table.tBodies[0].append(...rows);
  };
}));
)";

std::string classes(const char* css) {
  return *css ? std::string(" class=\"") + css + "\"" : "";
}

/// As a script reads it.
std::string plain(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

/// Numbers stand to the right if the first row has one.
bool is_number(const Table& table, size_t column) {
  return !table.rows.empty() && table.rows.front()[column].value.has_value();
}

/// Short texts stay on one line.
const char* css_of(const Cell& cell, bool code) {
  const bool is_long = cell.text.size() > 60;
  return code ? (is_long ? "code long" : "code") : (is_long ? "long" : "");
}

}  // namespace

std::string document(std::string_view title, const std::string& body) {
  return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
         "content=\"width=device-width\">\n<title>" +
         escaped(title) + "</title>\n<style>\n" + colour_style() + kStyle + "</style></head><body>\n" + hatches() +
         body + "<script>" + kScript + "</script>\n</body></html>\n";
}

std::string heading(int level, std::string_view text) {
  const std::string element = "h" + std::to_string(level);
  return "<" + element + ">" + escaped(text) + "</" + element + ">\n";
}

std::string paragraph(std::string_view text, const char* css) {
  return "<p" + classes(css) + ">" + escaped(text) + "</p>\n";
}

std::string answer(std::string_view lead, std::string_view text) {
  return "<p class=\"answer\"><strong>" + escaped(lead) + "</strong>" + escaped(text) + "</p>\n";
}

std::string code_block(std::string_view text) {
  return "<pre>" + escaped(text) + "</pre>\n";
}

std::string folded(std::string_view summary, const std::string& content, bool open) {
  return std::string("<details") + (open ? " open" : "") + "><summary>" + escaped(summary) + "</summary>\n" + content +
         "</details>\n";
}

std::string to_html(const Table& table) {
  std::string out = "<div class=\"scroll\"><table><thead><tr>";
  for (size_t c = 0; c < table.columns.size(); ++c)
    out += "<th" + classes(is_number(table, c) ? "n" : "") + ">" + escaped(table.columns[c].name) + "</th>";
  out += "</tr></thead><tbody>\n";
  for (const std::vector<Cell>& row : table.rows) {
    out += "<tr>";
    for (size_t c = 0; c < row.size(); ++c) {
      out += "<td" + classes(is_number(table, c) ? "n" : css_of(row[c], table.columns[c].code));
      if (row[c].value) out += " data-v=\"" + plain(*row[c].value) + "\"";
      out += ">" + escaped(row[c].text) + "</td>";
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string folded_table(std::string_view summary, const Table& table, size_t most, size_t open) {
  const size_t rows = table.rows.size();
  const std::string title =
      std::string(summary) + " (" + count_text(static_cast<double>(rows)) + (rows == 1 ? " row)" : " rows)");
  if (rows <= most) return folded(title, to_html(table), rows <= open);
  Table first{table.columns, {table.rows.begin(), table.rows.begin() + static_cast<std::ptrdiff_t>(most)}};
  return folded(title, to_html(first) + paragraph("The first " + count_text(static_cast<double>(most)) +
                                                      " rows; pgram sweep --csv writes all.",
                                                  "soft"));
}

}  // namespace pgram::page
