// Device and pinned memory: what is given, and what wrong use is found by.
#include <csignal>
#include <cstring>

#include "tests/emulation_tests/runtime/planted.h"
#include "tests/emulation_tests/runtime/stand_in.h"

namespace pgram::emulation {
namespace {

using testing::HasSubstr;

class Memory : public StandIn {};

TEST_F(Memory, ComesFullOfBytesThatAreNoNumber) {
  void* memory = nullptr;
  EXPECT_CUDA(cudaMalloc(&memory, 8));
  unsigned char bytes[8] = {};
  EXPECT_CUDA(cudaMemcpy(bytes, memory, 8, cudaMemcpyDeviceToHost));
  for (const unsigned char byte : bytes) EXPECT_EQ(byte, 0xff);
  EXPECT_CUDA(cudaFree(memory));
}

TEST_F(Memory, IsLimited) {
  size_t free = 0, total = 0;
  control->set_memory(1 << 20);
  void *half = nullptr, *rest = nullptr;
  EXPECT_CUDA(cudaMalloc(&half, 1 << 19));
  EXPECT_CUDA(cudaMemGetInfo(&free, &total));
  EXPECT_EQ(total, size_t(1) << 20);
  EXPECT_EQ(free, size_t(1) << 19);
  EXPECT_EQ(cudaMalloc(&rest, (1 << 19) + 1), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  EXPECT_CUDA(cudaMalloc(&rest, 1 << 19));
  EXPECT_CUDA(cudaFree(half));
  EXPECT_CUDA(cudaFree(rest));
  control->set_memory(1 << 30);
}

TEST_F(Memory, FaultsWhenHostCodeTouchesIt) {
  float* x = floats(4, 1);
  EXPECT_DEATH({ *static_cast<volatile float*>(x) = 2; }, "");
  EXPECT_EQ(host(x, 1)[0], 1);
}

TEST_F(Memory, CopiesGoEveryWay) {
  float *a = floats(3, 1), *b = floats(3, 2);
  EXPECT_CUDA(cudaMemcpyAsync(b, a, 12, cudaMemcpyDeviceToDevice, stream));
  EXPECT_CUDA(cudaMemsetAsync(a, 0, 12, stream));
  EXPECT_CUDA(cudaStreamSynchronize(stream));
  EXPECT_EQ(host(b, 3), std::vector<float>(3, 1));
  EXPECT_EQ(host(a, 3), std::vector<float>(3, 0));
  EXPECT_CUDA(cudaSetDevice(1));
  float* c = floats(3);
  EXPECT_CUDA(cudaMemcpyPeer(c, 1, b, 0, 12));
  EXPECT_EQ(host(c, 3), std::vector<float>(3, 1));
  EXPECT_CUDA(cudaSetDevice(0));
}

TEST_F(Memory, CopiesOutOfBoundsAreRefused) {
  float* x = floats(4);
  float host_memory[8] = {};
  EXPECT_EQ(cudaMemcpy(host_memory, x, 20, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  EXPECT_THAT(found(), HasSubstr("out of bounds: cudaMemcpy, 20 bytes"));
  EXPECT_EQ(cudaMemsetAsync(x + 2, 0, 12, stream), cudaErrorInvalidValue);
  EXPECT_THAT(found(), HasSubstr("the allocation has 16 bytes and the access begins at byte 8"));
}

TEST_F(Memory, CopiesOfTheWrongDirectionAreRefused) {
  float* x = floats(1);
  float value = 0;
  EXPECT_EQ(cudaMemcpy(x, &value, 4, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  EXPECT_THAT(found(), HasSubstr("wrong direction"));
}

TEST_F(Memory, UseAfterFreeIsFound) {
  void* memory = nullptr;
  EXPECT_CUDA(cudaMalloc(&memory, 64));
  EXPECT_CUDA(cudaFree(memory));
  EXPECT_EQ(cudaMemsetAsync(memory, 0, 64, stream), cudaErrorInvalidValue);
  EXPECT_THAT(found(), HasSubstr("use after free: cudaMemsetAsync"));
  void* next = nullptr;  // the address is not given again
  EXPECT_CUDA(cudaMalloc(&next, 64));
  EXPECT_NE(next, memory);
  EXPECT_CUDA(cudaFree(next));
}

TEST_F(Memory, UseAfterFreeByAKernelIsFound) {
  void* memory = nullptr;
  EXPECT_CUDA(cudaMalloc(&memory, 64));
  EXPECT_CUDA(cudaFree(memory));
  EXPECT_CUDA(planted::add(static_cast<float*>(memory), 4, 1, stream));
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorIllegalAddress);
  EXPECT_THAT(found(), HasSubstr("use after free: kernel pgram::planted::add_kernel"));
  control->reset();
}

TEST_F(Memory, OfTheHostIsNotForKernelsUnlessItIsPinned) {
  void* pinned = nullptr;
  EXPECT_CUDA(cudaMallocHost(&pinned, 16));
  auto* values = static_cast<float*>(pinned);
  for (int i = 0; i < 4; ++i) values[i] = 1;
  EXPECT_CUDA(planted::add(values, 4, 2, stream));
  EXPECT_CUDA(cudaStreamSynchronize(stream));
  EXPECT_EQ(values[3], 3);
  EXPECT_CUDA(cudaFreeHost(pinned));
  float on_the_stack[4] = {1, 1, 1, 1};
  EXPECT_CUDA(planted::add(on_the_stack, 4, 2, stream));
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorIllegalAddress);
  EXPECT_THAT(found(), HasSubstr("host memory: kernel pgram::planted::add_kernel"));
  EXPECT_EQ(on_the_stack[3], 1);
  control->reset();
}

TEST_F(Memory, DoubleAndWrongFreesAreFound) {
  void* memory = nullptr;
  EXPECT_CUDA(cudaMalloc(&memory, 64));
  EXPECT_EQ(cudaFree(static_cast<char*>(memory) + 4), cudaErrorInvalidValue);
  EXPECT_THAT(found(), HasSubstr("bad free"));
  EXPECT_CUDA(cudaFree(memory));
  EXPECT_EQ(cudaFree(memory), cudaErrorInvalidValue);
  EXPECT_THAT(found(), HasSubstr("double free"));
  float on_the_stack = 0;
  EXPECT_EQ(cudaFree(&on_the_stack), cudaErrorInvalidValue);
  EXPECT_THAT(found(), HasSubstr("bad free"));
  EXPECT_EQ(cudaFreeHost(&on_the_stack), cudaErrorInvalidValue);
  EXPECT_THAT(found(), HasSubstr("bad free: cudaFreeHost"));
  EXPECT_CUDA(cudaFree(nullptr));
}

TEST_F(Memory, LeaksAreCounted) {
  const Live before = control->live();
  void *memory = nullptr, *pinned = nullptr;
  cudaEvent_t event = nullptr;
  EXPECT_CUDA(cudaMalloc(&memory, 1));
  EXPECT_CUDA(cudaHostAlloc(&pinned, 1, cudaHostAllocDefault));
  EXPECT_CUDA(cudaEventCreate(&event));
  Live live = control->live();
  EXPECT_EQ(live.allocations, before.allocations + 1);
  EXPECT_EQ(live.pinned, before.pinned + 1);
  EXPECT_EQ(live.events, before.events + 1);
  EXPECT_EQ(live.streams, before.streams);
  EXPECT_CUDA(cudaFree(memory));
  EXPECT_CUDA(cudaFreeHost(pinned));
  EXPECT_CUDA(cudaEventDestroy(event));
}

TEST_F(Memory, AsynchronousCopiesWantPinnedMemory) {
  float* x = floats(2);
  float pageable[2] = {3, 4};
  const InTask task("r1.c0.o0");
  EXPECT_CUDA(cudaMemcpyAsync(x, pageable, 8, cudaMemcpyHostToDevice, stream));
  pageable[0] = 9;  // CUDA has kept what it was
  EXPECT_THAT(found(), HasSubstr("pageable: cudaMemcpyAsync of task r1.c0.o0 of 8 bytes from host memory"));
  EXPECT_CUDA(cudaMemcpyAsync(pageable, x, 8, cudaMemcpyDeviceToHost, stream));  // returns when it is done
  EXPECT_EQ(pageable[0], 3);
  EXPECT_THAT(found(), HasSubstr("of 8 bytes to host memory"));
  void* pinned = nullptr;
  EXPECT_CUDA(cudaMallocHost(&pinned, 8));
  EXPECT_CUDA(cudaMemcpyAsync(pinned, x, 8, cudaMemcpyDeviceToHost, stream));
  EXPECT_CUDA(cudaStreamSynchronize(stream));
  EXPECT_EQ(static_cast<float*>(pinned)[1], 4);
  EXPECT_CUDA(cudaFreeHost(pinned));
}

TEST_F(Memory, MisuseThatNobodyTookEndsTheProcessWith99) {
  const auto misuse = [] {
    cudaFree(reinterpret_cast<void*>(16));
    std::exit(0);
  };
  EXPECT_EXIT(misuse(), testing::ExitedWithCode(99), "stand-in GPU: bad free");
}

}  // namespace
}  // namespace pgram::emulation
