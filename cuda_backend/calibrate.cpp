#include "cuda_backend/calibrate.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <map>
#include <memory>
#include <tuple>

#include "core/base/errors.h"
#include "core/exec/calibration_grid.h"
#include "cuda_backend/calibrate_bf16.h"
#include "cuda_backend/calibrate_kernels.h"
#include "cuda_backend/calibrate_transfers.h"
#include "cuda_backend/device_choice.h"
#include "cuda_backend/dispatch.h"
#include "cuda_backend/process_place.h"

namespace pgram {
namespace {

constexpr Seconds kShortest = 4e-3;          ///< of one micro-benchmark
constexpr Seconds kTelling = 1e-3;           ///< a task of this length says what the device reaches
constexpr uint32_t kQueue = 200;             ///< tiny tasks in a row
constexpr Bytes kMostCopied = 256 << 20;     ///< for the bandwidth: well beyond any cache
constexpr Bytes kMostSlotBytes = 256 << 20;  ///< of one record's slots in a micro-benchmark
constexpr double kTransfersEnd = 0.6;        ///< share of the budget after which a grid of shapes matters more

/// What fixes latency and bandwidth first.
constexpr std::array<Bytes, 3> kFirstSizes{64, 64 << 10, 1 << 20};
constexpr std::array<Bytes, 7> kMoreSizes{16 << 20, 1 << 10, 256 << 10, 16 << 10, 4 << 20, 64 << 20, 256 << 20};

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d", std::localtime(&now));
  return text.data();
}

std::string version(int number, int major_unit, int minor_unit) {
  return std::to_string(number / major_unit) + "." + std::to_string(number % major_unit / minor_unit);
}

/// GPU 0 and its like.
std::vector<int> equal_gpus(const CudaReport& machine, int most) {
  std::vector<int> ordinals;
  for (size_t i = 0; i < machine.gpus.size(); ++i) {
    if (machine.gpus[i].name == machine.gpus[0].name && (most == 0 || static_cast<int>(ordinals.size()) < most))
      ordinals.push_back(static_cast<int>(i));
  }
  return ordinals;
}

void refuse(const CudaCalibrateOptions& options, int devices) {
  if (const ProcessPlace place = process_place(); place.size > 1) {
    throw InputError("calibrate", "measures all GPUs of a machine from one process, but " + place.launcher +
                                      " started " + std::to_string(place.size) + "; start one");
  }
  if (options.devices < 0 || options.devices > devices) {
    throw InputError("devices", "expected at most " + std::to_string(devices) + ", the GPUs of this machine, got " +
                                    std::to_string(options.devices));
  }
  for (const Plan* plan : options.plans) {
    if (const std::string lacking = unsupported(*plan); !lacking.empty())
      throw InputError("plan", "the CUDA backend cannot run it: " + lacking);
  }
}

class Calibration {
 public:
  explicit Calibration(const CudaCalibrateOptions& options)
      : options_(options),
        start_(clock()),
        machine_(report()),
        gpus_(equal_gpus(machine_, options.devices)),
        timer_(options.stop),
        bench_(timer_) {
    for (const Plan* plan : options.plans) prepared_.push_back(std::make_unique<PreparedPlan>(*plan));
  }

  Device run() {
    figures();
    plans();
    for (Bytes bytes : kFirstSizes) copies(bytes, true);
    transfers({kFirstSizes.begin(), kFirstSizes.end()}, true);
    for (Bytes bytes : kMoreSizes) copies(bytes, false);
    transfers({kMoreSizes.begin(), kMoreSizes.end()}, false);
    grid();
    return finish();
  }

 private:
  static Seconds clock() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
  /// Budget used so far.
  double used() const { return (clock() - start_) / options_.seconds_budget; }
  /// When even what is needed is left out.
  bool overdue() const { return clock() - start_ > std::max(60.0, 3 * options_.seconds_budget); }
  bool stopped() const { return options_.stop.stop_requested(); }
  void tell(const std::string& what) const {
    if (options_.progress) options_.progress(std::min(0.99, used()), what);
  }
  static Bytes free_memory() {
    size_t free = 0, total = 0;
    PGRAM_CHECK(cudaMemGetInfo(&free, &total));
    return free;
  }

  // --- single figures

  void figures() {
    tell("launch overhead, peak and bandwidth");
    launch_ = [&] {
      const Plan plan = grid_plan({Kernel::clip, 1, 1, 1});
      const PreparedPlan prepared(plan);
      return bench_.measure_queue({&prepared, 0, 0}, kQueue);
    }();
    for (uint32_t size = 256; size <= 8192; size *= 2) {
      const Seconds seconds = once({Kernel::matmul, size, size, size});
      if (seconds == 0) break;
      flops_per_second_ = std::max(flops_per_second_, 2.0 * size * size * size / seconds);
      if (seconds >= kTelling || stopped()) break;
    }
    for (uint32_t size = 256; size <= 8192 && uint64_t{16} * size * size <= free_memory(); size *= 2) {
      const Seconds seconds = measure_bf16_product(timer_, size, kShortest);
      bf16_per_second_ = std::max(bf16_per_second_, 2.0 * size * size * size / seconds);
      if (seconds >= kTelling || stopped()) break;
    }
    // Half of the square is masked.
    for (const auto& [sequence, heads] :
         {std::pair{64u, 2u}, std::pair{256u, 8u}, std::pair{1024u, 16u}, std::pair{4096u, 16u}}) {
      constexpr uint32_t kHeadSize = 64;
      const Seconds seconds = once({Kernel::attention, sequence, heads, kHeadSize});
      if (seconds == 0) break;
      attention_per_second_ = std::max(attention_per_second_, 2.0 * sequence * sequence * heads * kHeadSize / seconds);
      if (seconds >= kTelling || stopped()) break;
    }
    for (Bytes bytes = 1 << 20; bytes <= std::min(kMostCopied, free_memory() / 4); bytes *= 4) {
      const Seconds seconds = measure_copy(timer_, CopyKind::within_device, 0, bytes, 0);
      bytes_per_second_ = 2 * static_cast<double>(bytes) / seconds;  // read and written
      if (seconds >= kTelling || stopped()) break;
    }
  }

  /// 0 where it does not fit the memory.
  Seconds once(const GridCase& item) {
    const Plan plan = grid_plan(item);
    const PreparedPlan prepared(plan);
    const TaskCase task{&prepared, 0, 0};
    return bench_.fits(task) ? bench_.measure(task, 0, 0) : 0;
  }

  // --- kernels

  using Key = std::tuple<Kernel, std::array<uint64_t, 4>>;
  static Key key_of(const TaskCase& item) {
    return {item.the_op().kernel, kernel_shape(item.plan(), item.in_body(), item.the_op())};
  }

  void measure(const TaskCase& item, Seconds seconds) {
    if (!bench_.fits(item)) {
      ++too_large_;
      return;
    }
    tell(std::string(name_of(item.the_op().kernel)));
    kernels_[key_of(item)] = bench_.measure(item, std::min(kMostSlotBytes, free_memory() / 64), seconds);
  }

  /// Every compute op, once for each shape.
  std::vector<TaskCase> tasks_of_plans() const {
    std::map<Key, TaskCase> tasks;
    for (const auto& prepared : prepared_) {
      for (const Program& program : prepared->plan.programs) {
        for (const Call& call : program.calls) {
          for (uint16_t op = 0; op < prepared->plan.bodies[call.body].ops.size(); ++op) {
            const TaskCase item{prepared.get(), call.body, op};
            if (!is_communication(item.the_op().kernel)) tasks.try_emplace(key_of(item), item);
          }
        }
      }
    }
    std::vector<TaskCase> list;
    for (const auto& [key, item] : tasks) list.push_back(item);
    return list;
  }

  void plans() {
    const std::vector<TaskCase> tasks = tasks_of_plans();
    for (const TaskCase& item : tasks) {
      if (stopped() || overdue()) return;
      const Seconds share = 0.4 * options_.seconds_budget / static_cast<double>(tasks.size());
      measure(item, std::clamp(share, 0.0, 0.1));
    }
  }

  void grid() {
    for (const std::vector<GridCase>& level : calibration_grid(GridScale::gpu)) {
      for (const GridCase& item : level) {
        if (stopped() || used() >= 1) return;
        const Plan plan = grid_plan(item);
        const PreparedPlan prepared(plan);
        const TaskCase task{&prepared, 0, 0};
        if (unsupported(plan).empty() && !kernels_.contains(key_of(task))) measure(task, kShortest);
      }
    }
  }

  // --- transfers

  void copies(Bytes bytes, bool needed) {
    for (CopyKind kind : {CopyKind::within_device, CopyKind::to_device, CopyKind::to_peer}) {
      if (stopped() || overdue() || (!needed && used() > kTransfersEnd) || bytes > free_memory() / 4) return;
      if (kind == CopyKind::to_peer && gpus_.size() < 2) return;
      tell(std::string(name_of(kind)) + " of " + format_bytes(bytes));
      const int peer = kind == CopyKind::to_peer ? gpus_[1] : 0;
      transfers_.push_back({name_of(kind), 2, bytes, measure_copy(timer_, kind, peer, bytes, kShortest), 1});
    }
  }

  void transfers(const std::vector<Bytes>& sizes, bool needed) {
    const auto devices = static_cast<uint32_t>(gpus_.size());
    for (uint32_t ranks = 2; ranks <= std::min(8u, devices); ranks *= 2) {
      for (const bool sends : {false, true}) {
        if (sends && ranks > 2) continue;
        if (stopped() || overdue() || (!needed && used() > kTransfersEnd)) return;
        TransferCase item{ranks, devices / ranks, sends, {}, {}};
        item.devices.assign(gpus_.begin(), gpus_.begin() + item.ranks * item.groups);
        for (Bytes bytes : sizes)
          if (2 * bytes <= free_memory() / 4) item.sizes.push_back(bytes);
        if (item.sizes.empty()) continue;
        tell((sends ? "sends" : "collectives of " + std::to_string(ranks)) + " on " +
             std::to_string(item.devices.size()) + " GPUs");
        const Seconds seconds = needed ? options_.seconds_budget / 50 : options_.seconds_budget / 20;
        const std::vector<MeasuredTransfer> found = measure_transfers(item, seconds, options_.stop);
        transfers_.insert(transfers_.end(), found.begin(), found.end());
        use_device(gpus_[0]);
      }
    }
  }

  // --- the device

  Device finish() const {
    Device device;
    device.name = machine_.gpus[0].name;
    device.source = "measured by pgram calibrate --backend cuda on " + today() + ", one of " +
                    std::to_string(gpus_.size()) + " GPUs, driver for CUDA " + version(machine_.driver, 1000, 10) +
                    ", CUDA " + version(machine_.runtime, 1000, 10) + ", cuBLAS " +
                    version(machine_.cublas, 10000, 100) + ", NCCL " + version(machine_.nccl, 10000, 100) + "." +
                    std::to_string(machine_.nccl % 100);
    if (too_large_) device.source += "; " + std::to_string(too_large_) + " kernels did not fit its memory";
    if (stopped()) device.source += "; stopped early";
    device.memory_bytes = machine_.gpus[0].memory_bytes;
    device.memory_bytes_per_second = bytes_per_second_;
    device.fp32_flops_per_second = flops_per_second_;
    device.bf16_flops_per_second = bf16_per_second_;
    // Of a peak and a bandwidth that a product and a copy reach.
    device.matmul_efficiency = device.memory_efficiency = 1;
    device.attention_efficiency = std::clamp(attention_per_second_ / flops_per_second_, 0.001, 1.0);
    device.launch_seconds = launch_;
    for (const auto& [key, seconds] : kernels_) {
      const auto& [kernel, shape] = key;
      device.kernels.push_back({std::string(name_of(kernel)), shape, seconds, 1, 1});
    }
    device.transfers = transfers_;
    return device;
  }

  const CudaCalibrateOptions& options_;
  const Seconds start_;
  const CudaReport machine_;
  const std::vector<int> gpus_;
  GpuTimer timer_;
  KernelBench bench_;
  std::vector<std::unique_ptr<PreparedPlan>> prepared_;
  Seconds launch_ = 0;
  double flops_per_second_ = 0, bf16_per_second_ = 0, attention_per_second_ = 0, bytes_per_second_ = 0;
  std::map<Key, Seconds> kernels_;
  std::vector<MeasuredTransfer> transfers_;
  uint32_t too_large_ = 0;
};

}  // namespace

Device calibrate_cuda(const CudaCalibrateOptions& options) {
  const int devices = count_devices();
  refuse(options, devices);
  use_device(0);
  return Calibration(options).run();
}

}  // namespace pgram
