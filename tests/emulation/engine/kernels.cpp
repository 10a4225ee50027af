// Kernels and their launches, see kernels.h.
#include "tests/emulation/engine/kernels.h"

#include <cxxabi.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tests/emulation/engine/block.h"
#include "tests/emulation/engine/kernel_abi.h"
#include "tests/emulation/engine/ptx_engine.h"
#include "tests/emulation/runtime/memory.h"
#include "tests/emulation/runtime/peers.h"
#include "tests/emulation/runtime/reports.h"

namespace pgram::emulation {
namespace {

/// Compiled by g++.
struct CppKernel {
  Binder bind = nullptr;
  ArgumentSizes sizes = nullptr;
};
/// Compiled by nvcc: its host function.
struct HostFunction {
  void** fat_binary = nullptr;
  std::string mangled_name;
};

struct Registry {
  std::mutex mutex;
  std::map<std::string, CppKernel> cpp;
  std::unordered_map<const void*, HostFunction> host_functions;
  std::once_flag libraries_loaded;
};
Registry& registry() {
  static auto& instance = *new Registry;
  return instance;
}

bool engine_is_ptx() {
  static const bool ptx = [] {
    const char* engine = std::getenv("PGRAM_EMULATION_ENGINE");
    return engine && std::string(engine) == "ptx";
  }();
  return ptx;
}

/// The libraries of PGRAM_EMULATION_KERNELS, whose kernels register themselves.
void load_libraries() {
  const char* paths = std::getenv("PGRAM_EMULATION_KERNELS");
  if (!paths) return;
  std::istringstream in(paths);
  for (std::string path; std::getline(in, path, ':');)
    if (!path.empty() && !dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL))
      report(std::string("kernels: a library of PGRAM_EMULATION_KERNELS cannot be loaded: ") + dlerror());
}

/// Translates arguments of one launch, and remembers whose red zones to look at after it.
class Translator final : public ArgumentTranslator {
 public:
  Translator(int device, std::string who) : device_(device), who_(std::move(who)) {}

  void translate(void* value, size_t bytes, bool is_pointer) override {
    auto* memory = static_cast<std::byte*>(value);
    for (size_t at = 0; at + sizeof(void*) <= bytes; at += sizeof(void*)) {
      std::byte* pointer = nullptr;
      std::memcpy(&pointer, memory + at, sizeof pointer);
      const int owner = device_of_memory(pointer);
      if (is_pointer) check(pointer, owner);
      if (owner < 0) continue;
      std::byte* behind = memory_of(owner).translate(pointer, touched_[owner]);
      std::memcpy(memory + at, &behind, sizeof behind);
    }
  }
  /// A pointer that no GPU would follow was among the arguments; it is reported.
  bool illegal() const { return illegal_; }
  void check_red_zones() const {
    for (const auto& [owner, allocations] : touched_) memory_of(owner).check_red_zones(allocations, who_);
  }

 private:
  void check(const std::byte* pointer, int owner) {
    if (!pointer || (owner < 0 && PinnedMemory::instance().contains(pointer, 1))) return;
    if (owner >= 0 && !may_reach(device_, owner)) {
      report("wrong device: " + who_ + " on device " + std::to_string(device_) + " was given memory of device " +
             std::to_string(owner));
      illegal_ = true;
    } else if (!device_memory(pointer, 0, who_)) {
      illegal_ = true;
    }
  }

  int device_;
  std::string who_;
  std::map<int, std::vector<Allocation>> touched_;
  bool illegal_ = false;
};

/// Copies of a launch's arguments.
class Arguments {
 public:
  Arguments(const void* const* values, ArgumentSizes sizes) {
    for (size_t i = 0; sizes[i]; ++i) {
      const auto* bytes = static_cast<const std::byte*>(values[i]);
      copies_.emplace_back(bytes, bytes + sizes[i]);
    }
    for (const auto& copy : copies_) pointers_.push_back(copy.data());
  }
  const void* const* pointers() const { return pointers_.data(); }

 private:
  std::vector<std::vector<std::byte>> copies_;
  std::vector<const void*> pointers_;
};

void run_cpp(Running& running, const CppKernel& kernel, const LaunchShape& shape, const Arguments& arguments,
             const std::string& name) {
  const std::string who = name + of_task(running.task());
  Translator translator(running.device(), who);
  const Invocation invocation = kernel.bind(arguments.pointers(), translator);
  if (translator.illegal()) return running.fail(cudaErrorIllegalAddress);
  try {
    run_grid(shape.grid, shape.block, invocation);
  } catch (const KernelFault& fault) {
    report(fault.message + " (" + who + ")");
    running.fail(fault.error);
  }
  translator.check_red_zones();
}

/// The address as a key where nvcc was not there to give a name.
std::string name_of_function(const void* function) {
  Dl_info info{};
  if (dladdr(function, &info) && info.dli_sname && info.dli_saddr == function) return info.dli_sname;
  char text[32];
  std::snprintf(text, sizeof text, "%p", function);
  return text;
}

}  // namespace

bool register_kernel(const void* function, Binder bind, ArgumentSizes sizes) {
  std::string name = name_of_function(function);
  const std::lock_guard lock(registry().mutex);
  registry().cpp[std::move(name)] = {bind, sizes};
  return true;
}

void** register_fat_binary(const void* wrapper) {
  return register_ptx(wrapper);
}
void unregister_fat_binary(void** handle) {
  {
    const std::lock_guard lock(registry().mutex);
    std::erase_if(registry().host_functions, [&](const auto& entry) { return entry.second.fat_binary == handle; });
  }
  unregister_ptx(handle);
}

void register_host_function(void** handle, const void* host_function, const char* mangled_name) {
  const std::lock_guard lock(registry().mutex);
  registry().host_functions[host_function] = {handle, mangled_name};
}

std::string readable_name(const std::string& mangled_name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(mangled_name.c_str(), nullptr, nullptr, &status), std::free);
  std::string name = status == 0 ? text.get() : mangled_name;
  const size_t arguments = name.find('(');
  if (arguments != std::string::npos) name.resize(arguments);
  if (name.starts_with("void ")) name.erase(0, 5);
  return name;
}

bool is_kernel(const void* host_function) {
  const std::lock_guard lock(registry().mutex);
  return registry().host_functions.contains(host_function) || registry().cpp.contains(name_of_function(host_function));
}

cudaError_t prepare_launch(const void* host_function, const LaunchShape& shape, const void* const* arguments,
                           Operation& operation) {
  std::call_once(registry().libraries_loaded, load_libraries);
  HostFunction host;
  CppKernel cpp;
  {
    const std::lock_guard lock(registry().mutex);
    const auto found = registry().host_functions.find(host_function);
    host = found == registry().host_functions.end() ? HostFunction{nullptr, name_of_function(host_function)}
                                                    : found->second;
    if (const auto kernel = registry().cpp.find(host.mangled_name); kernel != registry().cpp.end())
      cpp = kernel->second;
  }
  operation.name = "kernel " + readable_name(host.mangled_name);
  if (engine_is_ptx() && host.fat_binary)
    return prepare_ptx(host.fat_binary, host.mangled_name, shape, arguments, operation);
  if (!cpp.bind) {
    report("unknown kernel: " + operation.name + " is in no library of PGRAM_EMULATION_KERNELS");
    return cudaErrorInvalidDeviceFunction;
  }
  auto copies = std::make_shared<const Arguments>(arguments, cpp.sizes);
  operation.run = [cpp, shape, copies, name = operation.name](Running& running) {
    run_cpp(running, cpp, shape, *copies, name);
  };
  return cudaSuccess;
}

}  // namespace pgram::emulation
