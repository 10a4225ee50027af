// The window as one function, for the `pgram gui` command. Includes no Qt.
#pragma once
#include <string>
#include <vector>

namespace pgram::gui {

struct WindowOptions {
  std::string device;              ///< device file for predictions on this machine, as `pgram calibrate` writes it
  std::string screenshot;          ///< PNG: draw the window into this file and exit, without a display if there is none
  int width = 1600, height = 940;  ///< of the window
  bool dark = false;
  bool colour_by_difference = false;
  bool critical_path = false;
};

}  // namespace pgram::gui

namespace pgram {

/// Opens the window and returns when it is closed: 0; 1 without a display; 2 where a screenshot's files cannot be read
/// or written (reasons go to stderr; with a window they are shown there). No file: the Layout panel begins with a small
/// example. One file goes where it belongs (simulated above, measured below); of two, the first goes above.
int run_gui(int argc, char** argv, const std::vector<std::string>& timeline_files,
            const gui::WindowOptions& options = {});

}  // namespace pgram
