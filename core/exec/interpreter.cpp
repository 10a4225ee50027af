#include "core/exec/interpreter.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "core/base/errors.h"
#include "core/exec/byte_stream.h"
#include "core/exec/measured.h"
#include "core/exec/rank_run.h"
#include "core/exec/shards.h"
#include "core/exec/step_report.h"

namespace pgram {
namespace {

/// Ranks meet here before every step; the calling thread sees each meeting and decides whether there is another step,
/// so that all ranks agree.
class StepGate {
 public:
  explicit StepGate(size_t ranks) : ranks_(ranks) {}

  /// By a rank; false: no more steps.
  bool arrive() {
    std::unique_lock lock(mutex_);
    const uint64_t step = released_;
    if (++waiting_ == ranks_) changed_.notify_all();
    changed_.wait(lock, [&] { return released_ != step || stopped_; });
    return !stopped_;
  }

  /// By a rank that failed, with the exception in flight; the first one is kept.
  void fail() {
    std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
    stopped_ = true;
    changed_.notify_all();
  }

  /// By the calling thread: false when a rank failed.
  bool wait_for_ranks() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_ == ranks_ || stopped_; });
    return !stopped_;
  }

  void release() {
    std::lock_guard lock(mutex_);
    waiting_ = 0;
    ++released_;
    changed_.notify_all();
  }

  void stop() {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }

  std::exception_ptr failure() {
    std::lock_guard lock(mutex_);
    return failure_;
  }

 private:
  const size_t ranks_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t waiting_ = 0;
  uint64_t released_ = 0;
  bool stopped_ = false;
  std::exception_ptr failure_;
};

class Run {
 public:
  Run(const Plan& plan, Backend& backend, const RunOptions& options)
      : plan_(std::make_shared<Plan>(plan)),
        prepared_(plan),
        backend_(backend),
        processes_(backend.processes()),
        options_(options),
        layers_(count_layers(plan)),
        measurement_(plan_) {
    if (!options.load.empty()) file_.emplace(options.load);
    result_.first_step = file_ ? file_->step() : 0;
    for (uint32_t rank : backend.local_ranks()) {
      ranks_.push_back(std::make_unique<RankRun>(prepared_, rank, backend, options));
    }
  }

  RunResult operator()() {
    StepGate gate(ranks_.size());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < ranks_.size(); ++i) threads.emplace_back([&, i] { rank_thread(i, gate); });
    std::exception_ptr failure;
    try {
      lead(gate);
    } catch (...) {  // another process failed, or the caller's own function threw
      failure = std::current_exception();
      backend_.abort(text_of(failure));
    }
    gate.stop();
    for (std::thread& thread : threads) thread.join();
    if (!failure) failure = gate.failure();
    if (failure) rethrow(failure);
    try {
      finish();
    } catch (...) {
      backend_.abort(text_of(std::current_exception()));
      rethrow(std::current_exception());
    }
    return std::move(result_);
  }

 private:
  void rank_thread(size_t index, StepGate& gate) {
    RankRun& rank = *ranks_[index];
    try {
      rank.open();
      if (file_) {
        rank.load(*file_);
      } else {
        rank.initialise(layers_);
      }
      for (uint64_t step = result_.first_step;; ++step) {
        if (step < result_.first_step + options_.steps) rank.fill_tokens(step);
        if (!gate.arrive()) break;
        rank.run_step(step);
      }
    } catch (const std::exception& error) {
      gate.fail();
      backend_.abort(error.what());
    }
    // Before any rank's memory goes away, no stream may touch it any more.
    rank.quiesce();
  }

  /// On the calling thread, while the ranks wait at the gate.
  void lead(StepGate& gate) {
    for (uint32_t finished = 0;; ++finished) {
      if (!gate.wait_for_ranks() || !another_step(finished)) return;
      step_start_ = backend_.now();
      gate.release();
    }
  }

  /// Process 0 hears of the finished step from all processes and decides for all.
  bool another_step(uint32_t finished) {
    StepReport mine;
    mine.next_step = result_.first_step + finished;
    mine.stop = options_.stop.stop_requested();
    for (const auto& rank : ranks_) {
      if (finished == 0) break;
      mine.ranks.push_back(rank->report());
      const std::vector<Span> spans = rank->take_spans();
      if (options_.keep_spans) mine.spans.insert(mine.spans.end(), spans.begin(), spans.end());
    }
    std::vector<StepReport> reports;
    for (const std::string& bytes : processes_.gather(mine.encode())) reports.push_back(StepReport::decode(bytes));
    if (finished == 1 && options_.keep_gradients) gather_gradients();
    if (processes_.index() == 0) {
      refuse_other_steps(reports);
      if (finished > 0) collect(finished - 1, std::move(reports));
    }
    bool stop = finished >= options_.steps || options_.stop.stop_requested();
    for (const StepReport& report : reports) stop |= report.stop != 0;
    return processes_.broadcast(stop ? "end" : "go on") == "go on";
  }

  static void refuse_other_steps(const std::vector<StepReport>& reports) {
    for (size_t i = 1; i < reports.size(); ++i) {
      if (reports[i].next_step == reports[0].next_step) continue;
      throw InputError("--load", "process " + std::to_string(i) + " goes on with step " +
                                     std::to_string(reports[i].next_step) + ", process 0 with step " +
                                     std::to_string(reports[0].next_step) + "; all need the same file");
    }
  }

  /// At process 0.
  void collect(uint32_t index, const std::vector<StepReport>& reports) {
    Step step;
    step.start = step_start_;
    std::vector<RankReport> ranks;
    std::vector<Span> spans;
    for (const StepReport& report : reports) {
      ranks.insert(ranks.end(), report.ranks.begin(), report.ranks.end());
      spans.insert(spans.end(), report.spans.begin(), report.spans.end());
    }
    // In order of rank, so that a sum does not depend on who runs where.
    std::sort(ranks.begin(), ranks.end(), [](const RankReport& a, const RankReport& b) { return a.rank < b.rank; });
    for (const RankReport& rank : ranks) {
      step.end = std::max(step.end, rank.end);
      step.loss += rank.loss;
    }
    step.gradient_norm = ranks.empty() ? 0 : ranks.front().gradient_norm;
    result_.losses.push_back(step.loss);
    result_.gradient_norms.push_back(step.gradient_norm);
    // No process has seen when the others' ranks began.
    if (processes_.size() > 1) estimate_waits(*plan_, spans);
    measurement_.add_step(step, std::move(spans));
    if (options_.on_step) options_.on_step(index, step.loss, step.gradient_norm, step.end - step.start);
  }

  using GetShard = Shard (RankRun::*)(uint32_t) const;
  void gather_shards(GetShard get, const std::function<void(const Shard&)>& take) const {
    std::vector<std::pair<const RankRun*, uint32_t>> mine;
    for (const auto& rank : ranks_) {
      for (uint32_t slot = 0; slot < rank->slots(); ++slot) mine.emplace_back(rank.get(), slot);
    }
    pgram::gather_shards(
        processes_, static_cast<uint32_t>(mine.size()),
        [&](uint32_t i) { return (mine[i].first->*get)(mine[i].second); }, take);
  }

  void gather_gradients() {
    std::map<std::string, FloatTensor> gradients;
    ShardPlacer placer(*plan_);
    gather_shards(&RankRun::gradient_shard, [&](const Shard& shard) { placer.add_gradients(shard, gradients); });
    for (auto& [name, tensor] : gradients) result_.gradients[name] = std::move(tensor.values);
  }

  /// After all ranks have ended. The processes leave together: no communicator may go while another rank uses it.
  void finish() {
    std::map<std::string, std::string> facts = gather_facts();
    facts.insert({{"device", backend_.name()},
                  {"barrier", "after every step"},
                  {"cores", std::to_string(std::thread::hardware_concurrency())}});
    result_.timeline = measurement_.finish(std::move(facts));
    if (!options_.save.empty()) save();
    processes_.broadcast("end");
  }

  /// Process 0's as they are, of the others what they say differently.
  std::map<std::string, std::string> gather_facts() const {
    ByteWriter mine;
    const std::map<std::string, std::string> own = backend_.facts();
    for (const auto& [key, value] : own) mine.add(key), mine.add(value);
    std::map<std::string, std::string> all = own;
    const std::vector<std::string> others = processes_.gather(mine.take());
    for (size_t i = 1; i < others.size(); ++i) {
      ByteReader in(others[i]);
      while (!in.at_end()) {
        std::string key, value;
        in.read(key), in.read(value);
        const auto same = own.find(key);
        if (same == own.end() || same->second != value) all[key + " of process " + std::to_string(i)] = value;
      }
    }
    return all;
  }

  void save() const {
    Gathered gathered;
    ShardPlacer placer(*plan_);
    gather_shards(&RankRun::checkpoint_shard, [&](const Shard& shard) { placer.add_checkpoint(shard, gathered); });
    if (processes_.index() != 0) return;
    const uint64_t step = result_.first_step + result_.losses.size();
    write_safetensors(options_.save, gathered.tensors(), {{"format", "pt"}, {"step", std::to_string(step)}});
  }

  static std::string text_of(const std::exception_ptr& failure) {
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      return error.what();
    } catch (...) {
      return "the caller ended the run";
    }
  }

  [[noreturn]] static void rethrow(const std::exception_ptr& failure) {
    try {
      std::rethrow_exception(failure);
    } catch (const InputError&) {
      throw;
    } catch (const RunError&) {
      throw;
    } catch (const std::exception& error) {
      throw RunError(error.what());
    }
  }

  const std::shared_ptr<const Plan> plan_;
  const PreparedPlan prepared_;
  Backend& backend_;
  ProcessGroup& processes_;
  const RunOptions& options_;
  const uint32_t layers_;
  std::optional<TrainingFile> file_;
  std::vector<std::unique_ptr<RankRun>> ranks_;
  Measurement measurement_;
  Picoseconds step_start_ = 0;
  RunResult result_;
};

}  // namespace

RunResult run(const Plan& plan, Backend& backend, const RunOptions& options) {
  return Run(plan, backend, options)();
}

}  // namespace pgram
