// safetensors, read and written by us: a bounded JSON header plus raw little-endian tensors.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace pgram {

struct StoredTensor {
  std::string dtype;  ///< "F32", "BF16", "F16", "I64" ...
  std::vector<uint64_t> shape;
  uint64_t offset = 0, bytes = 0;  ///< within the data section
};

/// A safetensors file mapped into memory. Opening checks everything a hostile file could say: header length and JSON,
/// duplicate names, dtype against shape and byte range, overlaps, holes, truncation; InputError names file and tensor.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::string& path);
  ~SafetensorsFile();
  SafetensorsFile(SafetensorsFile&&) noexcept;
  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// Values as float (F32, F16, BF16); InputError for other dtypes.
  std::vector<float> read_floats(const std::string& name) const;

 private:
  std::string path_;
  const std::byte* map_ = nullptr;
  uint64_t map_bytes_ = 0, data_offset_ = 0;
  std::map<std::string, StoredTensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

struct FloatTensor {
  std::vector<uint64_t> shape;
  std::vector<float> values;
};
/// Written to a temporary file beside `path` and renamed, so that an interrupted save loses nothing.
void write_safetensors(const std::string& path, const std::map<std::string, FloatTensor>&,
                       const std::map<std::string, std::string>& metadata);

}  // namespace pgram
