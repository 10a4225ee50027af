// pgram gui: the window.
#include <cstdio>

#include "cli/command.h"
#include "core/base/errors.h"
#ifdef PGRAM_HAS_GUI
#include "gui/gui.h"
#endif

namespace pgram::cli {
namespace {

struct Flags {
  std::vector<std::string> files;
  std::string screenshot, device, size = "1600x940";
  bool dark = false, difference = false, critical_path = false;
};

int run([[maybe_unused]] const Flags& flags) {
#ifdef PGRAM_HAS_GUI
  gui::WindowOptions options;
  options.device = flags.device;
  options.screenshot = flags.screenshot;
  options.dark = flags.dark;
  options.colour_by_difference = flags.difference;
  options.critical_path = flags.critical_path;
  char rest = 0;
  if (std::sscanf(flags.size.c_str(), "%dx%d%c", &options.width, &options.height, &rest) != 2 || options.width < 320 ||
      options.width > 16384 || options.height < 240 || options.height > 16384) {
    throw InputError("--size", "expected WIDTHxHEIGHT in pixels, for example 1600x940; got '" + flags.size + "'");
  }
  char name[] = "pgram";
  char* arguments[] = {name, nullptr};
  return run_gui(1, arguments, flags.files, options);
#else
  throw InputError("gui", "this program was built without Qt 6; install qt6-base-dev and build again");
#endif
}

}  // namespace

void add_gui_command(Command& app, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  Command* command = add_command(app, "gui", "Open the window: explore layouts, see both timelines",
                                 "pgram gui sim.timeline run.timeline", exit_code, [=] { return run(*flags); });
  command->add_option("TIMELINES", flags->files, "One or two timeline files")->expected(0, 2);
  command->add_option("--device", flags->device, "Device file of this machine (pgram calibrate writes one)");
  command->add_option("--screenshot", flags->screenshot, "Write a picture of the window to this PNG file and exit");
  command->add_option("--size", flags->size, "Size of the window")->capture_default_str();
  command->add_flag("--dark", flags->dark, "Dark palette");
  command->add_flag("--difference", flags->difference, "Colour by the difference of the two timelines");
  command->add_flag("--critical-path", flags->critical_path, "Show the critical path");
}

}  // namespace pgram::cli
