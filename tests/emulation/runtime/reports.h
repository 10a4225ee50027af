// Misuse that was found, and the calls that were made.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace pgram::emulation {

std::vector<std::string> take_reports();
uint64_t calls_of(const char* name);
std::vector<std::string> kinds_of_calls();
void plan_failure(const char* name, uint64_t nth, int code);
void plan_stall(const char* name, uint64_t nth, double seconds);
void reset_calls();

/// " of task NAME", or nothing: for the end of a report.
std::string of_task(const std::string& task);

}  // namespace pgram::emulation
