#include "tests/sweep_engines/support/process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <thread>
#include <utility>

namespace pgram::engines {
namespace fs = std::filesystem;
namespace {

constexpr const char* kMark = "PGRAM_ENGINE_TEST=";

/// Processes whose environment has the line `mark`, and whose command line is wanted.
std::vector<int> marked(const std::string& mark, const std::function<bool(const std::string& command)>& wanted) {
  std::vector<int> found;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename().string();
    int pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ptr != name.data() + name.size()) continue;
    if (pid == ::getpid()) continue;
    const std::string environment = '\0' + file_text(entry.path() / "environ");
    if (environment.find('\0' + mark + '\0') == std::string::npos) continue;
    if (!wanted || wanted(file_text(entry.path() / "cmdline"))) found.push_back(pid);
  }
  return found;
}

}  // namespace

bool within(double seconds, const std::function<bool()>& done) {
  const auto begin = std::chrono::steady_clock::now();
  while (!done()) {
    if (std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() > seconds) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

bool is_installed(const std::string& program) {
  if (program.find('/') != std::string::npos) return ::access(program.c_str(), X_OK) == 0;
  const char* path = std::getenv("PATH");
  std::istringstream folders(path ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');)
    if (::access((folder + "/" + program).c_str(), X_OK) == 0) return true;
  return false;
}

void Folder::kill_all(const std::function<bool(const std::string& command)>& wanted) const {
  within(10, [&] {
    const std::vector<int> left = marked(kMark + path(), wanted);
    for (const int pid : left) ::kill(pid, SIGKILL);
    // Of this process's own children those that have ended stay in /proc, without an environment, until they are
    // waited for.
    return left.empty();
  });
}

Process::Process(const Folder& folder, const std::string& name, const std::vector<std::string>& words,
                 const std::vector<std::string>& environment)
    : output_(folder / name) {
  std::vector<char*> arguments, variables;
  const std::string mark = kMark + folder.path();
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  for (const std::string& variable : environment) variables.push_back(const_cast<char*>(variable.c_str()));
  variables.push_back(const_cast<char*>(mark.c_str()));
  for (char** variable = environ; *variable; ++variable) variables.push_back(*variable);
  arguments.push_back(nullptr);
  variables.push_back(nullptr);
  const std::string out = output_ + ".out", err = output_ + ".err";
  const int parent = ::getpid();
  pid_ = ::fork();
  if (pid_ != 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  const auto redirect = [](const char* path, int flags, int to) { ::dup2(::open(path, flags, 0600), to); };
  redirect("/dev/null", O_RDONLY, STDIN_FILENO);
  redirect(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
  redirect(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
  if (::chdir(folder.path().c_str()) != 0) ::_exit(127);
  ::execvpe(arguments[0], arguments.data(), variables.data());
  ::_exit(127);
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), status_(other.status_), output_(std::move(other.output_)) {}

Process::~Process() {
  if (!runs()) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void Process::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

bool Process::runs() {
  if (pid_ > 0 && ::waitpid(pid_, &status_, WNOHANG) == pid_) pid_ = -1;
  return pid_ > 0;
}

int Process::wait(double seconds) {
  if (!within(seconds, [&] { return !runs(); })) {
    signal(SIGKILL);
    ::waitpid(std::exchange(pid_, -1), &status_, 0);
    return -1;
  }
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
}

Finished run(const Folder& folder, const std::vector<std::string>& words, const std::vector<std::string>& environment,
             double seconds) {
  static std::atomic<int> count = 0;
  Process process(folder, "run" + std::to_string(++count), words, environment);
  const int code = process.wait(seconds);
  return {code, process.out(), process.err()};
}

}  // namespace pgram::engines
