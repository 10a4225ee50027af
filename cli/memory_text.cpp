#include "cli/memory_text.h"

#include <nlohmann/json.hpp>

#include "core/base/units.h"
#include "core/plan/memory_bill.h"

namespace pgram::cli {

static constexpr int kKinds = static_cast<int>(RecordKind::misc) + 1;

std::string memory_to_text(const Plan& plan, const Cluster& cluster) {
  const std::vector<MemoryBill> bills = memory_bill(plan);
  const size_t role = fullest_role(bills);
  const MemoryBill& bill = bills[role];
  const uint64_t available = cluster.device.memory_bytes;
  std::string text = "memory: " + format_bytes(bill.total) + " needed on the fullest rank (pipeline rank " +
                     std::to_string(role) + "), " + format_bytes(available) + " available: ";
  text += bill.total <= available ? "fits, " + format_bytes(available - bill.total) + " left\n"
                                  : "DOES NOT FIT, " + format_bytes(bill.total - available) + " too much\n";
  return text + "  of it " + breakdown_text(bill) + "\n";
}

nlohmann::ordered_json memory_to_json(const Plan& plan, const Cluster& cluster) {
  const std::vector<MemoryBill> bills = memory_bill(plan);
  const uint64_t needed = bills[fullest_role(bills)].total, available = cluster.device.memory_bytes;
  nlohmann::ordered_json roles = nlohmann::ordered_json::array();
  for (const MemoryBill& bill : bills) {
    nlohmann::ordered_json kinds;
    for (int k = 0; k < kKinds; ++k) kinds[name_of(static_cast<RecordKind>(k))] = bill.bytes[k];
    roles.push_back({{"bytes", bill.total}, {"by_kind", kinds}});
  }
  return {{"needed_bytes", needed},
          {"available_bytes", available},
          {"fits", needed <= available},
          {"fullest_pipeline_rank", fullest_role(bills)},
          {"per_pipeline_rank", roles}};
}

}  // namespace pgram::cli
