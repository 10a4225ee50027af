// Fibers, see fiber.h.
//
// Not instrumented by ThreadSanitizer, but where a process has it, it is told of fibers that a switch does not
// synchronise: only barriers and shuffles do. So a missing barrier is a race.
#include "tests/emulation/engine/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
// ThreadSanitizer's interface (sanitizer/tsan_interface.h): there, or not, when the program runs.
extern "C" {
[[gnu::weak]] void* __tsan_get_current_fiber();
[[gnu::weak]] void* __tsan_create_fiber(unsigned flags);
[[gnu::weak]] void __tsan_destroy_fiber(void* fiber);
[[gnu::weak]] void __tsan_switch_to_fiber(void* fiber, unsigned flags);
[[gnu::weak]] void __tsan_acquire(void* address);
[[gnu::weak]] void __tsan_release(void* address);
}

// The callee-saved registers of the System V ABI are on the stack of who does not run.
extern "C" void pgram_switch_stack(void** save, void* load);
asm(R"(
.text
.globl pgram_switch_stack
.type pgram_switch_stack,@function
pgram_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size pgram_switch_stack,.-pgram_switch_stack
)");

namespace pgram::emulation {
namespace {

constexpr int kSavedRegisters = 6;
constexpr uint64_t kCanary = 0x5afe57ac5afe57ac;
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kStackBytes = 512 << 10;  // red zones around every variable
#else
constexpr size_t kStackBytes = 128 << 10;
#endif

/// Equal places of all stacks would share the sets of the cache.
size_t stagger() {
  static thread_local size_t count = 0;
  return count++ % 61 * 64;
}

constexpr unsigned kSwitchWithoutSync = 1;  // __tsan_switch_to_fiber_no_sync

}  // namespace

void switch_context(Context& from, Context& to) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&from.fake_stack, to.stack_bottom, to.stack_bytes);
#endif
  if (is_race_checked()) {
    if (!from.thread_sanitizer) from.thread_sanitizer = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(to.thread_sanitizer, kSwitchWithoutSync);
  }
  pgram_switch_stack(&from.stack_pointer, to.stack_pointer);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
}

void Fiber::entered([[maybe_unused]] Context& from) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &from.stack_bottom, &from.stack_bytes);
#endif
}

Fiber::Fiber(void (*entry)()) {
  void* memory = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("stand-in GPU: a stack for a CUDA thread");
    std::abort();
  }
  stack_ = static_cast<std::byte*>(memory);
  *reinterpret_cast<uint64_t*>(stack_) = kCanary;
  // As switch_stack leaves a stack: registers, then where to return to, then where *that* would return to. The ABI
  // wants 16-byte alignment at the call, which has pushed 8.
  auto** top = reinterpret_cast<void**>(stack_ + kStackBytes - stagger());
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < kSavedRegisters; ++i) *--top = nullptr;
  context.stack_pointer = top;
  context.stack_bottom = stack_;
  context.stack_bytes = kStackBytes;
  if (is_race_checked()) context.thread_sanitizer = __tsan_create_fiber(0);
}

Fiber::~Fiber() {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(stack_, kStackBytes);  // the frames that are left behind
#endif
  if (is_race_checked()) __tsan_destroy_fiber(context.thread_sanitizer);
  munmap(stack_, kStackBytes);
}

bool Fiber::is_sound() const {
  return *reinterpret_cast<const uint64_t*>(stack_) == kCanary;
}

bool is_race_checked() {
  return &__tsan_create_fiber != nullptr;
}
void acquire(void* sync) {
  if (is_race_checked()) __tsan_acquire(sync);
}
void release(void* sync) {
  if (is_race_checked()) __tsan_release(sync);
}

}  // namespace pgram::emulation
