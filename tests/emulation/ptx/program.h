// What the parser makes of a PTX file and the machine runs: functions of decoded instructions over slots.
//
// A slot is one 64-bit value per lane of a warp. Registers, constants, special registers and the sink `_` are all
// slots, so that an instruction only has slot numbers.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/emulation/ptx/ptx.h"
#include "tests/emulation/ptx/rounding.h"
#include "tests/emulation/ptx/types.h"

namespace pgram::emulation::ptx {

constexpr uint32_t kLanes = 32;
constexpr uint32_t kNoSlot = UINT32_MAX;
constexpr uint32_t kMaxElements = 8;  ///< ld.global.v8

// Generic addresses of what is not device memory: windows of 4 GiB where no address of x86-64 lies.
constexpr uint64_t kSharedWindow = 0x4000'0000'0000'0000, kLocalWindow = 0x4001'0000'0000'0000;
constexpr uint64_t kParameterWindow = 0x4002'0000'0000'0000, kModuleWindow = 0x4003'0000'0000'0000;
constexpr uint64_t kWindowBytes = uint64_t{1} << 32;

enum class Space : uint8_t { generic, global, shared, local, parameter, constant };

/// How the machine goes on after an instruction.
enum class Flow : uint8_t {
  next,
  branch,
  branch_table,
  exit,
  barrier,  ///< all threads of the block meet
  meet      ///< the lanes of a member mask meet, then `execute` runs for them together
};

class Warp;
struct Instruction;
using Execute = void (*)(Warp&, const Instruction&, uint32_t lanes);

struct Instruction {
  Execute execute = nullptr;
  Flow flow = Flow::next;
  Space space = Space::generic;
  Rounding rounding = Rounding::nearest;
  bool guard_negated = false, flush = false, saturate = false;
  uint8_t choice = 0;  ///< which operation of its group; the group's file says
  uint8_t bytes = 0;   ///< of one element
  uint8_t count = 0;   ///< of `elements`
  uint32_t guard = kNoSlot;
  uint32_t target = 0;   ///< instruction, or number of a branch table
  uint32_t members = 0;  ///< slot of the member mask, for Flow::meet
  uint32_t d = 0, d2 = kNoSlot, a = 0, b = 0, c = 0, e = 0;
  int64_t offset = 0;  ///< of an address whose base is `a`
  std::array<uint32_t, kMaxElements> elements{};
};

// clang-format off
enum class Special : uint8_t { tid_x, tid_y, tid_z, ntid_x, ntid_y, ntid_z, ctaid_x, ctaid_y, ctaid_z, nctaid_x, nctaid_y, nctaid_z, laneid, warpid, nwarpid, lanemask_eq, lanemask_le, lanemask_lt, lanemask_ge, lanemask_gt };
// clang-format on

/// Variables of a kernel in shared or local memory, with gaps between them so that running over an end is seen.
struct Area {
  std::vector<bool> inside;  ///< byte by byte: belongs to a variable
  /// Offset of a new variable. 0 is never given out.
  uint64_t add(uint64_t bytes, uint64_t alignment);
  bool holds(uint64_t offset, uint64_t bytes) const;
};

struct Function {
  struct Parameter {
    uint32_t offset, bytes;
  };
  std::string name;
  std::vector<Parameter> parameters;
  uint32_t parameter_bytes = 0;
  std::vector<Instruction> code;   ///< ends with an exit
  std::vector<std::string> texts;  ///< of the instructions
  std::vector<std::vector<uint32_t>> branch_tables;
  uint32_t slots = 1;  ///< slot 0 is the sink
  std::vector<std::pair<uint32_t, uint64_t>> constants;
  std::vector<std::pair<uint32_t, Special>> specials;
  Area shared, local;
  /// The module's initialised variables, at kModuleWindow.
  std::shared_ptr<const std::vector<std::byte>> module_data;
  uint64_t max_threads = 0;       ///< of a block, as compiled (__launch_bounds__); 0: not said
  uint64_t required_threads = 0;  ///< .reqntid; 0: not said
};

/// run() with a limit to the number of instructions, each counted once for all lanes of a warp that do it together.
/// Returns that number.
uint64_t run_limited(const Function&, std::array<uint32_t, 3> grid, std::array<uint32_t, 3> block,
                     const void* const* arguments, GlobalMemory&, uint64_t limit);

}  // namespace pgram::emulation::ptx
