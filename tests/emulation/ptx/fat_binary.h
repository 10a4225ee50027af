// The container in which nvcc embeds code for several architectures, within known bounds.
#pragma once
#include <cstddef>
#include <span>
#include <string>

namespace pgram::emulation::ptx {

/// As text_of_fat_binary(), of the container itself.
std::string text_of_container(std::span<const std::byte> container);

}  // namespace pgram::emulation::ptx
