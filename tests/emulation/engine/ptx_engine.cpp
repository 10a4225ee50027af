// The PTX engine's side of a launch, see ptx_engine.h.
#include "tests/emulation/engine/ptx_engine.h"

#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "tests/emulation/ptx/ptx.h"
#include "tests/emulation/runtime/memory.h"
#include "tests/emulation/runtime/peers.h"
#include "tests/emulation/runtime/reports.h"

namespace pgram::emulation {
namespace {

/// The PTX of one object of nvcc, parsed when its first kernel is launched. Its address is the handle.
struct FatBinary {
  const void* wrapper = nullptr;
  std::shared_ptr<const ptx::Module> module;
};

struct Registry {
  std::mutex mutex;
  std::map<void**, std::unique_ptr<FatBinary>> binaries;
};
Registry& registry() {
  static auto& instance = *new Registry;
  return instance;
}

/// Every access of a kernel, looked at. Nothing is freed while a kernel runs, so the allocation of the last access may
/// be kept.
class CheckedMemory final : public ptx::GlobalMemory {
 public:
  CheckedMemory(int device, std::string who) : device_(device), who_(std::move(who)) {}

  std::byte* access(uint64_t address, uint32_t bytes, bool writes, const ptx::Place& place) override {
    const uint64_t offset = address - extent_.begin;
    if (offset < extent_.bytes && bytes <= extent_.bytes - offset) return extent_.memory + offset;
    const auto* pointer = reinterpret_cast<const std::byte*>(address);
    const std::string what = who_ + ", " + place.text() + (writes ? ": writes" : ": reads");
    const int owner = device_of_memory(pointer);
    if (owner < 0 && PinnedMemory::instance().contains(pointer, bytes)) return reinterpret_cast<std::byte*>(address);
    if (owner >= 0 && !may_reach(device_, owner))
      throw ptx::Fault{"wrong device: " + what + " memory of device " + std::to_string(owner)};
    std::byte* memory = device_memory(pointer, bytes, what);
    if (!memory) throw ptx::Fault{};  // device_memory() has reported it
    extent_ = memory_of(owner).extent_of(pointer);
    return memory;
  }

 private:
  int device_;
  std::string who_;
  Extent extent_;
};

struct PtxLaunch {
  std::shared_ptr<const ptx::Module> module;
  const ptx::Function* function = nullptr;
  LaunchShape shape;
  std::vector<std::vector<std::byte>> arguments;

  void run(Running& running, const std::string& who) const {
    std::vector<const void*> pointers;
    for (const auto& argument : arguments) pointers.push_back(argument.data());
    CheckedMemory memory(running.device(), who);
    try {
      ptx::run(*function, {shape.grid.x, shape.grid.y, shape.grid.z}, {shape.block.x, shape.block.y, shape.block.z},
               pointers.data(), memory);
    } catch (const ptx::Fault& fault) {
      if (!fault.message.empty()) report("kernel fault: " + fault.message + of_task(running.task()));
      running.fail(cudaErrorIllegalAddress);
    }
  }
};

}  // namespace

void** register_ptx(const void* wrapper) {
  const std::lock_guard lock(registry().mutex);
  auto binary = std::make_unique<FatBinary>();
  binary->wrapper = wrapper;
  auto* handle = reinterpret_cast<void**>(binary.get());
  registry().binaries[handle] = std::move(binary);
  return handle;
}

void unregister_ptx(void** handle) {
  const std::lock_guard lock(registry().mutex);
  registry().binaries.erase(handle);
}

cudaError_t prepare_ptx(void** handle, const std::string& mangled_name, const LaunchShape& shape,
                        const void* const* arguments, Operation& operation) {
  auto launch = std::make_shared<PtxLaunch>();
  launch->shape = shape;
  {
    const std::lock_guard lock(registry().mutex);
    FatBinary& binary = *registry().binaries.at(handle);
    try {
      if (!binary.module) binary.module = ptx::Module::parse(ptx::text_of_fat_binary(binary.wrapper));
    } catch (const std::exception& error) {
      report("unknown kernel: the PTX of " + operation.name + " cannot be read: " + error.what());
      return cudaErrorInvalidPtx;
    }
    launch->module = binary.module;
  }
  launch->function = launch->module->find(mangled_name);
  if (!launch->function) {
    report("unknown kernel: " + operation.name + " is not in its object's PTX");
    return cudaErrorInvalidDeviceFunction;
  }
  size_t number = 0;
  for (const uint32_t bytes : ptx::parameter_sizes(*launch->function)) {
    const auto* value = static_cast<const std::byte*>(arguments[number++]);
    launch->arguments.emplace_back(value, value + bytes);
  }
  operation.run = [launch, name = operation.name](Running& running) {
    launch->run(running, name + of_task(running.task()));
  };
  return cudaSuccess;
}

}  // namespace pgram::emulation
