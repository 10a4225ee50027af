// The interpreter on a backend that only writes down what it is told.
#include "core/exec/interpreter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <mutex>

#include "core/base/errors.h"

namespace pgram {
namespace {

/// "launch 3", "record 7 on compute", "wait 7 on data".
using Log = std::vector<std::string>;

class NotebookBackend : public Backend {
 public:
  explicit NotebookBackend(uint32_t ranks) : logs(ranks), launches(ranks), tokens(ranks), ranks_(ranks) {}

  std::vector<Log> logs;
  std::vector<std::vector<Launch>> launches;
  std::vector<std::vector<std::vector<int32_t>>> tokens;  ///< rank, task: what `input` tasks were handed
  std::vector<std::vector<std::unique_ptr<std::byte[]>>> memory{8};
  std::string reason;

  std::string name() const override { return "notebook"; }
  std::vector<uint32_t> local_ranks() const override {
    std::vector<uint32_t> all;
    for (uint32_t r = 0; r < ranks_; ++r) all.push_back(r);
    return all;
  }
  std::unique_ptr<RankDevice> open(uint32_t rank) override { return std::make_unique<Device>(*this, rank); }
  Picoseconds now() const override { return 5; }
  void abort(const std::string& why) override {
    std::lock_guard lock(mutex_);
    if (reason.empty()) reason = why;
  }

 private:
  class Device : public RankDevice {
   public:
    Device(NotebookBackend& book, uint32_t rank) : book_(book), rank_(rank) {}
    std::byte* allocate(uint64_t bytes) override {
      auto& memory = book_.memory[rank_];
      memory.push_back(std::make_unique<std::byte[]>(bytes));
      return memory.back().get();
    }
    void copy_to_device(std::byte* device, const void* host, uint64_t bytes) override {
      std::memcpy(device, host, bytes);
    }
    void copy_to_host(void* host, const std::byte* device, uint64_t bytes) override {
      std::memcpy(host, device, bytes);
    }
    void launch(const Launch& launch) override {
      book_.logs[rank_].push_back("launch " + std::to_string(launch.task.op));
      book_.launches[rank_].push_back(launch);
      if (launch.host_tokens) {
        const uint64_t count = launch.operands[0].count() + launch.operands[1].count();
        book_.tokens[rank_].emplace_back(launch.host_tokens, launch.host_tokens + count);
      }
    }
    void record(uint16_t event, Stream stream) override { note("record ", event, stream); }
    void wait(uint16_t event, Stream stream) override { note("wait ", event, stream); }
    void synchronize() override {}
    std::vector<Span> take_spans() override { return {}; }

   private:
    void note(const char* what, uint16_t event, Stream stream) {
      book_.logs[rank_].push_back(what + std::to_string(event) + " on " + name_of(stream));
    }
    NotebookBackend& book_;
    const uint32_t rank_;
  };

  const uint32_t ranks_;
  std::mutex mutex_;
};

Field field(const std::string& name, uint32_t rows, uint32_t columns, bool joined = false) {
  Field f;
  f.name = name, f.num_dims = 2, f.dims = {rows, columns}, f.joined = joined;
  return f;
}

void add_op(Body& body, Kernel kernel, Stream stream, std::vector<Operand> operands, std::vector<uint16_t> waits = {}) {
  Op op;
  op.kernel = kernel, op.stream = stream;
  op.num_operands = static_cast<uint8_t>(operands.size());
  op.first_operand = static_cast<uint32_t>(body.operands.size());
  op.num_waits = static_cast<uint8_t>(waits.size());
  op.first_wait = static_cast<uint32_t>(body.waits.size());
  body.operands.insert(body.operands.end(), operands.begin(), operands.end());
  body.waits.insert(body.waits.end(), waits.begin(), waits.end());
  body.ops.push_back(op);
}

Operand operand(uint8_t formal, uint16_t field, uint8_t fields = 1) {
  Operand o;
  o.formal = formal, o.field = field, o.fields = fields;
  return o;
}

/// One role, one record of three fields, one pool of four of it, one call on slot 2.
Plan small_plan() {
  Plan plan;
  plan.attributes.emplace_back();
  Record record;
  record.name = "work", record.kind = RecordKind::scratch;
  record.fields = {field("a", 2, 3), field("b", 4, 3), field("c", 1, 3, true)};
  record.lay_out();
  plan.records = {record};
  Body body;
  body.name = "body", body.formals = {0};
  plan.bodies = {body};
  Program program;
  program.pools = {{0, 4}};
  program.args = {Arg(0, 2)};
  Call call;
  call.layer = 6, call.micro_batch = 3;
  program.calls = {call};
  plan.programs = {program};
  return plan;
}

/// a: 24 bytes at 0; b: 48 at 64; c joined behind it at 112, 12 bytes; the record is 128 long. Slot 2 begins at 256.
TEST(PlainInterpreter, BindsOperands) {
  Plan plan = small_plan();
  add_op(plan.bodies[0], Kernel::zero, Stream::compute, {operand(0, 0), operand(0, 1, 2), operand(0, kWhole)});
  NotebookBackend backend(1);
  RunOptions options;
  run(plan, backend, options);
  ASSERT_EQ(backend.launches[0].size(), 1u);
  const Launch& launch = backend.launches[0][0];
  const std::byte* arena = backend.memory[0][0].get();
  EXPECT_EQ(launch.layer, 6);
  EXPECT_EQ(launch.micro_batch, 3);
  EXPECT_EQ(launch.task, (Task{0, 0, 0}));
  EXPECT_EQ(launch.operands[0].data - arena, 256);
  EXPECT_EQ(launch.operands[0].bytes, 24u);
  EXPECT_EQ(launch.operands[0].record, nullptr);
  EXPECT_EQ(launch.operands[1].data - arena, 256 + 64);
  EXPECT_EQ(launch.operands[1].bytes, 60u);
  EXPECT_EQ(launch.operands[1].dims, (std::array<uint32_t, 2>{5, 3}));
  EXPECT_EQ(launch.operands[2].data - arena, 256);
  EXPECT_EQ(launch.operands[2].bytes, 128u);
  ASSERT_NE(launch.operands[2].record, nullptr);
  EXPECT_EQ(launch.operands[2].record->name, "work");
}

/// The program has events 0 and 1. Op 1 waits for op 0 on another stream: event 2, the first behind the program's; op 2
/// waits for op 0 on op 0's own stream, which needs nothing. Across calls: a wait stands before its op, a record after.
TEST(PlainInterpreter, IssuesWaitsAndRecords) {
  Plan plan = small_plan();
  Body& body = plan.bodies[0];
  add_op(body, Kernel::opaque, Stream::compute, {});
  add_op(body, Kernel::opaque, Stream::data, {}, {0});
  add_op(body, Kernel::opaque, Stream::compute, {}, {0});
  add_op(body, Kernel::opaque, Stream::tensor, {}, {1, 0});
  Program& program = plan.programs[0];
  program.num_events = 2;
  program.syncs = {{2, 1}, {2, static_cast<uint16_t>(0 | Sync::kRecord)}};
  program.calls[0].num_syncs = 2;
  NotebookBackend backend(1);
  RunOptions options;
  options.steps = 2;
  run(plan, backend, options);
  const Log step{"launch 0",         "record 2 on compute", "wait 2 on data", "launch 1",
                 "record 3 on data", "wait 1 on compute",   "launch 2",       "record 0 on compute",
                 "wait 3 on tensor", "wait 2 on tensor",    "launch 3"};
  Log expected = step;
  expected.insert(expected.end(), step.begin(), step.end());
  EXPECT_EQ(backend.logs[0], expected);
}

/// dp2, two micro-batches of two samples: replica r reads samples (r * 2 + micro-batch) * 2 + {0, 1} of a global batch
/// of 8, tokens first, then targets.
TEST(PlainInterpreter, TokensOfEachReplica) {
  Plan plan = small_plan();
  plan.mesh.size = {1, 2, 1};
  plan.attributes[0].sequence = 3;
  plan.records[0].fields = {field("tokens", 6, 1), field("targets", 6, 1)};
  for (Field& f : plan.records[0].fields) f.dtype = DType::i32;
  plan.records[0].lay_out();
  add_op(plan.bodies[0], Kernel::input, Stream::compute, {operand(0, 0), operand(0, 1)});
  Program& program = plan.programs[0];
  program.calls.assign(2, program.calls[0]);
  program.calls[0].micro_batch = 0;
  program.calls[1].micro_batch = 1;
  NotebookBackend backend(2);
  RunOptions options;
  options.tokens = [](uint64_t step, uint32_t index, uint32_t sequence, int32_t* tokens, int32_t* targets) {
    for (uint32_t i = 0; i < sequence; ++i) {
      tokens[i] = static_cast<int32_t>(1000 * step + 10 * index + i);
      targets[i] = -tokens[i];
    }
  };
  run(plan, backend, options);
  using Tokens = std::vector<int32_t>;
  EXPECT_EQ(backend.tokens[0][0], (Tokens{0, 1, 2, 10, 11, 12, 0, -1, -2, -10, -11, -12}));
  EXPECT_EQ(backend.tokens[0][1], (Tokens{20, 21, 22, 30, 31, 32, -20, -21, -22, -30, -31, -32}));
  EXPECT_EQ(backend.tokens[1][0], (Tokens{40, 41, 42, 50, 51, 52, -40, -41, -42, -50, -51, -52}));
  EXPECT_EQ(backend.tokens[1][1], (Tokens{60, 61, 62, 70, 71, 72, -60, -61, -62, -70, -71, -72}));
}

TEST(PlainInterpreter, SequenceMustDivideTokens) {
  Plan plan = small_plan();
  plan.attributes[0].sequence = 4;
  add_op(plan.bodies[0], Kernel::input, Stream::compute, {operand(0, 0), operand(0, 0)});  // 6 elements
  NotebookBackend backend(1);
  RunOptions options;
  options.tokens = [](uint64_t, uint32_t, uint32_t, int32_t*, int32_t*) {};
  EXPECT_THROW(run(plan, backend, options), InputError);
}

TEST(PlainInterpreter, UnloadableFileEndsTheRun) {
  Plan plan = small_plan();
  NotebookBackend backend(1);
  RunOptions options;
  options.load = "/nonexistent";
  EXPECT_THROW(run(plan, backend, options), InputError);
}

TEST(PlainInterpreter, NoStepsIsARun) {
  const Plan plan = small_plan();
  NotebookBackend backend(1);
  RunOptions options;
  options.steps = 0;
  EXPECT_TRUE(run(plan, backend, options).losses.empty());
  EXPECT_TRUE(backend.logs[0].empty());
}

}  // namespace
}  // namespace pgram
