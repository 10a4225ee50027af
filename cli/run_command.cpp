// pgram run: really trains with a plan.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/cuda.h"
#include "cli/inputs.h"
#include "cli/progress.h"
#include "cli/training.h"
#include "core/base/errors.h"
#include "core/exec/byte_text.h"
#include "core/plan/plan_file.h"
#include "core/timeline/explanation.h"
#include "core/timeline/summary.h"

namespace pgram::cli {
namespace {

struct Flags {
  std::string file, text, out, load, save, backend = "cpu", kernels = "fast", device;
  uint32_t steps = 10;
  uint64_t seed = 1;
  Hyperparameters hyper;
  CudaOptions cuda;
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

/// A backend's flags are no use to the other.
void refuse_foreign_flags(const Flags& flags) {
  if (flags.backend != "cpu" && flags.backend != "cuda") {
    throw InputError("--backend", "expected cpu or cuda, got '" + flags.backend + "'");
  }
  const bool cuda = flags.backend == "cuda";
  const CudaOptions defaults;
  const auto refuse = [&](bool given, const char* flag, const char* backend) {
    if (given) throw InputError(flag, std::string("is for --backend ") + backend);
  };
  refuse(!cuda && flags.cuda.share_gpu, "--share-gpu", "cuda");
  refuse(!cuda && flags.cuda.deterministic, "--deterministic", "cuda");
  refuse(!cuda && !flags.cuda.devices.empty(), "--devices", "cuda");
  refuse(!cuda && flags.cuda.task_timeout != defaults.task_timeout, "--task-timeout", "cuda");
  refuse(!cuda && flags.cuda.start_timeout != defaults.start_timeout, "--start-timeout", "cuda");
  refuse(cuda && flags.pin, "--pin", "cpu");
  refuse(cuda && flags.kernels != Flags().kernels, "--kernels", "cpu");
  refuse(cuda && !flags.device.empty(), "--device", "cpu");
}

std::unique_ptr<Backend> make_backend(const Plan& plan, const Flags& flags, const CudaApi* cuda) {
  if (cuda) return cuda->make_backend(plan, flags.cuda);
  CpuOptions cpu = cpu_options(find_cluster("this", plan.mesh.ranks()), kernel_set(flags.kernels));
  cpu.pin = flags.pin;
  return std::make_unique<CpuBackend>(plan, cpu);
}

void print_result(const Flags& flags, const RunResult& result) {
  const Summary summary = summarise(result.timeline);
  const Explanation explanation = explain(result.timeline);
  if (flags.json) {
    nlohmann::ordered_json out;
    out["first_step"] = result.first_step;
    out["losses"] = result.losses;
    out["gradient_norms"] = result.gradient_norms;
    out["summary"] = nlohmann::ordered_json::parse(summary_to_json(result.timeline, summary));
    out["explanation"] = nlohmann::ordered_json::parse(explanation_to_json(result.timeline, explanation));
    std::printf("%s\n", out.dump(2).c_str());
    return;
  }
  std::printf("%s", summary_to_text(result.timeline, summary).c_str());
  std::printf("%s", explanation_to_text(result.timeline, explanation).c_str());
  if (!flags.out.empty())
    std::printf("wrote %s; next: pgram compare sim.timeline %s\n", flags.out.c_str(), flags.out.c_str());
  if (!flags.save.empty()) std::printf("wrote %s; go on with --load %s\n", flags.save.c_str(), flags.save.c_str());
}

int run(const Flags& flags) {
  refuse_foreign_flags(flags);
  const CudaApi* cuda = flags.backend == "cuda" ? &usable_cuda() : nullptr;
  const Plan plan = read_plan(flags.file);
  if (!flags.no_verify) require_verified(plan, flags.file);
  const uint32_t sequence = number_fact(plan, flags.file, "sequence");
  const double peak_flops = flags.device.empty() ? 0 : find_device(flags.device).fp32_flops_per_second;
  const std::unique_ptr<Backend> backend = make_backend(plan, flags, cuda);
  const bool speaks = backend->processes().index() == 0;
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
    if (!speaks || flags.json || (step % every != 0 && step + 1 != flags.steps)) return;
    std::printf("step %5u  loss %8.5f  gradient norm %8.4f  %9s  %8.0f tokens/s\n", step, loss, norm,
                format_time(time).c_str(), tokens / to_seconds(time));
    std::fflush(stdout);
  };
  RunResult result = pgram::run(plan, *backend, options);
  if (!speaks) return kGood;
  if (peak_flops > 0) result.timeline.facts["peak_flops_per_rank"] = std::to_string(peak_flops);
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
  command->add_option("--device", flags->device,
                      "Calibrated device file of this machine: its peak gives the model's FLOPs utilisation");
  command->add_option("--devices", flags->cuda.devices, "GPUs to use, for example 0,1 (default: the first ones)")
      ->delimiter(',');
  command->add_flag("--share-gpu", flags->cuda.share_gpu, "All ranks on one GPU, without NCCL");
  command->add_flag("--deterministic", flags->cuda.deterministic, "On GPUs: repeats are bit-equal");
  command
      ->add_option("--task-timeout", flags->cuda.task_timeout,
                   "Seconds after which a task that does not end on its GPU fails the run")
      ->check(Range(0.1, 1e6))
      ->capture_default_str();
  command
      ->add_option("--start-timeout", flags->cuda.start_timeout,
                   "Seconds after which ranks that have not come at the start fail the run")
      ->check(Range(0.1, 1e6))
      ->capture_default_str();
  command->add_flag("--no-verify", flags->no_verify, "Run a plan that the verifier refuses (to see what goes wrong)");
  command->add_flag("--json", flags->json, "Machine-readable");
}

}  // namespace pgram::cli
