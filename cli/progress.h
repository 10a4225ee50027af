// Progress on standard error for work that takes longer than a second, and Ctrl-C that ends it gently.
#pragma once
#include <chrono>
#include <mutex>
#include <stop_token>
#include <string>

namespace pgram::cli {

/// A bar that appears after one second, only where standard error is a terminal; thread-safe.
class Progress {
 public:
  explicit Progress(std::string what);
  ~Progress();
  void show(double fraction, const std::string& detail = "");

 private:
  void clear();
  std::string what_;
  std::chrono::steady_clock::time_point begin_, last_;
  bool terminal_, shown_ = false;
  std::mutex mutex_;
};

/// Stops on the first Ctrl-C (or SIGTERM) and `says` so; a second one ends the program at once.
std::stop_token stop_on_interrupt(bool says = true);

}  // namespace pgram::cli
