// OutputFile: a file that appears under its name only when it is whole.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace pgram {

/// Writes beside `path` and renames in commit(), so that a reader (or a map of the old file) never sees half a file.
/// Without commit() nothing remains. InputError with the system's reason when the path cannot be written.
class OutputFile {
 public:
  explicit OutputFile(std::string path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  uint64_t position() const { return position_; }
  void commit();

 private:
  [[noreturn]] void fail(int error) const;
  void flush();
  void write_through(const char* data, size_t bytes);

  std::string path_, temporary_, buffer_;
  uint64_t position_ = 0;
  int descriptor_ = -1;
};

}  // namespace pgram
