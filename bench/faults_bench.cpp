// The full campaign of failing calls: every kind of CUDA, cuBLAS and NCCL call that a training of two ranks makes, its
// first, a middle and its last one. Runs on the stand-in GPU; exit code 1 if one fault is not met as it must be.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <set>

#include "tests/cuda_backend/faults.h"

namespace pgram::testing {
namespace {

/// The loader reads the path of the stand-in's libraries when a program starts: it starts once more, with it.
void start_on_stand_in(char** arguments) {
  if (emulation::find_control()) return;
  const std::string libraries = std::string(PGRAM_BINARY_DIR) + "/tests/emulation/lib";
  if (std::getenv("PGRAM_EMULATION_KERNELS")) {
    std::fprintf(stderr, "bench_faults: the stand-in GPU was not found in %s\n", libraries.c_str());
    std::exit(1);
  }
  setenv("LD_LIBRARY_PATH", libraries.c_str(), 1);
  setenv("NVTX_INJECTION64_PATH", (libraries + "/libcudart.so.13").c_str(), 1);
  setenv("PGRAM_EMULATION_KERNELS", (libraries + "/libpgram_kernels_cpp.so").c_str(), 1);
  setenv("OPENBLAS_NUM_THREADS", "1", 1);
  execv("/proc/self/exe", arguments);
  std::perror("bench_faults: cannot start again");
  std::exit(1);
}

int run_campaigns() {
  int injected = 0, bad = 0;
  std::set<std::string> kinds;
  for (const char* layout : {"tp2", "pp2"}) {
    FaultCampaign campaign(layout);
    for (const Fault& fault : campaign.faults()) {
      const std::string wrong = campaign.inject(fault);
      ++injected;
      kinds.insert(fault.call);
      if (wrong.empty()) continue;
      ++bad;
      std::printf("%s: %s\n", layout, wrong.c_str());
    }
  }
  std::printf("%d faults injected, of %zu kinds of calls: %d not met with the right message, without leak or hang\n",
              injected, kinds.size(), bad);
  return bad == 0 ? 0 : 1;
}

}  // namespace
}  // namespace pgram::testing

int main(int, char** argv) {
  pgram::testing::start_on_stand_in(argv);
  return pgram::testing::run_campaigns();
}
