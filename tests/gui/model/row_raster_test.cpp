#include "gui/model/row_raster.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace pgram::gui {
namespace {

/// Pieces of 50 us on average, half of the gaps empty, now and then a long bubble.
Track random_track(size_t pieces, uint32_t seed) {
  std::mt19937 random(seed);
  std::exponential_distribution<double> length(1 / 5e7);
  Track track;
  Picoseconds now = random() % 1000;
  for (size_t i = 0; i < pieces; ++i) {
    const auto duration = static_cast<Picoseconds>(length(random)) + 1;
    track.start.push_back(now);
    track.end.push_back(now + duration);
    track.span.push_back(static_cast<uint32_t>(i));
    track.kind.push_back(static_cast<uint8_t>(random() % kCategories));
    now += duration;
    if (random() % 2) now += static_cast<Picoseconds>(length(random));
    if (random() % 500 == 0) now += 5'000'000'000;
  }
  return track;
}

/// The definition: every column's mean over every piece.
std::vector<std::array<double, 4>> brute_force(const Track& track, const Palette& palette, double t0, double step,
                                               int width) {
  std::vector<std::array<double, 4>> columns(static_cast<size_t>(width));
  for (int x = 0; x < width; ++x) {
    const double from = t0 + x * step, to = from + step;
    for (size_t i = 0; i < track.size(); ++i) {
      const double overlap =
          std::min(to, static_cast<double>(track.end[i])) - std::max(from, static_cast<double>(track.start[i]));
      if (overlap <= 0) continue;
      const Pixel colour = palette[track.kind[i]];
      for (size_t c = 0; c < 4; ++c) {
        columns[static_cast<size_t>(x)][c] += overlap / step * (colour >> (8 * c) & 0xff);
      }
    }
  }
  return columns;
}

double worst_error(const std::vector<Pixel>& got, const std::vector<std::array<double, 4>>& want, double& rms) {
  double worst = 0, squares = 0;
  for (size_t x = 0; x < got.size(); ++x) {
    for (size_t c = 0; c < 4; ++c) {
      const double error = std::abs(want[x][c] - (got[x] >> (8 * c) & 0xff));
      worst = std::max(worst, error);
      squares += error * error;
    }
  }
  rms = std::sqrt(squares / (4.0 * static_cast<double>(got.size())));
  return worst;
}

class BoxFilter : public ::testing::TestWithParam<double> {};

TEST_P(BoxFilter, EqualsBruteForce) {
  const Track track = random_track(5000, 7);
  const RowRaster raster(track, track.kind, light_theme().kind);
  const double t0 = static_cast<double>(track.end.back()) / 3;
  std::vector<Pixel> got(300);
  raster.render_exact(t0, GetParam(), 300, got.data());
  double rms = 0;
  EXPECT_LE(worst_error(got, brute_force(track, light_theme().kind, t0, GetParam(), 300), rms), 2);
}
INSTANTIATE_TEST_SUITE_P(PicosecondsPerPixel, BoxFilter, ::testing::Values(10.0, 2e5, 5e6, 4.3e7, 4e8, 1e9, 2e10));

TEST(BoxFilter, BeforeAndAfterTheTrackIsEmpty) {
  const Track track = random_track(100, 3);
  const RowRaster raster(track, track.kind, light_theme().kind);
  std::vector<Pixel> got(50, 1);
  raster.render(-1e12, 1e10, 50, got.data());
  for (const Pixel pixel : got) EXPECT_EQ(pixel, 0u);
  raster.render(static_cast<double>(track.end.back()) + 1, 1e6, 50, got.data());
  for (const Pixel pixel : got) EXPECT_EQ(pixel, 0u);
  const Track empty;
  RowRaster(empty, empty.kind, light_theme().kind).render(0, 1e6, 50, got.data());
  for (const Pixel pixel : got) EXPECT_EQ(pixel, 0u);
}

TEST(BoxFilter, ARowBusyATenthOfTheTimeIsATenthCovered) {
  Track track;  // 1 ns busy of every 10 ns
  for (uint32_t i = 0; i < 1000; ++i) {
    track.start.push_back(i * 10'000);
    track.end.push_back(i * 10'000 + 1000);
    track.span.push_back(i);
    track.kind.push_back(0);
  }
  const RowRaster raster(track, track.kind, light_theme().kind);
  std::vector<Pixel> got(10);
  raster.render(0, 1e6, 10, got.data());  // 100 pieces a column: alpha 25.5
  for (const Pixel pixel : got) EXPECT_NEAR(alpha(pixel), 25.5, 1);
}

TEST(Pyramid, StaysNearTheExactFilter) {
  const Track track = random_track(40'000, 11);
  const RowRaster raster(track, track.kind, light_theme().kind);
  const double span = static_cast<double>(track.end.back());
  for (const double step : {span / 2000, span / 700, span / 300}) {
    ASSERT_TRUE(raster.pyramid_covers(step));
    std::vector<Pixel> exact(300), fast(300);
    raster.render_exact(span / 9, step, 300, exact.data());
    raster.render(span / 9, step, 300, fast.data());
    double squares = 0;
    for (size_t x = 0; x < exact.size(); ++x) {
      for (int c = 0; c < 4; ++c) {
        const int error = static_cast<int>(exact[x] >> (8 * c) & 0xff) - static_cast<int>(fast[x] >> (8 * c) & 0xff);
        EXPECT_LE(std::abs(error), 24) << "column " << x << " step " << step;
        squares += error * error;
      }
    }
    EXPECT_LT(std::sqrt(squares / 1200), 4) << step;
  }
  EXPECT_FALSE(raster.pyramid_covers(1e6));
}

TEST(Compose, HatchesOnlyWhatIsUncovered) {
  const std::vector<Pixel> line{rgb(10, 20, 30), 0, 0, 0, 0, 0, 0, 0, 0, 0};
  const Background background{rgb(255, 255, 255), rgb(200, 100, 50), true, 0, 8};
  std::vector<Pixel> out(10);
  compose(line.data(), 10, 0, background, out.data());
  EXPECT_EQ(out[0], rgb(10, 20, 30));   // covered
  EXPECT_EQ(out[1], background.hatch);  // (1 + 0) % 8 < 2
  EXPECT_EQ(out[2], background.plain);
  EXPECT_EQ(out[8], background.plain);  // on the line, but outside of the step
  compose(line.data(), 10, 5, background, out.data());
  EXPECT_EQ(out[3], background.hatch);  // (3 + 5) % 8 = 0: the line leans
}

TEST(Theme, LabelsCanBeRead) {
  for (const Theme* theme : {&light_theme(), &dark_theme()}) {
    EXPECT_GE(contrast(theme->text, theme->window), 7);
    EXPECT_GE(contrast(theme->faint_text, theme->window), 4.5);
    for (const ColourMode mode : {ColourMode::kind, ColourMode::difference}) {
      for (const Pixel colour : theme->palette(mode)) EXPECT_GE(contrast(text_on(colour), colour), 4.5);
    }
  }
}

}  // namespace
}  // namespace pgram::gui
