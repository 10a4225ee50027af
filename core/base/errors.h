// Errors: an exception ends an operation. InputError is the user's (exit code 2), RunError is a failed run (exit code
// 1).
#pragma once
#include <stdexcept>
#include <string>

namespace pgram {

/// Something a person or another program wrote is not usable: a file, a flag, a degree. `what()` is one line,
/// "file:line: field: message", with the parts that are known. The message says what was expected and what to do.
class InputError : public std::runtime_error {
 public:
  InputError(std::string file, int line, std::string field, std::string message);
  InputError(std::string field, std::string message) : InputError("", 0, std::move(field), std::move(message)) {}

  const std::string& file() const { return file_; }
  int line() const { return line_; }  ///< 1-based; 0 where unknown
  const std::string& field() const { return field_; }

 private:
  std::string file_;
  int line_;
  std::string field_;
};

/// A run of a Plan failed; the message names rank and task.
class RunError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace pgram
