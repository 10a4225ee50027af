#include "tests/cuda_comm/launched.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>
#include <thread>
#include <utility>

#include "core/plan/plan_file.h"
#include "core/planner/planner.h"
#include "tests/planner/small_models.h"

namespace pgram::testing {
namespace {

bool within(double seconds, const std::function<bool()>& done) {
  const auto begin = std::chrono::steady_clock::now();
  while (!done()) {
    if (std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() > seconds) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

}  // namespace

RunFolder::RunFolder(const std::string& layout) {
  Model model = test::llama();
  model.layers = 2, model.hidden = 32, model.heads = 4, model.ffn = 48, model.vocabulary = 256;  // bytes are tokens
  Workload work;
  work.global_batch = 4, work.micro_batch = 1, work.sequence = 8;
  plan_ = make_plan(model, parse_layout(layout), work);
  write_plan(plan_, *this / "plan.json");
  folder_.write("text.txt", "In the beginning was the plan, and the plan was without form.");
}

std::vector<std::string> RunFolder::command(const std::vector<std::string>& options) const {
  std::vector<std::string> words{PGRAM_PROGRAM,     "run",    *this / "plan.json", "--backend", "cuda",
                                 "--deterministic", "--text", *this / "text.txt"};
  words.insert(words.end(), options.begin(), options.end());
  return words;
}

Program::Program(const std::vector<std::string>& words, const std::vector<std::string>& environment,
                 const std::string& output)
    : output_(output) {
  std::vector<char*> arguments, variables;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  for (const std::string& variable : environment) variables.push_back(const_cast<char*>(variable.c_str()));
  for (char** variable = environ; *variable; ++variable) variables.push_back(*variable);
  arguments.push_back(nullptr);
  variables.push_back(nullptr);
  const std::string out = output + ".out", err = output + ".err";
  pid_ = ::fork();
  if (pid_ != 0) return;
  const auto redirect = [](const char* path, int flags, int to) { ::dup2(::open(path, flags, 0600), to); };
  redirect("/dev/null", O_RDONLY, STDIN_FILENO);
  redirect(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
  redirect(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
  ::execvpe(arguments[0], arguments.data(), variables.data());
  ::_exit(127);
}

Program::Program(Program&& other) noexcept : pid_(std::exchange(other.pid_, -1)), output_(std::move(other.output_)) {}

Program::~Program() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void Program::signal(int number) const {
  ::kill(pid_, number);
}

int Program::wait(double seconds) {
  int status = 0;
  if (!within(seconds, [&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; })) return -1;
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool Program::wait_for_output(const std::string& text, double seconds) const {
  return within(seconds, [&] { return out().find(text) != std::string::npos; });
}

std::vector<std::string> torchrun(uint32_t rank, uint32_t size, uint16_t port) {
  const std::string r = std::to_string(rank);
  return {"RANK=" + r, "LOCAL_RANK=" + r, "WORLD_SIZE=" + std::to_string(size), "MASTER_ADDR=127.0.0.1",
          "MASTER_PORT=" + std::to_string(port)};
}

std::vector<Program> start_ranks(const RunFolder& folder, uint16_t port, const std::vector<std::string>& options,
                                 const std::vector<uint32_t>& left_out) {
  const uint32_t size = folder.plan().mesh.ranks();
  std::vector<Program> programs;
  for (uint32_t rank = 0; rank < size; ++rank) {
    if (std::find(left_out.begin(), left_out.end(), rank) != left_out.end()) continue;
    programs.emplace_back(folder.command(options), torchrun(rank, size, port),
                          folder / ("rank" + std::to_string(rank)));
  }
  return programs;
}

}  // namespace pgram::testing
