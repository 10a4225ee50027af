#include "core/base/errors.h"

namespace pgram {

static std::string one_line(const std::string& file, int line, const std::string& field, const std::string& message) {
  std::string text;
  if (!file.empty()) text += file + (line > 0 ? ":" + std::to_string(line) : "") + ": ";
  if (!field.empty()) text += field + ": ";
  return text + message;
}

InputError::InputError(std::string file, int line, std::string field, std::string message)
    : std::runtime_error(one_line(file, line, field, message)),
      file_(std::move(file)),
      line_(line),
      field_(std::move(field)) {}

}  // namespace pgram
