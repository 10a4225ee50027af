#include "tests/emulation/nccl/call.h"

#include <array>

namespace pgram::emulation {
namespace {

const char* name_of(ncclDataType_t type) {
  static constexpr std::array<const char*, ncclNumTypes> names{"int8",   "uint8",    "int32",   "uint32",
                                                               "int64",  "uint64",   "float16", "float",
                                                               "double", "bfloat16", "float8",  "float8"};
  return names[type];
}

const char* name_of(ncclRedOp_t op) {
  static constexpr std::array<const char*, ncclNumOps> names{"sum", "product", "maximum", "minimum", "average"};
  return op < ncclNumOps ? names[op] : "operator of its own";
}

bool reduces(Kind kind) {
  return kind == Kind::all_reduce || kind == Kind::reduce_scatter || kind == Kind::reduce;
}

}  // namespace

const char* name_of(Kind kind) {
  static constexpr std::array names{"ncclCommInitRank",  "ncclCommSplit", "ncclAllReduce",
                                    "ncclReduceScatter", "ncclAllGather", "ncclBroadcast",
                                    "ncclReduce",        "ncclSend",      "ncclRecv"};
  return names[size_t(kind)];
}

uint64_t size_of(ncclDataType_t type) {
  static constexpr std::array<uint64_t, ncclNumTypes> sizes{1, 1, 4, 4, 8, 8, 2, 4, 8, 2, 1, 1};
  return sizes[type];
}

uint64_t sent_bytes(const Call& call, int rank, int ranks) {
  const uint64_t bytes = call.count * size_of(call.type);
  if (call.kind == Kind::receive || (call.kind == Kind::broadcast && rank != call.root)) return 0;
  return call.kind == Kind::reduce_scatter ? bytes * uint64_t(ranks) : bytes;
}

uint64_t received_bytes(const Call& call, int rank, int ranks) {
  const uint64_t bytes = call.count * size_of(call.type);
  if (call.kind == Kind::send || (call.kind == Kind::reduce && rank != call.root)) return 0;
  return call.kind == Kind::all_gather ? bytes * uint64_t(ranks) : bytes;
}

std::string describe(const Call& call) {
  std::string text = name_of(call.kind) + (" #" + std::to_string(call.sequence));
  if (is_point_to_point(call.kind))
    text += (call.kind == Kind::send ? " to rank " : " from rank ") + std::to_string(call.root);
  return text;
}

std::string signature(const Call& call) {
  std::string text = name_of(call.kind);
  if (is_management(call.kind)) return text;
  text += " of " + std::to_string(call.count) + " x " + name_of(call.type);
  if (reduces(call.kind)) text += std::string(", ") + name_of(call.op);
  if (call.kind == Kind::broadcast || call.kind == Kind::reduce) text += ", root " + std::to_string(call.root);
  return text;
}

}  // namespace pgram::emulation
