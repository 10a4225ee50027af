// The list that all ranks share: every number goes to one thread of one rank.
#include <gtest/gtest.h>

#include <sstream>

#include "tests/sweep_engines/support/mpirun.h"
#include "tests/sweep_engines/support/process.h"

namespace pgram::engines {
namespace {

/// Two lists of 1,000 numbers after one another: each is taken twice in all.
void expect_each_number_once_a_list(uint32_t ranks, uint32_t threads) {
  const Folder folder;
  // 65 MiB are two chunks.
  const uint64_t length = (uint64_t{65} << 20) + 1;
  const Finished finished =
      run(folder,
          mpirun(ranks, {PGRAM_MPI_LIST, std::to_string(threads), "1000", std::to_string(length), folder / "numbers"}));
  ASSERT_EQ(finished.code, 0) << finished.err;
  std::vector<int> times(1000);
  for (uint32_t rank = 0; rank < ranks; ++rank) {
    std::istringstream lines(file_text(folder / ("numbers.rank" + std::to_string(rank))));
    uint64_t place = 0, size = 0, bytes = 0, other = 0;
    lines >> place >> size >> bytes >> other;
    EXPECT_EQ(place, rank);
    EXPECT_EQ(size, ranks);
    EXPECT_EQ(bytes, length);
    EXPECT_EQ(other, std::string::npos) << "a byte of the broadcast is not rank 0's";
    for (uint64_t number; lines >> number;) ++times.at(number);
  }
  EXPECT_EQ(times, std::vector<int>(1000, 2));
}

class MpiList : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = why_no_mpirun(); !why.empty()) GTEST_SKIP() << why;
  }
};

TEST_F(MpiList, OneRankFourThreads) {
  expect_each_number_once_a_list(1, 4);
}
TEST_F(MpiList, ThreeRanksTwoThreadsEach) {
  expect_each_number_once_a_list(3, 2);
}

}  // namespace
}  // namespace pgram::engines
