#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "core/base/errors.h"
#include "core/plan/plan_file.h"
#include "core/timeline/compare.h"
#include "core/timeline/explanation.h"
#include "core/timeline/perfetto.h"
#include "core/timeline/summary.h"
#include "core/timeline/timeline.h"
#include "tests/timeline/hand_made.h"

namespace pgram {
namespace {

// Where the format puts things: 24 bytes of magic, version, source and sizes, 8 of the number of sections, then
// {offset, bytes, count} of each section.
enum { kPlan, kFacts, kRepresentative, kSteps, kSpans, kCounterNames, kCounters, kContention };
constexpr size_t offset_field(int section) {
  return 32 + 24 * static_cast<size_t>(section);
}
constexpr size_t bytes_field(int section) {
  return offset_field(section) + 8;
}
constexpr size_t count_field(int section) {
  return offset_field(section) + 16;
}

std::string read_bytes(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}
/// To a new file each time: some file systems write a truncated one to the disk at once.
void write_bytes(const std::string& path, const std::string& bytes) {
  std::filesystem::remove(path);
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}
std::string file_of(const Timeline& timeline) {
  const TemporaryFile file("made.timeline");
  write_timeline(timeline, file.path());
  return read_bytes(file.path());
}
template <typename Value>
void put(std::string& bytes, size_t at, Value value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}
template <typename Value>
Value get(const std::string& bytes, size_t at) {
  Value value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

/// The file is refused with one line that names it and says `reason`.
void expect_refused(const std::string& bytes, const std::string& reason) {
  const TemporaryFile file("bad.timeline");
  write_bytes(file.path(), bytes);
  try {
    read_timeline(file.path());
    ADD_FAILURE() << "was read; expected: " << reason;
  } catch (const InputError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find(file.path()), std::string::npos) << message;
    EXPECT_NE(message.find(reason), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

TEST(TimelineFile, ReadsBackWhatWasWritten) {
  for (const Timeline& written : {hand_made_timeline(), folded_timeline()}) {
    Timeline with_odd_facts = written;
    with_odd_facts.facts["null" + std::string(1, '\0') + "inside"] = "line\nbreak \xff";
    with_odd_facts.facts["empty"] = "";
    with_odd_facts.source = TimelineSource::measured;
    with_odd_facts.steps[0].loss = 5.5;
    with_odd_facts.steps[0].gradient_norm = 1.25;
    const TemporaryFile file("round.timeline");
    write_timeline(with_odd_facts, file.path());
    const Timeline read = read_timeline(file.path());
    EXPECT_EQ(plan_to_json(*read.plan), plan_to_json(*written.plan));
    EXPECT_EQ(read.source, TimelineSource::measured);
    EXPECT_EQ(read.facts, with_odd_facts.facts);
    EXPECT_EQ(read.representative, written.representative);
    ASSERT_EQ(read.steps.size(), 1u);
    EXPECT_EQ(read.steps[0].num_spans, 14u);
    EXPECT_EQ(read.steps[0].end, 100 * kUnit);
    EXPECT_EQ(read.steps[0].loss, 5.5);
    EXPECT_EQ(read.steps[0].gradient_norm, 1.25);
    EXPECT_TRUE(std::ranges::equal(read.spans, written.spans));
    EXPECT_EQ(read.counter_names, written.counter_names);
    ASSERT_EQ(read.counters.size(), written.counters.size());
    EXPECT_EQ(read.counters[1].value, 3000);
    EXPECT_EQ(read.counters[1].time, 20 * kUnit);
  }
}

TEST(TimelineFile, BytesAreTheDocumentedOnes) {
  const std::string bytes = file_of(hand_made_timeline());
  EXPECT_EQ(bytes.substr(0, 8), std::string("PGRAMTL\0", 8));
  EXPECT_EQ(get<uint32_t>(bytes, 8), 1u);
  EXPECT_EQ(get<uint64_t>(bytes, 16), bytes.size());
  EXPECT_EQ(get<uint64_t>(bytes, count_field(kSpans)), 14u);
  EXPECT_EQ(get<uint64_t>(bytes, bytes_field(kSpans)), 14u * 32);
  const uint64_t spans = get<uint64_t>(bytes, offset_field(kSpans));
  EXPECT_EQ(spans % 64, 0u);
  const auto second = hand_made_spans()[1];
  EXPECT_EQ(std::memcmp(bytes.data() + spans + 32, &second, 32), 0);
  EXPECT_EQ(bytes, file_of(hand_made_timeline()));  // the same timeline gives the same bytes
}

Timeline contended_timeline() {
  Timeline timeline = folded_timeline();
  timeline.contention = {{0, 5, 2, 0, 0, {}, 1500}, {0, 5, 3, 1, 0, {}, 500}, {0, 13, 1, 0, 1, {}, 2000}};
  return timeline;
}

TEST(TimelineFile, ContentionIsAnEighthSectionWhereThereIsAny) {
  const std::string without = file_of(folded_timeline()), with = file_of(contended_timeline());
  EXPECT_EQ(get<uint64_t>(without, 24), 7u);
  EXPECT_EQ(get<uint64_t>(without, offset_field(kContention)), 0u);  // as in files of before
  EXPECT_EQ(get<uint64_t>(with, 24), 8u);
  EXPECT_EQ(get<uint64_t>(with, bytes_field(kContention)), 3u * 32);
  const TemporaryFile file("contended.timeline");
  write_timeline(contended_timeline(), file.path());
  const Timeline read = read_timeline(file.path());
  ASSERT_EQ(read.contention.size(), 3u);
  EXPECT_EQ(read.contention[1].span, 5u);
  EXPECT_EQ(read.contention[1].rank, 3u);
  EXPECT_EQ(read.contention[1].call, 1u);
  EXPECT_EQ(read.contention[1].lost, 500);
  write_timeline(folded_timeline(), file.path());
  EXPECT_TRUE(read_timeline(file.path()).contention.empty());
}

TEST(TimelineFile, ContentionOutsideThePlanIsRefused) {
  const std::string good = file_of(contended_timeline());
  const size_t second = get<uint64_t>(good, offset_field(kContention)) + 32;
  const auto refused = [&](auto value, size_t field, const std::string& reason) {
    std::string bytes = good;
    put(bytes, second + field, value);
    expect_refused(bytes, reason);
  };
  refused(uint32_t{1}, 0, "contention[1]: step 1 does not exist");
  refused(uint32_t{14}, 4, "contention[1]: span 14 is not in step 0");
  refused(uint32_t{4}, 4, "contention[1]: out of order");
  refused(uint32_t{4}, 8, "contention[1]: its other task is not in the plan");
  refused(uint32_t{3}, 12, "contention[1]: its other task is not in the plan");
  refused(uint16_t{2}, 16, "contention[1]: its other task is not in the plan");
  refused(Picoseconds{-1}, 24, "contention[1]: expected a loss of 0 to 26 days, got -1 ps");
}

TEST(TimelineFile, MappedSpansOutliveTheFile) {
  Timeline read;
  {
    const TemporaryFile file("gone.timeline");
    write_timeline(hand_made_timeline(), file.path());
    read = read_timeline(file.path());
    write_timeline(folded_timeline(), file.path());  // renamed over the mapped one
  }
  EXPECT_TRUE(std::ranges::equal(read.spans, hand_made_spans()));
}

TEST(TimelineFile, NothingRemainsOfAFailedWrite) {
  const auto directory = std::filesystem::temp_directory_path() / ("pgram-dir-" + std::to_string(getpid()));
  std::filesystem::create_directory(directory);
  EXPECT_THROW(write_timeline(hand_made_timeline(), directory), InputError);               // a directory
  EXPECT_THROW(write_timeline(hand_made_timeline(), directory / "no" / "x"), InputError);  // in no directory
  Timeline unsorted = hand_made_timeline();
  auto spans = hand_made_spans();
  std::swap(spans[0], spans[1]);
  unsorted.set_spans(spans);
  EXPECT_THROW(write_timeline(unsorted, directory / "x"), InputError);
  EXPECT_THROW(write_timeline(hand_made_timeline(), "/dev/null"), InputError);
  EXPECT_TRUE(std::filesystem::is_empty(directory));
  std::filesystem::remove(directory);
}

TEST(TimelineFile, ForeignFilesAreRefused) {
  expect_refused("", "not a timeline");
  expect_refused("PGRAM", "not a timeline");
  expect_refused("{\"bodies\": []} and more than sixty-four bytes of something that is not a timeline at all",
                 "not a timeline");
  EXPECT_THROW(read_timeline("/"), InputError);
  EXPECT_THROW(read_timeline("/does/not/exist.timeline"), InputError);
}

TEST(TimelineFile, OtherVersionsAreRefusedWithAHint) {
  std::string bytes = file_of(hand_made_timeline());
  put<uint32_t>(bytes, 8, 2);
  expect_refused(bytes, "version 2, this program reads version 1: simulate or run the plan again");
  expect_refused(bytes.substr(0, 12), "version 2");
}

TEST(TimelineFile, EveryTruncationIsRefused) {
  const std::string bytes = file_of(hand_made_timeline());
  for (size_t length = 0; length < bytes.size(); length = length < 300 ? length + 1 : length + 97)
    expect_refused(bytes.substr(0, length), length < 8 ? "not a timeline" : "truncated");
  expect_refused(bytes + "x", "damaged");
}

TEST(TimelineFile, HostileSectionsAreRefused) {
  const std::string good = file_of(hand_made_timeline());
  const auto refused = [&](size_t at, uint64_t value, const std::string& reason) {
    std::string bytes = good;
    put<uint64_t>(bytes, at, value);
    expect_refused(bytes, reason);
  };
  refused(24, 9, "9 sections, expected 7 or 8");
  refused(24, 6, "6 sections, expected 7 or 8");
  refused(offset_field(kSpans), get<uint64_t>(good, offset_field(kSpans)) + 32, "spans: begins at byte");
  refused(offset_field(kSpans), 0, "spans: begins at byte 0, inside");
  refused(offset_field(kSpans), get<uint64_t>(good, offset_field(kSteps)), "inside what lies before it");
  refused(offset_field(kCounters), uint64_t{1} << 60, "counters: reaches beyond the end");
  refused(bytes_field(kCounters), ~uint64_t{0}, "counters: reaches beyond the end");
  refused(count_field(kSpans), uint64_t{1} << 59, "spans: has 448 bytes, expected");  // * 32 would wrap to 0
  refused(count_field(kSpans), 13, "spans: has 448 bytes, expected 13 records of 32");
  refused(count_field(kFacts), ~uint64_t{0}, "facts: ends before its last text");
  refused(count_field(kFacts), 1, "facts: has bytes behind its last text");
  refused(count_field(kCounterNames), 1, "counter names: has bytes behind its last text");
  refused(count_field(kPlan), 0, "plan: expected exactly one");
  std::string bytes = good;
  put<uint32_t>(bytes, 12, 2);
  expect_refused(bytes, "source: is 2");
  bytes = good;
  put<uint32_t>(bytes, get<uint64_t>(good, offset_field(kFacts)), 0xffffffff);
  expect_refused(bytes, "facts: a text of 4294967295 bytes reaches beyond");
}

TEST(TimelineFile, SpansOutsideThePlanAreRefused) {
  const std::string good = file_of(hand_made_timeline());
  const size_t span = get<uint64_t>(good, offset_field(kSpans)) + 2 * 32;
  const auto refused = [&](auto value, size_t field, const std::string& reason) {
    std::string bytes = good;
    put(bytes, span + field, value);
    expect_refused(bytes, reason);
  };
  refused(uint32_t{2}, 0, "spans[2]: rank 2 is not in the plan, expected less than 2");
  refused(uint32_t{3}, 4, "spans[2]: call 3 is not in the plan, expected less than 3");
  refused(uint16_t{3}, 8, "spans[2]: op 3 is not in the plan, expected less than 3");
  refused(uint8_t{kStreams}, 10, "spans[2]: stream");
  refused(Picoseconds{0}, 16, "spans[2]: out of order");
  refused(Picoseconds{90 * kUnit}, 16, "spans[2]: expected start <= end");
  refused(std::numeric_limits<Picoseconds>::min(), 16, "spans[2]: expected start <= end");
  refused(std::numeric_limits<Picoseconds>::max(), 24, "spans[2]: expected start <= end");
}

TEST(TimelineFile, InconsistentContentsAreRefused) {
  const auto refused = [](Timeline timeline, const std::string& reason) {
    try {
      write_timeline(timeline, (std::filesystem::temp_directory_path() / "pgram-never-written").string());
      ADD_FAILURE() << "was written; expected: " << reason;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find(reason), std::string::npos) << error.what();
    }
  };
  Timeline timeline = folded_timeline();
  timeline.representative = {0, 0, 2};
  refused(timeline, "3 entries, expected one for each of 4");
  timeline.representative = {0, 1, 2, 4};
  refused(timeline, "rank 3 is represented by 4");
  timeline.representative = {0, 0, 2, 1};
  refused(timeline, "rank 3 is represented by 1");
  timeline.representative = {0, 0, 0, 0};
  refused(timeline, "rank 2 is represented by 0, which is of another pipeline stage");
  timeline.representative = {1, 1, 2, 2};
  refused(timeline, "another rank stands for it");
  timeline = hand_made_timeline();
  timeline.steps[0].num_spans = 15;
  refused(timeline, "steps[0]: spans 0 + 15 reach beyond the 14");
  timeline.steps[0] = {~uint64_t{0}, 1, 0, 1, 0, 0};
  refused(timeline, "steps[0]");
  timeline.steps[0] = {0, 14, 1, 0, 0, 0};
  refused(timeline, "steps[0]: expected start <= end");
  timeline.steps.clear();
  refused(timeline, "steps: expected at least one");
  timeline = hand_made_timeline();
  timeline.counters[2].counter = 2;
  refused(timeline, "counters[2]: counter 2 has no name");
  timeline.counters[2] = {2, 0, 0, 0};
  refused(timeline, "counters[2]: rank 2");
}

/// Uses everything that a timeline read from a file may be used for.
void use(const Timeline& timeline) {
  const TemporaryFile trace("fuzz.json");
  summary_to_json(timeline, summarise(timeline));
  summary_to_text(timeline, summarise(timeline));
  comparison_to_text(timeline, timeline, compare(timeline, timeline));
  explanation_to_json(timeline, explain(timeline));
  write_perfetto(timeline, trace.path());
}

TEST(TimelineFile, DamagedFilesAreRefusedOrUsable) {
  const std::string good = file_of(contended_timeline());
  const size_t plan_begin = get<uint64_t>(good, offset_field(kPlan)),
               plan_end = get<uint64_t>(good, offset_field(kFacts));
  const TemporaryFile file("fuzz.timeline");
  std::mt19937_64 random(20240607);
  const auto below = [&](size_t limit) { return static_cast<size_t>(random() % limit); };
  int refused = 0, read = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = good;
    const size_t changes = 1 + below(3);
    for (size_t i = 0; i < changes; ++i) {
      // A third each in the header, in the records behind the plan, and in the plan's text.
      size_t at = below(256);
      if (round % 3 == 1) at = plan_end + below(good.size() - plan_end);
      if (round % 3 == 2) at = plan_begin + below(plan_end - plan_begin);
      switch (below(4)) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes[at] ^= static_cast<char>(1 << below(8));
          break;
        case 2:
          bytes[at] = static_cast<char>(below(2) ? 0xff : 0x7f);
          break;
        default:
          bytes[at] = static_cast<char>('0' + below(10));
          break;
      }
    }
    if (below(16) == 0) bytes.resize(below(bytes.size()));
    write_bytes(file.path(), bytes);
    try {
      const Timeline timeline = read_timeline(file.path());
      use(timeline);
      ++read;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find(file.path()), std::string::npos) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, 500);
  EXPECT_GT(read, 50);
}

}  // namespace
}  // namespace pgram
