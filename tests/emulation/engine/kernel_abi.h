// What a kernel that g++ compiled needs of the stand-in's libcudart.
#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <functional>

// CUDA's built-in variables. Of plain type and not macros: cudaLaunchConfig_t has a member gridDim.
extern constinit thread_local uint3 threadIdx, blockIdx;
extern constinit thread_local dim3 blockDim, gridDim;

namespace pgram::emulation {

/// A place in a kernel's source where threads wait for each other. `id` differs for each in one file.
struct Site {
  int id;
  const char* file;
  int line;
};

unsigned lane();  ///< of the CUDA thread that runs, in its warp

/// All threads of the block; the number of threads whose predicate is true.
int block_barrier(bool predicate, Site);
/// Lanes of `mask` show `bytes` (16 at most) to each other; `out` gets those of lane `source`.
void warp_exchange(unsigned mask, const void* in, void* out, unsigned bytes, unsigned source, Site);
/// Lanes of `mask`: those whose predicate is true.
unsigned warp_vote(unsigned mask, bool predicate, Site);
[[noreturn]] void device_trap(Site);

/// Pointers to device memory in a kernel's argument become pointers to the memory behind them: in every 8-byte word of
/// the value, as nothing is known of its type. A pointer argument must lie in live memory; words of structures need
/// not, as slots that are not in use may hold anything.
class ArgumentTranslator {
 public:
  virtual ~ArgumentTranslator() = default;
  virtual void translate(void* value, size_t bytes, bool is_pointer) = 0;
};
/// Runs one CUDA thread.
using Invocation = std::function<void()>;
/// Makes the run of a launch from copies of its arguments, with their pointers translated.
using Binder = Invocation (*)(const void* const* arguments, ArgumentTranslator&);
/// Sizes of the arguments, in order; 0 ends it.
using ArgumentSizes = const size_t*;

/// The kernel is found by its address, and by its mangled name, which is the name of the device's function as well.
bool register_kernel(const void* function, Binder, ArgumentSizes);

}  // namespace pgram::emulation
