#include "cuda_backend/calibrate_kernels.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <set>

#include "cuda_backend/cuda_rank.h"
#include "cuda_backend/dispatch.h"

namespace pgram {
namespace {

constexpr uint64_t kPatternBytes = uint64_t{1} << 20;
constexpr uint32_t kAnyVocabulary = 256;  ///< where no op knows one

uint32_t vocabulary_of(const Plan& plan) {
  uint32_t vocabulary = 0;
  for (const Attributes& a : plan.attributes) vocabulary = std::max(vocabulary, a.vocabulary);
  return vocabulary ? vocabulary : kAnyVocabulary;
}

uint64_t slot_bytes(const Record& record) {
  constexpr uint64_t kAlignment = 256;  // as cudaMalloc's own
  return (std::max<uint64_t>(record.bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
}

/// Formals that the op touches.
std::set<uint8_t> formals_of(const TaskCase& item) {
  std::set<uint8_t> formals;
  for (const PreparedOperand& operand : item.prepared->bodies[item.body].ops[item.op].operands)
    formals.insert(operand.formal);
  return formals;
}

const Record& record_of(const TaskCase& item, uint8_t formal) {
  return item.plan().records[item.in_body().formals[formal]];
}

uint32_t slots_of(const TaskCase& item, uint8_t formal, uint64_t most_bytes) {
  const uint16_t record = item.in_body().formals[formal];
  uint32_t most = 1;
  for (const Program& program : item.plan().programs) {
    for (const Pool& pool : program.pools) {
      if (pool.record == record) most = std::max(most, pool.slots);
    }
  }
  return static_cast<uint32_t>(std::clamp<uint64_t>(most_bytes / slot_bytes(item.plan().records[record]), 1, most));
}

/// Numbers on which no kernel leaves its usual path: weights around 0, everything else positive (it may be a norm's
/// statistic or a sum of exponentials), tokens within the vocabulary.
void write_pattern(void* pinned, DType dtype, RecordKind kind, uint32_t vocabulary) {
  std::minstd_rand random{1};
  constexpr uint64_t kElements = kPatternBytes / 4;
  if (dtype == DType::i32) {
    auto* tokens = static_cast<int32_t*>(pinned);
    for (uint64_t i = 0; i < kElements; ++i) tokens[i] = static_cast<int32_t>(random() % vocabulary);
    return;
  }
  const bool weights = kind == RecordKind::parameter || kind == RecordKind::gradient;
  std::uniform_real_distribution<float> uniform(weights ? -0.05f : 0.5f, weights ? 0.05f : 1.5f);
  auto* numbers = static_cast<float*>(pinned);
  for (uint64_t i = 0; i < kElements; ++i) numbers[i] = uniform(random);
}

}  // namespace

std::string name_of(const TaskCase& item) {
  std::string name = "calibrate " + std::string(pgram::name_of(item.the_op().kernel));
  for (uint64_t size : kernel_shape(item.plan(), item.in_body(), item.the_op())) {
    if (size) name += " " + std::to_string(size);
  }
  return name;
}

/// A task's operands in memory of their own.
class KernelBench::Operands {
 public:
  Operands(const TaskCase& item, uint64_t most_bytes) : item_(item), pattern_(make_pinned_memory(kPatternBytes)) {
    for (uint8_t formal : formals_of(item)) {
      Buffer& buffer = buffers_[formal];
      buffer.stride = slot_bytes(record_of(item, formal));
      buffer.slots = slots_of(item, formal, most_bytes);
      buffer.memory = make_device_memory(buffer.stride * buffer.slots);
    }
    const PreparedOp& op = item.prepared->bodies[item.body].ops[item.op];
    for (const PreparedOperand& operand : op.operands) fill(operand);
    launch_.op = &item.the_op();
    launch_.attributes = &item.plan().attributes[launch_.op->attributes];
    hyperparameters_.learning_rate = 0;  // the weights stay what they are, however often the optimizer runs
    launch_.hyperparameters = &hyperparameters_;
    for (size_t i = 0; i < op.operands.size(); ++i) launch_.operands[i] = op.operands[i].tensor;
    if (launch_.op->kernel != Kernel::input) return;
    const uint64_t bytes = launch_.operands[0].bytes + launch_.operands[1].bytes;
    tokens_ = make_pinned_memory(bytes);
    std::memset(tokens_.get(), 0, bytes);
    launch_.host_tokens = static_cast<const int32_t*>(tokens_.get());
  }

  Launch launch(uint32_t call) const {
    Launch launch = launch_;
    const PreparedOp& op = item_.prepared->bodies[item_.body].ops[item_.op];
    for (size_t i = 0; i < op.operands.size(); ++i) {
      const Buffer& buffer = buffers_.at(op.operands[i].formal);
      launch.operands[i].data = buffer.slot(call % buffer.slots) + op.operands[i].offset;
    }
    return launch;
  }

 private:
  struct Buffer {
    DeviceMemory memory;
    uint64_t stride = 0;
    uint32_t slots = 0;
    std::byte* slot(uint32_t index) const { return static_cast<std::byte*>(memory.get()) + index * stride; }
  };

  void fill(const PreparedOperand& operand) {
    const Buffer& buffer = buffers_.at(operand.formal);
    write_pattern(pattern_.get(), operand.tensor.dtype, record_of(item_, operand.formal).kind,
                  vocabulary_of(item_.plan()));
    for (uint32_t slot = 0; slot < buffer.slots; ++slot) {
      std::byte* data = buffer.slot(slot) + operand.offset;
      for (uint64_t done = 0; done < operand.tensor.bytes; done += kPatternBytes) {
        const uint64_t piece = std::min(kPatternBytes, operand.tensor.bytes - done);
        PGRAM_CHECK(cudaMemcpy(data + done, pattern_.get(), piece, cudaMemcpyHostToDevice));
      }
    }
  }

  const TaskCase item_;
  std::map<uint8_t, Buffer> buffers_;
  PinnedMemory pattern_, tokens_;
  Hyperparameters hyperparameters_;
  Launch launch_;
};

KernelBench::KernelBench(GpuTimer& timer) : timer_(timer), blas_(make_blas()) {
  int device = 0, major = 0;
  PGRAM_CHECK(cudaGetDevice(&device));
  PGRAM_CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  PGRAM_CHECK(cublasSetStream(blas_.get(), timer.stream()));
  blas_workspace_ = make_device_memory(blas_workspace_bytes(major));
  PGRAM_CHECK(cublasSetWorkspace(blas_.get(), blas_workspace_.get(), blas_workspace_bytes(major)));
}

bool KernelBench::fits(const TaskCase& item) const {
  size_t free = 0, total = 0;
  PGRAM_CHECK(cudaMemGetInfo(&free, &total));
  uint64_t bytes = 0;
  for (uint32_t role = 0; role < item.plan().programs.size(); ++role)
    bytes = std::max(bytes, workspace_bytes(item.plan(), role));
  for (uint8_t formal : formals_of(item)) bytes += slot_bytes(record_of(item, formal));
  return bytes < free;
}

/// The tasks before it have ended.
void KernelBench::make_workspace(const Plan& plan) {
  uint64_t bytes = 0;
  for (uint32_t role = 0; role < plan.programs.size(); ++role) bytes = std::max(bytes, workspace_bytes(plan, role));
  if (bytes <= workspace_bytes_) return;
  workspace_ = DeviceMemory();
  workspace_bytes_ = 0;
  workspace_ = make_device_memory(bytes);
  workspace_bytes_ = bytes;
}

GpuTimer::Issue KernelBench::issue_of(const TaskCase& item, Operands& operands) {
  make_workspace(item.plan());
  DispatchContext context;
  context.tp_size = item.plan().mesh.size[0];
  context.blas = blas_.get();
  context.workspace = static_cast<std::byte*>(workspace_.get());
  context.workspace_bytes = workspace_bytes_;
  return [this, context, &operands](uint32_t call) { dispatch(operands.launch(call), context, timer_.stream()); };
}

Seconds KernelBench::measure(const TaskCase& item, uint64_t most_bytes, Seconds seconds) {
  Operands operands(item, most_bytes);
  return timer_.per_call(name_of(item), issue_of(item, operands), seconds);
}

Seconds KernelBench::measure_queue(const TaskCase& item, uint32_t calls) {
  Operands operands(item, 0);
  return timer_.per_call_in_queue(name_of(item), issue_of(item, operands), calls);
}

}  // namespace pgram
