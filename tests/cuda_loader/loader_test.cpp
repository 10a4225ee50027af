#include "cuda_backend/loader.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/folder.h"

namespace pgram {
namespace {

/// A folder of its own, in which a test puts a file in the backend's name.
class CudaLoader : public testing::Test {
 protected:
  /// Instead of the backend one of the small libraries of this folder's build.
  void plant(const std::string& library) const {
    std::filesystem::copy_file(std::filesystem::path(PGRAM_LOADER_LIBRARIES) / library, folder_ / kCudaBackendLibrary);
  }

  const test::Folder folder_;
};

TEST_F(CudaLoader, SaysThatItIsNotBuilt) {
  const LoadedCuda cuda = load_cuda_backend(folder_.path());
  EXPECT_FALSE(cuda);
  EXPECT_EQ(cuda.reason, "the CUDA backend is not built in this version; use --backend cpu");
}

TEST_F(CudaLoader, SaysThatTheLibraryIsBroken) {
  folder_.write(kCudaBackendLibrary, "not an ELF file");
  const LoadedCuda cuda = load_cuda_backend(folder_.path());
  EXPECT_FALSE(cuda);
  EXPECT_EQ(cuda.reason.find("the CUDA backend cannot be loaded ("), 0u) << cuda.reason;
}

/// It was linked to a library that is not on this machine, as it is where the CUDA toolkit is missing.
TEST_F(CudaLoader, SaysWhichLibraryIsMissing) {
  plant("libneeds_absent.so");
  const LoadedCuda cuda = load_cuda_backend(folder_.path());
  EXPECT_FALSE(cuda);
  EXPECT_EQ(cuda.reason.find("the CUDA backend needs libpgram_absent.so, which was not found; install"), 0u)
      << cuda.reason;
}

TEST_F(CudaLoader, SaysThatItIsOfAnotherVersion) {
  for (const char* library : {"libother_version.so", "libno_entry.so"}) {
    plant(library);
    const LoadedCuda cuda = load_cuda_backend(folder_.path());
    EXPECT_FALSE(cuda);
    EXPECT_NE(cuda.reason.find("belongs to another version; build both together"), std::string::npos) << cuda.reason;
    std::filesystem::remove(folder_ / kCudaBackendLibrary);
  }
}

TEST(CudaLoaderBesideTheProgram, GivesAReasonOrAnApi) {
  const LoadedCuda cuda = load_cuda_backend();
  EXPECT_EQ(static_cast<bool>(cuda), cuda.reason.empty());
}

}  // namespace
}  // namespace pgram
