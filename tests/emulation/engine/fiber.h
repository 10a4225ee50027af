// Stacks to switch between, in a few instructions, with what sanitizers must be told of it.
#pragma once
#include <cstddef>
#include <memory>

namespace pgram::emulation {

/// Where code stands while it does not run.
struct Context {
  void* stack_pointer = nullptr;
  const void* stack_bottom = nullptr;  ///< of the sanitizers' concern only, like the rest
  size_t stack_bytes = 0;
  void* fake_stack = nullptr;
  void* thread_sanitizer = nullptr;
};

/// Goes on with `to`; returns when somebody switches back to `from`.
void switch_context(Context& from, Context& to);

/// A context with a stack of its own.
class Fiber {
 public:
  /// The first switch to `context` calls entry(), which must begin with entered() and never return.
  explicit Fiber(void (*entry)());
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  static void entered(Context& from);
  /// The stack was not run over.
  bool is_sound() const;

  Context context;

 private:
  std::byte* stack_;
};

/// ThreadSanitizer is in the process. Then every CUDA thread must be a fiber of its own, so that all pairs are
/// compared.
bool is_race_checked();
// For it: what a CUDA thread did before release(x) has happened before what another does
// after acquire(x), and nothing else has.
void acquire(void* sync);
void release(void* sync);

}  // namespace pgram::emulation
