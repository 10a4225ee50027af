#include "cuda_backend/processes.h"

#include <algorithm>
#include <cstring>

#include "core/base/errors.h"
#include "cuda_backend/store.h"

namespace pgram {
namespace {

constexpr uint64_t kChunk = 4ull << 20;
constexpr int kFirstPings = 100, kLaterPings = 10;
constexpr auto kClockInterval = std::chrono::seconds(1);  ///< quartz drifts apart by some microseconds in that time

Picoseconds picoseconds(StoreClock::duration time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count() * 1000;
}

/// Long byte strings travel in chunks; the first begins with the length of the whole.
void put(Store& store, const std::string& key, const std::string& bytes, uint32_t readers) {
  const uint64_t whole = bytes.size();
  std::string head(sizeof whole, '\0');
  std::memcpy(head.data(), &whole, sizeof whole);
  store.set(key + "#0", head + bytes.substr(0, kChunk), readers);
  for (uint64_t at = kChunk; at < whole; at += kChunk) {
    store.set(key + "#" + std::to_string(at / kChunk), bytes.substr(at, kChunk), readers);
  }
}

}  // namespace

void require_processes(const ProcessPlace& place, uint32_t ranks) {
  if (place.size == 1 || place.size == ranks) return;
  throw InputError("plan", "has " + std::to_string(ranks) + " ranks, but " + place.launcher + " started " +
                               std::to_string(place.size) +
                               " processes; start one process per rank, or a single one for all ranks");
}

Processes::Processes(const ProcessPlace& place, const ProcessesOptions& options) : place_(place), options_(options) {
  if (place.size == 1) return;
  store_ = std::make_unique<Store>(place, options.start_timeout);
  if (place.index != 0) measure_clock(kFirstPings);
}

Processes::~Processes() = default;

std::string Processes::take(const std::string& key, uint32_t from) {
  std::string bytes;
  uint64_t whole = 0;
  for (uint64_t chunk = 0; chunk == 0 || bytes.size() < whole; ++chunk) {
    const auto part = store_->get(key + "#" + std::to_string(chunk), options_.wait_timeout);
    if (!part || (chunk == 0 && part->size() < sizeof whole)) {
      const std::string reason = "rank " + std::to_string(from) + " did not come to the end of the step within " +
                                 std::to_string(static_cast<int>(options_.wait_timeout)) + " s";
      fail(reason);
      throw RunError(reason);
    }
    if (chunk == 0) std::memcpy(&whole, part->data(), sizeof whole);
    bytes.append(*part, chunk == 0 ? sizeof whole : 0);
  }
  return bytes;
}

std::vector<std::string> Processes::gather(const std::string& bytes) {
  if (!store_) return {bytes};
  const std::string key = "gather " + std::to_string(gathers_++) + " from ";
  if (place_.index != 0) {
    put(*store_, key + std::to_string(place_.index), bytes, 1);
    if (StoreClock::now() - clock_measured_ > kClockInterval) measure_clock(kLaterPings);
    return {};
  }
  std::vector<std::string> all{bytes};
  for (uint32_t from = 1; from < place_.size; ++from) all.push_back(take(key + std::to_string(from), from));
  return all;
}

std::string Processes::broadcast(const std::string& bytes) {
  if (!store_) return bytes;
  const std::string key = "broadcast " + std::to_string(broadcasts_++);
  if (place_.index != 0) return take(key, 0);
  put(*store_, key, bytes, place_.size - 1);
  return bytes;
}

void Processes::agree(const std::string& what, const std::string& mine) {
  const std::vector<std::string> all = gather(mine);
  std::string verdict;
  for (size_t i = 0; i < all.size() && verdict.empty(); ++i) {
    if (all[i] == mine) continue;
    verdict = "rank " + std::to_string(i) + " has " + all[i] + ", rank 0 has " + mine;
  }
  verdict = broadcast(verdict);
  if (!verdict.empty()) throw InputError(what, verdict + "; all ranks need the same");
}

void Processes::measure_clock(int rounds) {
  Store::Ping best;
  StoreClock::duration shortest = StoreClock::duration::max();
  for (int i = 0; i < rounds; ++i) {
    const Store::Ping ping = store_->ping();
    if (ping.received - ping.sent >= shortest) continue;
    shortest = ping.received - ping.sent;
    best = ping;
  }
  clock_measured_ = StoreClock::now();
  std::lock_guard lock(clock_mutex_);
  clock_.offset = picoseconds(best.server - (best.sent + shortest / 2));
  clock_.uncertainty = picoseconds(shortest) / 2;
}

ClockOffset Processes::clock() const {
  std::lock_guard lock(clock_mutex_);
  return clock_;
}

void Processes::fail(const std::string& reason) noexcept {
  if (store_) store_->fail(reason);
}

std::string Processes::failure() const {
  return store_ ? store_->failure() : "";
}

void Processes::on_failure(std::function<void(const std::string&)> callback) {
  if (store_) store_->on_failure(std::move(callback));
}

}  // namespace pgram
