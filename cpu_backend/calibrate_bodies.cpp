#include "cpu_backend/calibrate_bodies.h"

#include <omp.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "core/base/errors.h"

namespace pgram {
namespace {

constexpr int kFewestPasses = 3;
const Attributes kNoAttributes;

Seconds now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Processor time of the calling thread.
Seconds own_time() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Largest vocabulary that tokens may come from; 256 where no op knows one.
uint32_t vocabulary_of(const Plan& plan) {
  uint32_t vocabulary = 0;
  for (const Attributes& a : plan.attributes) vocabulary = std::max(vocabulary, a.vocabulary);
  return vocabulary ? vocabulary : 256;
}

/// Brings memory into the caches, and drives out what was there.
void touch(std::vector<std::byte>& memory) {
  constexpr size_t kLine = 64;
  for (size_t i = 0; i < memory.size(); i += kLine) memory[i] ^= std::byte{1};
}

}  // namespace

Seconds typical(std::vector<Seconds> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const Seconds most = 2 * values[values.size() / 2];
  const auto end = std::upper_bound(values.begin(), values.end(), most);
  return std::accumulate(values.begin(), end, 0.0) / static_cast<double>(end - values.begin());
}

BodyBench::BodyBench(const Plan& plan, uint16_t body, const std::vector<uint32_t>& slots, KernelSet kernels,
                     int threads)
    : plan_(plan),
      body_(plan.bodies[body]),
      kernels_(kernels),
      rank_{0, plan.mesh.size[0], threads},
      seconds_(body_.ops.size()) {
  hyperparameters_.learning_rate = 0;  // the weights stay what they are, however often the optimizer runs
  make_buffers(slots);
  make_steps();
}

void BodyBench::make_buffers(const std::vector<uint32_t>& slots) {
  for (size_t f = 0; f < body_.formals.size(); ++f) {
    const uint16_t record = body_.formals[f];
    size_t b = 0;
    while (b < buffers_.size() && buffers_[b].record != record) ++b;
    if (b == buffers_.size())
      buffers_.push_back({record, slots[f], plan_.records[record].bytes, {nullptr, nullptr}, {}});
    place_of_.push_back(static_cast<uint32_t>(std::count(buffer_of_.begin(), buffer_of_.end(), b)));
    buffer_of_.push_back(static_cast<uint32_t>(b));
    buffers_[b].slots = std::max({buffers_[b].slots, slots[f], place_of_.back() + 1});
  }
  for (Buffer& buffer : buffers_) {
    const Record& record = plan_.records[buffer.record];
    const uint64_t bytes = std::max<uint64_t>(64, buffer.bytes);
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(64, bytes * buffer.slots));
    if (!memory) throw RunError("no memory to measure the kernels of " + body_.name);
    buffer.memory = {memory, std::free};
    for (uint32_t slot = 0; slot < buffer.slots; ++slot) {
      if (slot == 0) {
        fill(memory, record);
      } else {
        std::memcpy(memory + slot * bytes, memory, buffer.bytes);
      }
    }
    if (record.kind == RecordKind::edge) buffer.fresh.assign(memory, memory + buffer.bytes);
  }
}

/// Numbers on which no kernel leaves its usual path: weights around 0, everything else positive (it may be a norm's
/// statistic or a sum of exponentials), tokens within the vocabulary.
void BodyBench::fill(std::byte* memory, const Record& record) {
  std::memset(memory, 0, record.bytes);
  const bool weights = record.kind == RecordKind::parameter || record.kind == RecordKind::gradient;
  std::array<float, 1021> pattern;  // a prime, so that rows differ
  std::uniform_real_distribution<float> uniform(weights ? -0.05f : 0.5f, weights ? 0.05f : 1.5f);
  for (float& value : pattern) value = uniform(random_);
  const uint32_t vocabulary = vocabulary_of(plan_);
  for (const Field& field : record.fields) {
    for (uint64_t i = 0; i < field.count(); ++i) {
      const uint64_t at = field.offset / 4 + i;
      if (field.dtype == DType::i32) {
        reinterpret_cast<int32_t*>(memory)[at] = static_cast<int32_t>(random_() % vocabulary);
      } else {
        reinterpret_cast<float*>(memory)[at] = pattern[i % pattern.size()];
      }
    }
  }
}

void BodyBench::make_steps() {
  for (uint32_t i = 0; i < body_.ops.size(); ++i) {
    const Op& op = body_.ops[i];
    if (is_communication(op.kernel) || op.kernel == Kernel::opaque) continue;
    Step step;
    step.op = i;
    step.launch.op = &op;
    step.launch.attributes =
        op.attributes < plan_.attributes.size() ? &plan_.attributes[op.attributes] : &kNoAttributes;
    step.launch.hyperparameters = &hyperparameters_;
    for (int o = 0; o < op.num_operands; ++o) {
      const Operand& operand = body_.operands[op.first_operand + o];
      const OperandShape shape = operand_shape(plan_, body_, operand);
      step.formal[o] = operand.formal;
      step.offset[o] = shape.offset;
      Tensor& tensor = step.launch.operands[o];
      tensor.bytes = shape.bytes;
      tensor.dtype = shape.dtype;
      tensor.dims = shape.dims;
      if (operand.field == kWhole) tensor.record = &plan_.records[body_.formals[operand.formal]];
    }
    if (op.kernel == Kernel::input) {
      host_tokens_.assign(2 * step.launch.operands[0].count(), 1);
      step.launch.host_tokens = host_tokens_.data();
    }
    steps_.push_back(step);
  }
}

std::byte* BodyBench::address(uint32_t formal) const {
  const Buffer& buffer = buffers_[buffer_of_[formal]];
  const uint64_t slot = (passes_ + place_of_[formal]) % buffer.slots;
  return buffer.memory.get() + slot * std::max<uint64_t>(64, buffer.bytes);
}

const std::vector<Seconds>& BodyBench::pass() {
  // What came from the neighbour in the pipeline or the layer before lies in the cache, and does not grow from pass to
  // pass.
  for (uint32_t f = 0; f < buffer_of_.size(); ++f) {
    const Buffer& buffer = buffers_[buffer_of_[f]];
    if (!buffer.fresh.empty()) std::memcpy(address(f), buffer.fresh.data(), buffer.bytes);
  }
  for (Step& step : steps_) {
    for (int o = 0; o < step.launch.op->num_operands; ++o)
      step.launch.operands[o].data = address(step.formal[o]) + step.offset[o];
    // The thread's own time is the longer one (it holds the looks at the clocks) unless another program had the core.
    const Seconds own_start = own_time(), start = now();
    run_kernel(kernels_, step.launch, rank_);
    const Seconds wall = now() - start;
    seconds_[step.op] = std::min(wall, own_time() - own_start);
  }
  ++passes_;
  return seconds_;
}

Crew::Crew(uint32_t size) {
  for (uint32_t i = 0; i < size; ++i) threads_.emplace_back([this, i] { live(i); });
}

Crew::~Crew() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Crew::live(uint32_t index) {
  uint64_t done = 0;
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return closing_ || job_ > done; });
    if (closing_) return;
    done = job_;
    if (index >= busy_) continue;
    const std::function<void()>& work = *work_;
    lock.unlock();
    std::exception_ptr failure;
    try {
      work();
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (failure) failure_ = failure;
    if (--running_ == 0) changed_.notify_all();
  }
}

void Crew::run(uint32_t busy, const std::function<void()>& work) {
  std::unique_lock lock(mutex_);
  work_ = &work;
  busy_ = running_ = busy;
  failure_ = nullptr;
  ++job_;
  changed_.notify_all();
  changed_.wait(lock, [this] { return running_ == 0; });
  if (failure_) std::rethrow_exception(failure_);
}

std::vector<std::vector<Seconds>> measure_body(Crew& crew, const BodyCase& item, KernelSet kernels, Team team,
                                               Seconds seconds, const std::stop_token& stop) {
  std::vector<std::vector<Seconds>> samples(item.plan->bodies[item.body].ops.size());
  std::barrier start(team.busy);
  std::atomic<bool> over{false};
  std::mutex mutex;
  crew.run(team.busy, [&] {
    std::vector<std::vector<Seconds>> own(samples.size());
    std::unique_ptr<BodyBench> bench;
    struct Leave {  // whatever happens, nobody waits for this thread
      std::barrier<>& start;
      std::atomic<bool>& over;
      bool arrived = false;
      ~Leave() {
        over = true;
        if (!arrived) start.arrive_and_drop();
      }
    } leave{start, over};
    omp_set_num_threads(static_cast<int>(team.threads));
    bench = std::make_unique<BodyBench>(*item.plan, item.body, item.slots, kernels, static_cast<int>(team.threads));
    std::vector<std::byte> other(item.flushed);
    bench->pass();
    leave.arrived = true;
    start.arrive_and_wait();
    // The first to finish ends it for all: what the others measure after that would not be measured on busy cores.
    const Seconds end = now() + seconds;
    for (int passes = 0; !over && !(stop.stop_requested() && passes > 0); ++passes) {
      if (passes >= kFewestPasses && now() >= end) break;
      touch(other);
      const std::vector<Seconds>& times = bench->pass();
      for (size_t op = 0; op < own.size(); ++op) own[op].push_back(times[op]);
    }
    over = true;
    std::lock_guard lock(mutex);
    for (size_t op = 0; op < own.size(); ++op) samples[op].insert(samples[op].end(), own[op].begin(), own[op].end());
  });
  return samples;
}

}  // namespace pgram
