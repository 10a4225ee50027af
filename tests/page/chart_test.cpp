// Charts: well-formed, everything inside the picture, and nothing that was not asked for.
#include "cli/page/chart.h"

#include <gtest/gtest.h>

#include <limits>
#include <pugixml.hpp>
#include <set>

#include "cli/page/colours.h"
#include "cli/page/frame.h"
#include "cli/page/html.h"
#include "cli/page/text.h"

namespace pgram::page {
namespace {

pugi::xml_document parsed(const std::string& svg) {
  pugi::xml_document document;
  const pugi::xml_parse_result result = document.load_string(svg.c_str());
  EXPECT_TRUE(result) << result.description() << " at " << svg.substr(static_cast<size_t>(result.offset), 80);
  return document;
}

size_t count(const pugi::xml_document& document, const char* path) {
  return document.select_nodes(path).size();
}

/// Texts lie within the picture, as wide as they are thought to be.
void expect_texts_inside(const pugi::xml_document& document) {
  double width = 0, height = 0;
  ASSERT_EQ(std::sscanf(document.child("svg").attribute("viewBox").value(), "0 0 %lf %lf", &width, &height), 2);
  for (const pugi::xpath_node node : document.select_nodes("//text[not(@transform)]")) {
    const pugi::xml_node text = node.node();
    const double wide = text_width(text.text().get()), x = text.attribute("x").as_double();
    const std::string anchor = text.attribute("text-anchor").as_string("start");
    const double left = anchor == "end" ? x - wide : anchor == "middle" ? x - wide / 2 : x;
    EXPECT_GE(left, -0.5) << text.text().get();
    EXPECT_LE(left + wide, width + 0.5) << text.text().get();
    EXPECT_GE(text.attribute("y").as_double(), 8) << text.text().get();
    EXPECT_LE(text.attribute("y").as_double(), height) << text.text().get();
  }
}

LinePanel panel(std::vector<std::string> names) {
  LinePanel panel{{"GPUs", count_text}, {"step time", time_text}, {}, true};
  for (size_t i = 0; i < names.size(); ++i) {
    Line line{names[i], i, Line::Look::marked, {}};
    for (int p = 0; p < 5; ++p) line.points.push_back({double(64 << p), 40.0 / (1 << p) + 0.01 * double(i), "p<q"});
    panel.lines.push_back(line);
  }
  return panel;
}

TEST(LineChart, AMarkForEveryPointAndOneLegend) {
  const auto document = parsed(line_chart("a \"b\"", {panel({"dgx<h100>", "b"}), panel({"dgx<h100>", "b"})}));
  EXPECT_EQ(count(document, "//polyline"), 4u + 2);  // 2 lines in 2 panels, and 2 keys
  EXPECT_EQ(count(document, "//path[@class='mark']/title[text()='p<q']"), 20u);
  EXPECT_EQ(count(document, "//text[text()='dgx<h100>']"), 3u);  // legend, and at the end of both lines
  EXPECT_STREQ(document.child("svg").attribute("aria-label").value(), "a \"b\"");
  expect_texts_inside(document);
}

TEST(LineChart, OneLineHasNoLegendAndIdealLinesNoMarks) {
  EXPECT_EQ(count(parsed(line_chart("", {panel({"only"})})), "//text[text()='only']"), 0u);
  LinePanel with_ideal = panel({"a", "ideal"});
  with_ideal.lines[1].look = Line::Look::ideal;
  const auto document = parsed(line_chart("", {with_ideal}));
  EXPECT_EQ(count(document, "//path[@class='mark']"), 5u + 1);  // and the key's
  EXPECT_EQ(count(document, "//polyline[@stroke-dasharray]"), 2u);
}

TEST(LineChart, LongNamesAndManyLinesStayInside) {
  std::vector<std::string> names;
  for (int i = 0; i < 7; ++i) names.push_back("a-cluster-with-quite-a-long-name-indeed-" + std::to_string(i));
  expect_texts_inside(parsed(line_chart("", {panel(names), panel(names)})));
}

TEST(LineChart, NothingAndOnePoint) {
  parsed(line_chart("", {panel({})}));
  LinePanel one = panel({"a"});
  one.lines[0].points.resize(1);
  EXPECT_EQ(count(parsed(line_chart("", {one})), "//path[@class='mark']"), 1u);
}

TEST(StackedBars, WidthsAreShares) {
  Bars bars;
  bars.parts = {{"work", kBlue}, {"none", kGreen}, {"wait", kHatchLevel}};
  bars.bars = {{"kind", "64 GPUs", "note", {0.75, 0, 0.25}}, {"kind", "128 GPUs", "note", {0.5, 0, 0.5}}};
  const auto document = parsed(stacked_bars("", bars));
  EXPECT_EQ(count(document, "//text[text()='none']"), 0u);
  EXPECT_EQ(count(document, "//text[text()='kind']"), 1u);
  const auto wide = [&](const char* title) {
    return document.select_node(("//rect[title='" + std::string(title) + "']").c_str())
        .node()
        .attribute("width")
        .as_double();
  };
  // 0.7 of a pixel is left to the next part.
  EXPECT_NEAR((wide("work: 75.0 %") + 0.7) / (wide("wait: 25.0 %") + 0.7), 3, 0.01);
  EXPECT_EQ(count(document, "//text[text()='75 %']"), 1u);
  expect_texts_inside(document);
}

TEST(PointChart, DotsThatCoverEachOtherAreDrawnOnce) {
  PointPanel points{
      {"x", time_text}, {"y", time_text}, {}, {{1, 1, "1", "best"}, {1.0001, 1.0001, "2", "next"}, {2, 2, "3", ""}}};
  for (int i = 0; i < 10000; ++i) points.faint.push_back({1 + (i % 100) * 0.01, 1 + (i / 100 % 10) * 0.1});
  std::vector<size_t> drawn;
  const auto document = parsed(point_chart("", {points}, 5000, &drawn));
  EXPECT_EQ(drawn, std::vector<size_t>{1000});  // 100 x 10 places, far enough from each other
  const std::string path = document.select_node("//path[@class='dots']").node().attribute("d").value();
  EXPECT_EQ(static_cast<size_t>(std::count(path.begin(), path.end(), 'M')), 1000u);
  drawn.clear();
  parsed(point_chart("", {points}, 100, &drawn));
  EXPECT_LE(drawn[0], 100u);
  EXPECT_GE(drawn[0], 50u);
}

TEST(PointChart, NumbersDoNotCoverEachOther) {
  PointPanel points{
      {"x", time_text}, {"y", time_text}, {}, {{1, 1, "1", "best"}, {1.0001, 1.0001, "2", "next"}, {2, 2, "3", ""}}};
  const auto document = parsed(point_chart("", {points}, 10, nullptr));
  EXPECT_EQ(count(document, "//text[text()='1']"), 1u);
  EXPECT_EQ(count(document, "//text[text()='2']"), 0u);  // under number 1: a small mark, with its title
  EXPECT_EQ(count(document, "//title[text()='next']"), 1u);
  EXPECT_EQ(count(document, "//text[text()='3']"), 1u);
}

TEST(StripChart, AMarkForEveryPoint) {
  Strips strips{{"more", share_text},
                {{"slow", "median +3.0 %", {{0.03, 0, "a"}, {0.1, 0, "b"}}, 0}, {"none", "no case", {}, 0}}};
  const auto document = parsed(strip_chart("", strips));
  EXPECT_EQ(count(document, "//path[@class='mark']"), 2u);
  expect_texts_inside(document);
}

TEST(Spread, KeepsOrderGapAndPlace) {
  EXPECT_EQ(spread({10, 10, 50}, 12, 0, 100), (std::vector<double>{10, 22, 50}));
  EXPECT_EQ(spread({99, 10, 99}, 12, 0, 100), (std::vector<double>{88, 10, 100}));
}

TEST(Ticks, WithoutDecimalsThatSayNothing) {
  const auto texts = [](std::function<std::string(double)> text, std::vector<double> ticks) {
    std::string out;
    for (const std::string& each : tick_texts({"", text}, {0, 1, false, ticks})) out += each + "|";
    return out;
  };
  EXPECT_EQ(texts(time_text, {3, 5, 10, 0.5}), "3 s|5 s|10 s|500 ms|");
  EXPECT_EQ(texts(time_text, {3, 4.5, 6}), "3.0 s|4.5 s|6.0 s|");
  EXPECT_EQ(texts(dollars_text, {0.35, 0.4}), "$0.35|$0.40|");
  EXPECT_EQ(texts(share_text, {0.1, 0.2}), "10 %|20 %|");
  EXPECT_EQ(texts(count_text, {100, 1000}), "100|1,000|");
}

TEST(Ticks, AreWholeWhereNothingIsBetween) {
  const Quantity steps{"step", count_text, Spacing::linear, 1, true};
  EXPECT_EQ(axis_of(steps, std::vector<double>{0, 2}, 10).ticks, (std::vector<double>{0, 1, 2}));
  EXPECT_EQ(axis_of(steps, std::vector<double>{0, 100}, 5).ticks, (std::vector<double>{0, 50, 100}));
}

TEST(Ticks, AreRoundInTheUnit) {
  const Axis axis = axis_of({"", bytes_text, Spacing::from_zero, 0x1p30}, std::vector{10 * 0x1p30, 55 * 0x1p30}, 6);
  EXPECT_EQ(axis.ticks, (std::vector<double>{0, 10 * 0x1p30, 20 * 0x1p30, 30 * 0x1p30, 40 * 0x1p30, 50 * 0x1p30}));
}

TEST(Html, TablesSayWhatIsLeftOut) {
  Table table{{{"name"}, {"time"}}, {}};
  for (int i = 0; i < 30; ++i) table.rows.push_back({{"<" + std::to_string(i) + ">"}, {"1.5 ms", 0.0015}});
  const auto document = parsed("<p>" + folded_table("all", table, 20) + "</p>");
  EXPECT_EQ(count(document, "//tbody/tr"), 20u);
  EXPECT_EQ(count(document, "//details[@open]"), 0u);
  EXPECT_NE(folded_table("all", table, 20).find("The first 20 rows"), std::string::npos);
  EXPECT_EQ(count(document, "//td[@data-v='0.0015']"), 20u);
  EXPECT_EQ(count(document, "//td[text()='<3>']"), 1u);
}

TEST(Html, TheDocumentRefersToNothingOutside) {
  const std::string page = document("a <b>", paragraph("c"));
  EXPECT_NE(page.find("<title>a &lt;b&gt;</title>"), std::string::npos);
  for (const char* outside : {"http:", "https:", "src=", "@import", "<link"})
    EXPECT_EQ(page.find(outside), std::string::npos);
  // Every paint that charts use has a value.
  for (const char* name : {kBlue, kGreen, kPink, kOrange, kRed, kSky, kBrown, kViolet, kYellow, kGrey, kInk, kPaper}) {
    const std::string variable = std::string(name).substr(4, std::string(name).size() - 5);
    EXPECT_NE(page.find(variable + ": #"), std::string::npos) << variable;
  }
  for (const char* hatch : {kHatchRising, kHatchLevel, kHatchFalling, kHatchCrossed}) {
    const std::string id = std::string(hatch).substr(5, std::string(hatch).size() - 6);
    EXPECT_NE(page.find("<pattern id=\"" + id + "\""), std::string::npos) << id;
  }
}

}  // namespace
}  // namespace pgram::page
