// Calls that fail: a training of two ranks in which one call of CUDA, cuBLAS or NCCL returns an error.
#pragma once
#include <cublas_v2.h>
#include <nccl.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/base/errors.h"
#include "tests/cuda_backend/cuda_training.h"

namespace pgram::testing {

struct Fault {
  std::string call;
  uint64_t nth = 1;
  std::string place;  ///< "first", "steady", "last"
};

/// Calls whose status nobody can use: what they were to give back is gone, or they only say something.
inline bool is_ignored(const std::string& call) {
  static const std::set<std::string> kIgnored = {"cudaFree",
                                                 "cudaFreeHost",
                                                 "cudaStreamDestroy",
                                                 "cudaEventDestroy",
                                                 "cublasDestroy",
                                                 "ncclCommDestroy",
                                                 "ncclCommFinalize",
                                                 "ncclCommAbort",
                                                 "cudaGetLastError",
                                                 "cudaPeekAtLastError",
                                                 "cudaGetErrorName",
                                                 "cudaGetErrorString",
                                                 "cublasGetStatusName",
                                                 "cublasGetStatusString",
                                                 "ncclGetErrorString",
                                                 "cudaDriverGetVersion",
                                                 "cudaRuntimeGetVersion",
                                                 "cublasGetProperty",
                                                 "ncclGetVersion",
                                                 "ncclGetLastError"};
  return kIgnored.contains(call);
}

inline bool is_polling(const std::string& call) {
  return call == "cudaEventQuery" || call == "cudaStreamQuery" || call == "ncclCommGetAsyncError";
}

class FaultCampaign {
 public:
  explicit FaultCampaign(const std::string& layout) : plan_(tiny_plan(tiny_llama(), layout, small_workload())) {
    stand_in().reset();
    train_on_gpu(plan_, options());
    for (const std::string& call : stand_in().called()) calls_[call] = stand_in().calls(call.c_str());
  }

  /// Each kind of call that the training makes x {first, steady, last}. How often a call that polls is made differs
  /// from run to run: an eighth of the last run's count comes for sure, its last one does not. The last cudaSetDevice
  /// belongs to the closing of a device, whose errors are of no use to anybody.
  std::vector<Fault> faults() const {
    std::vector<Fault> faults;
    for (const auto& [call, count] : calls_) {
      if (is_ignored(call)) continue;
      faults.push_back({call, 1, "first"});
      if (count > 2) faults.push_back({call, count / (is_polling(call) ? 8 : 2) + 1, "steady"});
      if (count > 1 && !is_polling(call) && call != "cudaSetDevice") faults.push_back({call, count, "last"});
    }
    return faults;
  }

  /// What is wrong with how the training met the fault; empty: it failed with the right message, left nothing behind
  /// and did not take long.
  std::string inject(const Fault& fault) {
    stand_in().reset();
    const emulation::Live before = stand_in().live();
    stand_in().fail_call(fault.call.c_str(), fault.nth, code_of(fault.call));
    const auto start = std::chrono::steady_clock::now();
    const std::string message = failure();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const bool came = stand_in().calls(fault.call.c_str()) >= fault.nth;
    std::string wrong;
    if (came && message.empty()) wrong += " the run did not fail;";
    if (came && message.find(name_of(fault.call)) == std::string::npos)
      wrong += " the message does not name the error;";
    if (message.find('\n') != std::string::npos) wrong += " the message is not one line;";
    if (!(stand_in().live() == before)) wrong += " something was left behind;";
    if (seconds > 20) wrong += " it took " + std::to_string(seconds) + " s;";
    for (const std::string& report : stand_in().take_reports()) wrong += " stand-in GPU: " + report + ";";
    stand_in().reset();
    if (wrong.empty()) return "";
    return fault.place + " " + fault.call + " (call " + std::to_string(fault.nth) + "):" + wrong +
           " message: " + message;
  }

 private:
  static Workload small_workload() {
    Workload workload = tiny_workload();
    workload.global_batch = 2;
    return workload;
  }
  static RunOptions options() { return tiny_options(2); }

  static bool is_of(const std::string& call, const char* prefix) { return call.rfind(prefix, 0) == 0; }
  static int code_of(const std::string& call) {
    if (is_of(call, "nccl")) return ncclInternalError;
    if (is_of(call, "cublas")) return CUBLAS_STATUS_INTERNAL_ERROR;
    return cudaErrorNotPermitted;
  }
  static std::string name_of(const std::string& call) {
    if (is_of(call, "nccl")) return "ncclInternalError";
    if (is_of(call, "cublas")) return "CUBLAS_STATUS_INTERNAL_ERROR";
    return "cudaErrorNotPermitted";
  }

  std::string failure() const {
    try {
      train_on_gpu(plan_, options());
    } catch (const std::exception& error) {
      return error.what();
    }
    return "";
  }

  const Plan plan_;
  std::map<std::string, uint64_t> calls_;
};

}  // namespace pgram::testing
