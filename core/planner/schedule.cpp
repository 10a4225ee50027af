#include "core/planner/schedule.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <functional>
#include <sstream>

#include "core/base/errors.h"

namespace pgram {

Schedule gpipe(uint32_t ranks, uint32_t micro_batches) {
  Schedule schedule(ranks);
  for (uint16_t rank = 0; rank < ranks; ++rank) {
    for (uint16_t m = 0; m < micro_batches; ++m) schedule[rank].push_back({SlotKind::F, rank, m});
    for (uint16_t m = 0; m < micro_batches; ++m) schedule[rank].push_back({SlotKind::B, rank, m});
  }
  return schedule;
}

Schedule one_f_one_b(uint32_t ranks, uint32_t micro_batches) {
  Schedule schedule(ranks);
  for (uint16_t rank = 0; rank < ranks; ++rank) {
    ScheduleRow& row = schedule[rank];
    row.reserve(size_t{2} * micro_batches);
    const uint32_t warm_up = std::min(ranks - 1 - rank, micro_batches);
    uint16_t forward = 0, backward = 0;
    while (forward < warm_up) row.push_back({SlotKind::F, rank, forward++});
    while (forward < micro_batches) {
      row.push_back({SlotKind::F, rank, forward++});
      row.push_back({SlotKind::B, rank, backward++});
    }
    while (backward < micro_batches) row.push_back({SlotKind::B, rank, backward++});
  }
  return schedule;
}

std::string to_text(const ScheduleOp& op) {
  return std::to_string(op.stage) + name_of(op.kind) + std::to_string(op.micro_batch);
}

std::string to_text(const Schedule& schedule) {
  std::string text;
  for (const ScheduleRow& row : schedule) {
    for (size_t i = 0; i < row.size(); ++i) text += (i == 0 ? "" : row[i].joins ? "+" : ",") + to_text(row[i]);
    text += '\n';
  }
  return text;
}

static ScheduleOp parse_op(std::string_view text, const std::string& file, int line) {
  const auto fail = [&]() -> ScheduleOp {
    throw InputError(file, line, "'" + std::string(text) + "'",
                     "expected a schedule op as <stage><F|B><micro-batch>, for example 2F0");
  };
  const auto number = [&](std::string_view& rest, uint16_t& value) {
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (error != std::errc()) return false;
    rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    return true;
  };
  ScheduleOp op;
  std::string_view rest = text;
  if (!number(rest, op.stage) || rest.empty()) return fail();
  static constexpr std::array kKinds{SlotKind::F, SlotKind::B, SlotKind::I, SlotKind::W};
  const auto* kind = std::find_if(kKinds.begin(), kKinds.end(), [&](SlotKind k) { return name_of(k)[0] == rest[0]; });
  if (kind == kKinds.end()) return fail();
  op.kind = *kind;
  rest.remove_prefix(1);
  if (!number(rest, op.micro_batch) || !rest.empty()) return fail();
  return op;
}

Schedule parse_schedule(const std::string& text, const std::string& file_name) {
  Schedule schedule;
  std::istringstream lines(text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    std::erase_if(line, [](char c) { return c == ' ' || c == '\r' || c == '\t'; });
    if (line.empty()) continue;
    ScheduleRow row;
    for (size_t at = 0; at <= line.size();) {
      const size_t comma = std::min(line.find(',', at), line.size());
      row.push_back(parse_op(std::string_view(line).substr(at, comma - at), file_name, number));
      at = comma + 1;
    }
    schedule.push_back(std::move(row));
  }
  if (schedule.empty()) throw InputError(file_name, 0, "rows", "expected one row of ops per pipeline rank, found none");
  return schedule;
}

Schedule find_schedule(const std::string& name_or_path, uint32_t ranks, uint32_t micro_batches) {
  if (name_or_path == "gpipe") return gpipe(ranks, micro_batches);
  if (name_or_path == "1f1b") return one_f_one_b(ranks, micro_batches);
  std::ifstream file(name_or_path);
  if (!file) {
    throw InputError("schedule", "expected gpipe, 1f1b or a file of rows, got '" + name_or_path + "' (no such file)");
  }
  std::stringstream text;
  text << file.rdbuf();
  Schedule schedule = parse_schedule(text.str(), name_or_path);
  validate_schedule(schedule, ranks, micro_batches, name_or_path);
  return schedule;
}

/// The op before which its own must have run, as (stage, micro-batch, kind); none for the pipeline's first forward.
static bool has_input(const ScheduleOp& op, uint32_t stages, const std::function<bool(SlotKind, uint32_t)>& done) {
  switch (op.kind) {
    case SlotKind::F:
      return op.stage == 0 || done(SlotKind::F, op.stage - 1);
    case SlotKind::W:
      return done(SlotKind::I, op.stage);
    default:
      return done(SlotKind::F, op.stage) && (op.stage + 1u == stages || done(SlotKind::B, op.stage + 1u));
  }
}

/// Rows with time across, so that the reader sees how far every rank came.
static std::string stuck_grid(const Schedule& schedule, const std::vector<size_t>& at) {
  std::string grid;
  for (size_t rank = 0; rank < schedule.size(); ++rank) {
    grid += "\n  rank " + std::to_string(rank) + ":";
    for (size_t i = 0; i < std::min(at[rank], schedule[rank].size()); ++i) grid += " " + to_text(schedule[rank][i]);
    if (at[rank] < schedule[rank].size()) grid += " " + to_text(schedule[rank][at[rank]]) + " <-- ERROR HERE";
  }
  return grid;
}

void validate_schedule(const Schedule& schedule, uint32_t ranks, uint32_t micro_batches, const std::string& file) {
  if (schedule.size() != ranks) {
    throw InputError(file, 0, "rows",
                     "expected " + std::to_string(ranks) + " rows (pp), found " + std::to_string(schedule.size()));
  }
  // 1. every stage on its rank, every op once
  std::vector<uint8_t> seen(size_t{ranks} * micro_batches * 2, 0);
  for (uint32_t rank = 0; rank < ranks; ++rank) {
    const int line = static_cast<int>(rank) + 1;
    for (const ScheduleOp& op : schedule[rank]) {
      if (op.kind != SlotKind::F && op.kind != SlotKind::B) {
        throw InputError(file, line, to_text(op), "split backwards (I and W) are not available yet; use B");
      }
      if (op.stage != rank) {
        throw InputError(file, line, to_text(op),
                         "stage " + std::to_string(op.stage) + " must stay on row " + std::to_string(op.stage));
      }
      if (op.micro_batch >= micro_batches) {
        throw InputError(file, line, to_text(op), "the step has " + std::to_string(micro_batches) + " micro-batches");
      }
      uint8_t& count = seen[(size_t{rank} * micro_batches + op.micro_batch) * 2 + (op.kind == SlotKind::B)];
      if (count++) throw InputError(file, line, to_text(op), "appears twice");
    }
    if (schedule[rank].size() != size_t{micro_batches} * 2) {
      throw InputError(file, line, "row " + std::to_string(rank),
                       "expected " + std::to_string(micro_batches) + " forwards and as many backwards, found " +
                           std::to_string(schedule[rank].size()) + " ops");
    }
  }
  // 2. it can finish
  std::vector<size_t> at(ranks, 0);
  std::fill(seen.begin(), seen.end(), 0);
  for (bool progress = true; progress;) {
    progress = false;
    for (uint32_t rank = 0; rank < ranks; ++rank) {
      while (at[rank] < schedule[rank].size()) {
        const ScheduleOp& op = schedule[rank][at[rank]];
        const auto done = [&](SlotKind kind, uint32_t stage) {
          return seen[(size_t{stage} * micro_batches + op.micro_batch) * 2 + (kind != SlotKind::F)] != 0;
        };
        if (!has_input(op, ranks, done)) break;
        seen[(size_t{rank} * micro_batches + op.micro_batch) * 2 + (op.kind == SlotKind::B)] = 1;
        ++at[rank];
        progress = true;
      }
    }
  }
  for (uint32_t rank = 0; rank < ranks; ++rank) {
    if (at[rank] < schedule[rank].size()) {
      throw InputError(file, static_cast<int>(rank) + 1, to_text(schedule[rank][at[rank]]),
                       "the rows cannot finish: no rank can go on" + stuck_grid(schedule, at));
    }
  }
}

Schedule add_send_recv(const Schedule& schedule) {
  const uint32_t ranks = static_cast<uint32_t>(schedule.size());
  uint32_t micro_batches = 0;
  for (const ScheduleRow& row : schedule) {
    for (const ScheduleOp& op : row) micro_batches = std::max(micro_batches, op.micro_batch + 1u);
  }
  Schedule lowered(ranks);
  for (uint32_t rank = 0; rank < ranks; ++rank) lowered[rank].reserve(3 * schedule[rank].size());
  std::vector<size_t> at(ranks, 0);
  // whether the input of (stage, micro-batch) has a receive placed: [.. * 2] forward, [.. * 2 + 1] backward
  std::vector<uint8_t> placed(size_t{ranks} * micro_batches * 2, 0);
  const auto input = [&](uint32_t stage, uint32_t m, bool backward) -> uint8_t& {
    return placed[(size_t{stage} * micro_batches + m) * 2 + backward];
  };
  const auto ready = [&](const ScheduleOp& op) {
    if (op.kind == SlotKind::F) return op.stage == 0 || input(op.stage, op.micro_batch, false) != 0;
    return op.kind == SlotKind::W || op.stage + 1u == ranks || input(op.stage, op.micro_batch, true) != 0;
  };
  const auto place = [&](uint32_t rank, const ScheduleOp& op) {
    lowered[rank].push_back(op);
    if (op.kind == SlotKind::F && op.stage + 1u < ranks) {
      const uint16_t next = op.stage + 1;
      lowered[rank].push_back({SlotKind::send_f, op.stage, op.micro_batch});
      lowered[next].push_back({SlotKind::recv_f, next, op.micro_batch});
      input(next, op.micro_batch, false) = 1;
    } else if ((op.kind == SlotKind::B || op.kind == SlotKind::I) && op.stage > 0) {
      const uint16_t previous = op.stage - 1;
      lowered[rank].push_back({SlotKind::send_b, op.stage, op.micro_batch});
      lowered[previous].push_back({SlotKind::recv_b, previous, op.micro_batch});
      input(previous, op.micro_batch, true) = 1;
    }
  };
  // One op per rank and sweep: the order in which PyTorch visits them, which fixes the order of the receives.
  for (bool progress = true; progress;) {
    progress = false;
    for (uint32_t rank = 0; rank < ranks; ++rank) {
      if (at[rank] == schedule[rank].size() || !ready(schedule[rank][at[rank]])) continue;
      place(rank, schedule[rank][at[rank]++]);
      progress = true;
    }
  }
  for (uint32_t rank = 0; rank < ranks; ++rank) {
    if (at[rank] < schedule[rank].size()) {
      throw InputError("schedule", "malformed: no rank can go on" + stuck_grid(schedule, at));
    }
  }
  return lowered;
}

}  // namespace pgram
