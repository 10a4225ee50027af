// Fat binaries that nvcc made, and damaged ones.
#include "tests/emulation/ptx/fat_binary.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>

#include "run_ptx.h"

namespace pgram::emulation::ptx::test {
namespace {

std::vector<char> bytes_of_file(const std::string& name) {
  std::ifstream in(std::filesystem::path(PGRAM_PTX_DIR) / name, std::ios::binary);
  EXPECT_TRUE(in) << name;
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string text_of(const std::vector<char>& container) {
  return text_of_container(std::as_bytes(std::span(container)));
}

std::string without_comments(const std::string& text) {
  return text.substr(text.find(".version"));
}

TEST(FatBinary, HasThePtxOfTheHighestArchitecture) {
  const std::vector<char> expected = bytes_of_file("corpus_sm_90.ptx");
  const std::string ptx = without_comments({expected.begin(), expected.end()});
  for (const char* name : {"corpus.fatbin", "corpus_plain.fatbin"}) {
    const std::string text = text_of(bytes_of_file(name));
    ASSERT_NE(text.find(".target sm_90"), std::string::npos) << name;
    EXPECT_NE(Module::parse(text)->find("rms_norm"), nullptr);
    EXPECT_EQ(Module::parse(text)->names(), Module::parse(ptx)->names());
  }
}

TEST(FatBinary, IsFoundThroughItsWrapper) {
  std::vector<char> container = bytes_of_file("corpus.fatbin");
  struct {
    uint32_t magic = 0x466243b1, version = 1;
    const void* data = nullptr;
    const void* more = nullptr;
  } wrapper;
  wrapper.data = container.data();
  EXPECT_EQ(text_of_fat_binary(&wrapper), text_of(container));
  wrapper.version = 2;
  EXPECT_THROW(text_of_fat_binary(&wrapper), std::runtime_error);
}

TEST(FatBinary, WithoutPtxIsEmpty) {
  EXPECT_EQ(text_of(bytes_of_file("corpus_without.fatbin")), "");
}

/// The text, or the refusal; nothing else may happen.
void try_container(const std::vector<char>& container) {
  try {
    text_of(container);
  } catch (const std::runtime_error&) {
    return;
  }
}

TEST(FatBinary, DamagedOnesNeverCrash) {
  const std::vector<char> good = bytes_of_file("corpus.fatbin");
  std::vector<char> broken = good;
  broken[0] = 0;
  EXPECT_THROW(text_of(broken), std::runtime_error);
  EXPECT_THROW(text_of({good.begin(), good.end() - 1}), std::runtime_error);
  for (size_t length = 0; length < good.size(); length += length < 300 ? 1 : 997) {
    try_container({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length)});
  }
  // The headers lie at the beginning and behind each payload; most changes go there.
  std::mt19937 random(5);
  for (int round = 0; round < 3000; ++round) {
    broken = good;
    for (int change = 0; change < 3; ++change) {
      broken[random() % (round % 2 ? 96 : broken.size())] = static_cast<char>(random());
    }
    try_container(broken);
  }
}

}  // namespace
}  // namespace pgram::emulation::ptx::test
