// Reads the text format of fluid problems, strictly: every error names file, line and field.
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string_view>
#include <unordered_map>

#include "core/base/errors.h"
#include "core/base/json_reader.h"
#include "sim/network/fluid_problem.h"

namespace pgram::sim {

namespace {

// Wide enough for anything real, and the largest work at the lowest speed still ends at a finite time.
constexpr double kLeastSpeed = 1e-3, kMostSpeed = 1e21, kMostLatency = 1e6, kMostWork = 1e21;
constexpr uint64_t kMostBytes = uint64_t{1} << 34;                         // of a file
constexpr uint64_t kMostItems = std::numeric_limits<uint32_t>::max() - 1;  // of one kind

std::string shown(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

class Reader {
 public:
  explicit Reader(FluidProblem& problem) : problem_(problem) {}

  void read(const std::string& path) {
    file_ = path;
    line_ = 0;
    const std::string text = read_text_file(path, kMostBytes);
    for (std::string_view rest = text; !rest.empty();) {
      ++line_;
      const size_t end = rest.find('\n');
      if (end == std::string_view::npos)
        fail("", "expected a newline at the end of the last line; is the file cut off?");
      left_ = rest.substr(0, end);
      rest.remove_prefix(end + 1);
      left_ = left_.substr(0, left_.find('#'));
      const std::string_view kind = word();
      if (!kind.empty()) record(kind);
    }
  }

  void check_complete() {
    line_ = 0;
    if (problem_.tasks.empty()) fail("", "expected at least one task (C or M)");
  }

 private:
  void record(std::string_view kind) {
    if (kind == "H") {
      problem_.hosts.push_back(number("flops", kLeastSpeed, kMostSpeed));
      end_of_line();
    } else if (kind == "L") {
      const double bandwidth = number("bandwidth", kLeastSpeed, kMostSpeed);
      problem_.links.push_back({bandwidth, number("latency", 0, kMostLatency)});
      end_of_line();
    } else if (kind == "R") {
      route();
    } else if (kind == "C" || kind == "M") {
      task(kind == "M");
    } else {
      fail("", "expected a record H, L, R, C or M, got " + quoted(kind));
    }
  }

  void route() {
    FluidRoute route;
    route.source = index("source", problem_.hosts.size(), "host");
    route.target = index("target", problem_.hosts.size(), "host");
    route.first = static_cast<uint32_t>(problem_.route_links.size());
    while (more()) problem_.route_links.push_back(index("link", problem_.links.size(), "link"));
    if (problem_.route_links.size() > kMostItems) fail("link", "expected at most " + std::to_string(kMostItems));
    route.count = static_cast<uint32_t>(problem_.route_links.size()) - route.first;
    if (route.count == 0) fail("link", "expected at least one link");
    const auto number = static_cast<uint32_t>(problem_.routes.size());
    if (!routes_.emplace(uint64_t{route.source} << 32 | route.target, number).second) {
      fail("target", "expected one route from host " + std::to_string(route.source) + " to host " +
                         std::to_string(route.target) + ", got a second one");
    }
    problem_.routes.push_back(route);
  }

  void task(bool is_message) {
    FluidTask task;
    task.is_message = is_message;
    const uint64_t id = problem_.tasks.size();
    const std::string_view given = word();
    if (given != std::to_string(id)) {
      fail("id", "expected " + std::to_string(id) + ", the next task in order, got " + quoted(given));
    }
    if (id >= kMostItems) fail("id", "expected at most " + std::to_string(kMostItems) + " tasks");
    if (is_message) {
      const uint32_t source = index("source", problem_.hosts.size(), "host");
      const uint32_t target = index("target", problem_.hosts.size(), "host");
      const auto route = routes_.find(uint64_t{source} << 32 | target);
      if (route == routes_.end()) {
        fail("target", "expected a route (R " + std::to_string(source) + " " + std::to_string(target) +
                           " ...) before this message");
      }
      task.place = route->second;
      task.work = number("bytes", 0, kMostWork);
      if (task.work != std::floor(task.work)) fail("bytes", "expected a whole number, got " + shown(task.work));
    } else {
      task.place = index("host", problem_.hosts.size(), "host");
      task.work = number("flops", 0, kMostWork);
    }
    task.first_predecessor = static_cast<uint32_t>(problem_.predecessors.size());
    while (more()) problem_.predecessors.push_back(index("predecessor", id, "earlier task"));
    if (problem_.predecessors.size() > kMostItems)
      fail("predecessor", "expected at most " + std::to_string(kMostItems));
    task.num_predecessors = static_cast<uint32_t>(problem_.predecessors.size()) - task.first_predecessor;
    problem_.tasks.push_back(task);
  }

  static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

  bool more() {
    while (!left_.empty() && is_blank(left_.front())) left_.remove_prefix(1);
    return !left_.empty();
  }

  /// The next word of the line; empty at its end.
  std::string_view word() {
    more();
    size_t length = 0;
    while (length < left_.size() && !is_blank(left_[length])) ++length;
    const std::string_view word = left_.substr(0, length);
    left_.remove_prefix(length);
    return word;
  }

  double number(const char* field, double least, double most) {
    const std::string_view text = word();
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    // NaN is in no range.
    if (error != std::errc() || end != text.data() + text.size() || !(value >= least && value <= most)) {
      fail(field, "expected a number from " + shown(least) + " to " + shown(most) + ", got " + quoted(text));
    }
    return value;
  }

  uint32_t index(const char* field, uint64_t size, const char* what) {
    const std::string_view text = word();
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value >= size) {
      const std::string known =
          size == 0 ? std::string(", of which there is none") : " from 0 to " + std::to_string(size - 1);
      fail(field, std::string("expected the number of a") + (*what == 'e' ? "n " : " ") + what + known + ", got " +
                      quoted(text));
    }
    return static_cast<uint32_t>(value);
  }

  void end_of_line() {
    if (more()) fail("", "expected the end of the line, got " + quoted(word()));
  }

  static std::string quoted(std::string_view text) {
    return text.empty() ? "the end of the line" : json_quoted(std::string(text));
  }

  [[noreturn]] void fail(const char* field, const std::string& message) const {
    throw InputError(file_, line_, field, message);
  }

  FluidProblem& problem_;
  std::string file_;
  int line_ = 0;
  std::string_view left_;                          // of the line
  std::unordered_map<uint64_t, uint32_t> routes_;  // source << 32 | target
};

}  // namespace

FluidProblem read_fluid_problem(std::span<const std::string> paths) {
  FluidProblem problem;
  Reader reader(problem);
  for (const std::string& path : paths) reader.read(path);
  reader.check_complete();
  return problem;
}

}  // namespace pgram::sim
