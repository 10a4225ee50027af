#include "core/base/json_reader.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/base/errors.h"
#include "tests/support/folder.h"

namespace pgram {
namespace {

/// what() of the InputError that `action` must throw.
template <typename Action>
std::string refusal(Action action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

std::string syntax_refusal(const std::string& text) {
  return refusal([&] { parse_json(text, "a.json"); });
}

TEST(ParseJson, TakesWhatTheStandardTakes) {
  const auto value = parse_json("{\"a\": [1, -2, 3.5e2, true, null, \"\\u00e9\"], \"b\": {\"a\": 1}}\n", "a.json");
  EXPECT_EQ(value["a"].size(), 6u);
  EXPECT_EQ(value["a"][2].get<double>(), 350.0);
  EXPECT_EQ(value["a"][5].get<std::string>(), "é");
}

TEST(ParseJson, SyntaxErrorsCarryFileAndLine) {
  EXPECT_TRUE(syntax_refusal("").starts_with("a.json:1: not valid JSON: "));
  EXPECT_TRUE(syntax_refusal("{\n\"a\": 1\n\"b\": 2}").starts_with("a.json:3: not valid JSON: "));
  EXPECT_TRUE(syntax_refusal("{\n\"a\":\n\n NaN}").starts_with("a.json:4: not valid JSON: "));
  EXPECT_TRUE(syntax_refusal("{\"a\": Infinity}").starts_with("a.json:1: not valid JSON: "));
  EXPECT_TRUE(syntax_refusal("{\n\"a\": 1e999}").starts_with("a.json:2: not valid JSON: number overflow"));
  EXPECT_TRUE(syntax_refusal("{}\n{}").starts_with("a.json:2: not valid JSON: "));
  EXPECT_TRUE(syntax_refusal("{} x").starts_with("a.json:1: not valid JSON: "));
  EXPECT_TRUE(syntax_refusal("[1,]").starts_with("a.json:1: not valid JSON: "));
  EXPECT_TRUE(syntax_refusal("\"\xff\"").starts_with("a.json:1: not valid JSON: "));
  // The parser alone would stop at the zero byte and take this.
  EXPECT_EQ(syntax_refusal(std::string("{}\n\0x", 5)), "a.json:2: not valid JSON: a zero byte");
}

TEST(ParseJson, LongTokensDoNotMakeLongMessages) {
  EXPECT_LT(syntax_refusal("\"" + std::string(100000, 'x')).size(), 300u);
}

TEST(ParseJson, RefusesDuplicateKeysOfOneObjectOnly) {
  EXPECT_EQ(syntax_refusal("{\"a\": 1,\n \"b\": {\"c\": 1,\n \"c\": 2}}"),
            "a.json:3: \"c\": this key is given twice in one object; keep one");
  EXPECT_EQ(syntax_refusal("{\"a\": {\"a\": [{\"a\": 1}, {\"a\": 2}]}, \"b\": {\"a\": 1}}"), "accepted");
  EXPECT_EQ(syntax_refusal("{\"a\": {},\n \"a\": {}}"),
            "a.json:2: \"a\": this key is given twice in one object; keep one");
}

TEST(ParseJson, SixtyFourLevelsAreTheLimit) {
  const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_EQ(syntax_refusal(nested(64)), "accepted");
  EXPECT_EQ(syntax_refusal(nested(65)), "a.json:1: expected at most 64 levels of nesting");
  EXPECT_EQ(syntax_refusal(std::string(1000000, '[')), "a.json:1: expected at most 64 levels of nesting");
}

TEST(ParseJson, MessagesAreOneLineOfPlainText) {
  EXPECT_EQ(syntax_refusal("{\"a\\nb\\u00e9\": 1, \"a\\nb\\u00e9\": 2}"),
            "a.json:1: \"a\\nb\\u00e9\": this key is given twice in one object; keep one");
  for (const char c : syntax_refusal("[\"\xc3\xa9\n")) EXPECT_TRUE(c >= ' ' && c <= '~');
}

class JsonObjectTest : public testing::Test {
 protected:
  nlohmann::json value_ = parse_json(
      R"({"count": 12, "negative": -3, "fraction": 1.5, "whole": 4.0, "huge": 1000000000000000000, "enormous":
          99999999999999999999, "flag": true, "name": "x", "nothing": null, "list": [1, 2, 3], "mixed": ["a", 1],
          "inner": {"factor": 8, "rows": [{"a": 1}, 7]}})",
      "a.json");
  JsonObject object_{value_, "a.json"};
};

TEST_F(JsonObjectTest, ReadsTypedFields) {
  EXPECT_EQ(object_.u32("count", 1, 12), 12u);
  EXPECT_EQ(object_.u64("huge", 0, UINT64_MAX), 1000000000000000000u);
  EXPECT_EQ(object_.i64("negative", -3, 3), -3);
  EXPECT_EQ(object_.number("fraction", 0, 2), 1.5);
  EXPECT_EQ(object_.number("count", 0, 20), 12.0);
  EXPECT_TRUE(object_.boolean("flag"));
  EXPECT_EQ(object_.string("name"), "x");
  EXPECT_EQ(object_.u64s("list", 1, 3, 3), (std::vector<uint64_t>{1, 2, 3}));
  EXPECT_EQ(object_.object("inner").u32("factor", 1, 8), 8u);
  EXPECT_FALSE(object_.has("nothing"));
  EXPECT_FALSE(object_.has("absent"));
  EXPECT_EQ(object_.u32_or("nothing", 1, 2, 7), 7u);
  EXPECT_EQ(object_.number_or("absent", 1, 2, 0.5), 0.5);
  EXPECT_TRUE(object_.boolean_or("absent", true));
  EXPECT_EQ(object_.string_or("absent", "y"), "y");
}

TEST_F(JsonObjectTest, RefusalsNameFieldExpectationAndValue) {
  const auto u32 = [&](const char* key) { return refusal([&] { object_.u32(key, 1, 100000); }); };
  const std::string expected = "expected an integer from 1 to 100,000";
  EXPECT_EQ(u32("negative"), "a.json: negative: " + expected + ", got -3");
  EXPECT_EQ(u32("fraction"), "a.json: fraction: " + expected + ", got 1.5");
  EXPECT_EQ(u32("whole"), "a.json: whole: " + expected + ", got 4.0");
  EXPECT_EQ(u32("huge"), "a.json: huge: " + expected + ", got 1000000000000000000");
  EXPECT_EQ(u32("enormous"), "a.json: enormous: " + expected + ", got 1e+20");
  EXPECT_EQ(u32("flag"), "a.json: flag: " + expected + ", got true");
  EXPECT_EQ(u32("name"), "a.json: name: " + expected + ", got \"x\"");
  EXPECT_EQ(u32("nothing"), "a.json: nothing: " + expected + ", got null");
  EXPECT_EQ(u32("list"), "a.json: list: " + expected + ", got an array");
  EXPECT_EQ(u32("absent"), "a.json: absent: this field is missing; expected an integer from 1 to 100,000");
  EXPECT_EQ(refusal([&] { object_.i64("enormous", -1, 1); }),
            "a.json: enormous: expected an integer from -1 to 1, got 1e+20");
  EXPECT_EQ(refusal([&] { object_.number("fraction", 2, 3.5); }),
            "a.json: fraction: expected a number from 2 to 3.5, got 1.5");
  EXPECT_EQ(refusal([&] { object_.boolean("count"); }), "a.json: count: expected true or false, got 12");
  EXPECT_EQ(refusal([&] { object_.string("count"); }), "a.json: count: expected a string, got 12");
}

TEST_F(JsonObjectTest, PathsReachIntoTheFile) {
  const JsonObject inner = object_.object("inner");
  EXPECT_EQ(refusal([&] { inner.u32("factor", 1, 7); }),
            "a.json: inner.factor: expected an integer from 1 to 7, got 8");
  EXPECT_EQ(refusal([&] { inner.objects("rows", 5); }), "a.json: inner.rows[1]: expected a JSON object, got 7");
  EXPECT_EQ(refusal([&] { object_.u64s("list", 1, 2, 9); }), "a.json: list[2]: expected an integer from 1 to 2, got 3");
  EXPECT_EQ(refusal([&] { object_.u64s("list", 1, 3, 2); }), "a.json: list: expected at most 2 elements, got 3");
  EXPECT_EQ(refusal([&] { object_.strings("mixed", 9); }), "a.json: mixed[1]: expected a string, got 1");
  EXPECT_EQ(refusal([&] { JsonObject(value_["list"], "a.json"); }), "a.json: expected a JSON object, got an array");
}

TEST(JsonObjectKeys, UnknownOnesAreRefusedWithTheNearestKnown) {
  const auto value = parse_json(R"({"versoin": 1})", "a.json");
  const JsonObject object(value, "a.json");
  EXPECT_EQ(refusal([&] {
              object.allow_only({"version", "records"});
            }),
            "a.json: \"versoin\": unknown key; did you mean \"version\"?");
  EXPECT_EQ(refusal([&] { object.allow_only({"bodies"}); }), "a.json: \"versoin\": unknown key; remove it");
  EXPECT_EQ(refusal([&] { object.allow_only({"versoin"}); }), "accepted");
}

TEST(ReadTextFile, RefusesWhatIsNotAFileOrTooLarge) {
  const test::Folder folder;
  const std::string path = folder.write("ten_bytes", "0123456789");
  EXPECT_EQ(read_text_file(path, 10), "0123456789");
  EXPECT_EQ(refusal([&] { read_text_file(path, 9); }), path + ": expected at most 9 B, the file is larger");
  EXPECT_EQ(refusal([&] { read_text_file("/dev/zero", 100); }),
            "/dev/zero: expected at most 100 B, the file is larger");
  EXPECT_EQ(refusal([&] { read_text_file(folder.path()); }), folder.path() + ": expected a file, this is a folder");
  EXPECT_EQ(refusal([&] { read_text_file(folder / "absent"); }),
            folder / "absent: cannot open this file; check that it exists and may be read");
}

}  // namespace
}  // namespace pgram
