#include "core/plan/memory_bill.h"

#include <algorithm>

#include "core/base/units.h"

namespace pgram {
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

}  // namespace

std::vector<MemoryBill> memory_bill(const Plan& plan) {
  std::vector<MemoryBill> bills;
  for (const Program& program : plan.programs) {
    MemoryBill bill;
    for (const Pool& pool : program.pools) {
      const Record& record = plan.records[pool.record];
      bill.bytes[static_cast<int>(record.kind)] += uint64_t{pool.slots} * record.bytes;
    }
    for (uint64_t bytes : bill.bytes) bill.total += bytes;
    bills.push_back(bill);
  }
  return bills;
}

size_t fullest_role(const std::vector<MemoryBill>& bills) {
  const auto most = std::max_element(bills.begin(), bills.end(), [](auto& a, auto& b) { return a.total < b.total; });
  return static_cast<size_t>(most - bills.begin());
}

std::string breakdown_text(const MemoryBill& bill) {
  std::vector<int> kinds;
  for (int k = 0; k < kKinds; ++k) {
    if (bill.bytes[k]) kinds.push_back(k);
  }
  std::stable_sort(kinds.begin(), kinds.end(), [&](int a, int b) { return bill.bytes[a] > bill.bytes[b]; });
  std::string text;
  for (size_t i = 0; i < kinds.size() && i < 5; ++i) {
    text += (i ? ", " : "") + format_bytes(bill.bytes[kinds[i]]) + " " + plural(static_cast<RecordKind>(kinds[i]));
  }
  return text;
}

}  // namespace pgram
