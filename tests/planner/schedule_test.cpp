// Schedules as rows: golden sequences, properties, files of rows, and rows that cannot finish.
#include "core/planner/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/errors.h"
#include "tests/planner/small_models.h"
#include "tests/support/folder.h"

namespace pgram {
namespace {

using namespace test;

TEST(Schedule, GPipeGolden) {
  EXPECT_EQ(to_text(gpipe(2, 3)), "0F0,0F1,0F2,0B0,0B1,0B2\n1F0,1F1,1F2,1B0,1B1,1B2\n");
  EXPECT_EQ(to_text(gpipe(1, 2)), "0F0,0F1,0B0,0B1\n");
}

TEST(Schedule, OneForwardOneBackwardGolden) {
  // Warm-up min(P - 1 - r, M) forwards: 3, 2, 1, 0.
  EXPECT_EQ(to_text(one_f_one_b(4, 8)),
            "0F0,0F1,0F2,0F3,0B0,0F4,0B1,0F5,0B2,0F6,0B3,0F7,0B4,0B5,0B6,0B7\n"
            "1F0,1F1,1F2,1B0,1F3,1B1,1F4,1B2,1F5,1B3,1F6,1B4,1F7,1B5,1B6,1B7\n"
            "2F0,2F1,2B0,2F2,2B1,2F3,2B2,2F4,2B3,2F5,2B4,2F6,2B5,2F7,2B6,2B7\n"
            "3F0,3B0,3F1,3B1,3F2,3B2,3F3,3B3,3F4,3B4,3F5,3B5,3F6,3B6,3F7,3B7\n");
  EXPECT_EQ(to_text(one_f_one_b(4, 2)), "0F0,0F1,0B0,0B1\n1F0,1F1,1B0,1B1\n2F0,2F1,2B0,2B1\n3F0,3B0,3F1,3B1\n");
  EXPECT_EQ(to_text(one_f_one_b(1, 3)), "0F0,0B0,0F1,0B1,0F2,0B2\n");
}

TEST(Schedule, SendsAndReceivesGolden) {
  // The producer places its consumer's receive at the moment of its own send (PyTorch's _add_send_recv).
  EXPECT_EQ(to_text(add_send_recv(one_f_one_b(2, 3))),
            "0F0,0SEND_F0,0F1,0SEND_F1,0RECV_B0,0B0,0F2,0SEND_F2,0RECV_B1,0B1,0RECV_B2,0B2\n"
            "1RECV_F0,1F0,1RECV_F1,1B0,1SEND_B0,1F1,1RECV_F2,1B1,1SEND_B1,1F2,1B2,1SEND_B2\n");
  EXPECT_EQ(
      to_text(add_send_recv(one_f_one_b(4, 4))),
      "0F0,0SEND_F0,0F1,0SEND_F1,0F2,0SEND_F2,0F3,0SEND_F3,0RECV_B0,0B0,0RECV_B1,0B1,0RECV_B2,0B2,0RECV_B3,0B3\n"
      "1RECV_F0,1F0,1SEND_F0,1RECV_F1,1F1,1SEND_F1,1RECV_F2,1F2,1SEND_F2,1RECV_B0,1RECV_F3,1B0,1SEND_B0,1F3,"
      "1SEND_F3,1RECV_B1,1B1,1SEND_B1,1RECV_B2,1B2,1SEND_B2,1RECV_B3,1B3,1SEND_B3\n"
      "2RECV_F0,2F0,2SEND_F0,2RECV_F1,2F1,2SEND_F1,2RECV_B0,2RECV_F2,2B0,2SEND_B0,2F2,2SEND_F2,2RECV_B1,2RECV_F3,"
      "2B1,2SEND_B1,2F3,2SEND_F3,2RECV_B2,2B2,2SEND_B2,2RECV_B3,2B3,2SEND_B3\n"
      "3RECV_F0,3F0,3RECV_F1,3B0,3SEND_B0,3F1,3RECV_F2,3B1,3SEND_B1,3F2,3RECV_F3,3B2,3SEND_B2,3F3,3B3,3SEND_B3\n");
}

int count(const ScheduleRow& row, SlotKind kind) {
  return static_cast<int>(std::count_if(row.begin(), row.end(), [&](const ScheduleOp& op) { return op.kind == kind; }));
}

TEST(Schedule, Properties) {
  for (uint32_t ranks = 1; ranks <= 8; ++ranks) {
    for (uint32_t m = 1; m <= 12; ++m) {
      for (const Schedule& rows : {gpipe(ranks, m), one_f_one_b(ranks, m)}) {
        EXPECT_NO_THROW(validate_schedule(rows, ranks, m, "rows"));
        const Schedule lowered = add_send_recv(rows);
        for (uint32_t r = 0; r < ranks; ++r) {
          const int inner = static_cast<int>(m);
          EXPECT_EQ(count(lowered[r], SlotKind::F), inner);
          EXPECT_EQ(count(lowered[r], SlotKind::B), inner);
          EXPECT_EQ(count(lowered[r], SlotKind::send_f), r + 1 < ranks ? inner : 0);
          EXPECT_EQ(count(lowered[r], SlotKind::recv_f), r > 0 ? inner : 0);
          EXPECT_EQ(count(lowered[r], SlotKind::send_b), r > 0 ? inner : 0);
          EXPECT_EQ(count(lowered[r], SlotKind::recv_b), r + 1 < ranks ? inner : 0);
          // Prefix sums: never more backwards than forwards, and 1F1B never more in flight than min(P - r, M).
          int in_flight = 0, most = 0;
          for (const ScheduleOp& op : lowered[r]) {
            in_flight += (op.kind == SlotKind::F) - (op.kind == SlotKind::B);
            EXPECT_GE(in_flight, 0);
            most = std::max(most, in_flight);
          }
          EXPECT_EQ(most, static_cast<int>(rows == gpipe(ranks, m) ? m : std::min(ranks - r, m)));
        }
        // The k-th send of a channel meets the k-th receive: same micro-batch.
        for (uint32_t r = 0; r + 1 < ranks; ++r) {
          std::vector<uint16_t> sent, received;
          for (const ScheduleOp& op : lowered[r]) {
            if (op.kind == SlotKind::send_f) sent.push_back(op.micro_batch);
          }
          for (const ScheduleOp& op : lowered[r + 1]) {
            if (op.kind == SlotKind::recv_f) received.push_back(op.micro_batch);
          }
          EXPECT_EQ(sent, received);
        }
      }
    }
  }
}

TEST(Schedule, TextRoundTrip) {
  const Schedule rows = one_f_one_b(3, 5);
  EXPECT_EQ(parse_schedule(to_text(rows), "rows.csv"), rows);
  EXPECT_EQ(parse_schedule(" 0F0 , 0B0 \r\n\n1F0,1B0", "rows.csv"), one_f_one_b(2, 1))
      << "blanks and Windows line ends";
}

TEST(Schedule, ParseErrorsNameFileLineAndOp) {
  const auto said = [](const std::string& text) { return refusal([&] { parse_schedule(text, "rows.csv"); }); };
  const std::string expected = ": expected a schedule op as <stage><F|B><micro-batch>, for example 2F0";
  EXPECT_EQ(said("0F0,0B0\n1F0,1X0\n"), "rows.csv:2: '1X0'" + expected);
  EXPECT_EQ(said("F0"), "rows.csv:1: 'F0'" + expected);
  EXPECT_EQ(said("0F"), "rows.csv:1: '0F'" + expected);
  EXPECT_EQ(said("0F0,"), "rows.csv:1: ''" + expected);
  EXPECT_EQ(said("\n\n0F0,,0B0"), "rows.csv:3: ''" + expected);
  EXPECT_EQ(said("0F0x"), "rows.csv:1: '0F0x'" + expected);
  EXPECT_EQ(said("0F-1"), "rows.csv:1: '0F-1'" + expected);
  EXPECT_EQ(said("0F99999999999999999999"), "rows.csv:1: '0F99999999999999999999'" + expected);
  EXPECT_EQ(said(""), "rows.csv: rows: expected one row of ops per pipeline rank, found none");
}

TEST(Schedule, ValidationSaysWhatIsWrong) {
  const auto said = [](const std::string& text, uint32_t ranks, uint32_t m) {
    return refusal([&] { validate_schedule(parse_schedule(text, "rows.csv"), ranks, m, "rows.csv"); });
  };
  EXPECT_EQ(said("0F0,0B0\n1F0,1B0", 2, 1), "accepted");
  EXPECT_EQ(said("0F0,0B0", 2, 1), "rows.csv: rows: expected 2 rows (pp), found 1");
  EXPECT_EQ(said("0F0,0B0\n0F0,0B0", 2, 1), "rows.csv:2: 0F0: stage 0 must stay on row 0");
  EXPECT_EQ(said("0F0,0F0,0B0", 1, 1), "rows.csv:1: 0F0: appears twice");
  EXPECT_EQ(said("0F0,0B0,0F1,0B1", 1, 1), "rows.csv:1: 0F1: the step has 1 micro-batches");
  EXPECT_EQ(said("0F0,0B0", 1, 2), "rows.csv:1: row 0: expected 2 forwards and as many backwards, found 2 ops");
  EXPECT_EQ(said("0F0,0I0", 1, 1), "rows.csv:1: 0I0: split backwards (I and W) are not available yet; use B");
}

TEST(Schedule, RowsThatCannotFinishAreShownAsAGrid) {
  // Rank 1 wants micro-batch 1's backward before its forward.
  const std::string text = "0F0,0F1,0B0,0B1\n1F0,1B0,1B1,1F1\n";
  EXPECT_EQ(refusal([&] { validate_schedule(parse_schedule(text, "rows.csv"), 2, 2, "rows.csv"); }),
            "rows.csv:1: 0B1: the rows cannot finish: no rank can go on\n"
            "  rank 0: 0F0 0F1 0B0 0B1 <-- ERROR HERE\n"
            "  rank 1: 1F0 1B0 1B1 <-- ERROR HERE");
}

TEST(Schedule, FoundByNameOrFile) {
  EXPECT_EQ(find_schedule("gpipe", 2, 3), gpipe(2, 3));
  EXPECT_EQ(find_schedule("1f1b", 2, 3), one_f_one_b(2, 3));
  const test::Folder folder;
  const std::string path = folder.write("rows.csv", "0F1,0F0,0B1,0B0\n1F1,1B1,1F0,1B0\n");
  const Schedule rows = find_schedule(path, 2, 2);
  EXPECT_EQ(to_text(rows), "0F1,0F0,0B1,0B0\n1F1,1B1,1F0,1B0\n");
  EXPECT_NE(refusal([&] { find_schedule(path, 2, 3); }).find(path + ":1: row 0: expected 3 forwards"),
            std::string::npos);
  EXPECT_EQ(refusal([] { find_schedule("2f2b", 2, 2); }),
            "schedule: expected gpipe, 1f1b or a file of rows, got '2f2b' (no such file)");
}

}  // namespace
}  // namespace pgram
