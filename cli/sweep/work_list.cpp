#include "cli/sweep/work_list.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "cli/sweep/database.h"

namespace pgram::sweep {
namespace {

constexpr int64_t kTellSeconds = 10;

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// Where process numbers mean the same: this machine since it was started, this container of it.
std::string this_host() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  std::error_code none;
  return std::string(name.data()) + " " + first_line("/proc/sys/kernel/random/boot_id") + " " +
         std::filesystem::read_symlink("/proc/self/ns/pid", none).string();
}

/// When a process began, in the kernel's ticks; 0 if there is none of that number. Numbers are used again, beginnings
/// are not.
int64_t beginning_of(int64_t process) {
  const std::string stat = first_line("/proc/" + std::to_string(process) + "/stat");
  const size_t name_end = stat.rfind(')');  // "PID (any name) S ...", the beginning is field 22
  if (name_end == std::string::npos) return 0;
  std::stringstream fields(stat.substr(name_end + 1));
  std::string field;
  for (int i = 3; i <= 22; ++i) {
    fields >> field;
    if (i == 3 && (field == "Z" || field == "X")) return 0;  // it has ended, and nobody has asked how
  }
  return std::strtoll(field.c_str(), nullptr, 10);
}

std::string new_owner() {
  std::random_device random;
  std::stringstream text;
  for (int i = 0; i < 4; ++i) text << std::hex << random() << (i < 3 ? "-" : "");
  return text.str();
}

int64_t now() {
  return static_cast<int64_t>(std::time(nullptr));
}

constexpr const char* kOfPart = " WHERE sweep = ?1 AND shard = ?2 AND shards = ?3";

}  // namespace

WorkList::WorkList(const Results& results, const std::string& sweep, Shard shard, uint64_t size)
    : database_(results.database()),
      sweep_(results.key_of(sweep)),
      shard_(shard),
      size_(size),
      host_(this_host()),
      owner_(new_owner()),
      process_(getpid()),
      started_(beginning_of(process_)) {}

WorkList::~WorkList() {
  try {
    Statement(database_, "UPDATE claims SET alive = 0 WHERE owner = ?").bind(0, owner_).run();
  } catch (const std::exception&) {
    // The process will be seen to have ended.
  }
}

std::optional<WorkList::Range> WorkList::take_over() {
  Statement claims(database_, std::string("SELECT key, first, past, host, process, started, alive FROM claims") +
                                  kOfPart + " AND owner <> ?4 ORDER BY first");
  claims.bind(0, sweep_)
      .bind(1, static_cast<int64_t>(shard_.shard))
      .bind(2, static_cast<int64_t>(shard_.shards))
      .bind(3, owner_);
  while (claims.step()) {
    const bool silent = claims.integer(6) + kSilenceSeconds < now();
    const bool ended = claims.text(3) == host_ && beginning_of(claims.integer(4)) != claims.integer(5);
    if (!silent && !ended) continue;
    const Range range{claims.integer(0), static_cast<uint64_t>(claims.integer(1)),
                      static_cast<uint64_t>(claims.integer(2))};
    Statement(database_, "UPDATE claims SET host = ?, process = ?, started = ?, owner = ?, alive = ? WHERE key = ?")
        .bind(0, host_)
        .bind(1, process_)
        .bind(2, started_)
        .bind(3, owner_)
        .bind(4, now())
        .bind(5, range.claim)
        .run();
    return range;
  }
  return std::nullopt;
}

std::optional<WorkList::Range> WorkList::claim(uint64_t most) {
  std::optional<Range> range;
  database_.transaction([&] {
    range = take_over();
    if (range) return;
    const uint64_t first = handed_out(), past = std::min(size_, first + std::max<uint64_t>(most, 1));
    if (first >= size_) return;
    Statement(database_, "INSERT OR REPLACE INTO handed_out (sweep, shard, shards, next) VALUES (?, ?, ?, ?)")
        .bind(0, sweep_)
        .bind(1, static_cast<int64_t>(shard_.shard))
        .bind(2, static_cast<int64_t>(shard_.shards))
        .bind(3, static_cast<int64_t>(past))
        .run();
    Statement(database_,
              "INSERT INTO claims (sweep, shard, shards, first, past, host, process, started, owner, alive) VALUES (?, "
              "?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(0, sweep_)
        .bind(1, static_cast<int64_t>(shard_.shard))
        .bind(2, static_cast<int64_t>(shard_.shards))
        .bind(3, static_cast<int64_t>(first))
        .bind(4, static_cast<int64_t>(past))
        .bind(5, host_)
        .bind(6, process_)
        .bind(7, started_)
        .bind(8, owner_)
        .bind(9, now())
        .run();
    range = Range{database_.integer("SELECT last_insert_rowid()"), first, past};
  });
  return range;
}

void WorkList::finish(int64_t claim) {
  // Not if another process holds it by now, because this one was silent: it ends with that one's rows.
  Statement(database_, "DELETE FROM claims WHERE key = ? AND owner = ?").bind(0, claim).bind(1, owner_).run();
}

bool WorkList::is_finished() const {
  bool finished = false;
  database_.transaction([&] {
    Statement claims(database_, std::string("SELECT count(*) FROM claims") + kOfPart);
    claims.bind(0, sweep_)
        .bind(1, static_cast<int64_t>(shard_.shard))
        .bind(2, static_cast<int64_t>(shard_.shards))
        .step();
    finished = handed_out() >= size_ && claims.integer(0) == 0;
  });
  return finished;
}

uint64_t WorkList::handed_out() const {
  Statement next(database_, std::string("SELECT next FROM handed_out") + kOfPart);
  next.bind(0, sweep_).bind(1, static_cast<int64_t>(shard_.shard)).bind(2, static_cast<int64_t>(shard_.shards));
  return next.step() ? static_cast<uint64_t>(next.integer(0)) : 0;
}

void WorkList::stay_alive() {
  if (told_ + kTellSeconds > now()) return;
  told_ = now();
  Statement(database_, "UPDATE claims SET alive = ? WHERE owner = ?").bind(0, told_).bind(1, owner_).run();
}

}  // namespace pgram::sweep
