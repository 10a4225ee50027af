#include "core/timeline/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/base/errors.h"

namespace pgram {

constexpr size_t kBufferBytes = 1 << 20;

OutputFile::OutputFile(std::string path) : path_(std::move(path)) {
  struct stat status {};
  // Renaming over a device or pipe would replace it by a file.
  if (stat(path_.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
    throw InputError(path_, 0, "", "cannot be written: expected a regular file or a new name");
  static std::atomic<uint32_t> serial{0};
  do {
    temporary_ = path_ + ".part-" + std::to_string(getpid()) + "-" + std::to_string(serial++);
    descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (descriptor_ < 0 && errno == EEXIST);
  if (descriptor_ < 0) fail(errno);
  buffer_.reserve(kBufferBytes);
}

OutputFile::~OutputFile() {
  if (descriptor_ < 0) return;
  close(descriptor_);
  unlink(temporary_.c_str());
}

void OutputFile::fail(int error) const {
  throw InputError(path_, 0, "", std::string("cannot be written: ") + std::strerror(error));
}

void OutputFile::write(const void* data, size_t bytes) {
  position_ += bytes;
  if (buffer_.size() + bytes > kBufferBytes) flush();
  if (bytes > kBufferBytes)
    write_through(static_cast<const char*>(data), bytes);
  else
    buffer_.append(static_cast<const char*>(data), bytes);
}

void OutputFile::flush() {
  write_through(buffer_.data(), buffer_.size());
  buffer_.clear();
}

void OutputFile::write_through(const char* data, size_t bytes) {
  while (bytes > 0) {
    const ssize_t written = ::write(descriptor_, data, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(errno);
    data += written;
    bytes -= static_cast<size_t>(written);
  }
}

void OutputFile::commit() {
  flush();
  const int closed = close(descriptor_);
  descriptor_ = -1;
  if (closed != 0 || std::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    unlink(temporary_.c_str());
    fail(error);
  }
}

}  // namespace pgram
