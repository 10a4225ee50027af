// The two halves of verify(): what ranks say to each other, and what a role does with its buffers.
#pragma once
#include <string>

namespace pgram {
struct Plan;
std::string verify_communication(const Plan&);
std::string verify_buffers(const Plan&);
/// "role 3 call 17 layer.f(layer 2, mb 1).4:matmul"; op < 0: the call alone.
std::string task_text(const Plan&, size_t role, size_t call, int op);
}  // namespace pgram
