// pgram doctor: what this machine has, and what is missing for which command.
#include <cstdio>

#include "cli/command.h"
#include "cli/doctor/report.h"

namespace pgram::cli {

static int run(bool json) {
#ifdef PGRAM_HAS_GUI
  constexpr bool kHasGui = true;
#else
  constexpr bool kHasGui = false;
#endif
  const DoctorReport report = look_at_this_machine(PGRAM_VERSION, kHasGui);
  std::printf("%s%s", json ? to_json(report).c_str() : to_text(report).c_str(), json ? "\n" : "");
  return kGood;  // also where much is missing: that is the answer, not a failure
}

void add_doctor_command(Command& app, int& exit_code) {
  auto json = std::make_shared<bool>(false);
  Command* command = add_command(app, "doctor", "Say what this machine has, and what is missing for which command",
                                 "pgram doctor --json", exit_code, [=] { return run(*json); });
  command->add_flag("--json", *json, "Machine-readable");
}

}  // namespace pgram::cli
