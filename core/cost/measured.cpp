#include "core/cost/measured.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>
#include <vector>

namespace pgram {

namespace {

constexpr int kCoordinates = 4;
using Point = std::array<double, kCoordinates>;

bool has_flops(Kernel kernel) {
  return kernel == Kernel::matmul || kernel == Kernel::matmul_dx || kernel == Kernel::matmul_dw ||
         kernel == Kernel::attention || kernel == Kernel::attention_bwd;
}
bool is_attention(Kernel kernel) {
  return kernel == Kernel::attention || kernel == Kernel::attention_bwd;
}

double log_of(uint64_t value) {
  return std::log(static_cast<double>(std::max<uint64_t>(value, 1)));
}

/// Logarithm of what the duration grows with: m n k of a matrix product, tokens x heads x head size x sequence of
/// attention, elements of anything else.
double log_work(Kernel kernel, const std::array<uint64_t, 4>& shape) {
  if (is_attention(kernel))
    return log_of(shape[0]) + log_of(shape[1]) + log_of(shape[2] & 0xffffffff) + log_of(shape[3]);
  double sum = 0;
  for (uint64_t size : shape) sum += log_of(size);
  return sum;
}

Point coordinates(Kernel kernel, const std::array<uint64_t, 4>& shape) {
  // How many heads share a key matters less than any other size.
  if (is_attention(kernel))
    return {log_of(shape[0]), log_of(shape[1]), log_of(shape[2] & 0xffffffff) + 0.1 * log_of(shape[2] >> 32),
            log_of(shape[3])};
  return {log_of(shape[0]), log_of(shape[1]), log_of(shape[2]), 0};
}

double distance(uint32_t a, uint32_t b) {
  return std::abs(log_of(a) - log_of(b));
}

/// Rate at `query` from the nearest entry in each direction (below, at or above in each coordinate), so that a crowd
/// of entries on one side does not outvote the other. Weights fall with the cube of the distance.
double log_rate_around(Kernel kernel, const Point& query, const std::vector<const MeasuredKernel*>& entries) {
  struct Neighbour {
    double distance = 0, log_rate = 0;
  };
  std::map<int, Neighbour> by_direction;
  for (const MeasuredKernel* entry : entries) {
    const Point at = coordinates(kernel, entry->shape);
    int direction = 0;
    double square = 0;
    for (int i = 0; i < kCoordinates; ++i) {
      const double delta = at[i] - query[i];
      direction = direction * 3 + (delta < -1e-9 ? 0 : delta > 1e-9 ? 2 : 1);
      square += delta * delta;
    }
    const Neighbour neighbour{std::sqrt(square), log_work(kernel, entry->shape) - std::log(entry->seconds)};
    const auto [known, is_new] = by_direction.try_emplace(direction, neighbour);
    if (!is_new && neighbour.distance < known->second.distance) known->second = neighbour;
  }
  double sum = 0, weights = 0;
  for (const auto& [direction, neighbour] : by_direction) {
    if (neighbour.distance < 1e-9) return neighbour.log_rate;
    const double weight = std::pow(neighbour.distance, -3);
    sum += weight * neighbour.log_rate;
    weights += weight;
  }
  return sum / weights;
}

struct Sample {
  double log_size = 0, log_seconds = 0;
};

/// Straight pieces between the samples; beyond them the last one's rate goes on, downwards not below `floor`.
double log_seconds_at(double log_size, std::vector<Sample> samples, Seconds floor) {
  std::sort(samples.begin(), samples.end(), [](const Sample& a, const Sample& b) { return a.log_size < b.log_size; });
  const auto above =
      std::find_if(samples.begin(), samples.end(), [&](const Sample& s) { return s.log_size >= log_size; });
  if (above == samples.end()) return samples.back().log_seconds + log_size - samples.back().log_size;
  if (above == samples.begin()) {
    const double scaled = above->log_seconds + log_size - above->log_size;
    return floor > 0 ? std::max(scaled, std::min(above->log_seconds, std::log(floor))) : scaled;
  }
  const Sample& low = *(above - 1);
  const double share = (log_size - low.log_size) / (above->log_size - low.log_size);
  return low.log_seconds + share * (above->log_seconds - low.log_seconds);
}

/// Time over elements. Entries of equally many elements in other proportions: the one nearest in columns counts.
double log_seconds_by_elements(Kernel kernel, const std::array<uint64_t, 4>& shape,
                               const std::vector<const MeasuredKernel*>& entries, Seconds floor) {
  std::map<double, const MeasuredKernel*> by_size;
  const auto columns_off = [&](const MeasuredKernel& entry) {
    return std::abs(log_of(entry.shape[1]) - log_of(shape[1]));
  };
  for (const MeasuredKernel* entry : entries) {
    const auto [known, is_new] = by_size.try_emplace(log_work(kernel, entry->shape), entry);
    if (!is_new && columns_off(*entry) < columns_off(*known->second)) known->second = entry;
  }
  std::vector<Sample> samples;
  for (const auto& [log_size, entry] : by_size) samples.push_back({log_size, std::log(entry->seconds)});
  return log_seconds_at(log_work(kernel, shape), std::move(samples), floor);
}

std::string_view operation_of(Kernel kernel) {
  if (kernel == Kernel::all_reduce_max) return name_of(Kernel::all_reduce);
  if (kernel == Kernel::recv) return name_of(Kernel::send);
  return name_of(kernel);
}

}  // namespace

std::optional<MeasuredSeconds> measured_kernel(const Device& device, Kernel kernel,
                                               const std::array<uint64_t, 4>& shape, uint32_t busy, uint32_t threads) {
  const std::string_view name = name_of(kernel);
  // The nearest number of threads first, then the nearest busy count.
  const auto nearness = [&](const MeasuredKernel& entry) {
    return std::pair(distance(entry.threads, threads), distance(entry.busy, busy));
  };
  std::vector<const MeasuredKernel*> entries;
  for (const MeasuredKernel& entry : device.kernels) {
    if (entry.kernel != name) continue;
    if (entry.shape == shape && entry.busy == busy && entry.threads == threads)
      return MeasuredSeconds{entry.seconds, Provenance::measured};
    if (!entries.empty() && nearness(entry) > nearness(*entries[0])) continue;
    if (!entries.empty() && nearness(entry) < nearness(*entries[0])) entries.clear();
    entries.push_back(&entry);
  }
  if (entries.empty()) return std::nullopt;
  const double log_seconds =
      has_flops(kernel) ? log_work(kernel, shape) - log_rate_around(kernel, coordinates(kernel, shape), entries)
                        : log_seconds_by_elements(kernel, shape, entries, device.launch_seconds);
  // Measured with another number of threads: as if they shared the work evenly.
  const double scale = static_cast<double>(entries[0]->threads) / threads;
  return MeasuredSeconds{std::exp(log_seconds) * scale, Provenance::interpolated};
}

std::optional<MeasuredTransferSeconds> measured_transfer(const Device& device, Kernel kernel, uint32_t ranks,
                                                         Bytes bytes, uint32_t busy) {
  const std::string_view name = operation_of(kernel);
  // The nearest number of ranks first, then the nearest busy count.
  const auto nearness = [&](const MeasuredTransfer& entry) {
    return std::pair(distance(entry.ranks, ranks), distance(entry.busy, busy));
  };
  std::vector<const MeasuredTransfer*> entries;
  for (const MeasuredTransfer& entry : device.transfers) {
    if (entry.operation != name) continue;
    if (!entries.empty() && nearness(entry) > nearness(*entries[0])) continue;
    if (!entries.empty() && nearness(entry) < nearness(*entries[0])) entries.clear();
    entries.push_back(&entry);
  }
  if (entries.empty()) return std::nullopt;

  std::map<Bytes, Seconds> by_bytes;
  for (const MeasuredTransfer* entry : entries) by_bytes.try_emplace(entry->bytes, entry->seconds);
  const bool same_case = nearness(*entries[0]) == std::pair(0.0, 0.0);
  std::vector<Sample> samples;
  for (const auto& [size, seconds] : by_bytes) samples.push_back({log_of(size), std::log(seconds)});
  const auto exact = by_bytes.find(bytes);
  MeasuredTransferSeconds result;
  result.total.provenance = same_case && exact != by_bytes.end() ? Provenance::measured : Provenance::interpolated;
  // A message shorter than any measured one takes as long as the shortest.
  result.total.seconds = exact != by_bytes.end()
                             ? exact->second
                             : std::exp(log_seconds_at(log_of(bytes), samples, by_bytes.begin()->second));
  result.latency = std::min(result.total.seconds, by_bytes.begin()->second);
  return result;
}

}  // namespace pgram
