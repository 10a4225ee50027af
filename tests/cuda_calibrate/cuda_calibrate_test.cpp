// Calibration of GPUs, on the stand-in or real ones, with a budget that is used up at once: what must be in the device
// file however short the time.
#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <gtest/gtest.h>
#include <nccl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "core/base/errors.h"
#include "core/cost/cost.h"
#include "core/layout/layout.h"
#include "core/planner/planner.h"
#include "cuda_backend/calibrate.h"
#include "sim/simulate.h"
#include "tests/emulation/find_control.h"

namespace pgram {
namespace {

Plan tiny_plan(const std::string& layout) {
  Model m;
  m.name = "test-llama";
  m.kind = "llama";
  m.layers = 2, m.hidden = 32, m.heads = 4, m.kv_heads = 2, m.head_dim = 8, m.ffn = 48, m.vocabulary = 61;
  m.max_positions = 64;
  m.rotary_dims = 8;
  Workload w;
  w.global_batch = 4;
  w.sequence = 16;
  return make_plan(m, parse_layout(layout), w);
}

/// At most so many GPUs: a real machine may have fewer.
int gpus(int most) {
  int devices = 0;
  EXPECT_EQ(cudaGetDeviceCount(&devices), cudaSuccess);
  return std::min(most, devices);
}

CudaCalibrateOptions hasty(int devices, const Plan* plan = nullptr) {
  CudaCalibrateOptions options;
  options.seconds_budget = 0.05;
  options.devices = gpus(devices);
  if (plan) options.plans = {plan};
  return options;
}

Device read_back(const Device& device) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("pgram_cuda_calibrate_" + std::to_string(getpid()) + ".yaml"))
          .string();
  write_device(device, path);
  const Device read = read_device(path);
  std::filesystem::remove(path);
  return read;
}

bool equal(const MeasuredKernel& a, const MeasuredKernel& b) {
  return a.kernel == b.kernel && a.shape == b.shape && a.seconds == b.seconds && a.busy == b.busy &&
         a.threads == b.threads;
}
bool equal(const MeasuredTransfer& a, const MeasuredTransfer& b) {
  return a.operation == b.operation && a.ranks == b.ranks && a.bytes == b.bytes && a.seconds == b.seconds &&
         a.busy == b.busy;
}
template <class Entry>
bool equal(const std::vector<Entry>& a, const std::vector<Entry>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Entry& x, const Entry& y) { return equal(x, y); });
}

void expect_file_gives_it_back(const Device& device) {
  const Device read = read_back(device);
  EXPECT_EQ(read.name, device.name);
  EXPECT_EQ(read.source, device.source);
  EXPECT_FALSE(read.is_cpu);
  EXPECT_EQ(read.memory_bytes, device.memory_bytes);
  EXPECT_EQ(read.memory_bytes_per_second, device.memory_bytes_per_second);
  EXPECT_EQ(read.fp32_flops_per_second, device.fp32_flops_per_second);
  EXPECT_EQ(read.attention_efficiency, device.attention_efficiency);
  EXPECT_EQ(read.launch_seconds, device.launch_seconds);
  EXPECT_TRUE(equal(read.kernels, device.kernels));
  EXPECT_TRUE(equal(read.transfers, device.transfers));
}

void expect_every_kernel_of_the_plan(const Device& device, const Plan& plan) {
  for (const Body& body : plan.bodies) {
    for (const Op& op : body.ops) {
      if (is_communication(op.kernel)) continue;
      const Duration duration = compute_duration(plan, body, op, device);
      EXPECT_EQ(duration.provenance, Provenance::measured) << body.name << " " << name_of(op.kernel);
      EXPECT_GT(duration.time, 0) << body.name << " " << name_of(op.kernel);
    }
  }
}

std::set<std::string> keys_of(const std::vector<MeasuredTransfer>& transfers) {
  std::set<std::string> keys;
  for (const MeasuredTransfer& t : transfers) {
    keys.insert(t.operation + " " + std::to_string(t.ranks) + " x " + std::to_string(t.busy) + ": " +
                std::to_string(t.bytes));
  }
  return keys;
}

/// Three sizes of each operation: groups of 2 (as many at once as there are devices for) and of 4, pairs, copies.
std::set<std::string> expected_transfers(uint32_t devices) {
  std::set<std::string> keys;
  for (const char* size : {"64", "65536", "1048576"}) {
    const auto add = [&](const std::string& operation, uint32_t ranks, uint32_t groups) {
      keys.insert(operation + " " + std::to_string(ranks) + " x " + std::to_string(groups) + ": " + size);
    };
    add("copy_device", 2, 1);
    add("copy_to_device", 2, 1);
    if (devices < 2) continue;
    add("copy_peer", 2, 1);
    add("send", 2, devices / 2);
    for (uint32_t ranks = 2; ranks <= devices; ranks *= 2) {
      for (const char* operation : {"all_reduce", "all_gather", "reduce_scatter"})
        add(operation, ranks, devices / ranks);
    }
  }
  return keys;
}

TEST(CudaCalibrate, TinyBudgetGivesAUsableDevice) {
  const Plan plan = tiny_plan("tp2.pp2");
  double last = 0;
  CudaCalibrateOptions options = hasty(4, &plan);
  options.progress = [&](double fraction, const std::string&) {
    EXPECT_GE(fraction, last);
    EXPECT_LE(fraction, 1);
    last = fraction;
  };
  const Device device = calibrate_cuda(options);
  expect_every_kernel_of_the_plan(device, plan);
  EXPECT_EQ(keys_of(device.transfers), expected_transfers(static_cast<uint32_t>(options.devices)));
  expect_file_gives_it_back(device);

  // The file says what it was measured on, and a simulation says so too.
  cudaDeviceProp properties{};
  ASSERT_EQ(cudaGetDeviceProperties(&properties, 0), cudaSuccess);
  EXPECT_EQ(device.name, properties.name);
  if (emulation::find_control()) {
    EXPECT_NE(device.name.find("Stand-in"), std::string::npos) << device.name;
  }
  for (const char* part : {"pgram calibrate --backend cuda on 20", "driver for CUDA ", "NCCL "})
    EXPECT_NE(device.source.find(part), std::string::npos) << device.source;
  Cluster cluster = find_cluster("dgx-h100");
  cluster.device = device;
  const SimulationResult simulated = simulate(plan, cluster);
  EXPECT_EQ(simulated.error, "");
  EXPECT_EQ(simulated.timeline.facts.at("device"), device.name);
  EXPECT_EQ(simulated.timeline.facts.at("device_source"), device.source);
  EXPECT_EQ(simulated.provenance[static_cast<size_t>(Provenance::interpolated)], 0u);
  EXPECT_EQ(simulated.provenance[static_cast<size_t>(Provenance::roofline)], 0u);
}

TEST(CudaCalibrate, StopKeepsWhatWasFound) {
  const Plan plan = tiny_plan("tp2");
  std::stop_source source;
  CudaCalibrateOptions options = hasty(2, &plan);
  options.seconds_budget = 30;
  options.stop = source.get_token();
  int told = 0;
  options.progress = [&](double, const std::string&) {
    if (++told == 4) source.request_stop();  // figures, then the third kernel
  };
  const Device device = calibrate_cuda(options);
  EXPECT_EQ(device.kernels.size(), 3u);
  EXPECT_TRUE(device.transfers.empty());
  EXPECT_NE(device.source.find("stopped early"), std::string::npos) << device.source;
  expect_file_gives_it_back(device);
}

TEST(CudaCalibrate, RefusesWhatItCannotMeasure) {
  CudaCalibrateOptions options = hasty(1);
  options.devices = 1000;
  EXPECT_THROW(calibrate_cuda(options), InputError);
  Plan plan = tiny_plan("tp1");
  plan.records[plan.bodies[0].formals[0]].fields[0].dtype = DType::bf16;
  EXPECT_THROW(calibrate_cuda(hasty(1, &plan)), InputError);
}

class OnTheStandIn : public testing::Test {
 protected:
  void SetUp() override {
    control_ = emulation::find_control();
    if (!control_) GTEST_SKIP() << "needs the stand-in GPU";
  }
  const emulation::Control* control_ = nullptr;
};

using CudaCalibrateFailure = OnTheStandIn;

/// The first call of its kind, and one in the middle of it all.
TEST_F(CudaCalibrateFailure, IsOneLineAndLeavesNothing) {
  control_->reset();
  calibrate_cuda(hasty(2));
  std::map<std::string, uint64_t> counts;
  for (const std::string& call : control_->called()) counts[call] = control_->calls(call.c_str());
  int injected = 0;
  for (const char* call :
       {"cudaMalloc", "cudaMallocHost", "cudaStreamCreateWithPriority", "cudaEventCreateWithFlags", "cudaEventRecord",
        "cudaEventSynchronize", "cudaEventElapsedTime", "cudaMemsetAsync", "cudaMemcpyAsync", "cudaMemcpyPeerAsync",
        "cudaDeviceEnablePeerAccess", "cudaMemGetInfo", "cudaLaunchKernelExC", "cublasCreate", "cublasSgemm",
        "ncclCommInitRankConfig", "ncclAllReduce", "ncclSend"}) {
    ASSERT_GT(counts[call], 0u) << call;
    const bool nccl = std::string(call).starts_with("nccl"), blas = std::string(call).starts_with("cublas");
    const int code = nccl   ? int{ncclInternalError}
                     : blas ? int{CUBLAS_STATUS_INTERNAL_ERROR}
                            : int{cudaErrorNotPermitted};
    const char* name = nccl ? "ncclInternalError" : blas ? "CUBLAS_STATUS_INTERNAL_ERROR" : "cudaErrorNotPermitted";
    const emulation::Live before = control_->live();
    std::string message;
    // How often a call is made within the budget is a matter of time: a run that ends before the 40th of its kind has
    // nothing to report, and the first one fails instead.
    for (const uint64_t failing : {uint64_t{40}, uint64_t{1}}) {
      if (counts[call] < failing) continue;
      control_->reset();
      control_->fail_call(call, failing, code);
      try {
        calibrate_cuda(hasty(2));
      } catch (const RunError& error) {
        message = error.what();
      }
      if (control_->calls(call) >= failing) break;
      EXPECT_EQ(message, "") << call;
    }
    EXPECT_NE(message.find(name), std::string::npos) << call << ": " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << call << ": " << message;
    EXPECT_TRUE(control_->live() == before) << call;
    EXPECT_EQ(control_->take_reports(), std::vector<std::string>{}) << call;
    ++injected;
  }
  EXPECT_EQ(injected, 18);
}

/// Quarters of a millisecond: their sums and quotients are exact in the floats that CUDA measures time in.
constexpr emulation::VirtualTime kQuarter = 250'000'000;

/// Anything that differs between tasks and that a test can work out for itself.
emulation::VirtualTime cost_of(const std::string& name) {
  return kQuarter * static_cast<emulation::VirtualTime>(1 + name.size() % 5 + (name.back() - '0') % 3);
}

/// "calibrate matmul 64 32 32", or "rank 1 all_reduce.65536(layer 0, mb 0).0:all_reduce", where a receive costs what
/// its send costs and the rank does not matter.
emulation::Cost cost_of_task(const std::string& task) {
  if (task.starts_with("calibrate ")) return {cost_of(task), 0};
  std::string body = task.substr(task.find(' ', 5) + 1);
  body = body.substr(0, body.find('('));
  if (body.starts_with("recv.")) body = "send." + body.substr(5);
  return {cost_of(body), 0};
}

using CudaCalibrateClock = OnTheStandIn;

TEST_F(CudaCalibrateClock, FindsExactlyTheTimesOfTheCostModel) {
  const Plan plan = tiny_plan("tp2.pp2");
  control_->reset();
  control_->set_cost_model([](const std::string& task, int) { return cost_of_task(task); });
  const Device device = calibrate_cuda(hasty(4, &plan));
  const Device again = calibrate_cuda(hasty(4, &plan));
  control_->reset();

  ASSERT_GT(device.kernels.size(), 20u);
  ASSERT_EQ(keys_of(device.transfers), expected_transfers(4));
  for (const MeasuredKernel& kernel : device.kernels) {
    std::string name = "calibrate " + kernel.kernel;
    for (uint64_t size : kernel.shape) {
      if (size) name += " " + std::to_string(size);
    }
    EXPECT_EQ(to_picoseconds(kernel.seconds), cost_of(name)) << name;
  }
  for (const MeasuredTransfer& t : device.transfers) {
    const bool copy = t.operation.starts_with("copy_");
    const std::string name = (copy ? "calibrate " : "") + t.operation + (copy ? " " : ".") + std::to_string(t.bytes);
    EXPECT_EQ(to_picoseconds(t.seconds), cost_of(name)) << name << " on " << t.ranks;
  }
  EXPECT_EQ(to_picoseconds(device.launch_seconds), cost_of("calibrate clip 1"));
  // Products of 256, 512, ... until one takes a millisecond: the best rate. Copies of 1, 4, ... MiB: the last one's.
  const auto seconds = [](const std::string& name) { return to_seconds(cost_of("calibrate " + name)); };
  double flops = 0, bytes = 0;
  for (double size = 256, last = 0; last < 1e-3; size *= 2) {
    const std::string n = " " + std::to_string(static_cast<int>(size));
    last = seconds("matmul" + n + n + n);
    flops = std::max(flops, 2 * size * size * size / last);
  }
  for (double size = 1 << 20, last = 0; last < 1e-3; size *= 4) {
    last = seconds("copy_device " + std::to_string(static_cast<int>(size)));
    bytes = 2 * size / last;
  }
  EXPECT_NEAR(device.fp32_flops_per_second / flops, 1, 1e-12);
  double bf16 = 0;
  for (double size = 256, last = 0; last < 1e-3; size *= 2) {
    last = seconds("bf16 product " + std::to_string(static_cast<int>(size)));
    bf16 = std::max(bf16, 2 * size * size * size / last);
  }
  EXPECT_NEAR(device.bf16_flops_per_second / bf16, 1, 1e-12);
  EXPECT_NEAR(device.memory_bytes_per_second / bytes, 1, 1e-12);
  // Nothing else decides what is measured.
  EXPECT_TRUE(equal(device.kernels, again.kernels));
  EXPECT_TRUE(equal(device.transfers, again.transfers));
}

}  // namespace
}  // namespace pgram
