// Processes of a run on this machine, for tests: as threads, or as real ones that can be killed.
#pragma once
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <exception>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "cuda_backend/processes.h"
#include "tests/support/free_port.h"

namespace pgram::testing {

using test::free_port;

inline ProcessPlace place(uint32_t index, uint32_t size, uint16_t port, const std::string& address = "127.0.0.1") {
  ProcessPlace place;
  place.index = place.local_index = index;
  place.size = size;
  place.port = port;
  place.address = address;
  place.launcher = "test";
  return place;
}

inline ProcessesOptions seconds(double start, double wait) {
  ProcessesOptions options;
  options.start_timeout = start;
  options.wait_timeout = wait;
  return options;
}

/// What each of `size` threads, each a process of the run, ended with: the text of its exception, or nothing.
inline std::vector<std::string> as_threads(uint32_t size, const std::function<void(uint32_t)>& body) {
  std::vector<std::string> errors(size);
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < size; ++i) {
    threads.emplace_back([&, i] {
      try {
        body(i);
      } catch (const std::exception& error) {
        errors[i] = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return errors;
}

/// A real process that runs `body` and leaves with its result.
class Child {
 public:
  explicit Child(const std::function<int()>& body) : pid_(::fork()) {
    if (pid_ == 0) ::_exit(body());
  }
  ~Child() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  void signal(int number) const { ::kill(pid_, number); }
  /// Its exit status; 128 + signal if it was killed.
  int wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_;
};

}  // namespace pgram::testing
