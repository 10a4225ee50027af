#include "cuda_backend/calibrate_transfers.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "core/exec/interpreter.h"
#include "core/plan/link.h"
#include "cuda_backend/cuda_backend.h"

namespace pgram {
namespace {

constexpr uint32_t kFewestSteps = 2, kMostSteps = 12;  ///< the first warms up
constexpr Seconds kShortest = 1e-9;

/// Many small ones, for a launch's latency to be hidden as in a queue; a few large ones.
uint32_t calls_of(Bytes bytes) {
  return bytes <= (64 << 10) ? 20 : bytes <= (4 << 20) ? 10 : 4;
}

/// Where the bodies find a size's whole buffer and one rank's part of it.
uint16_t whole_field(size_t size) {
  return static_cast<uint16_t>(2 * size);
}
uint16_t part_field(size_t size) {
  return static_cast<uint16_t>(2 * size + 1);
}

/// All sizes lie at its beginning: nothing is done with what comes.
Record buffer_record(const char* name, const TransferCase& item) {
  Record record;
  record.name = name;
  record.kind = RecordKind::scratch;
  for (Bytes bytes : item.sizes) {
    for (Bytes of : {bytes, bytes / item.ranks}) {
      Field field;
      field.name = "x" + std::to_string(record.fields.size());
      field.dims = {static_cast<uint32_t>(of / sizeof(float)), 1};
      record.fields.push_back(field);
    }
    record.bytes = std::max(record.bytes, bytes);
  }
  return record;
}

/// Appends a body of one operation on formals 0 (source) and 1 (result), and `calls` calls of it to the program.
class TransferPlan {
 public:
  explicit TransferPlan(const TransferCase& item) : item_(item) {
    plan_.mesh.size = item.sends ? std::array<uint32_t, kMeshAxes>{1, item.groups, 2}
                                 : std::array<uint32_t, kMeshAxes>{item.ranks, item.groups, 1};
    plan_.attributes.emplace_back();
    plan_.records = {buffer_record("source", item), buffer_record("result", item)};
    Communicator comm;
    if (item.sends) {
      comm.name = "f0>1", comm.axes = kPp, comm.directed = true, comm.source = 0, comm.target = 1;
    } else {
      comm.name = "tp", comm.axes = kTp, comm.stream = Stream::tensor;
    }
    plan_.comms.push_back(comm);
    for (uint32_t role = 0; role < plan_.mesh.size[2]; ++role) {
      Program& program = plan_.programs.emplace_back();
      program.pools = {{0, 1}, {1, 1}};
      program.args = {Arg(0, 0), Arg(1, 0)};
    }
  }

  void collective(Kernel kernel, size_t size) {
    const Operand whole_result{1, 1, whole_field(size)}, part_result{1, 1, part_field(size)};
    const Operand whole_source{0, 1, whole_field(size)}, part_source{0, 1, part_field(size)};
    switch (kernel) {
      case Kernel::all_reduce:
        return add(0, kernel, size, {whole_result}, 1, Stream::tensor);
      case Kernel::all_gather:
        return add(0, kernel, size, {whole_result, part_source}, 1, Stream::tensor);
      default:  // reduce_scatter
        return add(0, kernel, size, {part_result, whole_source}, 1, Stream::tensor);
    }
  }
  void send(size_t size) {
    add(0, Kernel::send, size, {{0, 1, whole_field(size)}}, 0, channel_stream(true, false, false));
    add(1, Kernel::recv, size, {{1, 1, whole_field(size)}}, 1, channel_stream(false, false, true));
  }
  Plan finish() {
    link(plan_);
    return std::move(plan_);
  }

 private:
  void add(uint32_t role, Kernel kernel, size_t size, std::vector<Operand> operands, int writes, Stream stream) {
    Body body;
    body.name = std::string(name_of(kernel)) + "." + std::to_string(item_.sizes[size]);
    body.formals = {0, 1};
    body.operands = std::move(operands);
    Op op;
    op.kernel = kernel;
    op.stream = stream;
    op.comm = 0;
    op.num_operands = static_cast<uint8_t>(body.operands.size());
    op.num_writes = static_cast<uint8_t>(writes);
    op.read_writes = kernel == Kernel::all_reduce ? 1 : 0;
    op.bytes = item_.sizes[size];
    body.ops.push_back(op);
    Call call;
    call.body = static_cast<uint16_t>(plan_.bodies.size());
    plan_.bodies.push_back(std::move(body));
    Program& program = plan_.programs[role];
    program.calls.insert(program.calls.end(), calls_of(item_.sizes[size]), call);
  }

  const TransferCase& item_;
  Plan plan_;
};

Plan plan_of(const TransferCase& item) {
  TransferPlan plan(item);
  for (size_t size = 0; size < item.sizes.size(); ++size) {
    if (item.sends) {
      plan.send(size);
      continue;
    }
    for (Kernel kernel : {Kernel::all_reduce, Kernel::all_gather, Kernel::reduce_scatter})
      plan.collective(kernel, size);
  }
  return plan.finish();
}

using MovedBytes = std::pair<Kernel, Bytes>;

/// Seconds of a call of each operation in one step: from the first to the last end on a rank, for the slowest rank.
std::map<MovedBytes, Seconds> seconds_of_step(const Plan& plan, std::span<const Span> spans) {
  struct Stretch {
    Picoseconds start = 0, end = 0;
    uint32_t calls = 0;
  };
  std::map<std::pair<uint32_t, MovedBytes>, Stretch> stretches;
  for (const Span& span : spans) {
    const Op& op = plan.bodies[plan.programs[plan.role(span.rank)].calls[span.call].body].ops[span.op];
    const Kernel kernel = op.kernel == Kernel::recv ? Kernel::send : op.kernel;
    Stretch& stretch = stretches[{span.rank, {kernel, op.bytes}}];
    stretch.start = stretch.calls ? std::min(stretch.start, span.start) : span.start;
    stretch.end = std::max(stretch.end, span.end);
    ++stretch.calls;
  }
  std::map<MovedBytes, Seconds> seconds;
  for (const auto& [key, stretch] : stretches) {
    Seconds& slowest = seconds[key.second];
    slowest = std::max({slowest, kShortest, to_seconds(stretch.end - stretch.start) / stretch.calls});
  }
  return seconds;
}

Seconds lower_median(std::vector<Seconds> values) {
  std::sort(values.begin(), values.end());
  return values[(values.size() - 1) / 2];
}

}  // namespace

Bytes memory_of(const TransferCase& item) {
  return 2 * *std::max_element(item.sizes.begin(), item.sizes.end());
}

std::vector<MeasuredTransfer> measure_transfers(const TransferCase& item, Seconds seconds,
                                                const std::stop_token& stop) {
  const Plan plan = plan_of(item);
  CudaOptions cuda;
  cuda.devices = item.devices;
  CudaBackend backend(plan, cuda);
  std::stop_source enough;
  const std::stop_callback stopped(stop, [&] { enough.request_stop(); });
  const auto start = std::chrono::steady_clock::now();
  RunOptions options;
  options.steps = kMostSteps;
  options.stop = enough.get_token();
  options.on_step = [&](uint32_t step, double, double, Picoseconds) {
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    if (step + 1 >= kFewestSteps && spent.count() >= seconds) enough.request_stop();
  };
  const RunResult result = run(plan, backend, options);
  std::map<MovedBytes, std::vector<Seconds>> samples;
  for (size_t step = 1; step < result.timeline.steps.size(); ++step) {
    for (const auto& [operation, time] : seconds_of_step(plan, result.timeline.of_step(step)))
      samples[operation].push_back(time);
  }
  std::vector<MeasuredTransfer> transfers;
  for (auto& [operation, times] : samples) {
    transfers.push_back({std::string(name_of(operation.first)), item.ranks, operation.second,
                         lower_median(std::move(times)), item.groups});
  }
  return transfers;
}

}  // namespace pgram
