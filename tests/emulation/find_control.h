// How a test finds the stand-in GPU that it runs on.
#pragma once
#include <dlfcn.h>

#include "tests/emulation/control.h"

namespace pgram::emulation {

/// nullptr on NVIDIA's own libraries.
inline const Control* find_control() {
  using Get = const Control* (*)();
  const auto get = reinterpret_cast<Get>(dlsym(RTLD_DEFAULT, kControlSymbol));
  return get ? get() : nullptr;
}

}  // namespace pgram::emulation
