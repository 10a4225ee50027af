// Streams and events: order, and what wrong use is found by.
#include "tests/emulation_tests/runtime/planted.h"
#include "tests/emulation_tests/runtime/stand_in.h"

namespace pgram::emulation {
namespace {

using testing::HasSubstr;

class Streams : public StandIn {
 protected:
  cudaEvent_t make_event(unsigned flags = cudaEventDisableTiming) {
    cudaEvent_t event = nullptr;
    EXPECT_CUDA(cudaEventCreateWithFlags(&event, flags));
    events_.push_back(event);
    return event;
  }
  void TearDown() override {
    for (cudaEvent_t event : events_) EXPECT_CUDA(cudaEventDestroy(event));
    StandIn::TearDown();
  }

 private:
  std::vector<cudaEvent_t> events_;
};

TEST_F(Streams, WaitForEventsOfOthers) {
  float* x = floats(64, 1);
  const cudaStream_t other = make_stream();
  const cudaEvent_t event = make_event();
  for (int round = 0; round < 20; ++round) {  // ((1 + 1) * 2 + 1) * 2 would show any wrong order; here +1 then +2
    EXPECT_CUDA(planted::add(x, 64, 1, stream));
    EXPECT_CUDA(cudaEventRecord(event, stream));
    EXPECT_CUDA(cudaStreamWaitEvent(other, event, 0));
    EXPECT_CUDA(planted::add(x, 64, 2, other));
    EXPECT_CUDA(cudaEventRecord(event, other));
    EXPECT_CUDA(cudaStreamWaitEvent(stream, event, 0));
  }
  EXPECT_CUDA(cudaDeviceSynchronize());
  EXPECT_EQ(host(x, 64), std::vector<float>(64, 61));  // 1 + 20 * 3
}

TEST_F(Streams, AnEventIsDoneWhenItsLatestRecordIs) {
  const cudaEvent_t event = make_event();
  EXPECT_CUDA(cudaEventQuery(event));  // never recorded: done, says CUDA
  EXPECT_CUDA(cudaEventRecord(event, stream));
  EXPECT_CUDA(cudaEventSynchronize(event));
  EXPECT_CUDA(cudaEventQuery(event));
  EXPECT_CUDA(cudaStreamSynchronize(stream));
  EXPECT_CUDA(cudaStreamQuery(stream));
}

TEST_F(Streams, WaitingForAnEventNeverRecordedIsFound) {
  const InTask task("r0.c3.o1");
  EXPECT_CUDA(cudaStreamWaitEvent(stream, make_event(), 0));
  EXPECT_THAT(found(), AllOf(HasSubstr("wait on an event never recorded"), HasSubstr("of task r0.c3.o1")));
}

TEST_F(Streams, OfAnotherDeviceAreFound) {
  float* x = floats(4);
  const cudaEvent_t event = make_event();
  EXPECT_CUDA(cudaSetDevice(1));
  EXPECT_EQ(planted::add(x, 4, 1, stream), cudaErrorInvalidResourceHandle);
  EXPECT_THAT(found(), HasSubstr("wrong device: kernel pgram::planted::add_kernel was put on device 0 stream"));
  EXPECT_EQ(cudaEventRecord(event, make_stream()), cudaErrorInvalidResourceHandle);
  EXPECT_THAT(found(), HasSubstr("wrong device: an event of device 0 was recorded on device 1"));
  EXPECT_CUDA(cudaSetDevice(0));
  EXPECT_EQ(cudaSetDevice(8), cudaErrorInvalidDevice);
}

TEST_F(Streams, TheDefaultStreamIsFound) {
  float* x = floats(4);
  EXPECT_CUDA(planted::add(x, 4, 1, nullptr));
  EXPECT_THAT(found(), HasSubstr("default stream: kernel pgram::planted::add_kernel"));
  EXPECT_CUDA(cudaMemset(x, 0, 16));
  EXPECT_THAT(found(), HasSubstr("default stream: cudaMemset"));
  EXPECT_CUDA(cudaDeviceSynchronize());
}

TEST_F(Streams, HandlesThatWereDestroyedAreFound) {
  cudaStream_t gone = nullptr;
  EXPECT_CUDA(cudaStreamCreate(&gone));
  EXPECT_CUDA(cudaStreamDestroy(gone));
  EXPECT_EQ(cudaStreamSynchronize(gone), cudaErrorInvalidResourceHandle);
  EXPECT_THAT(found(), HasSubstr("destroyed stream"));
  EXPECT_EQ(cudaStreamDestroy(gone), cudaErrorInvalidResourceHandle);
  EXPECT_THAT(found(), HasSubstr("destroyed stream"));
  cudaEvent_t event = nullptr;
  EXPECT_CUDA(cudaEventCreate(&event));
  EXPECT_CUDA(cudaEventDestroy(event));
  EXPECT_EQ(cudaEventRecord(event, stream), cudaErrorInvalidResourceHandle);
  EXPECT_THAT(found(), HasSubstr("destroyed event"));
}

TEST_F(Streams, HavePriorities) {
  int least = 1, greatest = 1, priority = 1;
  EXPECT_CUDA(cudaDeviceGetStreamPriorityRange(&least, &greatest));
  EXPECT_LT(greatest, least);
  cudaStream_t high = nullptr;
  EXPECT_CUDA(cudaStreamCreateWithPriority(&high, cudaStreamNonBlocking, greatest));
  EXPECT_CUDA(cudaStreamGetPriority(high, &priority));
  EXPECT_EQ(priority, greatest);
  EXPECT_CUDA(cudaStreamDestroy(high));
}

TEST_F(Streams, TimeIsMeasuredBetweenEventsThatTimeIsKeptOf) {
  const cudaEvent_t begin = make_event(cudaEventDefault), end = make_event(cudaEventDefault), untimed = make_event();
  float milliseconds = -1;
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, begin, end), cudaErrorInvalidResourceHandle);  // never recorded
  EXPECT_CUDA(cudaEventRecord(begin, stream));
  EXPECT_CUDA(cudaEventRecord(end, stream));
  EXPECT_CUDA(cudaEventRecord(untimed, stream));
  EXPECT_CUDA(cudaStreamSynchronize(stream));
  EXPECT_CUDA(cudaEventElapsedTime(&milliseconds, begin, end));
  EXPECT_GE(milliseconds, 0);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, begin, untimed), cudaErrorInvalidResourceHandle);
}

TEST_F(Streams, ErrorsOfADeviceStay) {
  float* x = floats(32);
  EXPECT_CUDA(planted::two_barriers(x, stream));
  const cudaError_t error = cudaStreamSynchronize(stream);
  EXPECT_NE(error, cudaSuccess);
  void* memory = nullptr;
  EXPECT_EQ(cudaMalloc(&memory, 4), error);
  EXPECT_EQ(planted::add(x, 4, 1, stream), error);
  EXPECT_EQ(cudaGetLastError(), error);
  EXPECT_EQ(cudaGetLastError(), error) << "not forgotten by asking";
  EXPECT_EQ(cudaSetDevice(1), cudaSuccess) << "another device works";
  EXPECT_CUDA(cudaMalloc(&memory, 4));
  EXPECT_CUDA(cudaFree(memory));
  control->reset();
  EXPECT_CUDA(cudaSetDevice(0));
  EXPECT_EQ(host(x, 4)[3], 0) << "what was issued after the error was not run";
}

}  // namespace
}  // namespace pgram::emulation
