#include "core/base/yaml_reader.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "core/base/errors.h"

namespace pgram {
namespace {

std::string refusal(const std::string& text) {
  try {
    YamlFields fields = parse_yaml(text, "f");
    fields.has("a");
    fields.refuse_unknown();
  } catch (const InputError& error) {
    return error.what();
  }
  return "(taken)";
}

TEST(YamlReader, RefusesWhatYamlCppTakesSilently) {
  EXPECT_EQ(refusal("a: 1\n"), "(taken)");
  EXPECT_EQ(refusal("a: 1\na: 2\n"), "f:2: the key \"a\" is given twice, first in line 1");
  EXPECT_EQ(refusal("a: {b: 1,\n b: 2}\n"), "f:2: the key \"b\" is given twice, first in line 1");
  EXPECT_EQ(refusal("a: 1\n---\na: 2\n"), "f:3: expected one document, found text after its end");
  EXPECT_NE(refusal("{a: 1}\nb: 2\n"), "(taken)");
  EXPECT_NE(refusal("a: 1\n...\nb"), "(taken)");
  EXPECT_NE(refusal("a: [1, 2]]\n"), "(taken)");
  EXPECT_NE(refusal("a: 1\n}"), "(taken)");
}

TEST(YamlReader, RefusesWhatNoFileOfOursNeeds) {
  EXPECT_EQ(refusal(""), "f: the file is empty");
  EXPECT_EQ(refusal("# only a comment\n"), "f: the file is empty");
  EXPECT_EQ(refusal("just text"), "f:1: expected \"key: value\" lines, got \"just text\"");
  EXPECT_EQ(refusal("a: &x 1\n"), "f:1: anchors (&name) are not taken");
  EXPECT_EQ(refusal("a: !!int 1\n"), "f:1: tags (!name) are not taken");
  EXPECT_EQ(refusal("a: 1\n[b]: 2\n"), "f:2: a key must be a plain word");
  EXPECT_EQ(refusal("a: [[[[[[[[[[1]]]]]]]]]]"), "f:1: nested more than 8 deep");
  EXPECT_EQ(refusal(std::string("a: \0", 4)), "f:1: expected a text file (YAML), found binary data");
  EXPECT_EQ(refusal("a: 1\nab: 2\n"), "f:2: unknown key \"ab\"; did you mean \"a\"?");
  EXPECT_TRUE(refusal("a: 'open\n").starts_with("f:1: not YAML (")) << refusal("a: 'open\n");
  EXPECT_TRUE(refusal("a: b: c\n").starts_with("f:1: not YAML (")) << refusal("a: b: c\n");
  EXPECT_NE(refusal(std::string(100000, '[')), "(taken)");
  EXPECT_NE(refusal(std::string(100000, '{')), "(taken)");
  std::string deep;
  for (int i = 0; i < 5000; ++i) deep += "- ";
  EXPECT_NE(refusal(deep), "(taken)");
}

TEST(YamlReader, ItemsAreAListOrOneValue) {
  YamlFields fields = parse_yaml("a: [1, {b: 2,\n c: x}, y]\nd: 7\ne: {b: 3}\nf: []\ng:\nh: 1\n", "f");
  const std::vector<YamlItem> items = fields.items("a");
  ASSERT_EQ(items.size(), 3u);
  EXPECT_EQ(items[0].integer(0, 9), 1u);
  EXPECT_EQ(items[0].number(0, 9, 3), 1000);
  ASSERT_TRUE(items[1].is_mapping());
  EXPECT_EQ(items[1].fields().integer("b", 0, 9), 2u);
  EXPECT_EQ(items[2].text(), "y");
  EXPECT_EQ(items[2].line(), 2);
  ASSERT_EQ(fields.items("d").size(), 1u);
  EXPECT_EQ(fields.items("d")[0].integer(0, 9), 7u);
  EXPECT_EQ(fields.items("e")[0].fields().integer("b", 0, 9), 3u);
  EXPECT_TRUE(fields.items("f").empty());
  EXPECT_TRUE(fields.items("missing").empty());
  const auto error = [](const auto& read) -> std::string {
    try {
      read();
    } catch (const InputError& e) {
      return e.what();
    }
    return "(taken)";
  };
  EXPECT_EQ(error([&] { items[0].integer(2, 9); }), "f:1: a: expected a whole number from 2 to 9, got \"1\"");
  EXPECT_EQ(error([&] { items[1].text(); }), "f:1: a: expected one value, got a mapping");
  EXPECT_EQ(error([&] { items[2].number(0, 9); }), "f:2: a: expected a number from 0 to 9, got \"y\"");
  EXPECT_EQ(error([&] { items[2].fields(); }), "f:2: a: expected \"key: value\" lines, got \"y\"");
  EXPECT_EQ(error([&] { items[1].fields().text("z"); }), "f:1: a.z: missing");
  // Where nothing is written the line is that of the key, not of what comes next.
  EXPECT_EQ(error([&] { fields.items("g")[0].text(); }), "f:6: g: expected one value, got nothing");
}

TEST(YamlReader, NumbersAreDecimalAndBounded) {
  const auto number = [](const std::string& text) {
    return parse_yaml("a: " + text + "\n", "f").number("a", -1e300, 1e300);
  };
  EXPECT_EQ(number("1.5e3"), 1500);
  EXPECT_EQ(number("-.5"), -0.5);
  EXPECT_EQ(number("+2"), 2);
  for (const char* bad :
       {"nan", "inf", ".inf", "0x10", "1,5", "1e", "1e999", "1e99999999999", "--1", "1-", "", "true", "[1]"})
    EXPECT_THROW(number(bad), InputError) << bad;
  const auto whole = [](const std::string& text) { return parse_yaml("a: " + text + "\n", "f").integer("a", 1, 10); };
  EXPECT_EQ(whole("10"), 10u);
  for (const char* bad : {"0", "11", "-1", "1.0", "1e0", "18446744073709551617", "~", "0x2"})
    EXPECT_THROW(whole(bad), InputError) << bad;
}

TEST(YamlReader, FormattedNumbersReadBackToTheBit) {
  EXPECT_EQ(format_number(989e12, 12), "989");
  EXPECT_EQ(format_number(12.5e-6, -6), "12.5");
  EXPECT_EQ(format_number(0), "0");
  EXPECT_EQ(format_number(-0.001), "-0.001");
  EXPECT_EQ(format_number(1e300), "1e300");
  std::mt19937_64 random(3);
  for (int i = 0; i < 20000; ++i) {
    // Any finite double of a magnitude that the shift keeps normal.
    const double value = std::ldexp(1 + static_cast<double>(random() >> 12) / 4503599627370496.0,
                                    static_cast<int>(random() % 1600) - 800);
    const int shift = static_cast<int>(random() % 25) - 12;
    const std::string text = "a: " + format_number(value, shift) + "\n";
    ASSERT_EQ(parse_yaml(text, "f").number("a", 0, 1e300, shift), value) << text << shift;
  }
}

TEST(YamlReader, SurvivesRandomBytes) {
  std::mt19937_64 random(5);
  const std::string alphabet = "[]{}:-,#&*!|>'\"%@`?\n\n\t  ab01.\\~=<\r";
  int refused = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (uint64_t n = random() % 60; n > 0; --n)
      text += random() % 50 == 0 ? static_cast<char>(random()) : alphabet[random() % alphabet.size()];
    refused += refusal(text) != "(taken)";
  }
  EXPECT_GT(refused, 15000);
}

}  // namespace
}  // namespace pgram
