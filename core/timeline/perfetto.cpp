#include "core/timeline/perfetto.h"

#include <cinttypes>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "core/base/errors.h"
#include "core/timeline/lookup.h"
#include "core/timeline/output_file.h"

namespace pgram {
namespace {

constexpr Picoseconds kNanosecond = 1000;

/// A JSON string in plain ASCII; bytes that are not UTF-8 become the replacement character.
std::string json_text(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

class TraceWriter {
 public:
  TraceWriter(const Timeline& timeline, const std::string& path)
      : timeline_(timeline), plan_(*timeline.plan), lookup_(plan_), file_(path) {
    op_names_.resize(plan_.bodies.size());
    for (size_t body = 0; body < plan_.bodies.size(); ++body) {
      for (const Op& op : plan_.bodies[body].ops)
        op_names_[body].push_back(json_text(plan_.bodies[body].name + " " + std::string(name_of(op.kernel))));
    }
  }

  void write(size_t first_step, size_t last_step) {
    begin_ = timeline_.steps[first_step].start;
    end_ = timeline_.steps[last_step].end;
    for (size_t step = first_step; step <= last_step; ++step) {
      begin_ = std::min(begin_, timeline_.steps[step].start);
      end_ = std::max(end_, timeline_.steps[step].end);
      for (const Span& span : timeline_.of_step(step)) {
        begin_ = std::min(begin_, span.start);
        end_ = std::max(end_, span.end);
      }
    }
    file_.write("{\"displayTimeUnit\":\"ms\",\"otherData\":{");
    const char* separator = "";
    for (const auto& [key, value] : timeline_.facts) {
      file_.write(separator + json_text(key) + ":" + json_text(value));
      separator = ",";
    }
    file_.write("},\"traceEvents\":[");
    write_processes();
    for (size_t step = first_step; step <= last_step; ++step) {
      for (const Span& span : timeline_.of_step(step)) write_span(span);
      write_flows(step);
    }
    write_counters();
    file_.write("\n]}\n");
    file_.commit();
  }

 private:
  void event(const std::string& json) {
    file_.write(first_event_ ? "\n" : ",\n");
    file_.write(json);
    first_event_ = false;
  }

  /// Microseconds with all six decimals that a picosecond needs.
  static std::string microseconds(Picoseconds time) {
    char text[40];
    std::snprintf(text, sizeof text, "%" PRId64 ".%06" PRId64, time / 1'000'000, time % 1'000'000);
    return text;
  }
  std::string at(Picoseconds time) const { return "\"ts\":" + microseconds(time - begin_); }

  static std::string on(uint32_t rank, uint32_t thread) {
    return "\"pid\":" + std::to_string(rank) + ",\"tid\":" + std::to_string(thread);
  }

  void metadata(const char* what, uint32_t rank, uint32_t thread, const std::string& argument) {
    event(std::string("{\"ph\":\"M\",\"name\":\"") + what + "\"," + on(rank, thread) + ",\"args\":{" + argument + "}}");
  }

  void write_processes() {
    const auto represented = represented_ranks(timeline_);
    for (uint32_t rank = 0; rank < represented.size(); ++rank) {
      if (represented[rank] == 0) continue;
      const auto [tp, dp, pp] = plan_.mesh.coordinates(rank);
      std::string name = "rank " + std::to_string(rank) + " (pp " + std::to_string(pp) + ", dp " + std::to_string(dp) +
                         ", tp " + std::to_string(tp) + ")";
      if (represented[rank] > 1) name += " +" + std::to_string(represented[rank] - 1) + " alike";
      metadata("process_name", rank, 0, "\"name\":" + json_text(name));
      metadata("process_sort_index", rank, 0, "\"sort_index\":" + std::to_string(rank));
    }
  }

  /// Spans of one stream can overlap (a receive that is still in flight when the next begins), slices of one thread
  /// cannot: what overlaps goes to the stream's next lane. Lane 0 has tid = stream.
  uint32_t thread_of(const Span& span) {
    std::vector<Picoseconds>& lanes = lane_ends_[{span.rank, span.stream}];
    size_t lane = 0;
    while (lane < lanes.size() && lanes[lane] > span.start) ++lane;
    const auto thread = static_cast<uint32_t>(lane * kStreams + span.stream);
    if (lane == lanes.size()) {
      lanes.push_back(span.end);
      std::string name = name_of(static_cast<Stream>(span.stream));
      if (lane > 0) name += " (" + std::to_string(lane + 1) + ")";
      metadata("thread_name", span.rank, thread, "\"name\":" + json_text(name));
      metadata("thread_sort_index", span.rank, thread,
               "\"sort_index\":" + std::to_string(span.stream * 1000 + std::min<size_t>(lane, 999)));
    }
    lanes[lane] = span.end;
    return thread;
  }

  void write_span(const Span& span) {
    const uint32_t thread = thread_of(span);
    const Call& call = lookup_.call(span);
    const Op& op = lookup_.op(span);
    if (is_point_to_point(op.kernel)) threads_[index_of(span)] = thread;
    const std::string category = "\"" + std::string(name_of(lookup_.category(span))) + "\"";
    std::string json = "{\"ph\":\"X\",\"name\":" + op_names_[call.body][span.op] + ",\"cat\":" + category + "," +
                       on(span.rank, thread) + "," + at(span.start) +
                       ",\"dur\":" + microseconds(span.end - span.start) +
                       ",\"args\":{\"task\":" + json_text(to_text(plan_, {span.rank, span.call, span.op})) +
                       ",\"category\":" + category + ",\"layer\":" + std::to_string(call.layer) +
                       ",\"micro_batch\":" + std::to_string(micro_batch_of(call, op)) +
                       ",\"flops\":" + std::to_string(op.flops) + ",\"bytes\":" + std::to_string(op.bytes);
    if (is_communication(op.kernel)) json += ",\"wait_us\":" + microseconds(span.wait());
    event(json + "}}");
  }

  uint64_t index_of(const Span& span) const { return static_cast<uint64_t>(&span - timeline_.spans.data()); }

  /// The k-th send on a channel meets the k-th receive at its other end; issue order is the order of (call, op).
  void write_flows(size_t step) {
    std::map<std::pair<uint16_t, uint32_t>, std::vector<const Span*>> sends, receives;
    for (const Span& span : timeline_.of_step(step)) {
      const Op& op = lookup_.op(span);
      if (is_point_to_point(op.kernel) && op.comm < plan_.comms.size())
        (op.kernel == Kernel::send ? sends : receives)[{op.comm, span.rank}].push_back(&span);
    }
    const auto issued = [](const Span* span) { return std::pair(span->call, span->op); };
    for (auto* ends : {&sends, &receives}) {
      for (auto& [channel, spans] : *ends) std::ranges::sort(spans, {}, issued);
    }
    for (const auto& [channel, sent] : sends) {
      const auto& [comm, rank] = channel;
      const auto ends = members(plan_, comm, rank);
      if (ends.size() != 2) continue;
      const auto received = receives.find({comm, timeline_.representative_of(ends[1])});
      if (received == receives.end()) continue;
      for (size_t k = 0; k < std::min(sent.size(), received->second.size()); ++k)
        write_flow(*sent[k], *received->second[k]);
    }
  }

  void write_flow(const Span& send, const Span& receive) {
    // An arrow ends inside the receive, and never before it begins: viewers drop such ones.
    const Picoseconds arrival = std::max({send.start, receive.start, receive.end - kNanosecond});
    const std::string common = "\"cat\":\"pipeline\",\"name\":\"send\",\"id\":" + std::to_string(next_flow_++) + ",";
    event("{\"ph\":\"s\"," + common + on(send.rank, threads_[index_of(send)]) + "," + at(send.start) + "}");
    event("{\"ph\":\"f\",\"bp\":\"e\"," + common + on(receive.rank, threads_[index_of(receive)]) + "," + at(arrival) +
          "}");
  }

  void write_counters() {
    for (const CounterSample& sample : timeline_.counters) {
      if (sample.time < begin_ || sample.time > end_) continue;
      const std::string name = json_text(timeline_.counter_names[sample.counter]);
      event("{\"ph\":\"C\",\"name\":" + name + "," + on(sample.rank, 0) + "," + at(sample.time) + ",\"args\":{" + name +
            ":" + std::to_string(sample.value) + "}}");
    }
  }

  const Timeline& timeline_;
  const Plan& plan_;
  TaskLookup lookup_;
  OutputFile file_;
  std::vector<std::vector<std::string>> op_names_;
  std::map<std::pair<uint32_t, uint8_t>, std::vector<Picoseconds>> lane_ends_;
  std::map<uint64_t, uint32_t> threads_;  ///< of sends and receives, by index of span
  Picoseconds begin_ = 0, end_ = 0;
  uint64_t next_flow_ = 0;
  bool first_event_ = true;
};

}  // namespace

void write_perfetto(const Timeline& timeline, const std::string& path, bool all_steps) {
  if (timeline.steps.empty()) throw InputError("timeline", "holds no step, expected at least one");
  const size_t median = timeline.median_step();
  TraceWriter(timeline, path).write(all_steps ? 0 : median, all_steps ? timeline.steps.size() - 1 : median);
}

}  // namespace pgram
