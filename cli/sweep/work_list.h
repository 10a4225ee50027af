// Who does what, where several processes write to one results file: each claims ranges of a sweep's work in the file.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "cli/sweep/results.h"

namespace pgram::sweep {

/// Which share of a sweep: the groups whose number is `shard` modulo `shards`.
struct Shard {
  uint64_t shard = 0, shards = 1;

  /// How many groups that is of `groups`, and which the i-th is.
  uint64_t size(uint64_t groups) const { return groups > shard ? (groups - shard - 1) / shards + 1 : 0; }
  uint64_t group(uint64_t i) const { return shard + i * shards; }
};

/// Ranges are handed out in order, once. What is handed out and not finished is a claim; a claim whose process has
/// ended is handed out again. A claim ends in the transaction that writes its last rows, so that at any moment all work
/// is either still to be handed out, or claimed, or in the file.
class WorkList {
 public:
  /// Processes of another machine count as ended if they have not been heard of for so long.
  static constexpr int64_t kSilenceSeconds = 60;

  /// `size`: how much work there is.
  WorkList(const Results&, const std::string& sweep, Shard, uint64_t size);
  /// Gives its claims back.
  ~WorkList();
  WorkList(const WorkList&) = delete;
  WorkList& operator=(const WorkList&) = delete;

  struct Range {
    int64_t claim = 0;
    uint64_t first = 0, past = 0;
  };
  /// Nothing: all is handed out.
  std::optional<Range> claim(uint64_t most);
  void finish(int64_t claim);
  /// Everything is in the file; nobody has claims.
  bool is_finished() const;
  uint64_t handed_out() const;
  /// Says that this process is alive, if that was long ago.
  void stay_alive();

 private:
  std::optional<Range> take_over();

  const Database& database_;
  int64_t sweep_;
  Shard shard_;
  uint64_t size_;
  std::string host_, owner_;
  int64_t process_ = 0, started_ = 0, told_ = 0;
};

}  // namespace pgram::sweep
