#include <cassert>
#include <string>

#include "core/plan/plan_file.h"
#include "core/timeline/file_format.h"
#include "core/timeline/lookup.h"
#include "core/timeline/output_file.h"

namespace pgram {

static void append_text(std::string& bytes, const std::string& text) {
  const auto length = static_cast<uint32_t>(text.size());
  bytes.append(reinterpret_cast<const char*>(&length), sizeof length);
  bytes += text;
}

template <typename Record>
static std::string_view as_bytes(std::span<const Record> records) {
  return {reinterpret_cast<const char*>(records.data()), records.size_bytes()};
}

static uint64_t aligned(uint64_t offset) {
  return (offset + kSectionAlignment - 1) / kSectionAlignment * kSectionAlignment;
}

void write_timeline(const Timeline& timeline, const std::string& path) {
  assert(timeline.plan);
  check_timeline(timeline, path);  // nothing is written that could not be read

  const std::string plan = plan_to_json(*timeline.plan);
  std::string facts, names;
  for (const auto& [key, value] : timeline.facts) {
    append_text(facts, key);
    append_text(facts, value);
  }
  for (const std::string& name : timeline.counter_names) append_text(names, name);

  std::array<std::string_view, kSections> contents;
  TimelineHeader header;
  header.source = static_cast<uint32_t>(timeline.source);
  uint64_t end = sizeof header;
  const auto place = [&](TimelineSection section, std::string_view bytes, uint64_t count) {
    contents[section] = bytes;
    header.sections[section] = {aligned(end), bytes.size(), count};
    end = header.sections[section].offset + bytes.size();
  };
  place(kPlan, plan, 1);
  place(kFacts, facts, timeline.facts.size());
  place(kRepresentative, as_bytes(std::span(timeline.representative)), timeline.representative.size());
  place(kSteps, as_bytes(std::span(timeline.steps)), timeline.steps.size());
  place(kSpans, as_bytes(timeline.spans), timeline.spans.size());
  place(kCounterNames, names, timeline.counter_names.size());
  place(kCounters, as_bytes(std::span(timeline.counters)), timeline.counters.size());
  header.num_sections = kFewestSections;
  if (!timeline.contention.empty()) {
    header.num_sections = kSections;
    place(kContention, as_bytes(std::span(timeline.contention)), timeline.contention.size());
  }
  header.file_bytes = end;

  OutputFile file(path);
  file.write(&header, sizeof header);
  for (uint64_t section = 0; section < header.num_sections; ++section) {
    static constexpr std::array<char, kSectionAlignment> kPadding{};
    file.write(kPadding.data(), header.sections[section].offset - file.position());
    file.write(contents[section]);
  }
  file.commit();
}

}  // namespace pgram
