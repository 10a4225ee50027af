#include "gui/gui.h"

#include <QApplication>
#include <QElapsedTimer>
#include <QStyleFactory>
#include <cstdio>

#include "gui/layout_panel.h"
#include "gui/main_window.h"
#include "gui/message_bar.h"
#include "gui/timeline_view.h"

namespace pgram {
namespace {

QPalette dark_palette() {
  QPalette palette(QColor(53, 53, 58), QColor(42, 42, 46));
  palette.setColor(QPalette::Base, QColor(30, 30, 34));
  palette.setColor(QPalette::AlternateBase, QColor(38, 38, 43));
  palette.setColor(QPalette::ToolTipBase, QColor(53, 53, 58));
  palette.setColor(QPalette::ToolTipText, Qt::white);
  palette.setColor(QPalette::Highlight, QColor(0, 114, 178));
  palette.setColor(QPalette::HighlightedText, Qt::white);
  palette.setColor(QPalette::Link, QColor(86, 180, 233));
  return palette;
}

/// What Qt remarks on a platform without a screen is of no use to whoever wants a picture.
void keep_quiet(QtMsgType type, const QMessageLogContext&, const QString& message) {
  if (type == QtCriticalMsg || type == QtFatalMsg) std::fprintf(stderr, "%s\n", qPrintable(message));
}

/// Until nothing is being computed, so that the picture is complete.
void wait_for(const gui::MainWindow& window) {
  constexpr qint64 kPatience = 60'000;
  QElapsedTimer timer;
  timer.start();
  do {
    QApplication::processEvents(QEventLoop::AllEvents, 20);
  } while (window.busy() && timer.elapsed() < kPatience);
  QApplication::processEvents();
}

int save_screenshot(gui::MainWindow& window, const QString& path) {
  wait_for(window);
  const bool saved = window.export_picture(path);
  const QString problem = window.message_bar()->isVisible() ? window.message_bar()->text() : QString();
  if (!problem.isEmpty()) std::fprintf(stderr, "%s\n", qPrintable(problem));
  return saved && problem.isEmpty() ? 0 : 2;
}

}  // namespace

int run_gui(int argc, char** argv, const std::vector<std::string>& timeline_files, const gui::WindowOptions& options) {
  const bool headless = qEnvironmentVariableIsEmpty("DISPLAY") && qEnvironmentVariableIsEmpty("WAYLAND_DISPLAY");
  if (headless && qEnvironmentVariableIsEmpty("QT_QPA_PLATFORM")) {
    if (options.screenshot.empty()) {
      std::fprintf(
          stderr,
          "pgram gui: no display: set DISPLAY or WAYLAND_DISPLAY, or draw into a file with --screenshot FILE\n");
      return 1;
    }
    qputenv("QT_QPA_PLATFORM", "offscreen");
  }
  if (!options.screenshot.empty()) qInstallMessageHandler(keep_quiet);
  QApplication application(argc, argv);
  QApplication::setApplicationName(QStringLiteral("Parallelogram"));
  QApplication::setStyle(QStyleFactory::create(QStringLiteral("Fusion")));
  if (options.dark) QApplication::setPalette(dark_palette());

  gui::MainWindow window;
  window.resize(options.width, options.height);
  window.set_device_file(QString::fromStdString(options.device));
  window.set_colour_by_difference(options.colour_by_difference);
  window.show_critical_path(options.critical_path);
  window.layout_panel()->set_inputs({});
  QStringList paths;
  for (const std::string& file : timeline_files) paths << QString::fromStdString(file);
  if (!options.screenshot.empty()) window.setAttribute(Qt::WA_DontShowOnScreen);
  window.show();
  if (paths.isEmpty()) {
    window.simulate();
  } else {
    window.open_files(paths);
  }
  if (!options.screenshot.empty()) return save_screenshot(window, QString::fromStdString(options.screenshot));
  return QApplication::exec();
}

}  // namespace pgram
