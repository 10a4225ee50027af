#include "core/exec/checkpoint.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/base/errors.h"
#include "core/base/json_reader.h"

namespace pgram {
namespace {

// https://huggingface.co/docs/safetensors: 8 bytes little-endian header length, JSON, data. The reference
// implementation refuses headers above 100 MB.
constexpr uint64_t kLengthBytes = 8, kMaxHeaderBytes = 100'000'000;
constexpr size_t kMaxDims = 8;

uint64_t dtype_bytes(const std::string& dtype) {
  static const std::map<std::string, uint64_t> kSizes{
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"I16", 2}, {"U16", 2}, {"F16", 2},
      {"BF16", 2}, {"I32", 4}, {"U32", 4}, {"F32", 4},     {"F64", 8},     {"I64", 8}, {"U64", 8}};
  const auto found = kSizes.find(dtype);
  return found == kSizes.end() ? 0 : found->second;
}

/// Unmaps and closes on every way out of the constructor.
struct Mapping {
  std::byte* data = nullptr;
  uint64_t bytes = 0;

  explicit Mapping(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) throw InputError(path, 0, "", std::string("cannot be opened: ") + std::strerror(errno));
    struct stat info {};
    const bool regular = ::fstat(file, &info) == 0 && S_ISREG(info.st_mode);
    bytes = regular ? static_cast<uint64_t>(info.st_size) : 0;
    void* map = regular && bytes >= kLengthBytes ? ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file, 0) : MAP_FAILED;
    ::close(file);
    if (!regular) throw InputError(path, 0, "", "expected a safetensors file, this is no regular file");
    if (bytes < kLengthBytes) {
      throw InputError(
          path, 0, "header",
          "expected a safetensors file, the file has only " + std::to_string(bytes) + " bytes (truncated?)");
    }
    if (map == MAP_FAILED) throw InputError(path, 0, "", std::string("cannot be mapped: ") + std::strerror(errno));
    data = static_cast<std::byte*>(map);
  }
  ~Mapping() {
    if (data) ::munmap(data, bytes);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
};

uint64_t read_little_endian(const std::byte* data) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | std::to_integer<uint64_t>(data[i]);
  return value;
}

StoredTensor parse_tensor(const JsonObject& object, const std::string& path, const std::string& name,
                          uint64_t data_bytes) {
  object.allow_only({"dtype", "shape", "data_offsets"});
  StoredTensor tensor;
  tensor.dtype = object.string("dtype");
  const uint64_t element = dtype_bytes(tensor.dtype);
  if (element == 0) throw InputError(path, 0, name, "unknown dtype " + json_quoted(tensor.dtype));
  tensor.shape = object.u64s("shape", 0, uint64_t{1} << 53, kMaxDims);
  const std::vector<uint64_t> offsets = object.u64s("data_offsets", 0, uint64_t{1} << 53, 2);
  if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > data_bytes) {
    throw InputError(path, 0, name,
                     "data_offsets: expected [begin, end] with begin <= end <= " + std::to_string(data_bytes) +
                         ", the bytes of data in the file (truncated?)");
  }
  tensor.offset = offsets[0];
  tensor.bytes = offsets[1] - offsets[0];
  uint64_t bytes = element;
  for (uint64_t dim : tensor.shape) {
    if (__builtin_mul_overflow(bytes, dim, &bytes)) throw InputError(path, 0, name, "shape: larger than 2^64 bytes");
  }
  if (bytes != tensor.bytes) {
    throw InputError(
        path, 0, name,
        "shape and dtype make " + std::to_string(bytes) + " bytes, data_offsets " + std::to_string(tensor.bytes));
  }
  return tensor;
}

/// The data section is covered exactly once: no overlaps, no holes.
void check_coverage(const std::map<std::string, StoredTensor>& tensors, uint64_t data_bytes, const std::string& path) {
  std::vector<std::pair<const StoredTensor*, const std::string*>> order;
  for (const auto& [name, tensor] : tensors) order.emplace_back(&tensor, &name);
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first->offset, a.first->bytes) < std::pair(b.first->offset, b.first->bytes);
  });
  uint64_t end = 0;
  for (const auto& [tensor, name] : order) {
    if (tensor->offset != end) {
      throw InputError(path, 0, *name,
                       "data_offsets: begins at " + std::to_string(tensor->offset) + ", expected " +
                           std::to_string(end) +
                           (tensor->offset < end ? " (tensors overlap)" : " (a hole in the data)"));
    }
    end += tensor->bytes;
  }
  if (end != data_bytes) {
    throw InputError(
        path, 0, "data",
        "the file has " + std::to_string(data_bytes) + " bytes of data, its tensors " + std::to_string(end));
  }
}

float half_to_float(uint16_t half) {
  const uint32_t sign = (half & 0x8000u) << 16, exponent = half >> 10 & 0x1f, mantissa = half & 0x3ffu;
  if (exponent == 0) {  // zero and subnormals: mantissa * 2^-24
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  const uint32_t wide = exponent == 0x1f ? 0xffu : exponent + 112;
  return std::bit_cast<float>(sign | wide << 23 | mantissa << 13);
}

class OutputFile {
 public:
  explicit OutputFile(const std::string& path) : path_(path), temporary_(path + ".partial") {
    file_ = std::fopen(temporary_.c_str(), "wb");
    if (file_ == nullptr) fail();
  }
  ~OutputFile() {
    if (file_ == nullptr) return;
    std::fclose(file_);
    std::remove(temporary_.c_str());
  }
  void write(const void* data, size_t bytes) {
    if (bytes > 0 && std::fwrite(data, 1, bytes, file_) != bytes) fail();  // an empty tensor has no address
  }
  void commit() {
    const bool good = std::fflush(file_) == 0 && ::fsync(::fileno(file_)) == 0;
    if (!good || std::rename(temporary_.c_str(), path_.c_str()) != 0) fail();
    std::fclose(file_);
    file_ = nullptr;
  }

 private:
  [[noreturn]] void fail() const {
    throw InputError(path_, 0, "", std::string("cannot be written: ") + std::strerror(errno));
  }
  std::string path_, temporary_;
  std::FILE* file_ = nullptr;
};

}  // namespace

SafetensorsFile::SafetensorsFile(const std::string& path) : path_(path) {
  static_assert(std::endian::native == std::endian::little, "tensors are read in place");
  Mapping map(path);
  const uint64_t header_bytes = read_little_endian(map.data);
  if (header_bytes > kMaxHeaderBytes || header_bytes > map.bytes - kLengthBytes) {
    throw InputError(path, 0, "header",
                     "its length is " + std::to_string(header_bytes) + " bytes, expected at most " +
                         std::to_string(std::min(kMaxHeaderBytes, map.bytes - kLengthBytes)) +
                         " (truncated, or no safetensors file?)");
  }
  data_offset_ = kLengthBytes + header_bytes;
  const std::string text(reinterpret_cast<const char*>(map.data) + kLengthBytes, header_bytes);
  const nlohmann::json header = parse_json(text, path);
  if (!header.is_object()) throw InputError(path, 0, "header", "expected a JSON object of tensors");
  const JsonObject top(header, path);
  for (const std::string& name : top.keys()) {
    const JsonObject object = top.object(name);
    if (name == "__metadata__") {
      for (const std::string& key : object.keys()) metadata_[key] = object.string(key);
    } else {
      tensors_[name] = parse_tensor(object, path, name, map.bytes - data_offset_);
    }
  }
  check_coverage(tensors_, map.bytes - data_offset_, path);
  map_ = std::exchange(map.data, nullptr);
  map_bytes_ = map.bytes;
}

SafetensorsFile::~SafetensorsFile() {
  if (map_) ::munmap(const_cast<std::byte*>(map_), map_bytes_);
}

SafetensorsFile::SafetensorsFile(SafetensorsFile&& other) noexcept
    : path_(std::move(other.path_)),
      map_(std::exchange(other.map_, nullptr)),
      map_bytes_(other.map_bytes_),
      data_offset_(other.data_offset_),
      tensors_(std::move(other.tensors_)),
      metadata_(std::move(other.metadata_)) {}

std::vector<float> SafetensorsFile::read_floats(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) throw InputError(path_, 0, name, "no such tensor in this file");
  const StoredTensor& tensor = found->second;
  const std::byte* data = map_ + data_offset_ + tensor.offset;
  std::vector<float> values(tensor.bytes / dtype_bytes(tensor.dtype));
  if (tensor.dtype == "F32") {
    if (!values.empty()) std::memcpy(values.data(), data, tensor.bytes);
  } else if (tensor.dtype == "F16" || tensor.dtype == "BF16") {
    const bool brain = tensor.dtype == "BF16";
    for (size_t i = 0; i < values.size(); ++i) {
      uint16_t bits;
      std::memcpy(&bits, data + 2 * i, sizeof bits);
      values[i] = brain ? std::bit_cast<float>(uint32_t{bits} << 16) : half_to_float(bits);
    }
  } else {
    throw InputError(path_, 0, name, "dtype is " + tensor.dtype + ", expected F32, F16 or BF16");
  }
  return values;
}

void write_safetensors(const std::string& path, const std::map<std::string, FloatTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  nlohmann::json header = nlohmann::json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const uint64_t bytes = tensor.values.size() * sizeof(float);
    header[name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the data is aligned
  std::byte length[kLengthBytes];
  for (size_t i = 0; i < kLengthBytes; ++i) length[i] = static_cast<std::byte>(text.size() >> (8 * i));

  OutputFile file(path);
  file.write(length, sizeof length);
  file.write(text.data(), text.size());
  for (const auto& [name, tensor] : tensors) file.write(tensor.values.data(), tensor.values.size() * sizeof(float));
  file.commit();
}

}  // namespace pgram
