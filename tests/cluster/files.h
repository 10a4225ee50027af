// Files that tests write, and the errors that reading them ends in.
#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "core/base/errors.h"

namespace pgram {

/// Tests run beside each other: each has files of its own.
inline std::string write_cluster_file(const std::string& name, const std::string& text) {
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  const std::string own = std::string("pgram_") + test->test_suite_name() + "_" + test->name() + "_" + name;
  const std::string path = (std::filesystem::path(testing::TempDir()) / own).string();
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

/// What the InputError says, without "PATH:" before it.
inline std::string refusal(const std::string& path, const std::function<void()>& read) {
  try {
    read();
  } catch (const InputError& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return message.starts_with(path + ":") ? message.substr(path.size() + 1) : message;
  }
  return "(no error)";
}

}  // namespace pgram
