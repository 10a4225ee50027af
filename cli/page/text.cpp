#include "cli/page/text.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <iterator>

#include "core/base/units.h"

namespace pgram::page {
namespace {

constexpr const char* kUnknownCharacter = "\xEF\xBF\xBD";

/// Bytes of the UTF-8 character at the front that XML can hold; 0 if there is none.
size_t character_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return first >= 0x20 || first == '\n' || first == '\t' ? (first == 0x7f ? 0 : 1) : 0;
  const size_t length = first >= 0xf0 && first < 0xf5 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (first >= 0xf5 || length == 0 || length > text.size()) return 0;
  uint32_t code = first & (0xffu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3fu);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code < 0xe000, none = (code & 0xfffeu) == 0xfffeu;
  return code < kSmallest[length] || code > 0x10ffff || surrogate || none ? 0 : length;
}

std::string grouped(std::string digits) {
  const size_t point = std::min(digits.find('.'), digits.size()), sign = digits.starts_with('-') ? 1 : 0;
  for (size_t at = point; at > 3 + sign;) digits.insert(at -= 3, ",");
  return digits;
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t length = character_length(text);
    switch (text.front()) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += length ? text.substr(0, length) : std::string_view(kUnknownCharacter);
    }
    text.remove_prefix(length ? length : 1);
  }
  return out;
}

std::string fixed(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  const std::string_view rest = text + (text[0] == '-');
  return std::string(rest.find_first_not_of("0.") == rest.npos ? rest : std::string_view(text));
}

std::string rounded(double value, int digits) {
  if (!std::isfinite(value)) return "?";
  if (value == 0) return "0";
  // The exponent after rounding: 9.996 has three digits as 10.0.
  char text[64];
  std::snprintf(text, sizeof text, "%.*e", digits - 1, value);
  int exponent = 0;
  std::sscanf(std::string_view(text).substr(std::string_view(text).find('e') + 1).data(), "%d", &exponent);
  if (exponent < -30 || exponent > 30) return text;
  return grouped(fixed(value, std::max(digits - 1 - exponent, 0)));
}

std::string time_text(double seconds) {
  const double size = std::fabs(seconds);
  if (!std::isfinite(seconds)) return "?";
  if (size < 60) return format_time(static_cast<Picoseconds>(std::llround(seconds * kPicosecondsPerSecond)));
  if (size < 3600) return rounded(seconds / 60) + " min";
  if (size < 86400) return rounded(seconds / 3600) + " h";
  return rounded(seconds / 86400) + " d";
}

std::string bytes_text(double bytes) {
  if (!(std::fabs(bytes) < 0x1p63)) return "?";
  return (bytes < 0 ? "-" : "") + format_bytes(static_cast<Bytes>(std::fabs(bytes)));
}

std::string share_text(double share) {
  return fixed(share * 100, 1) + " %";
}

std::string dollars_text(double dollars) {
  const double size = std::fabs(dollars);
  const std::string sign = dollars < 0 ? "-$" : "$";
  if (size >= 0.995 && size < 1000) return sign + fixed(size, 2);
  return sign + rounded(size);
}

std::string si_text(double value, const std::string& unit) {
  constexpr const char* kPrefixes[] = {"", "k", "M", "G", "T", "P", "E", "Z"};
  size_t prefix = 0;
  while (std::fabs(value) >= 999.5 && prefix + 1 < std::size(kPrefixes)) value /= 1000, ++prefix;
  return rounded(value) + " " + kPrefixes[prefix] + unit;
}

std::string count_text(double count) {
  return grouped(fixed(count, 0));
}

double text_width(std::string_view text) {
  double width = 0;
  for (const char c : text) width += (static_cast<unsigned char>(c) & 0xc0) == 0x80 ? 0 : 6.6;
  return width;
}

}  // namespace pgram::page
