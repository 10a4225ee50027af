// Results files of single ranks, beside the one that they are joined into.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace pgram::sweep {

/// "OUT.rank3"
std::string part_of_rank(const std::string& out, uint32_t rank);
/// Those that are there, by rank.
std::vector<std::string> parts_of(const std::string& out);
/// Their rows into `out`, the files away: how many rows `out` had not. A part that was cut off before it held anything
/// only goes.
uint64_t join_parts(const std::string& out);

/// Parts belong to one job of mpirun at a time: the file "OUT.lock", locked as long as this lives, wherever in the job
/// the parts are written.
class PartsLock {
 public:
  explicit PartsLock(const std::string& out);
  ~PartsLock();
  PartsLock(const PartsLock&) = delete;
  PartsLock& operator=(const PartsLock&) = delete;
  /// False: another job runs.
  bool held() const { return file_ >= 0; }

 private:
  std::string path_;
  int file_ = -1;
};

}  // namespace pgram::sweep
