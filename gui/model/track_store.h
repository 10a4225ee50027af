// TrackStore: one step of a Timeline, laid out for drawing: a track per rank and stream, structure of arrays.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/timeline/timeline.h"
#include "gui/model/theme.h"

namespace pgram::gui {

/// A run of a compute stream that belongs to one slot of the schedule ("F0").
struct Block {
  Picoseconds start = 0, end = 0;
  std::string label;  ///< "F0", "B3", "optimizer"
  Category category = Category::other;
};

/// Pieces of one stream of one rank, in time order and free of overlap. A span is one piece, or two when it is a
/// communication that first waits for its other members.
struct Track {
  uint32_t rank = 0;
  Stream stream = Stream::compute;
  std::vector<Picoseconds> start, end;  ///< since the step's start
  std::vector<uint32_t> span;           ///< index into the step's spans
  std::vector<uint8_t> kind;            ///< class of theme.h for ColourMode::kind
  std::vector<Block> blocks;            ///< compute stream only

  size_t size() const { return start.size(); }
  size_t first_ending_after(double time) const;
  /// The piece that covers `time`.
  std::optional<size_t> piece_at(Picoseconds time) const;
};

struct TrackStore {
  std::shared_ptr<const Timeline> timeline;
  size_t step = 0;
  Picoseconds origin = 0;     ///< the step's start on the timeline's clock
  Picoseconds duration = 0;   ///< of the step
  std::vector<Track> tracks;  ///< by rank, then stream; folded ranks share their representative's

  std::span<const Span> spans() const { return timeline->of_step(step); }
  /// The track that shows (rank, stream), which may be its representative's.
  std::optional<uint32_t> find(uint32_t rank, Stream) const;
  uint32_t ranks() const { return timeline->plan->mesh.ranks(); }
};

/// The step must exist. Spans out of the plan's bounds are left out (files are not trusted).
TrackStore make_tracks(std::shared_ptr<const Timeline>, size_t step);

/// What a span is called where there is little room: its kernel; a collective's step by what it carries ("chunk 2 from
/// 1").
std::string short_name(const Plan&, const Body&, const Op&);

/// A row of the window: the same rank and stream in both timelines. Tracks that a timeline lacks are empty.
struct Row {
  uint32_t rank = 0;
  Stream stream = Stream::compute;
  std::array<std::optional<uint32_t>, 2> track;
  uint32_t stands_for = 1;  ///< ranks that this row represents, itself included
  bool first_of_rank = false;
};

/// Rows of both timelines (either may be null). Every rank has its rows if there are at most `max_ranks`, else only the
/// representatives of the upper timeline have.
std::vector<Row> make_rows(const TrackStore* upper, const TrackStore* lower, bool communication,
                           uint32_t max_ranks = 64);

/// Memory of one rank over the step: (time since the step's start, bytes), in time order, each value valid until the
/// next. Empty when the timeline has no memory counter for the rank.
using MemoryCurve = std::vector<std::pair<Picoseconds, int64_t>>;
MemoryCurve memory_curve(const TrackStore&, uint32_t rank);
/// The rank of the highest memory sample of the step; 0 without samples.
uint32_t fullest_rank(const TrackStore&);

}  // namespace pgram::gui
