// ProfilerRange: what profilers show around everything that is issued while it lives.
#pragma once
#include <nvtx3/nvToolsExt.h>

#include <string>

namespace pgram {

class ProfilerRange {
 public:
  explicit ProfilerRange(const std::string& text) { nvtxRangePushA(text.c_str()); }
  ~ProfilerRange() { nvtxRangePop(); }
  ProfilerRange(const ProfilerRange&) = delete;
  ProfilerRange& operator=(const ProfilerRange&) = delete;
};

}  // namespace pgram
