// What a test may ask of the stand-in GPU. Got by dlsym(RTLD_DEFAULT, kControlSymbol) from the libcudart.so.13 that the
// process runs on; absent on NVIDIA's own.
//
// Environment, read when the library is loaded:
//   PGRAM_EMULATION_DEVICES   number of devices (default 8)
//   PGRAM_EMULATION_MEMORY    bytes of each device (default 1 GiB)
//   PGRAM_EMULATION_ENGINE    cpp (default; kernels compiled by g++) or ptx (nvcc's own PTX, interpreted)
//   PGRAM_EMULATION_NCCL_VERSION  what ncclGetVersion says, 22703 for 2.27.3 (default: that of nccl.h)
//   PGRAM_EMULATION_KERNELS   the libraries with the kernels compiled by g++ (engine cpp), separated by colons
//   PGRAM_EMULATION_NAMES     names of the devices, separated by commas; the last one stands for all further ones
//   NVTX_INJECTION64_PATH     this very library: then every operation knows the task (NVTX range "task:...") it is of
// Misuse that nobody took by take_reports() is printed to standard error when the process ends, each line beginning
// "stand-in GPU: ", and makes the exit status 99.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace pgram::emulation {

/// Picoseconds of virtual time.
using VirtualTime = int64_t;

/// How long a task holds its stream, and how much later than that it ends (the latency of a receive).
struct Cost {
  VirtualTime hold = 0, tail = 0;
};
/// The first operation of a task costs what this says, further ones of the same task nothing.
using CostModel = std::function<Cost(const std::string& task, int device)>;

/// When a task reached the front of its stream, began (communication: when the last member had come), and ended.
struct TaskTime {
  std::string task;  ///< as in its NVTX range, without "task:"
  int device = 0;
  uint64_t stream = 0;
  VirtualTime arrival = 0, start = 0, end = 0;
};

struct Live {
  uint64_t urgent_streams = 0;  ///< of `streams`, those of the greatest priority
  uint64_t streams = 0, events = 0, allocations = 0, pinned = 0, blas_handles = 0, communicators = 0;
  bool operator==(const Live&) const = default;
};

struct Control {
  /// Forgets reports, counts of calls, planned failures and the cost model; sets virtual time to 0; ends sticky errors.
  void (*reset)();
  void (*set_devices)(int count);
  void (*set_memory)(uint64_t bytes_per_device);
  void (*set_capability)(int major, int minor);  ///< compute capability of the devices (default 9.0)
  /// Operations that a stream holds; a call that puts one more on it waits until there is room, as CUDA's do after some
  /// thousand. 0: as many as come (default).
  void (*set_queue)(uint64_t operations);
  /// Misuse found so far, one line each: "out of bounds: kernel ... writes 4 bytes behind ...". Forgets it.
  std::vector<std::string> (*take_reports)();
  /// Calls of one kind so far ("cudaEventRecord", "cublasSgemm", "ncclAllReduce"), of all threads.
  uint64_t (*calls)(const char* name);
  std::vector<std::string> (*called)();  ///< kinds of calls made so far
  /// The nth call of this kind from now on (1 = the next) returns `code` of its own status type and does nothing.
  void (*fail_call)(const char* name, uint64_t nth, int code);
  /// The nth call of this kind from now on begins only after so long.
  void (*stall_call)(const char* name, uint64_t nth, double seconds);
  Live (*live)();
  /// Virtual clock: empty switches it off.
  void (*set_cost_model)(CostModel);
  std::vector<TaskTime> (*take_task_times)();
  /// What every blocked stream waits for, one line each, by task.
  std::vector<std::string> (*blocked)();
};

constexpr const char* kControlSymbol = "pgram_emulation_control";  ///< extern "C" const Control* ();

}  // namespace pgram::emulation
