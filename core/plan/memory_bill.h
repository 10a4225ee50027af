// MemoryBill: what the buffers of a role take, by kind of record.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/plan/plan.h"

namespace pgram {

/// Bytes of one rank of a role: all slots of its pools.
struct MemoryBill {
  std::array<uint64_t, 8> bytes{};  ///< by RecordKind
  uint64_t total = 0;
};
/// By role.
std::vector<MemoryBill> memory_bill(const Plan&);
/// The role that needs most.
size_t fullest_role(const std::vector<MemoryBill>&);
/// "54.0 GiB parameters, 12.0 GiB optimizer state": what takes it, the most first, five kinds at most.
std::string breakdown_text(const MemoryBill&);

}  // namespace pgram
