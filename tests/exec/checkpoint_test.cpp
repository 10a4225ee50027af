// safetensors files: what we write others can read, and no file can hurt.
#include "core/exec/checkpoint.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "core/base/errors.h"

namespace pgram {
namespace {

class Checkpoint : public ::testing::Test {
 protected:
  std::string path_ = ::testing::TempDir() + "checkpoint_" +
                      ::testing::UnitTest::GetInstance()->current_test_info()->name() + ".safetensors";

  void write_raw(const std::string& bytes) const { std::ofstream(path_, std::ios::binary) << bytes; }
  std::string read_raw() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  /// Header length, header, data.
  static std::string file_of(const std::string& header, const std::string& data) {
    std::string bytes(8, '\0');
    const uint64_t length = header.size();
    std::memcpy(bytes.data(), &length, 8);
    return bytes + header + data;
  }
  void expect_refused(const std::string& bytes, const std::string& part) const {
    write_raw(bytes);
    try {
      SafetensorsFile file(path_);
      FAIL() << "accepted, expected: " << part;
    } catch (const InputError& error) {
      EXPECT_EQ(error.file(), path_);
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  }
};

TEST_F(Checkpoint, RoundTrip) {
  const std::map<std::string, FloatTensor> tensors{
      {"b", {{2, 3}, {1, 2, 3, 4, 5, 6}}}, {"a", {{4}, {-0.0f, INFINITY, 1e-45f, 7}}}, {"empty", {{0, 5}, {}}}};
  write_safetensors(path_, tensors, {{"step", "12"}, {"quote\"", "\xc3\xa9"}});
  const SafetensorsFile file(path_);
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"step", "12"}, {"quote\"", "\xc3\xa9"}}));
  ASSERT_EQ(file.tensors().size(), 3u);
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(file.tensors().at(name).shape, tensor.shape);
    const std::vector<float> values = file.read_floats(name);
    ASSERT_EQ(values.size(), tensor.values.size());
    // Bit by bit: -0 and subnormals survive.
    EXPECT_TRUE(values.empty() || std::memcmp(values.data(), tensor.values.data(), 4 * values.size()) == 0);
  }
  EXPECT_FALSE(std::filesystem::exists(path_ + ".partial"));
}

/// The layout of the format itself: length, JSON, data in the order of the offsets.
TEST_F(Checkpoint, Bytes) {
  write_safetensors(path_, {{"t", {{1}, {1.0f}}}}, {});
  // 8 bytes, a header padded to 8, one float 0x3f800000 little-endian.
  EXPECT_EQ(read_raw(), file_of("{\"t\":{\"data_offsets\":[0,4],\"dtype\":\"F32\",\"shape\":[1]}}  ",
                                std::string("\0\0\x80\x3f", 4)));
}

/// F16: sign, 5 exponent bits (bias 15), 10 mantissa bits. 0x3c00 = 1, 0xc000 = -2, 0x0001 = 2^-24, 0x7bff = 65504,
/// 0x7c00 = infinity, 0x0400 = 2^-14. BF16: the upper half of a float. 0x3f80 = 1, 0xc000 = -2, 0x0001 = 2^-133.
TEST_F(Checkpoint, SixteenBitFloats) {
  const uint16_t half[] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x0400}, brain[] = {0x3f80, 0xc000, 0x0001};
  std::string data(reinterpret_cast<const char*>(half), sizeof half);
  data.append(reinterpret_cast<const char*>(brain), sizeof brain);
  write_raw(file_of(R"({"h":{"dtype":"F16","shape":[6],"data_offsets":[0,12]},)"
                    R"("b":{"dtype":"BF16","shape":[3],"data_offsets":[12,18]}})",
                    data));
  const SafetensorsFile file(path_);
  EXPECT_EQ(file.read_floats("h"), (std::vector<float>{1, -2, 0x1p-24f, 65504, INFINITY, 0x1p-14f}));
  EXPECT_EQ(file.read_floats("b"), (std::vector<float>{1, -2, 0x1p-133f}));
}

TEST_F(Checkpoint, OtherTypesAreNotFloats) {
  write_raw(file_of(R"({"i":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}})", std::string(8, '\0')));
  const SafetensorsFile file(path_);
  EXPECT_THROW(file.read_floats("i"), InputError);
  EXPECT_THROW(file.read_floats("missing"), InputError);
}

TEST_F(Checkpoint, HostileFiles) {
  const std::string data(8, '\0');
  const auto tensor = [](const std::string& fields) { return "{\"t\":{" + fields + "}}"; };
  expect_refused("", "0 bytes");
  expect_refused("abc", "3 bytes");
  expect_refused(std::string(8, '\xff') + "{}", "header");            // a length of 2^64 - 1
  expect_refused(std::string("\x10\0\0\0\0\0\0\0{}", 10), "header");  // header longer than the file
  expect_refused(file_of("[]", ""), "object");
  expect_refused(file_of("{", ""), "");
  expect_refused(file_of("{}", data), "8 bytes of data");  // bytes that belong to nobody
  expect_refused(file_of(R"({"t":3})", data), "t");
  expect_refused(file_of(tensor(R"("dtype":"F99","shape":[2],"data_offsets":[0,8])"), data), "dtype");
  expect_refused(file_of(tensor(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])"), data), "12 bytes");
  expect_refused(file_of(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,16])"), data), "data_offsets");
  expect_refused(file_of(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"), data), "data_offsets");
  expect_refused(file_of(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0])"), data), "data_offsets");
  expect_refused(file_of(tensor(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])"), data), "shape");
  expect_refused(file_of(tensor(R"("dtype":"F32","shape":[2,2.5],"data_offsets":[0,8])"), data), "shape");
  // 2^53 * 2^53 * 4 bytes overflow 64 bits.
  expect_refused(
      file_of(tensor(R"("dtype":"F32","shape":[9007199254740992,9007199254740992],"data_offsets":[0,8])"), data),
      "2^64");
  expect_refused(file_of(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"extra":1)"), data), "extra");
  const std::string half = R"({"dtype":"F32","shape":[1],"data_offsets":)";
  expect_refused(file_of("{\"a\":" + half + "[0,4]},\"b\":" + half + "[0,4]}}", std::string(4, '\0')), "overlap");
  expect_refused(file_of("{\"a\":" + half + "[0,4]},\"a\":" + half + "[4,8]}}", data), "a");  // a name twice
  expect_refused(file_of("{\"a\":" + half + "[4,8]}}", data), "hole");
  expect_refused(file_of(R"({"__metadata__":{"step":3}})", ""), "step");
}

TEST_F(Checkpoint, MissingFilesAndFolders) {
  EXPECT_THROW(SafetensorsFile("/nonexistent/file"), InputError);
  EXPECT_THROW(SafetensorsFile(::testing::TempDir()), InputError);
  EXPECT_THROW(write_safetensors("/nonexistent/file", {}, {}), InputError);
}

/// An interrupted or failed save keeps what was there.
TEST_F(Checkpoint, FailedSaveKeepsTheOldFile) {
  write_safetensors(path_, {{"t", {{1}, {1.0f}}}}, {});
  const std::string before = read_raw();
  std::filesystem::create_directory(path_ + ".partial");  // the temporary file cannot be made
  EXPECT_THROW(write_safetensors(path_, {{"t", {{1}, {2.0f}}}}, {}), InputError);
  EXPECT_EQ(read_raw(), before);
  std::filesystem::remove(path_ + ".partial");
}

/// Whatever the bytes, opening ends in an InputError or in tensors that can be read.
TEST_F(Checkpoint, Fuzz) {
  write_safetensors(path_, {{"weight", {{3, 2}, {1, 2, 3, 4, 5, 6}}}, {"bias", {{2}, {7, 8}}}}, {{"step", "3"}});
  const std::string good = read_raw();
  std::mt19937 random(1);
  int accepted = 0;
  for (int i = 0; i < 1000; ++i) {
    std::string bytes = good;
    const int edits = 1 + static_cast<int>(random() % 3);
    for (int e = 0; e < edits && !bytes.empty(); ++e) {
      const size_t at = random() % bytes.size();
      switch (random() % 4) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes.erase(at, 1 + random() % 5);
          break;
        case 2:
          bytes.insert(at, 1, "0123456789[]{},:\""[random() % 17]);
          break;
        default:
          bytes.resize(at);
          break;
      }
    }
    write_raw(bytes);
    try {
      const SafetensorsFile file(path_);
      for (const auto& [name, tensor] : file.tensors()) {
        EXPECT_LE(tensor.offset + tensor.bytes, bytes.size());
        if (tensor.dtype == "F32") {
          EXPECT_EQ(file.read_floats(name).size() * 4, tensor.bytes);
        }
      }
      ++accepted;
    } catch (const InputError&) {
    }
  }
  EXPECT_GT(accepted, 0);    // edits of data are harmless
  EXPECT_LT(accepted, 700);  // edits of the header are not
}

}  // namespace
}  // namespace pgram
