#include "cli/memory_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/units.h"
#include "core/plan/memory_bill.h"
#include "sim/memory.h"

namespace pgram::cli {

static constexpr int kKinds = static_cast<int>(RecordKind::misc) + 1;

static std::string verdict(uint64_t needed, uint64_t available) {
  return needed <= available ? "fits, " + format_bytes(available - needed) + " left"
                             : "DOES NOT FIT, " + format_bytes(needed - available) + " too much";
}

static nlohmann::ordered_json by_kind(const MemoryBill& bill) {
  nlohmann::ordered_json kinds;
  for (int k = 0; k < kKinds; ++k) kinds[name_of(static_cast<RecordKind>(k))] = bill.bytes[k];
  return kinds;
}

static std::vector<sim::MemoryPeak> peaks_of(const Timeline& timeline) {
  std::vector<sim::MemoryPeak> peaks;
  const auto spans = timeline.of_step(timeline.median_step());
  for (size_t at = 0; at < spans.size();) {
    size_t end = at;
    while (end < spans.size() && spans[end].rank == spans[at].rank) ++end;
    peaks.push_back(sim::memory_at_peak(*timeline.plan, spans[at].rank, spans.subspan(at, end - at)));
    at = end;
  }
  return peaks;
}

std::string memory_to_text(const Plan& plan, const Cluster& cluster) {
  const std::vector<MemoryBill> bills = memory_bill(plan);
  const size_t role = fullest_role(bills);
  const MemoryBill& bill = bills[role];
  const uint64_t available = cluster.device.memory_bytes;
  std::string text = "memory: " + format_bytes(bill.total) + " needed on the fullest rank (pipeline rank " +
                     std::to_string(role) + "), " + format_bytes(available) + " available: ";
  text += verdict(bill.total, available) + "\n";
  return text + "  of it " + breakdown_text(bill) + "\n";
}

nlohmann::ordered_json memory_to_json(const Plan& plan, const Cluster& cluster) {
  const std::vector<MemoryBill> bills = memory_bill(plan);
  const uint64_t needed = bills[fullest_role(bills)].total, available = cluster.device.memory_bytes;
  nlohmann::ordered_json roles = nlohmann::ordered_json::array();
  for (const MemoryBill& bill : bills) {
    roles.push_back({{"bytes", bill.total}, {"by_kind", by_kind(bill)}});
  }
  return {{"needed_bytes", needed},
          {"available_bytes", available},
          {"fits", needed <= available},
          {"fullest_pipeline_rank", fullest_role(bills)},
          {"per_pipeline_rank", roles}};
}

std::string peak_to_text(const Timeline& timeline, const Cluster& cluster) {
  const auto peaks = peaks_of(timeline);
  if (peaks.empty()) return "";
  const sim::MemoryPeak& peak =
      *std::ranges::max_element(peaks, {}, [](const sim::MemoryPeak& p) { return p.held.total; });
  return "  in use at most " + format_bytes(peak.held.total) + ", on rank " + std::to_string(peak.rank) + " after " +
         format_time(peak.time) + ": " + verdict(peak.held.total, cluster.device.memory_bytes) + "\n  of it " +
         breakdown_text(peak.held) + "\n";
}

nlohmann::ordered_json peak_to_json(const Timeline& timeline, const Cluster& cluster) {
  nlohmann::ordered_json ranks = nlohmann::ordered_json::array();
  const uint64_t available = cluster.device.memory_bytes;
  for (const sim::MemoryPeak& peak : peaks_of(timeline)) {
    nlohmann::ordered_json records = nlohmann::ordered_json::array();
    for (const auto& part : peak.parts) {
      records.push_back(
          {{"record", timeline.plan->records[part.record].name}, {"slots", part.slots}, {"bytes", part.bytes}});
    }
    ranks.push_back({{"rank", peak.rank},
                     {"seconds", to_seconds(peak.time)},
                     {"bytes", peak.held.total},
                     {"fits", peak.held.total <= available},
                     {"bytes_left", static_cast<int64_t>(available) - static_cast<int64_t>(peak.held.total)},
                     {"by_kind", by_kind(peak.held)},
                     {"by_record", records}});
  }
  return ranks;
}

}  // namespace pgram::cli
