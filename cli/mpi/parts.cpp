#include "cli/mpi/parts.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <map>

#include "cli/sweep/merge.h"
#include "cli/sweep/results.h"
#include "core/base/errors.h"

namespace pgram::sweep {
namespace fs = std::filesystem;

std::string part_of_rank(const std::string& out, uint32_t rank) {
  return out + ".rank" + std::to_string(rank);
}

std::vector<std::string> parts_of(const std::string& out) {
  const std::string prefix = fs::path(out).filename().string() + ".rank";
  fs::path folder = fs::path(out).parent_path();
  if (folder.empty()) folder = ".";
  std::map<uint32_t, std::string> found;
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, none)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix)) continue;
    uint32_t rank = 0;
    const char* end = name.data() + name.size();
    const auto [last, error] = std::from_chars(name.data() + prefix.size(), end, rank);
    if (error == std::errc() && last == end && part_of_rank(prefix.substr(0, prefix.size() - 5), rank) == name)
      found[rank] = part_of_rank(out, rank);
  }
  std::vector<std::string> parts;
  for (auto& [rank, part] : found) parts.push_back(std::move(part));
  return parts;
}

uint64_t join_parts(const std::string& out) {
  uint64_t rows = 0;
  for (const std::string& part : parts_of(out)) {
    const bool empty = Results::open_or_make(part).sweeps().empty();
    if (!empty) rows += merge_results(out, {part}).rows;
    std::error_code error;
    fs::remove(part, error);
    if (error)
      throw InputError(part, 0, "", "its rows are in " + out + " now, but it cannot be removed: " + error.message());
  }
  return rows;
}

PartsLock::PartsLock(const std::string& out) : path_(out + ".lock") {
  std::error_code none;
  if (const fs::path folder = fs::path(out).parent_path(); !folder.empty()) fs::create_directories(folder, none);
  for (;;) {
    const int file = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0) throw InputError(path_, 0, "", std::string("cannot be made: ") + std::strerror(errno));
    struct stat mine {
    }, there{};
    if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
      ::close(file);
      return;
    }
    // Its last holder may have removed it in between; then the one of that name now is another file.
    if (::fstat(file, &mine) == 0 && ::stat(path_.c_str(), &there) == 0 && mine.st_ino == there.st_ino) {
      file_ = file;
      return;
    }
    ::close(file);
  }
}

PartsLock::~PartsLock() {
  if (file_ < 0) return;
  ::unlink(path_.c_str());
  ::close(file_);
}

}  // namespace pgram::sweep
