#include "core/exec/interpreter.h"

#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "core/base/errors.h"
#include "core/exec/measured.h"
#include "core/exec/rank_run.h"

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
    } catch (...) {  // the caller's own function threw
      failure = std::current_exception();
      backend_.abort("the caller ended the run");
    }
    gate.stop();
    for (std::thread& thread : threads) thread.join();
    if (!failure) failure = gate.failure();
    if (failure) rethrow(failure);
    finish();
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
    for (uint32_t step = 0;; ++step) {
      if (!gate.wait_for_ranks()) return;
      if (step > 0) collect(step - 1);
      if (step == options_.steps || options_.stop.stop_requested()) return;
      step_start_ = backend_.now();
      gate.release();
    }
  }

  void collect(uint32_t index) {
    Step step;
    step.start = step_start_;
    std::vector<Span> spans;
    for (const auto& rank : ranks_) {
      step.end = std::max(step.end, rank->step_end());
      const bool speaks = plan_->mesh.coordinates(rank->rank())[0] == 0 && rank->first_replica();
      if (speaks) step.loss += rank->loss();
      const std::vector<Span> of_rank = rank->take_spans();
      spans.insert(spans.end(), of_rank.begin(), of_rank.end());
      if (index == 0 && options_.keep_gradients && rank->first_replica()) rank->gather_gradients(gradients_);
    }
    step.gradient_norm = ranks_.front()->gradient_norm();
    result_.losses.push_back(step.loss);
    result_.gradient_norms.push_back(step.gradient_norm);
    if (!options_.keep_spans) spans.clear();
    measurement_.add_step(step, std::move(spans));
    if (options_.on_step) options_.on_step(index, step.loss, step.gradient_norm, step.end - step.start);
  }

  /// After all ranks have ended.
  void finish() {
    result_.timeline = measurement_.finish({{"device", backend_.name()},
                                            {"barrier", "after every step"},
                                            {"cores", std::to_string(std::thread::hardware_concurrency())}});
    for (auto& [name, tensor] : gradients_) result_.gradients[name] = std::move(tensor.values);
    if (!options_.save.empty()) save();
  }

  void save() const {
    Gathered gathered;
    for (const auto& rank : ranks_) {
      if (rank->first_replica()) rank->gather(gathered);
    }
    const uint64_t step = result_.first_step + result_.losses.size();
    write_safetensors(options_.save, gathered.tensors(), {{"format", "pt"}, {"step", std::to_string(step)}});
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
  const RunOptions& options_;
  const uint32_t layers_;
  std::optional<TrainingFile> file_;
  std::vector<std::unique_ptr<RankRun>> ranks_;
  std::map<std::string, FloatTensor> gradients_;
  Measurement measurement_;
  Picoseconds step_start_ = 0;
  RunResult result_;
};

}  // namespace

RunResult run(const Plan& plan, Backend& backend, const RunOptions& options) {
  return Run(plan, backend, options)();
}

}  // namespace pgram
