// Escaping that always gives well-formed XML, and numbers as people read them.
#include "cli/page/text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <pugixml.hpp>
#include <random>

namespace pgram::page {
namespace {

TEST(Escaped, WhatMeansSomethingInHtml) {
  EXPECT_EQ(escaped("<a href=\"x\">'&'</a>"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
  EXPECT_EQ(escaped("größer, 大, \xF0\x9F\x98\x80"), "größer, 大, \xF0\x9F\x98\x80");
  EXPECT_EQ(escaped("a\tb\nc"), "a\tb\nc");
}

TEST(Escaped, WhatXmlCannotHold) {
  const std::string unknown = "\xEF\xBF\xBD";
  EXPECT_EQ(escaped(std::string("a\0b", 3)), "a" + unknown + "b");
  EXPECT_EQ(escaped("\x1b[31m\x7f"), unknown + "[31m" + unknown);
  EXPECT_EQ(escaped("\xc3"), unknown);                                                   // cut in the middle
  EXPECT_EQ(escaped("\xc0\xaf"), unknown + unknown);                                     // '/' in two bytes
  EXPECT_EQ(escaped("\xed\xa0\x80"), unknown + unknown + unknown);                       // half of a surrogate pair
  EXPECT_EQ(escaped("\xef\xbf\xbf"), unknown + unknown + unknown);                       // U+FFFF
  EXPECT_EQ(escaped("\xf5\x80\x80\x80x"), unknown + unknown + unknown + unknown + "x");  // above U+10FFFF
}

TEST(Escaped, AnyBytesAreWellFormed) {
  std::mt19937 random(7);
  for (int i = 0; i < 3000; ++i) {
    std::string bytes(random() % 40, ' ');
    for (char& c : bytes) c = static_cast<char>(random());
    const std::string xml = "<t a=\"" + escaped(bytes) + "\">" + escaped(bytes) + "</t>";
    pugi::xml_document document;
    ASSERT_TRUE(document.load_buffer(xml.data(), xml.size(), pugi::parse_default, pugi::encoding_utf8)) << xml;
    for (const char c : escaped(bytes)) ASSERT_TRUE(static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t');
    // Read back it is the same text, where it was one.
    if (escaped(bytes).find("\xEF\xBF\xBD") == std::string::npos && bytes.find_first_not_of(" \n\t") != bytes.npos) {
      ASSERT_EQ(document.child("t").text().get(), bytes);
    }
  }
}

TEST(Numbers, ThreeDigitsWithoutExponents) {
  EXPECT_EQ(rounded(0), "0");
  EXPECT_EQ(rounded(1234.4), "1,234");
  EXPECT_EQ(rounded(123456789), "123,456,789");
  EXPECT_EQ(rounded(9.996), "10.0");  // 9.996 rounds to 10.00: three digits of that
  EXPECT_EQ(rounded(0.012345), "0.0123");
  EXPECT_EQ(rounded(-12345.6), "-12,346");
  EXPECT_EQ(rounded(std::nan("")), "?");
  EXPECT_EQ(fixed(-0.04, 1), "0.0");
  EXPECT_EQ(fixed(-0.06, 1), "-0.1");
  EXPECT_EQ(count_text(16384), "16,384");
  EXPECT_EQ(count_text(-999), "-999");
}

TEST(Numbers, WithTheirUnits) {
  EXPECT_EQ(time_text(0.0042), "4.20 ms");
  EXPECT_EQ(time_text(42), "42.0 s");
  EXPECT_EQ(time_text(90), "1.50 min");
  EXPECT_EQ(time_text(12240), "3.40 h");
  EXPECT_EQ(time_text(181440), "2.10 d");
  EXPECT_EQ(bytes_text(54.0 * (1ull << 30)), "54.0 GiB");
  EXPECT_EQ(bytes_text(-1536), "-1.50 KiB");
  EXPECT_EQ(bytes_text(1e30), "?");
  EXPECT_EQ(share_text(0.1234), "12.3 %");
  EXPECT_EQ(dollars_text(1.234), "$1.23");
  EXPECT_EQ(dollars_text(0.012345), "$0.0123");
  EXPECT_EQ(dollars_text(1234.5), "$1,234");  // to even
  EXPECT_EQ(si_text(4.12e14, "FLOP/s"), "412 TFLOP/s");
  EXPECT_EQ(si_text(999.7, "J"), "1.00 kJ");
}

}  // namespace
}  // namespace pgram::page
