// Scene: everything the timeline view shows, without a window: two timelines, their common rows, their matching, the
// colours, and a raster for every row that was asked for.
#pragma once
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gui/model/matcher.h"
#include "gui/model/reasons.h"
#include "gui/model/row_raster.h"
#include "gui/model/track_store.h"

namespace pgram::gui {

/// A span as the window shows it: in one of the timelines, on a row (whose rank it may only represent).
struct Spot {
  int side = 0;  ///< 0 upper, 1 lower
  size_t row = 0;
  uint32_t span = 0;  ///< index into the side's step
  bool operator==(const Spot&) const = default;
};

/// A stretch of the critical path, on a row.
struct PathPiece {
  size_t row = 0;
  Picoseconds start = 0, end = 0;  ///< since the step's start
};

class Scene {
 public:
  /// Median steps are shown. Either may be null.
  void set_timelines(std::shared_ptr<const Timeline> upper, std::shared_ptr<const Timeline> lower);
  void set_colours(const Theme&, ColourMode);
  void show_communication(bool);

  const TrackStore* store(int side) const { return stores_[static_cast<size_t>(side)].get(); }
  const Timeline* timeline(int side) const { return store(side) ? store(side)->timeline.get() : nullptr; }
  bool empty() const { return !stores_[0] && !stores_[1]; }
  const std::vector<Row>& rows() const { return rows_; }
  const Matcher& matcher() const { return matcher_; }
  const Theme& theme() const { return *theme_; }
  ColourMode colour_mode() const { return mode_; }
  bool shows_communication() const { return communication_; }
  Picoseconds duration() const;  ///< of the longer step
  /// "Simulated" and "Measured", or "A" and "B" where both are of one kind.
  std::string title(int side) const;

  const Track* track(int side, size_t row) const;
  /// Made on first use; null where the side has no track on this row.
  const RowRaster* raster(int side, size_t row) const;

  std::optional<Spot> spot_at(int side, size_t row, double time) const;
  /// What is painted at a time; nothing in a gap.
  std::optional<Pixel> colour_at(int side, size_t row, double time) const;
  /// The same task in the other timeline.
  std::optional<Spot> partner(const Spot&) const;
  const Span& span(const Spot& spot) const { return store(spot.side)->spans()[spot.span]; }
  /// The task with the rank of the row, not of its representative.
  Task task(const Spot&) const;
  /// Why a row is idle at a time: "idle for 12 us: waits for ..."; empty where it is busy or nothing is known.
  std::string idle_text(int side, size_t row, double time) const;
  /// What of a side's critical path is on the rows there are, in time order.
  std::vector<PathPiece> critical_path(int side) const;
  /// memory_curve() of a side, kept until the timelines change.
  const MemoryCurve& memory(int side, uint32_t rank) const;
  /// Of the upper timeline, where it has memory samples, else of the lower.
  uint32_t fullest_rank() const { return fullest_rank_; }
  /// "rank 3 layer.f(layer 2, mb 1).4:matmul"
  std::string text(const Spot&) const;

 private:
  void make_rows_again();

  std::array<std::unique_ptr<TrackStore>, 2> stores_;
  Matcher matcher_;
  std::vector<Row> rows_;
  const Theme* theme_ = &light_theme();
  ColourMode mode_ = ColourMode::kind;
  bool communication_ = true;
  struct Painted {
    std::vector<uint8_t> classes;
    std::unique_ptr<RowRaster> raster;
  };
  mutable std::array<std::vector<Painted>, 2> painted_;  ///< by track
  mutable std::array<std::map<uint32_t, MemoryCurve>, 2> memory_;
  mutable std::array<std::unique_ptr<Reasons>, 2> reasons_;
  uint32_t fullest_rank_ = 0;
};

/// One line of the details: what, in the upper and in the lower timeline.
struct Detail {
  std::string name, upper, lower;
};
/// Times, waiting, difference, category, FLOPs and bytes of a span and its partner.
std::vector<Detail> describe(const Scene&, const Spot&);
/// "+4.2 %"; "-" where there is no base.
std::string format_difference(double own, double base);

}  // namespace pgram::gui
