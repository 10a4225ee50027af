// The timeline file, version 1: header, then seven or eight sections at offsets divisible by 64. Little endian.
//
//   plan            JSON text of plan_to_json; count = 1
//   facts           count pairs of texts; a text is u32 length, then that many bytes
//   representative  count u32; none or one per rank
//   steps           count Step (48 bytes)
//   spans           count Span (32 bytes): mapped and viewed where they lie
//   counter names   count texts
//   counters        count CounterSample (24 bytes)
//   contention      count Contention (32 bytes): only where there is any; else the header says seven sections
#pragma once
#include <array>
#include <bit>
#include <cstdint>

#include "core/timeline/timeline.h"

namespace pgram {

static_assert(std::endian::native == std::endian::little, "the file holds the records as they lie in memory");
static_assert(sizeof(Step) == 48);

constexpr std::array<char, 8> kTimelineMagic{'P', 'G', 'R', 'A', 'M', 'T', 'L', '\0'};
constexpr uint32_t kTimelineVersion = 1;
constexpr uint64_t kSectionAlignment = 64;

enum TimelineSection {
  kPlan,
  kFacts,
  kRepresentative,
  kSteps,
  kSpans,
  kCounterNames,
  kCounters,
  kContention,
  kSections
};
constexpr uint64_t kFewestSections = kContention;
constexpr std::array<const char*, kSections> kSectionNames{"plan",  "facts",         "representative", "steps",
                                                           "spans", "counter names", "counters",       "contention"};

struct SectionEntry {
  uint64_t offset = 0, bytes = 0, count = 0;
};

struct TimelineHeader {
  std::array<char, 8> magic = kTimelineMagic;
  uint32_t version = kTimelineVersion;
  uint32_t source = 0;  ///< TimelineSource
  uint64_t file_bytes = 0;
  uint64_t num_sections = kSections;
  std::array<SectionEntry, kSections> sections;
  std::array<uint64_t, 4> reserved{};  ///< zero
};
static_assert(sizeof(TimelineHeader) == 256);

}  // namespace pgram
