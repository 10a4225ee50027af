// KernelCase: one op with operands of its own, to run by either kernel set.
#pragma once
#include <cstring>
#include <random>
#include <vector>

#include "cpu_backend/kernels/kernels.h"

namespace pgram {

class KernelCase {
 public:
  explicit KernelCase(Kernel kernel, uint32_t seed = 1) : random_(seed) { op_.kernel = kernel; }

  Attributes attributes;
  Hyperparameters hyperparameters;
  RankInfo rank;
  uint64_t step = 0;

  /// Adds an operand of normal numbers (written ones too: what a kernel does not overwrite must not matter).
  std::vector<float>& floats(uint32_t rows, uint32_t columns, float deviation = 1.0f, float mean = 0.0f) {
    std::normal_distribution<float> normal(mean, deviation);
    std::vector<float> values(size_t{rows} * columns);
    for (float& v : values) v = normal(random_);
    return add(rows, columns, std::move(values));
  }
  std::vector<float>& values(uint32_t rows, uint32_t columns, std::vector<float> values) {
    return add(rows, columns, std::move(values));
  }
  /// Adds an operand of integers in [0, below).
  std::vector<float>& integers(uint32_t n, int32_t below) {
    std::uniform_int_distribution<int32_t> uniform(0, below - 1);
    std::vector<int32_t> tokens(n);
    for (int32_t& t : tokens) t = uniform(random_);
    return integers(tokens);
  }
  std::vector<float>& integers(const std::vector<int32_t>& tokens) {
    std::vector<float> bits(tokens.size());
    std::memcpy(bits.data(), tokens.data(), tokens.size() * sizeof(float));
    return add(static_cast<uint32_t>(tokens.size()), 1, std::move(bits), DType::i32);
  }
  /// Adds a whole record; its fields must be laid out.
  std::vector<float>& record(const Record& record, float deviation = 1.0f) {
    std::vector<float>& data = floats(static_cast<uint32_t>(record.bytes / sizeof(float)), 1, deviation);
    records_.back() = &record;
    return data;
  }
  std::vector<float>& operator[](size_t operand) { return data_[operand]; }
  const std::vector<float>& operator[](size_t operand) const { return data_[operand]; }
  Kernel kernel() const { return op_.kernel; }
  bool is_float(int operand) const { return dtypes_[operand] == DType::f32; }
  int operands() const { return op_.num_operands; }

  uint64_t bytes(size_t operand) const { return data_[operand].size() * sizeof(float); }
  const Op& op() const { return op_; }
  const std::array<uint32_t, 2>& dims(size_t operand) const { return dims_[operand]; }
  const Record* record_of(size_t operand) const { return records_[operand]; }
  /// The op with its operands at these addresses.
  Launch launch(const std::vector<std::byte*>& memory) const {
    Launch launch;
    launch.op = &op_;
    launch.attributes = &attributes;
    launch.hyperparameters = &hyperparameters;
    launch.step = step;
    for (size_t i = 0; i < memory.size(); ++i)
      launch.operands[i] = {memory[i], bytes(i), dtypes_[i], dims_[i], records_[i]};
    return launch;
  }
  /// The operands after the kernel ran on copies of them.
  std::vector<std::vector<float>> run(KernelSet set) const {
    std::vector<std::vector<float>> copies = data_;
    std::vector<std::byte*> memory;
    for (std::vector<float>& copy : copies) memory.push_back(reinterpret_cast<std::byte*>(copy.data()));
    run_kernel(set, launch(memory), rank);
    return copies;
  }

 private:
  std::vector<float>& add(uint32_t rows, uint32_t columns, std::vector<float> values, DType dtype = DType::f32) {
    data_.push_back(std::move(values));
    dims_.push_back({rows, columns});
    dtypes_.push_back(dtype);
    records_.push_back(nullptr);
    ++op_.num_operands;
    return data_.back();
  }

  Op op_;
  std::mt19937 random_;
  std::vector<std::vector<float>> data_;
  std::vector<std::array<uint32_t, 2>> dims_;
  std::vector<DType> dtypes_;
  std::vector<const Record*> records_;
};

}  // namespace pgram
