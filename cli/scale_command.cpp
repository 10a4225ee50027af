// pgram scale: the two promises of a data center as one computer, checked.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/estimate.h"
#include "cli/inputs.h"
#include "cli/progress.h"
#include "cli/scale_text.h"
#include "cli/sweep_report/scale_page.h"
#include "core/base/errors.h"

namespace pgram::cli {
namespace {

constexpr uint32_t kUsualSequence = 8192;
constexpr uint32_t kUsualTokens = 1u << 24;  ///< of a step: Llama 3's largest batch (arXiv:2407.21783, table 4)

struct Flags {
  PlanFlags plan;
  std::string gpus, network = "flow", csv, out;
  std::vector<uint32_t> micro_batches;
  bool json = false;
};

sweep::ScaleQuestion question_of(const Flags& flags) {
  sweep::ScaleQuestion question;
  question.model = flags.plan.model;
  question.cluster = flags.plan.cluster;
  question.gpus = sweep::parse_gpus(flags.gpus);
  PlanFlags plan = flags.plan;
  if (!plan.sequence) plan.sequence = std::min(kUsualSequence, plan.find_model().max_positions);
  if (!plan.global_batch) plan.global_batch = std::max(1u, kUsualTokens / plan.sequence);
  question.workload = plan.workload(find_cluster(sweep::cluster_with(plan.cluster, question.gpus.front())));
  validate(plan.find_model(), {}, sweep::with_micro_batches({}, question.workload, 1));  // for example its sequence
  if (flags.network != "flow" && flags.network != "analytic")
    throw InputError("--network", "expected flow or analytic, got '" + flags.network + "'");
  question.search.network = flags.network == "flow" ? NetworkLevel::flow : NetworkLevel::analytic;
  if (!flags.micro_batches.empty()) question.search.micro_batch_sizes = flags.micro_batches;
  return question;
}

/// The flags that say what is asked, as they could be typed again.
std::string command_of(const Flags& flags, const sweep::ScaleQuestion& question) {
  const Workload& work = question.workload;
  std::string command = "pgram scale " + question.model + " --cluster " + question.cluster + " --gpus " + flags.gpus +
                        " --seq " + std::to_string(work.sequence) + " --global-batch " +
                        std::to_string(work.global_batch) + " --precision " + name_of(work.precision) +
                        " --optimizer " + name_of(work.optimizer) + " --network " + flags.network + " --micro-batch";
  for (const uint32_t size : question.search.micro_batch_sizes) command += " " + std::to_string(size);
  return command + " --out " + flags.out;
}

bool any_fits(const sweep::ScaleAnswer& answer) {
  const auto fits = [](const sweep::ComputePoint& point) { return point.unfit.empty(); };
  return std::ranges::any_of(answer.memory, &sweep::MemoryPoint::fits) || std::ranges::any_of(answer.strong, fits) ||
         std::ranges::any_of(answer.weak, fits);
}

int run(const Flags& flags) {
  const sweep::ScaleQuestion question = question_of(flags);
  sweep::ScaleAnswer found;
  {
    Progress progress("scaling");
    found = sweep::answer(
        question, parallel_for_all_cores(), [&](double fraction) { progress.show(fraction); }, stop_on_interrupt());
  }
  if (flags.json)
    std::printf("%s\n", scale_to_json(question, found).dump(2).c_str());
  else
    std::printf("%s", scale_to_text(question, found).c_str());
  if (!flags.csv.empty()) write_text(flags.csv, scale_to_csv(found));
  if (!flags.out.empty()) {
    write_text(flags.out, sweep_report::scale_page(question, found, command_of(flags, question)));
    if (!flags.json && flags.out != "-") std::printf("wrote %s: open it in a browser\n", flags.out.c_str());
  }
  return !found.stopped && any_fits(found) ? kGood : kFailed;
}

}  // namespace

void add_scale_command(Command& app, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  Command* command =
      add_command(app, "scale", "Do twice the GPUs train twice the model, and compute twice as much?",
                  "pgram scale llama-3.1-70b --cluster dgx-h100 --gpus 64:4096\n  pgram scale llama-3.1-8b --cluster "
                  "dgx-a100 --gpus 8:1024 --seq 4096 --global-batch 1024 --out out/scale.html",
                  exit_code, [=] { return run(*flags); });
  command->add_option("MODEL", flags->plan.model, "Model: a name of `pgram models`, or a path to a config.json")
      ->required();
  command->add_option("--cluster", flags->plan.cluster, "Cluster, without a number of nodes; see `pgram clusters`")
      ->required();
  command->add_option("--gpus", flags->gpus, "FIRST:LAST, with the powers of two between them")->required();
  command->add_option("--seq", flags->plan.sequence, "Tokens per sequence (default: 8192, or what the model can)");
  command->add_option("--global-batch", flags->plan.global_batch,
                      "Sequences per step: of strong scaling, and of weak scaling on the most GPUs (default: 16 Mi "
                      "tokens)");
  command->add_option("--micro-batch", flags->micro_batches, "Micro-batch sizes to try (default 1 2 4)")
      ->check(Range(1u, 65536u));
  command->add_option("--network", flags->network, "flow or analytic: by what the best layouts are told apart")
      ->capture_default_str();
  command->add_option("--precision", flags->plan.precision, "fp32 or bf16 (default: bf16 on GPUs, fp32 on CPUs)");
  command->add_option("--optimizer", flags->plan.optimizer, "adamw or sgd")->capture_default_str();
  command->add_option("--csv", flags->csv, "Write a table, a line for each number of GPUs; '-' is standard output");
  command->add_option("--out", flags->out, "Write a page with pictures, for a browser");
  command->add_flag("--json", flags->json, "Machine-readable");
}

}  // namespace pgram::cli
