// Kernels on both engines: right ones, and what a wrong one is found by.
#include "tests/emulation_tests/runtime/planted.h"
#include "tests/emulation_tests/runtime/stand_in.h"

namespace pgram::emulation {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Kernels : public StandIn {};

TEST_F(Kernels, RunInTheOrderOfTheirStream) {
  float* x = floats(100, 1);
  EXPECT_CUDA(planted::add(x, 100, 2, stream));
  EXPECT_CUDA(planted::add(x, 100, 4, stream));
  EXPECT_CUDA(cudaStreamSynchronize(stream));
  EXPECT_EQ(host(x, 100), std::vector<float>(100, 7));  // 1 + 2 + 4
}

TEST_F(Kernels, FollowPointersInsideStructures) {
  float *a = floats(1, 5), *b = floats(1, 6);
  planted::Slots slots;
  slots.count = 2;
  slots.address[0] = a, slots.address[1] = b;
  slots.address[2] = b + 12345;  // a slot that is not in use may hold anything
  EXPECT_CUDA(planted::bump(slots, stream));
  EXPECT_CUDA(cudaStreamSynchronize(stream));
  EXPECT_THAT(host(a, 1), ElementsAre(6));
  EXPECT_THAT(host(b, 1), ElementsAre(7));
}

TEST_F(Kernels, UseShufflesSharedMemoryAndBarriers) {
  float *x = floats(3 * 256), *out = floats(3);
  std::vector<float> values(3 * 256);
  for (size_t i = 0; i < values.size(); ++i) values[i] = float(i);
  EXPECT_CUDA(cudaMemcpy(x, values.data(), values.size() * sizeof(float), cudaMemcpyHostToDevice));
  EXPECT_CUDA(planted::sums(out, x, 3, stream));
  EXPECT_CUDA(cudaStreamSynchronize(stream));
  // 256 b + 0 .. 256 b + 255: 65536 b + 255 * 128.
  EXPECT_THAT(host(out, 3), ElementsAre(32640, 98176, 163712));
}

TEST_F(Kernels, MayEndRightAfterAShuffle) {
  float *x = floats(64), *out = floats(64);
  std::vector<float> values(64), wanted(64);
  for (int i = 0; i < 64; ++i) values[size_t(i)] = float(i - 20);
  // Positive: 21 .. 31 of the first warp, all 32 of the second.
  for (int i = 0; i < 64; ++i) wanted[size_t(i)] = float((i ^ 1) - 20) + (i < 32 ? 11.f : 32.f);
  EXPECT_CUDA(cudaMemcpy(x, values.data(), 64 * sizeof(float), cudaMemcpyHostToDevice));
  EXPECT_CUDA(planted::neighbours(out, x, stream));
  EXPECT_CUDA(cudaStreamSynchronize(stream));
  EXPECT_EQ(host(out, 64), wanted);
}

TEST_F(Kernels, ThatWriteBehindAnAllocationAreFound) {
  float* x = floats(33);
#if defined(__SANITIZE_ADDRESS__)
  if (!engine_is_ptx()) {  // red zones are poisoned
    const auto run = [&] {
      planted::write_behind(x, 33, stream);
      cudaStreamSynchronize(stream);
    };
    EXPECT_DEATH(run(), "use-after-poison");
    return;
  }
#endif
  {
    const InTask task("r0.c1.o2");
    EXPECT_CUDA(planted::write_behind(x, 33, stream));
  }
  const cudaError_t after = cudaStreamSynchronize(stream);
  const std::string text = found();
  EXPECT_THAT(text, HasSubstr("out of bounds: kernel pgram::planted::write_behind_kernel of task r0.c1.o2"));
  EXPECT_THAT(text, HasSubstr("132")) << "33 floats of 4 bytes";
  // Interpreted, the access itself is refused, as by a GPU where no page is; compiled, it is seen afterwards.
  EXPECT_EQ(after, engine_is_ptx() ? cudaErrorIllegalAddress : cudaSuccess);
  control->reset();
}

TEST_F(Kernels, ThatReachBarriersAtDifferentPlacesAreFound) {
  float* x = floats(32);
  EXPECT_CUDA(planted::two_barriers(x, stream));
  EXPECT_NE(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_THAT(found(), AllOf(HasSubstr("barrier"), HasSubstr("two_barriers_kernel")));
  control->reset();
}

TEST_F(Kernels, ThatLeaveABarrierDesertedAreFound) {
  float* x = floats(64);
  EXPECT_CUDA(planted::deserted_barrier(x, stream));
  EXPECT_NE(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_THAT(found(), AllOf(HasSubstr("barrier"), HasSubstr("deserted_barrier_kernel")));
  control->reset();
}

TEST_F(Kernels, ThatLeaveAShuffleDesertedAreFound) {
  float* x = floats(32);
  EXPECT_CUDA(planted::deserted_shuffle(x, stream));
  EXPECT_NE(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_THAT(found(), HasSubstr("deserted_shuffle_kernel"));
  control->reset();
}

TEST_F(Kernels, OnMemoryOfAnotherDeviceAreFound) {
  float* x = floats(4);
  EXPECT_CUDA(cudaSetDevice(1));
  const cudaStream_t other = make_stream();
  EXPECT_CUDA(planted::add(x, 4, 1, other));
  EXPECT_EQ(cudaStreamSynchronize(other), cudaErrorIllegalAddress);
  EXPECT_THAT(found(), HasSubstr("wrong device"));
  control->reset();
  EXPECT_CUDA(cudaDeviceEnablePeerAccess(0, 0));  // device 1 may use memory of device 0
  EXPECT_CUDA(planted::add(x, 4, 1, other));
  EXPECT_CUDA(cudaStreamSynchronize(other));
  EXPECT_EQ(found(), "");
  EXPECT_CUDA(cudaDeviceDisablePeerAccess(0));
  EXPECT_CUDA(cudaSetDevice(0));
}

TEST_F(Kernels, OfWrongShapeAreRefused) {
  float* x = floats(1);
  EXPECT_EQ(planted::add(x, 0, 1, stream), cudaErrorInvalidConfiguration);  // no blocks
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
  EXPECT_CUDA(cudaGetLastError());
}

}  // namespace
}  // namespace pgram::emulation
