// The task that a thread issues for: this library is loaded as NVTX's injection and sees all ranges "task:...".
#include <nvtx3/nvToolsExt.h>

#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tests/emulation/runtime/stream.h"

// NVTX's own name of what it looks for in an injection library.
extern "C" int InitializeInjectionNvtx2(NvtxGetExportTableFunc_t);

namespace pgram::emulation {
namespace {

constexpr std::string_view kPrefix = "task:";

/// Ranges of one thread, innermost last, and how often each task was entered.
struct Ranges {
  std::vector<std::string> open;
  std::unordered_map<std::string, uint64_t> uses;
};
thread_local Ranges ranges;

int push(const char* message) {
  std::string text = message ? message : "";
  if (text.starts_with(kPrefix)) ++ranges.uses[text.substr(kPrefix.size())];
  ranges.open.push_back(std::move(text));
  return int(ranges.open.size()) - 1;
}

int pop() {
  if (ranges.open.empty()) return -1;
  ranges.open.pop_back();
  return int(ranges.open.size());
}

/// A registered string is its own handle.
nvtxStringHandle_t register_string(nvtxDomainHandle_t, const char* text) {
  static std::mutex mutex;
  static auto& strings = *new std::set<std::string>;
  const std::lock_guard lock(mutex);
  const std::string& kept = *strings.insert(text).first;
  return reinterpret_cast<nvtxStringHandle_t>(const_cast<char*>(kept.c_str()));
}

int push_attributes(const nvtxEventAttributes_t* attributes) {
  if (attributes->messageType == NVTX_MESSAGE_TYPE_ASCII) return push(attributes->message.ascii);
  if (attributes->messageType == NVTX_MESSAGE_TYPE_REGISTERED)
    return push(reinterpret_cast<const char*>(attributes->message.registered));
  return push(nullptr);
}

int push_in_domain(nvtxDomainHandle_t, const nvtxEventAttributes_t* attributes) {
  return push_attributes(attributes);
}
int pop_in_domain(nvtxDomainHandle_t) {
  return pop();
}

template <class Function>
void put(NvtxFunctionTable table, unsigned int size, unsigned int id, Function* function) {
  if (id < size && table[id]) *table[id] = reinterpret_cast<NvtxFunctionPointer>(function);
}

}  // namespace

std::string current_task() {
  for (auto range = ranges.open.rbegin(); range != ranges.open.rend(); ++range)
    if (range->starts_with(kPrefix)) return range->substr(kPrefix.size());
  return {};
}

TaskUse current_use(const std::string& task) {
  const auto found = ranges.uses.find(task);
  return {task, found == ranges.uses.end() ? 0 : found->second};
}

}  // namespace pgram::emulation

int InitializeInjectionNvtx2(NvtxGetExportTableFunc_t get_table) {
  using namespace pgram::emulation;
  const auto* callbacks = static_cast<const NvtxExportTableCallbacks*>(get_table(NVTX_ETID_CALLBACKS));
  NvtxFunctionTable table = nullptr;
  unsigned int size = 0;
  if (!callbacks || !callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE, &table, &size)) return 0;
  put(table, size, NVTX_CBID_CORE_RangePushA, push);
  put(table, size, NVTX_CBID_CORE_RangePushEx, push_attributes);
  put(table, size, NVTX_CBID_CORE_RangePop, pop);
  if (!callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE2, &table, &size)) return 0;
  put(table, size, NVTX_CBID_CORE2_DomainRangePushEx, push_in_domain);
  put(table, size, NVTX_CBID_CORE2_DomainRangePop, pop_in_domain);
  put(table, size, NVTX_CBID_CORE2_DomainRegisterStringA, register_string);
  return 1;
}
