// Schedules as values: rows of op text ("2F0"), one per pipeline rank. Pure functions make them, passes lower them.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/plan/plan.h"

namespace pgram {

struct ScheduleOp {
  SlotKind kind = SlotKind::F;
  uint16_t stage = 0, micro_batch = 0;
  bool joins = false;  ///< starts together with the op before it (exchanges.h)
  bool operator==(const ScheduleOp&) const = default;
};
using ScheduleRow = std::vector<ScheduleOp>;
/// One row per pipeline rank; stage s lives on rank s.
using Schedule = std::vector<ScheduleRow>;

Schedule gpipe(uint32_t ranks, uint32_t micro_batches);
/// Warm-up min(P-1-r, M), then one forward one backward (Megatron's non-interleaved schedule).
Schedule one_f_one_b(uint32_t ranks, uint32_t micro_batches);

std::string to_text(const ScheduleOp&);  ///< "2F0", "2SEND_F0"
std::string to_text(const Schedule&);    ///< rows of comma-separated ops, PyTorch's CSV; "+" where one joins
/// InputError with file and line for anything that is not op text.
Schedule parse_schedule(const std::string& text, const std::string& file_name);
/// By name (gpipe, 1f1b) or from a file of rows.
Schedule find_schedule(const std::string& name_or_path, uint32_t ranks, uint32_t micro_batches);

/// One row per rank, each stage on its rank, M forwards and M backwards per stage, F before B. InputError prints the
/// time x rank grid with "<-- ERROR HERE" when the rows cannot finish.
void validate_schedule(const Schedule&, uint32_t ranks, uint32_t micro_batches, const std::string& file_name);

/// Places sends and receives (PyTorch's _add_send_recv rule): the producer appends the consumer's receive at the moment
/// of its own send, so every row is a slice of one global order and blocking rendezvous cannot deadlock.
Schedule add_send_recv(const Schedule&);

}  // namespace pgram
