// Docks, menus, tool bar and files of the MainWindow.
#include <QAction>
#include <QApplication>
#include <QDockWidget>
#include <QFileDialog>
#include <QLabel>
#include <QMenuBar>
#include <QMessageBox>
#include <QProgressBar>
#include <QSpinBox>
#include <QToolBar>
#include <QVBoxLayout>

#include "core/timeline/timeline.h"
#include "gui/details_panel.h"
#include "gui/layout_panel.h"
#include "gui/main_window.h"
#include "gui/message_bar.h"
#include "gui/step_table.h"
#include "gui/timeline_view.h"

namespace pgram::gui {
namespace {

QAction* add_action(QMenu* menu, const QString& text, const QKeySequence& key, auto&& does) {
  QAction* action = menu->addAction(text);
  action->setShortcut(key);
  QObject::connect(action, &QAction::triggered, menu, does);
  return action;
}

}  // namespace

void MainWindow::make_docks() {
  layout_panel_ = new LayoutPanel(session_);
  step_table_ = new StepTable;
  memory_bar_ = new QProgressBar;
  memory_bar_->setRange(0, 100);
  memory_bar_->hide();
  auto* side = new QWidget;
  auto* column = new QVBoxLayout(side);
  column->setContentsMargins(0, 0, 0, 6);
  column->addWidget(layout_panel_);
  column->addWidget(step_table_);
  auto* bar_row = new QHBoxLayout;
  bar_row->setContentsMargins(8, 0, 8, 0);
  bar_row->addWidget(memory_bar_);
  column->addLayout(bar_row);
  column->addStretch(1);
  auto* left = new QDockWidget(tr("Layout"), this);
  left->setObjectName(QStringLiteral("layoutDock"));
  left->setWidget(side);
  addDockWidget(Qt::LeftDockWidgetArea, left);

  details_ = new DetailsPanel;
  auto* bottom = new QDockWidget(tr("Details"), this);
  bottom->setObjectName(QStringLiteral("detailsDock"));
  bottom->setWidget(details_);
  addDockWidget(Qt::BottomDockWidgetArea, bottom);
  setCorner(Qt::BottomLeftCorner, Qt::LeftDockWidgetArea);
  resizeDocks({left}, {310}, Qt::Horizontal);
  resizeDocks({bottom}, {180}, Qt::Vertical);
}

void MainWindow::make_actions() {
  make_file_menu();
  make_view_menu();

  QMenu* menu = menuBar()->addMenu(tr("&Run"));
  add_action(menu, tr("&Simulate again"), Qt::Key_F5, [this] { simulate(); });
  run_action_ = add_action(menu, tr("&Run on this machine"), Qt::Key_F6, [this] { run(); });
  run_action_->setIconText(QStringLiteral("\u25b6 ") + tr("Run"));  // glyphs follow the palette, standard icons do not
  stop_action_ = add_action(menu, tr("S&top"), QKeySequence(Qt::CTRL | Qt::Key_Period), [this] { execution_.stop(); });
  stop_action_->setIconText(QStringLiteral("\u25a0 ") + tr("Stop"));
  menu->setToolTipsVisible(true);
  make_help_menu();

  steps_ = new QSpinBox;
  steps_->setRange(1, 1000);
  steps_->setValue(10);
  steps_->setSuffix(tr(" steps"));
  steps_->setToolTip(tr("Steps that Run measures"));
  auto* bar = addToolBar(tr("Tools"));
  bar->setObjectName(QStringLiteral("toolBar"));
  bar->setMovable(false);
  bar->setToolButtonStyle(Qt::ToolButtonTextOnly);
  bar->addAction(run_action_);
  bar->addAction(stop_action_);
  bar->addWidget(steps_);
  bar->addSeparator();
  for (QAction* action : findChildren<QAction*>()) {
    if (action->property("inToolBar").toBool()) bar->addAction(action);
  }
  update_run_action();
}

void MainWindow::make_file_menu() {
  QMenu* menu = menuBar()->addMenu(tr("&File"));
  add_action(menu, tr("&Open timelines ..."), QKeySequence::Open, [this] { ask_open(); });
  save_actions_[0] = add_action(menu, tr("Save &upper timeline ..."), QKeySequence::Save, [this] { ask_save(0); });
  save_actions_[1] =
      add_action(menu, tr("Save &lower timeline ..."), Qt::CTRL | Qt::SHIFT | Qt::Key_S, [this] { ask_save(1); });
  add_action(menu, tr("Close l&ower timeline"), Qt::CTRL | Qt::Key_W, [this] { place(nullptr, 1, true); });
  menu->addSeparator();
  add_action(menu, tr("Use &device file ..."), {}, [this] {
    const QString path =
        QFileDialog::getOpenFileName(this, tr("Device file of this machine"), {}, tr("Device files (*.yaml)"));
    if (path.isEmpty()) return;
    set_device_file(path);
    simulate();
  });
  add_action(menu, tr("&Export picture ..."), Qt::CTRL | Qt::Key_E, [this] { ask_export(); });
  menu->addSeparator();
  add_action(menu, tr("&Quit"), QKeySequence::Quit, [this] { close(); });
}

void MainWindow::make_view_menu() {
  QMenu* menu = menuBar()->addMenu(tr("&View"));
  const auto toggle = [&](const QString& text, const QKeySequence& key, bool on, auto&& does) {
    QAction* action = menu->addAction(text);
    action->setShortcut(key);
    action->setCheckable(true);
    action->setChecked(on);
    action->setProperty("inToolBar", true);
    connect(action, &QAction::toggled, this, does);
    return action;
  };
  difference_action_ = toggle(tr("Colour by &difference"), Qt::Key_X, false, [this](bool on) {
    view_->set_colour_mode(on && view_->scene().matcher().matched() ? ColourMode::difference : ColourMode::kind);
  });
  toggle(tr("&Communication streams"), Qt::Key_C, true, [this](bool on) { view_->show_communication(on); });
  path_action_ = toggle(tr("Critical &path"), Qt::Key_P, false, [this](bool on) { view_->show_critical_path(on); });
  // Home and F belong to the view itself, so that they keep their meaning in the fields of the panels
  add_action(menu, tr("&Fit"), {}, [this] { view_->fit(); })->setProperty("inToolBar", true);
  add_action(menu, tr("&Zoom to selection"), Qt::Key_Z, [this] { view_->zoom_to_selection(); });
  menu->addSeparator();
  for (QDockWidget* dock : findChildren<QDockWidget*>()) menu->addAction(dock->toggleViewAction());
}

void MainWindow::make_help_menu() {
  QMenu* menu = menuBar()->addMenu(tr("&Help"));
  add_action(menu, tr("&Mouse and keys"), Qt::Key_F1, [this] {
    auto* box = new QMessageBox(QMessageBox::NoIcon, tr("Mouse and keys"),
                                tr("<table cellpadding=3>"
                                   "<tr><td>Wheel, W, S<td>zoom at the cursor"
                                   "<tr><td>Drag, A, D, Shift+wheel<td>pan"
                                   "<tr><td>Wheel over the names, Alt+wheel<td>scroll the rows"
                                   "<tr><td>Ctrl+wheel<td>make rows higher or lower"
                                   "<tr><td>Home, F<td>show everything"
                                   "<tr><td>Double click, Z<td>zoom to a task"
                                   "<tr><td>Hover<td>light the same task in both timelines"
                                   "<tr><td>Click, Esc<td>select a task, deselect; in a gap: why it is idle"
                                   "<tr><td>P<td>show or hide the critical path"
                                   "<tr><td>X<td>colour by kind or by difference"
                                   "<tr><td>C<td>show or hide communication streams"
                                   "<tr><td>F5, F6, Ctrl+.<td>simulate, run, stop"
                                   "</table>"),
                                QMessageBox::Close, this);
    box->setAttribute(Qt::WA_DeleteOnClose);
    box->open();
  });
}

void MainWindow::open_files(const QStringList& paths) {
  QStringList problems;
  std::vector<std::shared_ptr<const Timeline>> read;
  for (const QString& path : paths) {
    try {
      auto timeline = std::make_shared<const Timeline>(read_timeline(path.toStdString()));
      if (timeline->steps.empty()) {
        problems << tr("%1: holds no step, so there is nothing to show").arg(path);
      } else {
        read.push_back(std::move(timeline));
      }
    } catch (const std::exception& error) {
      problems << QString::fromStdString(error.what());
    }
  }
  if (!read.empty()) {
    if (read.size() == 1) {
      timelines_[read[0]->source == TimelineSource::simulated ? 0 : 1] = read[0];
    } else {
      timelines_ = {read[0], read[1]};
    }
    result_.reset();
    if (auto result = result_of(*session_, read[0])) {
      layout_panel_->set_inputs(result->inputs);
      result_ = std::make_shared<const SessionResult>(std::move(*result));
    }
    show_timelines(false);
    status_->setText(read.size() == 1 ? tr("One timeline opened") : tr("Two timelines opened"));
  }
  if (!problems.isEmpty()) say_error(problems.join(QLatin1Char('\n')));
}

void MainWindow::ask_open() {
  const QStringList paths = QFileDialog::getOpenFileNames(this, tr("Open one or two timelines"), {},
                                                          tr("Timelines (*.timeline);;All files (*)"));
  if (!paths.isEmpty()) open_files(paths.mid(0, 2));
}

void MainWindow::ask_save(int side) {
  const auto& timeline = timelines_[static_cast<size_t>(side)];
  if (!timeline) return;
  const QString path = QFileDialog::getSaveFileName(this, tr("Save timeline"), {}, tr("Timelines (*.timeline)"));
  if (path.isEmpty()) return;
  try {
    write_timeline(*timeline, path.toStdString());
  } catch (const std::exception& error) {
    say_error(QString::fromStdString(error.what()));
  }
}

bool MainWindow::export_picture(const QString& path) {
  if (grab().save(path, "PNG")) return true;
  say_error(tr("%1: cannot be written; choose a folder that exists and may be written to").arg(path));
  return false;
}

void MainWindow::ask_export() {
  QString path = QFileDialog::getSaveFileName(this, tr("Export picture"), {}, tr("Pictures (*.png)"));
  if (path.isEmpty()) return;
  if (!path.endsWith(QStringLiteral(".png"), Qt::CaseInsensitive)) path += QStringLiteral(".png");
  export_picture(path);
}

}  // namespace pgram::gui
