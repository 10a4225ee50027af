#include "gui/model/reasons.h"

#include <gtest/gtest.h>

#include "gui/model/scene.h"
#include "tests/gui/hand_made.h"

namespace pgram::gui {
namespace {

using testing::kMs;
using testing::make_plan_by_hand;
using testing::make_timeline_by_hand;

size_t row_of(const Scene& scene, uint32_t rank, Stream stream) {
  for (size_t row = 0; row < scene.rows().size(); ++row) {
    if (scene.rows()[row].rank == rank && scene.rows()[row].stream == stream) return row;
  }
  ADD_FAILURE() << "no such row";
  return 0;
}

// Rank 1 receives in [0,3) ms, of which it waits 2: rank 0's send begins at 2 ms. Its compute stream ends at 11 ms, the
// step at 12 ms with rank 0's last backward.
TEST(Reasons, TextOfWhatIsIdle) {
  Scene scene;
  scene.set_timelines(make_timeline_by_hand(make_plan_by_hand(), 1, 70 * kMs), nullptr);
  const size_t receives = row_of(scene, 1, channel_stream(true, false, true)),
               computes = row_of(scene, 1, Stream::compute);
  EXPECT_EQ(scene.idle_text(0, receives, 1.0 * kMs),
            "idle for 2.00 ms: receive waits for its sender: rank 0 send(layer 0, mb 0).0:send, which has not begun");
  EXPECT_EQ(scene.idle_text(0, receives, 2.5 * kMs), "");
  EXPECT_EQ(scene.idle_text(0, computes, 4.0 * kMs), "");
  EXPECT_EQ(scene.idle_text(0, computes, 11.5 * kMs),
            "idle for 1.00 ms: pipeline bubble (drain): waits for rank 0 layer.b(layer 0, mb 1).1:matmul_dx, which is "
            "running");
  EXPECT_EQ(scene.idle_text(1, computes, 1.0 * kMs), "");  // there is no such timeline
}

// Backwards from rank 0's last backward: B1 [10,12), B0 [8,10), then nothing that explains [4,8), F1 [2,4), F0 [0,2);
// two products each.
TEST(Reasons, CriticalPathOnTheRows) {
  Scene scene;
  scene.set_timelines(make_timeline_by_hand(make_plan_by_hand(), 1, 70 * kMs), nullptr);
  const auto pieces = scene.critical_path(0);
  ASSERT_EQ(pieces.size(), 8u);
  EXPECT_EQ(pieces[0].start, 0);
  EXPECT_EQ(pieces[3].end, 4 * kMs);
  EXPECT_EQ(pieces[4].start, 8 * kMs);
  EXPECT_EQ(pieces[7].end, 12 * kMs);
  for (const PathPiece& piece : pieces) EXPECT_EQ(piece.row, row_of(scene, 0, Stream::compute));
  EXPECT_TRUE(scene.critical_path(1).empty());
}

}  // namespace
}  // namespace pgram::gui
