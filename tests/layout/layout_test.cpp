#include "core/layout/layout.h"

#include <gtest/gtest.h>

#include "core/base/errors.h"

namespace pgram {
namespace {

std::string refusal(const std::string& text) {
  try {
    parse_layout(text);
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Layout, ReadsDegreesInAnyOrder) {
  const Layout layout = parse_layout("dp2.tp4.sp.pp8");
  EXPECT_EQ(layout.tp, 4u);
  EXPECT_EQ(layout.pp, 8u);
  EXPECT_EQ(layout.dp, 2u);
  EXPECT_TRUE(layout.sequence_parallel);
  EXPECT_EQ(layout.ranks(), 64u);  // 4 * 8 * 2
  EXPECT_EQ(to_text(layout), "tp4.pp8.dp2.sp");
}

TEST(Layout, MissingDegreesAreOne) {
  const Layout layout = parse_layout("pp2");
  EXPECT_EQ(layout.tp, 1u);
  EXPECT_EQ(layout.dp, 1u);
  EXPECT_FALSE(layout.sequence_parallel);
}

TEST(Layout, CanonicalTextReadsBackEqual) {
  for (const char* text :
       {"tp1", "tp2", "pp2", "dp8", "tp8.pp16.dp128", "tp2.sp", "tp2.dp3.sp", "pp2.paired", "tp2.pp4.sp.paired"}) {
    EXPECT_EQ(to_text(parse_layout(text)), text);
    EXPECT_EQ(parse_layout(to_text(parse_layout(text))), parse_layout(text));
  }
  EXPECT_EQ(to_text(parse_layout("dp1.pp1.tp1")), "tp1");
}

TEST(Layout, RefusalsNameThePartAndWhatWasExpected) {
  EXPECT_EQ(refusal("tp0"), "layout 'tp0': 'tp0': the degree must be at least 1");
  EXPECT_EQ(refusal("tp2.pp-2"), "layout 'tp2.pp-2': 'pp-2': the degree is not a positive whole number");
  EXPECT_EQ(refusal("tp2.dp2.tp4"), "layout 'tp2.dp2.tp4': 'tp' is given twice");
  EXPECT_EQ(refusal("tp2.sp.sp"), "layout 'tp2.sp.sp': 'sp' is given twice");
  EXPECT_EQ(refusal("tp"), "layout 'tp': 'tp' has no degree; write for example 'tp2'");
  EXPECT_EQ(refusal("tp4x"), "layout 'tp4x': 'tp4x': the degree is not a positive whole number");
  EXPECT_EQ(refusal("tp2.5"),
            "layout 'tp2.5': unknown part '5'; expected degrees like 'tp4.pp2.dp2' and optionally '.sp' and '.paired'");
  for (const char* text : {"", ".", "tp2.", ".tp2", "tp2..pp2", "TP2", "sp2", "tp 2", "tp+2", "xx3"}) {
    EXPECT_NE(refusal(text), "accepted") << text;
  }
}

TEST(Layout, AbsurdDegreesAreRefused) {
  for (const char* text : {"dp1000000000000000000", "dp99999999999999999999999999", "dp1048577"}) {
    EXPECT_NE(refusal(text).find("the degree is larger than 1,048,576"), std::string::npos) << refusal(text);
  }
  EXPECT_NE(refusal("dp1e18").find("not a positive whole number"), std::string::npos);
  // 1024 * 1024 * 2 = 2,097,152 > 1,048,576
  EXPECT_EQ(refusal("tp1024.pp1024.dp2"),
            "layout 'tp1024.pp1024.dp2': tp 1024 x pp 1024 x dp 2 = 2,097,152 ranks are more than 1,048,576");
  EXPECT_EQ(refusal("dp1048576"), "accepted");
}

TEST(Layout, LaterFeaturesAreNamed) {
  EXPECT_NE(refusal("tp2.cp2").find("context parallelism is not available yet"), std::string::npos);
  EXPECT_NE(refusal("ep8").find("expert parallelism is not available yet"), std::string::npos);
  EXPECT_NE(refusal("pp4.vpp2").find("interleaving) is not available yet"), std::string::npos);
  EXPECT_NE(refusal("dp2.zero1").find("(ZeRO) is not available yet"), std::string::npos);
}

TEST(Layout, PairedIsHowStagesSend) {
  EXPECT_EQ(parse_layout("pp2").p2p, PointToPoint::channels);
  EXPECT_EQ(parse_layout("paired.pp2").p2p, PointToPoint::paired);
  EXPECT_NE(refusal("tp2.paired").find("needs pp of at least 2"), std::string::npos);
  EXPECT_NE(refusal("pp2.paired2"), "accepted");
  EXPECT_EQ(parse_point_to_point("paired"), PointToPoint::paired);
  EXPECT_THROW(parse_point_to_point("both"), InputError);
}

TEST(Layout, SequenceParallelNeedsTensorParallel) {
  EXPECT_NE(refusal("pp2.sp").find("needs tp of at least 2"), std::string::npos);
}

}  // namespace
}  // namespace pgram
