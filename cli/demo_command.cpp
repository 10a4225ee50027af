// pgram demo: the whole line on this machine: calibrate, plan, predict, train, compare, report.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <thread>

#include "cli/command.h"
#include "cli/inputs.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/training.h"
#include "core/base/errors.h"
#include "core/exec/byte_text.h"
#include "core/plan/plan_file.h"
#include "core/timeline/compare.h"
#include "core/timeline/summary.h"
#include "cpu_backend/calibrate.h"
#include "sim/simulate.h"
#ifdef PGRAM_HAS_GUI
#include "gui/gui.h"
#endif

namespace pgram::cli {
namespace {

struct Flags {
  std::string text, out = "out", model = "demo-llama";
  uint32_t steps = 0;  ///< 0: as many as take about kTrainingSeconds, of all layouts together
  uint32_t sequence = 256, global_batch = 8;
  double calibrate_seconds = 30;
  bool headless = false;
};

constexpr double kTrainingSeconds = 60;
constexpr uint32_t kFewestSteps = 8, kMostSteps = 30;

/// All layouts of up to this many ranks as there are cores, and tp2.pp2 always: it needs a collective and a send.
std::vector<std::string> layouts_for(uint32_t cores) {
  std::vector<std::string> layouts{"tp1"};
  for (uint32_t degree = 2; degree <= std::min(cores, 4u); degree *= 2) {
    for (const char* axis : {"dp", "tp", "pp"}) layouts.push_back(axis + std::to_string(degree));
  }
  layouts.push_back("tp2.pp2");
  return layouts;
}

class Demo {
 public:
  explicit Demo(const Flags& flags) : flags_(flags), stop_(stop_on_interrupt()), model_(find_model(flags.model)) {}

  int run() {
    std::filesystem::create_directories(flags_.out);
    text_ = training_text(flags_.text.empty() ? path("kjv.txt") : flags_.text);
    std::printf("1. text: %s of %s, bytes as tokens\n", format_bytes(text_->size()).c_str(),
                flags_.text.empty() ? "the King James Bible" : flags_.text.c_str());
    calibrate();
    predict();
    std::printf(
        "3. plan, predict, really train %s (%s parameters), %u sequences of %u tokens a step, %u steps per layout\n",
        model_.name.c_str(), format_count(parameter_count(model_)).c_str(), flags_.global_batch, flags_.sequence,
        steps_);
    std::printf("\n   %-9s %11s %11s %8s %8s   %s\n", "layout", "predicted", "measured", "error", "noise", "loss");
    for (Prediction& prediction : predictions_) {
      if (stop_.stop_requested()) break;
      train(prediction);
    }
    if (results_.empty()) throw RunError("stopped before the first layout was trained");
    finish();
    return kGood;
  }

 private:
  std::string path(const std::string& name) const { return (std::filesystem::path(flags_.out) / name).string(); }

  Plan plan_of(const std::string& layout) const {
    Workload work;
    work.global_batch = flags_.global_batch;
    work.sequence = flags_.sequence;
    Plan plan = make_plan(model_, parse_layout(layout), work);
    plan.facts["cluster"] = "this";
    require_verified(plan, "");
    return plan;
  }

  std::vector<Plan> plans_of_layouts() const {
    std::vector<Plan> plans;
    for (const std::string& layout : layouts_for(cores_)) plans.push_back(plan_of(layout));
    return plans;
  }

  void calibrate() {
    std::printf("2. calibrate: measuring this machine's kernels and copies, about %.0f s\n", flags_.calibrate_seconds);
    std::fflush(stdout);
    Progress progress("calibrating");
    CalibrateOptions options;
    options.seconds_budget = flags_.calibrate_seconds;
    const std::vector<Plan> plans = plans_of_layouts();
    for (const Plan& plan : plans) options.plans.push_back(&plan);
    options.stop = stop_;
    options.progress = [&](double fraction, const std::string& what) { progress.show(fraction, what); };
    device_ = calibrate_cpu(options);
    write_device(device_, path("device.yaml"));
    std::printf("   %s: %zu kernel shapes and %zu transfers, fp32 peak %.0f GFLOP/s on one device of %u -> %s\n",
                device_.name.c_str(), device_.kernels.size(), device_.transfers.size(),
                device_.fp32_flops_per_second / 1e9, cores_, path("device.yaml").c_str());
  }

  struct Prediction {
    Plan plan;
    Cluster cluster;
    LayoutResult result;
  };

  /// All layouts before any of them runs. How long they will train follows from it.
  void predict() {
    double seconds = 0;
    for (const std::string& layout : layouts_for(cores_)) {
      Prediction p;
      p.plan = plan_of(layout);
      write_plan(p.plan, path(layout + ".plan.json"));
      p.cluster = find_cluster("this", p.plan.mesh.ranks());
      const Bytes memory = p.cluster.device.memory_bytes;
      p.cluster.device = device_;
      p.cluster.device.memory_bytes = memory;
      SimulationResult simulated = simulate(p.plan, p.cluster);
      if (!simulated.error.empty()) throw RunError(simulated.error);
      p.result.layout = layout;
      p.result.schedule = p.plan.facts.at("schedule");
      p.result.predicted_step = simulated.makespan;
      p.result.predicted = std::move(simulated.timeline);
      seconds += to_seconds(p.result.predicted_step);
      predictions_.push_back(std::move(p));
    }
    const double affordable = std::clamp(kTrainingSeconds / seconds, double{kFewestSteps}, double{kMostSteps});
    steps_ = flags_.steps ? flags_.steps : static_cast<uint32_t>(affordable);
  }

  void train(Prediction& prediction) {
    const Plan& plan = prediction.plan;
    LayoutResult& result = prediction.result;
    const std::string& layout = result.layout;
    CpuBackend backend(plan, cpu_options(prediction.cluster, KernelSet::fast));
    RunOptions options;
    options.steps = steps_;
    options.hyperparameters.learning_rate = 1e-3f;
    options.tokens = byte_text_source(text_, "text", flags_.sequence, model_.vocabulary);
    options.stop = stop_;
    Progress progress("   training " + layout);
    options.on_step = [&](uint32_t step, double loss, double, Picoseconds) {
      char detail[48];
      std::snprintf(detail, sizeof detail, "loss %.3f", loss);
      progress.show(static_cast<double>(step + 1) / steps_, detail);
    };
    RunResult run = pgram::run(plan, backend, options);
    if (run.losses.empty()) return;
    result.measured = std::move(run.timeline);
    result.measured.facts["peak_flops_per_rank"] = std::to_string(device_.fp32_flops_per_second);
    result.losses = run.losses;
    const Summary summary = summarise(result.measured);
    result.measured_step = summary.step_time;
    result.spread = summary.step_time_spread;
    write_timeline(result.predicted, path(layout + ".sim.timeline"));
    write_timeline(result.measured, path(layout + ".run.timeline"));
    const double error = static_cast<double>(result.predicted_step) / static_cast<double>(result.measured_step) - 1;
    std::printf("   %-9s %11s %11s %+6.1f %% %6.1f %%   %.3f -> %.3f\n", layout.c_str(),
                format_time(result.predicted_step).c_str(), format_time(result.measured_step).c_str(), error * 100,
                result.spread * 100, result.losses.front(), result.losses.back());
    std::fflush(stdout);
    results_.push_back(std::move(result));
  }

  size_t fastest(bool predicted) const {
    const auto time = [&](const LayoutResult& r) { return predicted ? r.predicted_step : r.measured_step; };
    return static_cast<size_t>(
        std::min_element(results_.begin(), results_.end(), [&](auto& a, auto& b) { return time(a) < time(b); }) -
        results_.begin());
  }

  void finish() {
    const LayoutResult &predicted = results_[fastest(true)], &measured = results_[fastest(false)];
    std::string best = "Fastest of these: " + measured.layout + " as measured (" + format_time(measured.measured_step) +
                       " a step), " + predicted.layout + " as predicted (" + format_time(predicted.predicted_step) +
                       ").";
    std::printf("\n   %s\n", best.c_str());
    const size_t shown = results_.size() - 1;
    ReportText text;
    text.title = "Parallelogram: one plan, predicted and really run";
    text.model = model_.name + ", " + format_count(parameter_count(model_)) + " parameters, " +
                 std::to_string(flags_.global_batch) + " sequences of " + std::to_string(flags_.sequence) +
                 " tokens a step, fp32, AdamW";
    text.data = "Text: " + (flags_.text.empty() ? std::string("the King James Bible") : flags_.text) + ", " +
                format_bytes(text_->size()) + ", bytes as tokens";
    text.machine = "Machine: " + device_.name + ", " + std::to_string(cores_) +
                   " cores; the prediction uses only the device file that was measured before";
    char date[32];
    const std::time_t now = std::time(nullptr);
    std::strftime(date, sizeof date, "%Y-%m-%d %H:%M", std::localtime(&now));
    text.date = date;
    text.best = best;
    write_text(path("report.html"), report_to_html(text, results_, shown));
    const std::string sim = path(results_[shown].layout + ".sim.timeline"),
                      real = path(results_[shown].layout + ".run.timeline");
    std::printf("\n4. wrote %s: open it in a browser\n   both timelines of %s: pgram gui %s %s\n",
                path("report.html").c_str(), results_[shown].layout.c_str(), sim.c_str(), real.c_str());
    open_window(sim, real);
  }

  void open_window([[maybe_unused]] const std::string& sim, [[maybe_unused]] const std::string& real) const {
#ifdef PGRAM_HAS_GUI
    const bool display = std::getenv("DISPLAY") || std::getenv("WAYLAND_DISPLAY");
    if (flags_.headless || !display || stop_.stop_requested()) return;
    char name[] = "pgram";
    char* arguments[] = {name, nullptr};
    gui::WindowOptions options;
    options.device = path("device.yaml");
    run_gui(1, arguments, {sim, real}, options);
#endif
  }

  const Flags& flags_;
  std::stop_token stop_;
  Model model_;
  std::shared_ptr<const std::string> text_;
  Device device_;
  uint32_t cores_ = find_cluster("this").devices;
  uint32_t steps_ = 0;
  std::vector<Prediction> predictions_;
  std::vector<LayoutResult> results_;
};

}  // namespace

void add_demo_command(Command& app, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  Command* command =
      add_command(app, "demo", "The whole line on this machine: calibrate, plan, predict, train, compare, report",
                  "pgram demo --headless", exit_code, [=] { return Demo(*flags).run(); });
  command->add_option("--text", flags->text, "Text to train on (default: the King James Bible)");
  command->add_option("--out", flags->out, "Folder for plans, timelines and the report")->capture_default_str();
  command->add_option("--model", flags->model, "Model with a vocabulary of at least 256")->capture_default_str();
  command->add_option("--steps", flags->steps, "Training steps per layout (default: about a minute of all together)")
      ->check(Range(2u, 100000u));
  command->add_option("--seq", flags->sequence, "Tokens per sequence")->check(Range(1u, 65536u))->capture_default_str();
  command->add_option("--global-batch", flags->global_batch, "Sequences per step")
      ->check(Range(1u, 65536u))
      ->capture_default_str();
  command->add_option("--calibrate-seconds", flags->calibrate_seconds, "Time for measuring kernels")
      ->check(Range(1.0, 3600.0))
      ->capture_default_str();
  command->add_flag("--headless", flags->headless, "Do not open the window at the end");
}

}  // namespace pgram::cli
