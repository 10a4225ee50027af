// PTX, parsed and interpreted: what nvcc really made of a kernel, run without a GPU.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace pgram::emulation::ptx {

struct Function;

/// Where in a kernel an access is made.
class Place {
 public:
  virtual ~Place() = default;
  virtual std::string text() const = 0;  ///< "block (1,0,0), thread (3,0,0): st.global.u32 [%rd4], %r3"
};

/// Global memory as a kernel sees it.
class GlobalMemory {
 public:
  virtual ~GlobalMemory() = default;
  /// Host memory behind the address, aligned as it is, or throw (Fault) to end the kernel; run() puts kernel and place
  /// in front of its message, and lets an empty one through as it is. Called for every access of every thread.
  virtual std::byte* access(uint64_t address, uint32_t bytes, bool writes, const Place&) = 0;
};

/// A kernel did what it must not: out of bounds (shared, local, global), barrier divergence, a shuffle that lanes never
/// reach, an instruction that the interpreter does not know.
struct Fault {
  std::string message;  ///< "kernel NAME, block (1,0,0), thread (3,0,0): st.global.u32 [%rd4], %r3: ..."
};

/// The functions of one PTX file.
class Module {
 public:
  /// std::runtime_error with line and text for what cannot be parsed.
  static std::shared_ptr<const Module> parse(const std::string& text);
  virtual ~Module() = default;
  virtual const Function* find(const std::string& mangled_name) const = 0;
  virtual std::vector<std::string> names() const = 0;
};

/// Sizes of the parameters, in order, in bytes.
std::vector<uint32_t> parameter_sizes(const Function&);
/// Runs the whole grid on the calling thread. `arguments[i]` points to the value of parameter i, as for
/// cudaLaunchKernel. Throws Fault.
void run(const Function&, std::array<uint32_t, 3> grid, std::array<uint32_t, 3> block, const void* const* arguments,
         GlobalMemory&);

/// PTX in a fat binary as nvcc embeds it (the argument of __cudaRegisterFatBinary): of the highest architecture that is
/// in it. Empty if there is none. std::runtime_error for a container that is not understood.
std::string text_of_fat_binary(const void* wrapper);

}  // namespace pgram::emulation::ptx
