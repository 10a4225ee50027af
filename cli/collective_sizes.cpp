#include "cli/collective_sizes.h"

#include <charconv>

#include "core/base/errors.h"

namespace pgram::cli {
namespace {

[[noreturn]] void fail(const std::string& text, const std::string& expected) {
  std::string shown = text.substr(0, 60);
  for (char& c : shown) c = static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  throw InputError("--sizes", "\"" + shown + "\": expected " + expected);
}

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == at) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

Bytes parse_size(const std::string& all, const std::string& text) {
  double number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  std::string unit(rest, text.data() + text.size());
  if (error != std::errc()) fail(all, "sizes such as 64K or 1.5M");
  Bytes factor = 1;
  if (!unit.empty() && unit != "B") {
    const size_t power = std::string("KMGT").find(static_cast<char>(unit[0] & ~0x20));
    const std::string tail = unit.substr(1);
    if (power == std::string::npos || (!tail.empty() && tail != "B" && tail != "iB"))
      fail(all, "K, M, G or T after a number, got \"" + unit.substr(0, 10) + "\"");
    factor = Bytes{1} << 10 * (power + 1);
  }
  const double bytes = number * static_cast<double>(factor);
  if (!(bytes >= 1 && bytes <= static_cast<double>(kLargestSize))) fail(all, "sizes from 1 byte to 1024T");
  return static_cast<Bytes>(bytes);
}

}  // namespace

std::vector<Bytes> parse_sizes(const std::string& text) {
  std::vector<Bytes> sizes;
  for (const std::string& item : split(text, ',')) {
    const std::vector<std::string> range = split(item, ':');
    if (range.size() > 3) fail(text, "FIRST:LAST or FIRST:LAST:FACTOR");
    const Bytes first = parse_size(text, range[0]);
    const Bytes last = range.size() > 1 ? parse_size(text, range[1]) : first;
    double factor = 2;
    if (range.size() > 2) {
      const std::string& given = range[2];
      const auto [rest, error] = std::from_chars(given.data(), given.data() + given.size(), factor);
      if (error != std::errc() || rest != given.data() + given.size() || !(factor >= 1.01 && factor <= 1e6))
        fail(text, "a factor from 1.01 on: the sizes would never end");
    }
    if (last < first) fail(text, "the last size not below the first");
    for (double size = static_cast<double>(first); size <= static_cast<double>(last); size *= factor) {
      sizes.push_back(static_cast<Bytes>(size));
      if (sizes.size() > kMostSizes) fail(text, "at most " + std::to_string(kMostSizes) + " sizes");
    }
  }
  return sizes;
}

}  // namespace pgram::cli
