// A device and a backend that pass everything on, for tests that look at or delay some of it.
#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/exec/backend.h"
#include "cuda_backend/cuda_backend.h"

namespace pgram::testing {

class ForwardingDevice : public RankDevice {
 public:
  explicit ForwardingDevice(std::unique_ptr<RankDevice> device) : device_(std::move(device)) {}

  std::byte* allocate(uint64_t bytes) override { return device_->allocate(bytes); }
  void copy_to_device(std::byte* device, const void* host, uint64_t bytes) override {
    device_->copy_to_device(device, host, bytes);
  }
  void copy_to_host(void* host, const std::byte* device, uint64_t bytes) override {
    device_->copy_to_host(host, device, bytes);
  }
  void launch(const Launch& launch) override { device_->launch(launch); }
  void record(uint16_t event, Stream stream) override { device_->record(event, stream); }
  void wait(uint16_t event, Stream stream) override { device_->wait(event, stream); }
  void synchronize() override { device_->synchronize(); }
  std::vector<Span> take_spans() override { return device_->take_spans(); }

 private:
  std::unique_ptr<RankDevice> device_;
};

/// Of the CUDA backend; open() is the test's.
class ForwardingBackend : public Backend {
 public:
  ForwardingBackend(const Plan& plan, const CudaOptions& options) : backend_(plan, options) {}

  std::string name() const override { return backend_.name(); }
  std::vector<uint32_t> local_ranks() const override { return backend_.local_ranks(); }
  Picoseconds now() const override { return backend_.now(); }
  void abort(const std::string& reason) override { backend_.abort(reason); }

 protected:
  CudaBackend backend_;
};

}  // namespace pgram::testing
