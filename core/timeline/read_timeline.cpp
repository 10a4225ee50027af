#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <numeric>
#include <string_view>

#include "core/base/errors.h"
#include "core/plan/plan_file.h"
#include "core/timeline/file_format.h"
#include "core/timeline/lookup.h"

namespace pgram {
namespace {

/// A whole file, mapped read-only. Writers rename instead of truncating, so the map outlives a rewrite.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path) {
    const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) throw InputError(path, 0, "", std::string("cannot be read: ") + std::strerror(errno));
    struct stat status {};
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
      close(descriptor);
      throw InputError(path, 0, "", "cannot be read: expected a regular file");
    }
    size_ = static_cast<size_t>(status.st_size);
    if (size_ > 0) data_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
    const int error = errno;
    close(descriptor);
    if (data_ == MAP_FAILED) throw InputError(path, 0, "", std::string("cannot be mapped: ") + std::strerror(error));
  }
  ~MappedFile() {
    if (size_ > 0) munmap(data_, size_);
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::string_view bytes() const { return {static_cast<const char*>(data_), size_}; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

class Reader {
 public:
  Reader(const std::string& path, std::string_view bytes) : path_(path), bytes_(bytes) {}

  Timeline read() {
    read_header();
    check_sections();
    Timeline timeline;
    timeline.source = static_cast<TimelineSource>(header_.source);
    timeline.plan = std::make_shared<const Plan>(plan_from_json(std::string(section(kPlan)), path_));
    timeline.facts = read_facts();
    timeline.representative = copy_of<uint32_t>(kRepresentative);
    timeline.steps = copy_of<Step>(kSteps);
    timeline.spans = view_of<Span>(kSpans);
    timeline.counter_names = read_counter_names();
    timeline.counters = copy_of<CounterSample>(kCounters);
    timeline.contention = copy_of<Contention>(kContention);
    return timeline;
  }

 private:
  [[noreturn]] void fail(const std::string& field, const std::string& message) const {
    throw InputError(path_, 0, field, message);
  }

  void read_header() {
    if (bytes_.size() < kTimelineMagic.size() || !std::ranges::equal(bytes_.substr(0, 8), kTimelineMagic))
      fail("", "not a timeline file: expected one written by 'simulate' or 'run' with --out");
    std::memcpy(static_cast<void*>(&header_), bytes_.data(), std::min(bytes_.size(), sizeof header_));
    if (bytes_.size() >= offsetof(TimelineHeader, source) && header_.version != kTimelineVersion)
      fail("version", "version " + std::to_string(header_.version) + ", this program reads version " +
                          std::to_string(kTimelineVersion) + ": simulate or run the plan again");
    if (bytes_.size() < sizeof header_)
      fail("", "truncated: expected a header of " + std::to_string(sizeof header_) + " bytes, the file has " +
                   std::to_string(bytes_.size()));
    if (header_.file_bytes != bytes_.size())
      fail("", std::string(header_.file_bytes > bytes_.size() ? "truncated" : "damaged") + ": the header says " +
                   std::to_string(header_.file_bytes) + " bytes, the file has " + std::to_string(bytes_.size()));
    if (header_.num_sections < kFewestSections || header_.num_sections > kSections)
      fail("header", "has " + std::to_string(header_.num_sections) + " sections, expected " +
                         std::to_string(kFewestSections) + " or " + std::to_string(int{kSections}));
    if (header_.num_sections == kFewestSections) header_.sections[kContention] = {};
    if (header_.source > static_cast<uint32_t>(TimelineSource::measured))
      fail("source", "is " + std::to_string(header_.source) + ", expected 0 (simulated) or 1 (measured)");
  }

  void check_sections() const {
    std::vector<int> order(header_.num_sections);
    std::iota(order.begin(), order.end(), 0);
    std::ranges::sort(order, {}, [&](int at) { return header_.sections[at].offset; });
    uint64_t free_from = sizeof header_;
    for (const int at : order) {
      const SectionEntry& entry = header_.sections[at];
      if (entry.offset % kSectionAlignment != 0)
        fail(kSectionNames[at], "begins at byte " + std::to_string(entry.offset) + ", expected a multiple of " +
                                    std::to_string(kSectionAlignment));
      if (entry.offset < free_from)
        fail(kSectionNames[at], "begins at byte " + std::to_string(entry.offset) + ", inside what lies before it");
      if (entry.offset > bytes_.size() || entry.bytes > bytes_.size() - entry.offset)
        fail(kSectionNames[at], "reaches beyond the end of the file");
      free_from = entry.offset + entry.bytes;
    }
    if (header_.sections[kPlan].count != 1) fail("plan", "expected exactly one");
  }

  std::string_view section(TimelineSection at) const {
    const SectionEntry& entry = header_.sections[at];
    return entry.bytes == 0 ? std::string_view() : bytes_.substr(entry.offset, entry.bytes);
  }

  template <typename Record>
  std::span<const Record> view_of(TimelineSection at) const {
    const SectionEntry& entry = header_.sections[at];
    if (entry.bytes % sizeof(Record) != 0 || entry.bytes / sizeof(Record) != entry.count)
      fail(kSectionNames[at], "has " + std::to_string(entry.bytes) + " bytes, expected " + std::to_string(entry.count) +
                                  " records of " + std::to_string(sizeof(Record)));
    return {reinterpret_cast<const Record*>(section(at).data()), entry.count};
  }
  template <typename Record>
  std::vector<Record> copy_of(TimelineSection at) const {
    const auto view = view_of<Record>(at);
    return {view.begin(), view.end()};
  }

  /// The next text of a section; `rest` becomes what follows it.
  std::string next_text(TimelineSection at, std::string_view& rest) const {
    uint32_t length = 0;
    if (rest.size() < sizeof length) fail(kSectionNames[at], "ends before its last text");
    std::memcpy(&length, rest.data(), sizeof length);
    rest.remove_prefix(sizeof length);
    if (length > rest.size())
      fail(kSectionNames[at], "a text of " + std::to_string(length) + " bytes reaches beyond the section");
    std::string text(rest.substr(0, length));
    rest.remove_prefix(length);
    return text;
  }

  std::map<std::string, std::string> read_facts() const {
    std::map<std::string, std::string> facts;
    std::string_view rest = section(kFacts);
    for (uint64_t i = 0; i < header_.sections[kFacts].count; ++i) {
      std::string key = next_text(kFacts, rest);
      std::string value = next_text(kFacts, rest);
      if (!facts.emplace(std::move(key), std::move(value)).second) fail("facts", "the same fact is given twice");
    }
    if (!rest.empty()) fail("facts", "has bytes behind its last text");
    return facts;
  }

  std::vector<std::string> read_counter_names() const {
    std::vector<std::string> names;
    std::string_view rest = section(kCounterNames);
    for (uint64_t i = 0; i < header_.sections[kCounterNames].count; ++i)
      names.push_back(next_text(kCounterNames, rest));
    if (!rest.empty()) fail("counter names", "has bytes behind its last text");
    return names;
  }

  const std::string& path_;
  std::string_view bytes_;
  TimelineHeader header_;
};

}  // namespace

Timeline read_timeline(const std::string& path) {
  auto file = std::make_shared<const MappedFile>(path);
  Timeline timeline = Reader(path, file->bytes()).read();
  timeline.storage = std::move(file);
  check_timeline(timeline, path);
  return timeline;
}

}  // namespace pgram
