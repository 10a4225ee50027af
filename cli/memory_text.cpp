#include "cli/memory_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/units.h"
#include "core/planner/planner.h"

namespace pgram::cli {
namespace {

constexpr int kKinds = static_cast<int>(RecordKind::misc) + 1;

const char* plural(RecordKind kind) {
  switch (kind) {
    case RecordKind::parameter:
      return "parameters";
    case RecordKind::gradient:
      return "gradients";
    case RecordKind::optimizer:
      return "optimizer state";
    case RecordKind::saved:
      return "saved activations";
    case RecordKind::edge:
      return "layer inputs";
    default:
      return name_of(kind);
  }
}

size_t fullest(const std::vector<MemoryBill>& bills) {
  const auto most = std::max_element(bills.begin(), bills.end(), [](auto& a, auto& b) { return a.total < b.total; });
  return static_cast<size_t>(most - bills.begin());
}

}  // namespace

std::string memory_to_text(const Plan& plan, const Cluster& cluster) {
  const std::vector<MemoryBill> bills = memory_bill(plan);
  const size_t role = fullest(bills);
  const MemoryBill& bill = bills[role];
  const uint64_t available = cluster.device.memory_bytes;
  std::string text = "memory: " + format_bytes(bill.total) + " needed on the fullest rank (pipeline rank " +
                     std::to_string(role) + "), " + format_bytes(available) + " available: ";
  text += bill.total <= available ? "fits, " + format_bytes(available - bill.total) + " left\n"
                                  : "DOES NOT FIT, " + format_bytes(bill.total - available) + " too much\n";
  std::vector<int> kinds;
  for (int k = 0; k < kKinds; ++k) {
    if (bill.bytes[k]) kinds.push_back(k);
  }
  std::stable_sort(kinds.begin(), kinds.end(), [&](int a, int b) { return bill.bytes[a] > bill.bytes[b]; });
  text += "  of it";
  for (size_t i = 0; i < kinds.size() && i < 5; ++i) {
    text += (i ? ", " : " ") + format_bytes(bill.bytes[kinds[i]]) + " " + plural(static_cast<RecordKind>(kinds[i]));
  }
  return text + "\n";
}

nlohmann::ordered_json memory_to_json(const Plan& plan, const Cluster& cluster) {
  const std::vector<MemoryBill> bills = memory_bill(plan);
  const uint64_t needed = bills[fullest(bills)].total, available = cluster.device.memory_bytes;
  nlohmann::ordered_json roles = nlohmann::ordered_json::array();
  for (const MemoryBill& bill : bills) {
    nlohmann::ordered_json kinds;
    for (int k = 0; k < kKinds; ++k) kinds[name_of(static_cast<RecordKind>(k))] = bill.bytes[k];
    roles.push_back({{"bytes", bill.total}, {"by_kind", kinds}});
  }
  return {{"needed_bytes", needed},
          {"available_bytes", available},
          {"fits", needed <= available},
          {"fullest_pipeline_rank", fullest(bills)},
          {"per_pipeline_rank", roles}};
}

}  // namespace pgram::cli
