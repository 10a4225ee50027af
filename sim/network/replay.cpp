// Replays a FluidProblem: tasks start as their predecessors end, messages wait for their latency, and everything that
// is under way is a flow of one FlowNetwork, hosts being links of their own.
#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <utility>

#include "sim/network/date_queue.h"
#include "sim/network/fluid_problem.h"

namespace pgram::sim {

namespace {

constexpr double kSameDate = 1e-12;  // seconds; events nearer than this are one date
constexpr double kInfinity = std::numeric_limits<double>::infinity();

class Replay {
 public:
  Replay(const FluidProblem& problem, FluidTimes& times)
      : problem_(problem), times_(times), network_(capacities(problem), kSameDate) {
    index_steps();
    index_successors();
  }

  void run(const std::function<bool(size_t)>& go_on) {
    for (uint32_t task = 0; task < problem_.tasks.size(); ++task) {
      if (problem_.tasks[task].num_predecessors == 0) start(task);
    }
    end_ready();
    constexpr size_t kReportEvery = 1 << 14;
    for (size_t next_report = kReportEvery; !waiting_.empty() || !network_.idle();) {
      if (times_.num_finished >= next_report) {
        next_report += kReportEvery;
        if (go_on && !go_on(times_.num_finished)) break;
      }
      now_ = std::min(waiting_.empty() ? kInfinity : waiting_.first().date, network_.next_end());
      pass_date();
    }
    times_.makespan = now_;
    times_.statistics = network_.statistics();
    times_.start.reserve(tasks_.size());
    times_.finish.reserve(tasks_.size());
    for (const Task& task : tasks_) {
      times_.start.push_back(task.start);
      times_.finish.push_back(task.finish);
    }
  }

 private:
  /// All that a task needs to begin, in one place: in a large problem every other one is far away.
  struct Step {
    double latency = 0, work = 0;
    uint32_t first_link = 0, num_links = 0;  // into FluidProblem::route_links; kHost: the number of its link
  };
  static constexpr uint32_t kHost = ~0U;
  /// When it ran, and all that counts while others end: one read where a predecessor ends, one where it ends itself.
  struct alignas(32) Task {
    std::span<const uint32_t> successors(const std::vector<uint32_t>& many) const {
      return {num_successors > few.size() ? many.data() + few[0] : few.data(), num_successors};
    }

    double start = std::numeric_limits<double>::quiet_NaN(), finish = start;
    uint32_t missing = 0;  // predecessors that have not ended
    uint32_t num_successors = 0;
    std::array<uint32_t, 2> few{};  // successors; if there are more, the first is where they begin in many_successors_
  };

  static std::vector<double> capacities(const FluidProblem& problem) {
    std::vector<double> all;
    for (const FluidLink& link : problem.links) all.push_back(link.bytes_per_second);
    all.insert(all.end(), problem.hosts.begin(), problem.hosts.end());
    return all;
  }

  void index_steps() {
    const std::vector<double> latencies = latencies_of_routes();
    const auto first_host = static_cast<uint32_t>(problem_.links.size());
    steps_.reserve(problem_.tasks.size());
    for (const FluidTask& task : problem_.tasks) {
      if (task.is_message) {
        const FluidRoute& route = problem_.routes[task.place];
        steps_.push_back({latencies[task.place], task.work, route.first, route.count});
      } else {
        steps_.push_back({0, task.work, first_host + task.place, kHost});
      }
    }
  }

  std::vector<double> latencies_of_routes() const {
    std::vector<double> latencies;
    latencies.reserve(problem_.routes.size());
    for (const FluidRoute& route : problem_.routes) {
      double& latency = latencies.emplace_back();
      for (uint32_t i = 0; i < route.count; ++i) {
        latency += problem_.links[problem_.route_links[route.first + i]].latency;
      }
    }
    return latencies;
  }

  void index_successors() {
    tasks_.resize(problem_.tasks.size());
    for (uint32_t predecessor : problem_.predecessors) ++tasks_[predecessor].num_successors;
    uint32_t many = 0;
    for (Task& task : tasks_) {
      if (task.num_successors > task.few.size()) task.few[0] = std::exchange(many, many + task.num_successors);
    }
    many_successors_.resize(many);
    std::vector<uint32_t> known(tasks_.size());  // successors
    for (uint32_t task = 0; task < tasks_.size(); ++task) {
      const FluidTask& t = problem_.tasks[task];
      tasks_[task].missing = t.num_predecessors;
      for (uint32_t i = 0; i < t.num_predecessors; ++i) {
        const uint32_t number = problem_.predecessors[t.first_predecessor + i];
        Task& before = tasks_[number];
        uint32_t* const list =
            before.num_successors > before.few.size() ? &many_successors_[before.few[0]] : before.few.data();
        list[known[number]++] = task;
      }
    }
  }

  /// Everything that happens at now_, before rates are worked out again.
  void pass_date() {
    while (!waiting_.empty() && waiting_.first().date <= now_ + kSameDate) {
      const uint32_t task = waiting_.first().id;
      waiting_.pop();
      begin_work(task);
    }
    end_ready();
    look_at_next_message();
    while (!network_.idle() && network_.next_end() <= now_ + kSameDate) {
      __builtin_prefetch(&tasks_[network_.next_id()], 1);
      end(network_.finish());
      end_ready();
    }
  }

  /// In a large network the links of the next message are far: they come near while rates are worked out.
  void look_at_next_message() const {
    if (waiting_.empty()) return;
    const Step& next = steps_[waiting_.first().id];
    for (uint32_t i = 0; i < next.num_links; ++i) network_.prefetch(problem_.route_links[next.first_link + i]);
  }

  void start(uint32_t task) {
    tasks_[task].start = now_;
    const Step& step = steps_[task];
    if (step.latency > 0) {
      __builtin_prefetch(problem_.route_links.data() + step.first_link);
      waiting_.push({now_ + step.latency, task, 0});
    } else {
      begin_work(task);
    }
  }

  void begin_work(uint32_t task) {
    const Step& step = steps_[task];
    if (step.work == 0) {
      ready_to_end_.push_back(task);
      return;
    }
    // Routes say only which links: so little of a large problem comes into the cache.
    uses_.clear();
    if (step.num_links == kHost) {
      uses_.push_back({step.first_link, 1});
    } else {
      for (uint32_t i = 0; i < step.num_links; ++i) uses_.push_back({problem_.route_links[step.first_link + i], 1});
    }
    network_.start(now_, task, step.work, kInfinity, uses_);
  }

  /// Tasks without work, which may start further ones at the same date.
  void end_ready() {
    while (!ready_to_end_.empty()) {
      const uint32_t task = ready_to_end_.back();
      ready_to_end_.pop_back();
      end(task);
    }
  }

  void end(uint32_t task) {
    tasks_[task].finish = now_;
    ++times_.num_finished;
    for (const uint32_t successor : tasks_[task].successors(many_successors_)) {
      __builtin_prefetch(&steps_[successor]);
      if (--tasks_[successor].missing == 0) start(successor);
    }
  }

  const FluidProblem& problem_;
  FluidTimes& times_;
  FlowNetwork network_;
  double now_ = 0;
  DateQueue waiting_;  // messages in their latency
  std::vector<uint32_t> ready_to_end_;
  std::vector<Step> steps_;  // of each task
  std::vector<Task> tasks_;
  std::vector<uint32_t> many_successors_;  // of tasks that have more than they have room for
  std::vector<LinkUse> uses_;              // of the task that begins
};

}  // namespace

FluidTimes replay(const FluidProblem& problem, const std::function<bool(size_t)>& go_on) {
  FluidTimes times;
  Replay(problem, times).run(go_on);
  return times;
}

}  // namespace pgram::sim
