// pgram run: really trains with a plan.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/inputs.h"
#include "cli/progress.h"
#include "cli/training.h"
#include "core/base/errors.h"
#include "core/exec/byte_text.h"
#include "core/plan/plan_file.h"
#include "core/timeline/summary.h"
#include "cuda_backend/loader.h"

namespace pgram::cli {
namespace {

struct Flags {
  std::string file, text, out, load, save, backend = "cpu", kernels = "fast";
  uint32_t steps = 10;
  uint64_t seed = 1;
  Hyperparameters hyper;
  bool json = false, no_verify = false, pin = false;
};

uint32_t number_fact(const Plan& plan, const std::string& file, const std::string& key) {
  const auto found = plan.facts.find(key);
  uint32_t value = 0;
  if (found == plan.facts.end() || std::sscanf(found->second.c_str(), "%u", &value) != 1 || value == 0) {
    throw InputError(file, 0, "facts." + key, "expected a number of at least 1; this plan cannot be trained");
  }
  return value;
}

KernelSet kernel_set(const std::string& name) {
  if (name == "fast") return KernelSet::fast;
  if (name == "plain") return KernelSet::plain;
  throw InputError("--kernels", "expected fast or plain, got '" + name + "'");
}

void require_cpu(const std::string& backend) {
  if (backend == "cpu") return;
  if (backend != "cuda") throw InputError("--backend", "expected cpu or cuda, got '" + backend + "'");
  const CudaBackend cuda = load_cuda_backend();
  throw InputError("--backend cuda", cuda ? "this version cannot run plans on it yet; use --backend cpu" : cuda.reason);
}

void print_result(const Flags& flags, const RunResult& result) {
  const Summary summary = summarise(result.timeline);
  if (flags.json) {
    nlohmann::ordered_json out;
    out["first_step"] = result.first_step;
    out["losses"] = result.losses;
    out["gradient_norms"] = result.gradient_norms;
    out["summary"] = nlohmann::ordered_json::parse(summary_to_json(result.timeline, summary));
    std::printf("%s\n", out.dump(2).c_str());
    return;
  }
  std::printf("%s", summary_to_text(result.timeline, summary).c_str());
  if (!flags.out.empty())
    std::printf("wrote %s; next: pgram compare sim.timeline %s\n", flags.out.c_str(), flags.out.c_str());
  if (!flags.save.empty()) std::printf("wrote %s; go on with --load %s\n", flags.save.c_str(), flags.save.c_str());
}

int run(const Flags& flags) {
  require_cpu(flags.backend);
  const Plan plan = read_plan(flags.file);
  if (!flags.no_verify) require_verified(plan, flags.file);
  const uint32_t sequence = number_fact(plan, flags.file, "sequence");
  const Cluster cluster = find_cluster("this", plan.mesh.ranks());
  CpuOptions cpu = cpu_options(cluster, kernel_set(flags.kernels));
  cpu.pin = flags.pin;
  CpuBackend backend(plan, cpu);
  RunOptions options;
  options.steps = flags.steps;
  options.hyperparameters = flags.hyper;
  options.tokens =
      byte_text_source(training_text(flags.text), flags.text, sequence, number_fact(plan, flags.file, "vocabulary"));
  options.seed = flags.seed;
  options.load = flags.load;
  options.save = flags.save;
  options.keep_spans = true;
  options.stop = stop_on_interrupt();
  const double tokens = number_fact(plan, flags.file, "tokens_per_step");
  const uint32_t every = std::max(1u, flags.steps / 20);
  options.on_step = [&](uint32_t step, double loss, double norm, Picoseconds time) {
    if (flags.json || (step % every != 0 && step + 1 != flags.steps)) return;
    std::printf("step %5u  loss %8.5f  gradient norm %8.4f  %9s  %8.0f tokens/s\n", step, loss, norm,
                format_time(time).c_str(), tokens / to_seconds(time));
    std::fflush(stdout);
  };
  const RunResult result = pgram::run(plan, backend, options);
  if (result.losses.empty()) throw RunError("stopped before the first step was finished");
  if (!flags.out.empty()) write_timeline(result.timeline, flags.out);
  print_result(flags, result);
  return kGood;
}

}  // namespace

void add_run_command(Command& app, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  Command* command = add_command(app, "run", "Really train with a plan on this machine",
                                 "pgram run tiny.json --text out/kjv.txt --steps 20 --out run.timeline", exit_code,
                                 [=] { return run(*flags); });
  command->add_option("FILE", flags->file, "Plan file")->required();
  command->add_option("--text", flags->text, "Text to train on, bytes as tokens (default: the King James Bible)");
  command->add_option("--steps", flags->steps, "Training steps")->check(Range(1u, 100000000u))->capture_default_str();
  command->add_option("--out", flags->out, "Write the timeline");
  command->add_option("--load", flags->load, "Start from this safetensors file (weights, or a checkpoint of --save)");
  command->add_option("--save", flags->save,
                      "Write weights, optimizer state and step to this safetensors file at the end");
  command->add_option("--lr", flags->hyper.learning_rate, "Learning rate")
      ->check(Range(0.f, 100.f))
      ->capture_default_str();
  command->add_option("--weight-decay", flags->hyper.weight_decay, "AdamW's decoupled weight decay")
      ->check(Range(0.f, 100.f))
      ->capture_default_str();
  command->add_option("--clip", flags->hyper.clip_norm, "Clip the global gradient norm to this; 0 = never")
      ->check(Range(0.f, 1e9f))
      ->capture_default_str();
  command->add_option("--seed", flags->seed, "Seed of the initial weights")->capture_default_str();
  command->add_option("--backend", flags->backend, "cpu or cuda")->capture_default_str();
  command->add_option("--kernels", flags->kernels, "fast (oneDNN), or plain loops as the oracle")
      ->capture_default_str();
  command->add_flag("--pin", flags->pin, "Pin ranks to cores");
  command->add_flag("--no-verify", flags->no_verify, "Run a plan that the verifier refuses (to see what goes wrong)");
  command->add_flag("--json", flags->json, "Machine-readable");
}

}  // namespace pgram::cli
