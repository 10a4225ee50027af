// For tests of the PTX interpreter: device memory of a few arrays, and kernels from text.
#pragma once
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/emulation/ptx/program.h"
#include "tests/emulation/ptx/ptx.h"

namespace pgram::emulation::ptx::test {

using Extent = std::array<uint32_t, 3>;

/// Arrays at made-up addresses with nothing between them.
class Memory final : public GlobalMemory {
 public:
  /// Address of the array, which must live as long as it is used.
  template <class T>
  uint64_t add(std::vector<T>& array) {
    const uint64_t address = kFirst + arrays_.size() * kApart;
    arrays_[address] = {reinterpret_cast<std::byte*>(array.data()), array.size() * sizeof(T)};
    return address;
  }

  std::byte* access(uint64_t address, uint32_t bytes, bool writes, const Place&) override {
    const auto next = arrays_.upper_bound(address);
    if (next != arrays_.begin()) {
      const auto& [begin, array] = *std::prev(next);
      const uint64_t offset = address - begin;
      if (offset < array.bytes && bytes <= array.bytes - offset) return array.memory + offset;
    }
    throw Fault{std::string(writes ? "writes" : "reads") + " where nothing is"};
  }

 private:
  struct Array {
    std::byte* memory;
    uint64_t bytes;
  };
  static constexpr uint64_t kFirst = 0x7000'0000'0000, kApart = uint64_t{1} << 30;
  std::map<uint64_t, Array> arrays_;
};

template <class... A>
uint64_t launch(const Module& module, const std::string& name, Extent grid, Extent block, GlobalMemory& memory,
                const A&... arguments) {
  const Function* function = module.find(name);
  if (!function) {
    ADD_FAILURE() << "no kernel " << name;
    return 0;
  }
  const std::vector<uint32_t> expected{static_cast<uint32_t>(sizeof(A))...};
  EXPECT_EQ(parameter_sizes(*function), expected) << name;
  const void* pointers[] = {&arguments..., nullptr};
  return run_limited(*function, grid, block, pointers, memory, uint64_t{1} << 32);
}

/// A kernel k(u64 out) from these declarations and instructions.
inline std::string kernel(const std::string& body) {
  return ".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u64 k_out)\n{\n"
         ".reg .pred %p<9>;\n.reg .b16 %h<9>;\n.reg .b32 %r<30>;\n.reg .b64 %d<9>;\n.reg .f32 %f<9>;\n.reg .f64 "
         "%g<9>;\n" +
         body + "\n}\n";
}

/// Runs such a kernel; it finds the address of `count` words, which are returned, in %d8, and the thread in %r29.
inline std::vector<uint32_t> run_words(const std::string& body, size_t count, Extent block = {1, 1, 1},
                                       Extent grid = {1, 1, 1}) {
  std::vector<uint32_t> out(count);
  Memory memory;
  const uint64_t address = memory.add(out);
  const auto module = Module::parse(kernel("ld.param.u64 %d8, [k_out];\nmov.u32 %r29, %tid.x;\n" + body + "\nret;"));
  launch(*module, "k", grid, block, memory, address);
  return out;
}

/// What one instruction makes of its sources: `instruction` writes %r1 (or %d1 for 64 bits) from %r2, %r3, ... (%d2,
/// ...), which hold the values. The type of the registers does not matter.
inline uint32_t result32(const std::string& instruction, const std::vector<uint32_t>& sources) {
  std::string body;
  for (size_t i = 0; i < sources.size(); ++i) {
    body += "mov.b32 %r" + std::to_string(i + 2) + ", " + std::to_string(sources[i]) + ";\n";
  }
  return run_words(body + instruction + "\nst.global.u32 [%d8], %r1;", 1)[0];
}

inline uint64_t result64(const std::string& instruction, const std::vector<uint64_t>& sources) {
  std::string body;
  for (size_t i = 0; i < sources.size(); ++i) {
    body += "mov.b64 %d" + std::to_string(i + 2) + ", " + std::to_string(sources[i]) + ";\n";
  }
  const std::vector<uint32_t> words = run_words(body + instruction + "\nst.global.u64 [%d8], %d1;", 2);
  return words[0] | uint64_t{words[1]} << 32;
}

inline uint32_t bits(float x) {
  return std::bit_cast<uint32_t>(x);
}
inline uint64_t bits(double x) {
  return std::bit_cast<uint64_t>(x);
}

/// The float that an instruction writes to %r1 from floats in %r2, ...
inline float result(const std::string& instruction, const std::vector<float>& sources) {
  std::vector<uint32_t> words;
  for (const float x : sources) words.push_back(bits(x));
  return std::bit_cast<float>(result32(instruction, words));
}

/// The message of the Fault that a kernel with this body ends with.
inline std::string fault_of(const std::string& body, size_t words = 64, Extent block = {1, 1, 1},
                            Extent grid = {1, 1, 1}) {
  try {
    run_words(body, words, block, grid);
  } catch (const Fault& fault) {
    return fault.message;
  }
  return "no fault";
}

}  // namespace pgram::emulation::ptx::test
