// Speed of the CPU's kernels on one thread: matrix products and attention as a share of the core's peak (of_peak),
// which a loop of fused multiply-adds measures in the same run; the others in GB/s of their operands beside a copy's.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>
#include <vector>

#include "cpu_backend/kernels/kernels.h"
#include "cpu_backend/kernels/parallel.h"
#include "cpu_backend/kernels/tile_product.h"

namespace pgram {
namespace {

template <int kSums>
PGRAM_INLINE void multiply_add_loop(Lanes* sums, int64_t rounds) {
  const Lanes factor = Lanes{} + 0.5f;
  Lanes s[kSums];
  for (int i = 0; i < kSums; ++i) s[i] = sums[i];
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) s[i] = s[i] * factor + factor;
  }
  for (int i = 0; i < kSums; ++i) sums[i] = s[i];
}
// 6 sums of two registers each fill AVX2, 12 hide the latency of two AVX-512 units; the better one is the peak.
PGRAM_CLONES void multiply_add_6(float* sums, int64_t rounds) {
  multiply_add_loop<6>(reinterpret_cast<Lanes*>(sums), rounds);
}
PGRAM_CLONES void multiply_add_12(float* sums, int64_t rounds) {
  multiply_add_loop<12>(reinterpret_cast<Lanes*>(sums), rounds);
}

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// FLOP/s of one core: the best of 20 runs of about a millisecond.
double peak_flops() {
  static const double peak = [] {
    alignas(64) float sums[12 * kLanes] = {};
    constexpr int64_t kRounds = 200000;
    double best = 0;
    for (int i = 0; i < 20; ++i) {
      const double begin = seconds();
      multiply_add_6(sums, kRounds);
      const double middle = seconds();
      multiply_add_12(sums, kRounds);
      best = std::max(
          {best, 2.0 * 6 * kLanes * kRounds / (middle - begin), 2.0 * 12 * kLanes * kRounds / (seconds() - middle)});
      benchmark::DoNotOptimize(sums);
    }
    return best;
  }();
  return peak;
}

/// A kernel and operands of its own.
class Bench {
 public:
  explicit Bench(Kernel kernel) {
    op_.kernel = kernel;
    launch_.op = &op_;
    launch_.attributes = &attributes;
    launch_.hyperparameters = &hyperparameters_;
  }
  Attributes attributes;

  Bench& operand(uint32_t rows, uint32_t columns, float value = 0.5f) {
    data_.emplace_back(size_t{rows} * columns, value);
    for (size_t i = 0; i < data_.back().size(); i += 3) data_.back()[i] *= 0.5f;
    launch_.operands[op_.num_operands++] = {reinterpret_cast<std::byte*>(data_.back().data()),
                                            data_.back().size() * sizeof(float),
                                            DType::f32,
                                            {rows, columns},
                                            nullptr};
    return *this;
  }
  /// Whole records of one matrix field, or of several of the same size one behind the other.
  Bench& record(const Record& record, uint32_t elements) {
    operand(elements * static_cast<uint32_t>(record.fields.size()), 1);
    launch_.operands[op_.num_operands - 1].record = &record;
    return *this;
  }
  uint64_t bytes() const {
    uint64_t sum = 0;
    for (const auto& d : data_) sum += d.size() * sizeof(float);
    return sum;
  }
  void run() const { run_kernel(KernelSet::fast, launch_, {}); }

 private:
  Op op_;
  Launch launch_;
  Hyperparameters hyperparameters_;
  std::vector<std::vector<float>> data_;
};

void report_flops(benchmark::State& state, double flops) {
  state.counters["GFLOP/s"] =
      benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
  state.counters["of_peak"] = benchmark::Counter(flops / peak_flops(), benchmark::Counter::kIsIterationInvariantRate);
  state.counters["peak_GFLOP/s"] = peak_flops() * 1e-9;
}

void matmul(benchmark::State& state, Kernel kernel) {
  const uint32_t n = state.range(0), o = state.range(1), i = state.range(2);
  Bench bench(kernel);
  if (kernel == Kernel::matmul) bench.operand(n, o).operand(n, i).operand(o, i);
  if (kernel == Kernel::matmul_dx) bench.operand(n, i).operand(n, o).operand(o, i);
  if (kernel == Kernel::matmul_dw) bench.operand(o, i).operand(n, o, 1e-6f).operand(n, i);
  bench.run();
  for (auto _ : state) bench.run();
  report_flops(state, 2.0 * n * o * i);
}
BENCHMARK_CAPTURE(matmul, forward, Kernel::matmul)
    ->Args({512, 1024, 1024})
    ->Args({256, 768, 256})
    ->Args({1024, 4096, 1024});
BENCHMARK_CAPTURE(matmul, dx, Kernel::matmul_dx)->Args({512, 1024, 1024})->Args({256, 768, 256});
BENCHMARK_CAPTURE(matmul, dw, Kernel::matmul_dw)->Args({512, 1024, 1024})->Args({256, 768, 256});

void attention(benchmark::State& state, bool backward) {
  const uint32_t s = state.range(0), heads = state.range(1), kv_heads = state.range(2), d = state.range(3);
  Bench bench(backward ? Kernel::attention_bwd : Kernel::attention);
  bench.attributes.sequence = s;
  bench.attributes.head_dim = d;
  bench.attributes.heads = heads;
  bench.attributes.kv_heads = kv_heads;
  const uint32_t qkv = (heads + 2 * kv_heads) * d;
  if (backward)
    bench.operand(s, qkv).operand(s, heads * d).operand(s, qkv).operand(s, heads * d).operand(s, heads, 6.0f);
  else
    bench.operand(s, heads * d).operand(s, heads).operand(s, qkv);
  bench.run();
  for (auto _ : state) bench.run();
  // Two products of s x s/2 x d forward, five backward (two of them again).
  report_flops(state, (backward ? 5.0 : 2.0) * 2.0 * heads * s * (s + 1) / 2 * d);
}
BENCHMARK_CAPTURE(attention, forward, false)->Args({128, 8, 8, 32})->Args({512, 8, 2, 64})->Args({2048, 4, 4, 128});
BENCHMARK_CAPTURE(attention, backward, true)->Args({128, 8, 8, 32})->Args({512, 8, 2, 64})->Args({2048, 4, 4, 128});

/// Rows that do not fit a core's cache; bytes are those of all operands, each counted once.
void rows(benchmark::State& state, Kernel kernel) {
  const uint32_t n = 4096, h = 1024;
  Record weights, moments;
  Field field;
  field.dims = {n * h, 1};
  field.num_dims = 2;
  weights.fields = {field};
  moments.fields = {field, field};
  moments.fields[1].offset = field.bytes();
  Bench bench(kernel);
  bench.attributes.epsilon = 1e-5f;
  bench.attributes.activation = 2;  // gelu: the erf form, the dearer one
  switch (kernel) {
    case Kernel::add:
      bench.operand(n, h).operand(n, h).operand(n, h);
      break;
    case Kernel::rms_norm:
      bench.operand(n, h).operand(n, 1).operand(n, h).operand(h, 1);
      break;
    case Kernel::rms_norm_dx:
      bench.operand(n, h).operand(n, h).operand(n, h).operand(h, 1).operand(n, 1);
      break;
    case Kernel::rms_norm_dw:
      bench.operand(h, 1).operand(n, h, 1e-6f).operand(n, h).operand(n, 1);
      break;
    case Kernel::swiglu:
      bench.operand(n, h).operand(n, 2 * h);
      break;
    case Kernel::swiglu_bwd:
      bench.operand(n, 2 * h).operand(n, h).operand(n, 2 * h);
      break;
    case Kernel::gelu:
      bench.operand(n, h).operand(n, h);
      break;
    case Kernel::adamw:
      bench.record(weights, n * h).record(moments, n * h).record(weights, n * h).operand(1, 1);
      break;
    default:
      bench.operand(1, 1).record(weights, n * h);  // sum_squares
  }
  bench.run();
  for (auto _ : state) bench.run();
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bench.bytes()));
}
BENCHMARK_CAPTURE(rows, add, Kernel::add);
BENCHMARK_CAPTURE(rows, rms_norm, Kernel::rms_norm);
BENCHMARK_CAPTURE(rows, rms_norm_dx, Kernel::rms_norm_dx);
BENCHMARK_CAPTURE(rows, rms_norm_dw, Kernel::rms_norm_dw);
BENCHMARK_CAPTURE(rows, swiglu, Kernel::swiglu);
BENCHMARK_CAPTURE(rows, swiglu_bwd, Kernel::swiglu_bwd);
BENCHMARK_CAPTURE(rows, gelu_erf, Kernel::gelu);
BENCHMARK_CAPTURE(rows, adamw, Kernel::adamw);
BENCHMARK_CAPTURE(rows, sum_squares, Kernel::sum_squares);

void copy(benchmark::State& state) {
  const std::vector<float> from(4096 * 1024, 1.0f);
  std::vector<float> to(from.size());
  for (auto _ : state) {
    std::memcpy(to.data(), from.data(), from.size() * sizeof(float));
    benchmark::DoNotOptimize(to.data());
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * 2 * from.size() * sizeof(float)));
}
BENCHMARK(copy);

}  // namespace
}  // namespace pgram

BENCHMARK_MAIN();
