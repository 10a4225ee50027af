// The race checker: a missing barrier is found, right kernels are not.
#include <dlfcn.h>

#include "tests/emulation_tests/runtime/planted.h"
#include "tests/emulation_tests/runtime/stand_in.h"

namespace pgram::emulation {
namespace {

constexpr int kExitOfRaces = 66;  // TSAN_OPTIONS

class RaceCheck : public StandIn {
 protected:
  void SetUp() override {
    StandIn::SetUp();
    if (!dlsym(RTLD_DEFAULT, "__tsan_create_fiber")) GTEST_SKIP() << "this run is not under ThreadSanitizer";
  }
};

TEST_F(RaceCheck, AMissingBarrierIsFound) {
  float* x = floats(64);
  const auto run = [&] {
    planted::rotate(x, /*with_barrier=*/false, stream);
    cudaStreamSynchronize(stream);
    std::exit(0);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(kExitOfRaces), "data race.*\n.*(\n.*)*rotate_kernel<false>");
}

TEST_F(RaceCheck, RightKernelsAreClean) {
  float *x = floats(1024, 1), *out = floats(64);
  const auto run = [&] {
    planted::rotate(x, /*with_barrier=*/true, stream);
    planted::sums(out, x, 4, stream);
    planted::neighbours(out, x, stream);
    planted::add(x, 1000, 1, stream);
    cudaStreamSynchronize(stream);
    std::exit(0);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace pgram::emulation
