// Calls that are told to fail, and the counting of calls.
#include <functional>

#include "tests/emulation_tests/runtime/planted.h"
#include "tests/emulation_tests/runtime/stand_in.h"

namespace pgram::emulation {
namespace {

struct Call {
  const char* name;
  std::function<cudaError_t(cudaStream_t, cudaEvent_t, float*)> make;
};

/// In an order in which queries come after what makes them true. Every call that a training backend makes with no
/// lasting effect of its own, or with one that its second half undoes.
const Call kCalls[] = {
    {"cudaGetDeviceCount",
     [](auto, auto, auto) {
       int n;
       return cudaGetDeviceCount(&n);
     }},
    {"cudaSetDevice", [](auto, auto, auto) { return cudaSetDevice(0); }},
    {"cudaGetDevice",
     [](auto, auto, auto) {
       int n;
       return cudaGetDevice(&n);
     }},
    {"cudaGetDeviceProperties",
     [](auto, auto, auto) {
       cudaDeviceProp p;
       return cudaGetDeviceProperties(&p, 0);
     }},
    {"cudaDeviceGetAttribute",
     [](auto, auto, auto) {
       int n;
       return cudaDeviceGetAttribute(&n, cudaDevAttrWarpSize, 0);
     }},
    {"cudaDriverGetVersion",
     [](auto, auto, auto) {
       int n;
       return cudaDriverGetVersion(&n);
     }},
    {"cudaRuntimeGetVersion",
     [](auto, auto, auto) {
       int n;
       return cudaRuntimeGetVersion(&n);
     }},
    {"cudaMemGetInfo",
     [](auto, auto, auto) {
       size_t a, b;
       return cudaMemGetInfo(&a, &b);
     }},
    {"cudaDeviceSynchronize", [](auto, auto, auto) { return cudaDeviceSynchronize(); }},
    {"cudaDeviceGetStreamPriorityRange",
     [](auto, auto, auto) {
       int a, b;
       return cudaDeviceGetStreamPriorityRange(&a, &b);
     }},
    {"cudaStreamSynchronize", [](cudaStream_t s, auto, auto) { return cudaStreamSynchronize(s); }},
    {"cudaStreamQuery", [](cudaStream_t s, auto, auto) { return cudaStreamQuery(s); }},
    {"cudaEventRecord", [](cudaStream_t s, cudaEvent_t e, auto) { return cudaEventRecord(e, s); }},
    {"cudaStreamWaitEvent", [](cudaStream_t s, cudaEvent_t e, auto) { return cudaStreamWaitEvent(s, e, 0); }},
    {"cudaEventSynchronize", [](auto, cudaEvent_t e, auto) { return cudaEventSynchronize(e); }},
    {"cudaEventQuery", [](auto, cudaEvent_t e, auto) { return cudaEventQuery(e); }},
    {"cudaMemcpy",
     [](auto, auto, float* x) {
       float v = 0;
       return cudaMemcpy(x, &v, 4, cudaMemcpyHostToDevice);
     }},
    {"cudaMemcpyAsync",
     [](cudaStream_t s, auto, float* x) { return cudaMemcpyAsync(x, x + 1, 4, cudaMemcpyDeviceToDevice, s); }},
    {"cudaMemsetAsync", [](cudaStream_t s, auto, float* x) { return cudaMemsetAsync(x, 0, 4, s); }},
    {"cudaLaunchKernelExC", [](cudaStream_t s, auto, float* x) { return planted::add(x, 2, 1, s); }},
};

class Calls : public StandIn {
 protected:
  void SetUp() override {
    StandIn::SetUp();
    if (!control) return;
    x_ = floats(2);
    EXPECT_CUDA(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming));
    EXPECT_CUDA(cudaEventRecord(event_, stream));
    EXPECT_CUDA(cudaStreamSynchronize(stream));
  }
  void TearDown() override {
    if (event_) {
      EXPECT_CUDA(cudaEventDestroy(event_));
    }
    StandIn::TearDown();
  }
  cudaError_t make(const Call& call) { return call.make(stream, event_, x_); }

  float* x_ = nullptr;
  cudaEvent_t event_ = nullptr;
};

TEST_F(Calls, FailAsPlannedAndOnlyOnce) {
  for (const Call& call : kCalls) {
    const uint64_t before = control->calls(call.name);
    control->fail_call(call.name, 2, cudaErrorECCUncorrectable);
    EXPECT_EQ(make(call), cudaSuccess) << call.name;
    EXPECT_EQ(make(call), cudaErrorECCUncorrectable) << call.name;
    EXPECT_EQ(cudaGetLastError(), cudaErrorECCUncorrectable) << call.name;
    EXPECT_EQ(make(call), cudaSuccess) << call.name;
    EXPECT_GE(control->calls(call.name), before + 3) << call.name;
    EXPECT_THAT(control->called(), testing::Contains(call.name));
  }
}

TEST_F(Calls, ThatFailDoNothing) {
  const Live before = control->live();
  void* memory = nullptr;
  cudaStream_t made = nullptr;
  cudaEvent_t event = nullptr;
  control->fail_call("cudaMalloc", 1, cudaErrorMemoryAllocation);
  control->fail_call("cudaHostAlloc", 1, cudaErrorMemoryAllocation);
  control->fail_call("cudaStreamCreateWithPriority", 1, cudaErrorUnknown);
  control->fail_call("cudaEventCreateWithFlags", 1, cudaErrorUnknown);
  EXPECT_EQ(cudaMalloc(&memory, 4), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaHostAlloc(&memory, 4, 0), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaStreamCreateWithPriority(&made, cudaStreamNonBlocking, 0), cudaErrorUnknown);
  EXPECT_EQ(cudaEventCreateWithFlags(&event, 0), cudaErrorUnknown);
  EXPECT_TRUE(control->live() == before);
  control->fail_call("cudaLaunchKernelExC", 1, cudaErrorLaunchOutOfResources);
  EXPECT_EQ(planted::add(x_, 2, 1, stream), cudaErrorLaunchOutOfResources);
  EXPECT_CUDA(cudaStreamSynchronize(stream));
  EXPECT_EQ(host(x_, 2), std::vector<float>(2, 0));
  cudaGetLastError();
}

TEST_F(Calls, HaveErrorsWithNames) {
  EXPECT_STREQ(cudaGetErrorName(cudaErrorMemoryAllocation), "cudaErrorMemoryAllocation");
  EXPECT_STREQ(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory");
}

TEST_F(Calls, CountDevices) {
  int count = 0;
  control->set_devices(2);
  EXPECT_CUDA(cudaGetDeviceCount(&count));
  EXPECT_EQ(count, 2);
  EXPECT_EQ(cudaSetDevice(2), cudaErrorInvalidDevice);
  control->set_devices(0);
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorNoDevice);
  control->set_devices(8);
}

}  // namespace
}  // namespace pgram::emulation
