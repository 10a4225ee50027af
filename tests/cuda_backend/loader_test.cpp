#include "cuda_backend/loader.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace pgram {
namespace {

/// A folder of its own that holds a file in the backend's name.
class CudaLoader : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) /
              ("pgram_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void plant_backend() const { std::ofstream(folder_ / kCudaBackendLibrary) << "not an ELF file"; }

  std::filesystem::path folder_;
};

TEST_F(CudaLoader, SaysThatItIsNotBuilt) {
  const CudaBackend backend = load_cuda_backend(folder_, kCudaDriverLibrary);
  EXPECT_FALSE(backend);
  EXPECT_EQ(backend.reason, "the CUDA backend is not built in this version; use --backend cpu");
}

TEST_F(CudaLoader, SaysThatTheDriverIsMissing) {
  plant_backend();
  const CudaBackend backend = load_cuda_backend(folder_, "libpgram_no_such_driver.so.1");
  EXPECT_FALSE(backend);
  EXPECT_EQ(backend.reason,
            "the NVIDIA driver (libpgram_no_such_driver.so.1) is not installed on this machine; install it or use "
            "--backend cpu");
}

TEST_F(CudaLoader, SaysThatTheLibraryIsBroken) {
  plant_backend();
  // libc stands for a driver that is there: any machine has it.
  const CudaBackend backend = load_cuda_backend(folder_, "libc.so.6");
  EXPECT_FALSE(backend);
  EXPECT_EQ(backend.reason.find("the CUDA backend cannot be loaded ("), 0u) << backend.reason;
}

TEST(CudaLoaderBesideTheProgram, GivesAReasonOrALibrary) {
  const CudaBackend backend = load_cuda_backend();
  EXPECT_EQ(static_cast<bool>(backend), backend.reason.empty());
}

}  // namespace
}  // namespace pgram
