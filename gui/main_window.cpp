#include "gui/main_window.h"

#include <QAction>
#include <QLabel>
#include <QProgressBar>
#include <QSpinBox>
#include <QStatusBar>
#include <QVBoxLayout>

#include "gui/details_panel.h"
#include "gui/layout_panel.h"
#include "gui/message_bar.h"
#include "gui/step_table.h"
#include "gui/timeline_view.h"

namespace pgram::gui {

MainWindow::MainWindow(QWidget* parent)
    : QMainWindow(parent),
      session_(std::make_shared<Session>()),
      simulation_(session_),
      view_(new TimelineView),
      message_bar_(new MessageBar) {
  setWindowTitle(tr("Parallelogram"));
  resize(1600, 940);
  auto* centre = new QWidget;
  auto* column = new QVBoxLayout(centre);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(0);
  column->addWidget(message_bar_);
  column->addWidget(view_, 1);
  setCentralWidget(centre);
  status_ = new QLabel;
  progress_ = new QProgressBar;
  progress_->setMaximumWidth(220);
  progress_->hide();
  statusBar()->addWidget(status_, 1);
  statusBar()->addPermanentWidget(progress_);
  make_docks();
  make_actions();
  connect_jobs();
  connect(view_, &TimelineView::selection_changed, this,
          [this] { details_->show_selection(view_->scene(), view_->selected()); });
  connect(view_, &TimelineView::idle_selected, details_, &DetailsPanel::show_idle);
  connect(view_, &TimelineView::hover_changed, this, &MainWindow::show_hover);
  show_timelines(false);
  view_->setFocus();
}

MainWindow::~MainWindow() = default;

void MainWindow::connect_jobs() {
  connect(layout_panel_, &LayoutPanel::inputs_changed, this, &MainWindow::simulate);
  connect(layout_panel_, &LayoutPanel::failed, this, &MainWindow::say_error);
  connect(&simulation_, &SimulationJob::started, this, [this] { status_->setText(tr("Planning and simulating ...")); });
  connect(&simulation_, &SimulationJob::finished, this, &MainWindow::show_result);
  connect(&simulation_, &SimulationJob::failed, this, &MainWindow::say_error);
  connect(&execution_, &ExecutionJob::progressed, this, [this](int done, int steps, double loss, qint64 time) {
    progress_->setRange(0, steps);
    progress_->setValue(done);
    status_->setText(tr("Running: step %1 of %2, %3, loss %4")
                         .arg(done)
                         .arg(steps)
                         .arg(QString::fromStdString(format_time(time)))
                         .arg(loss, 0, 'f', 4));
  });
  const auto ended = [this] {
    progress_->hide();
    update_run_action();
  };
  connect(&execution_, &ExecutionJob::finished, this, [this, ended](std::shared_ptr<const Timeline> timeline) {
    ended();
    if (!timeline) {
      status_->setText(tr("Stopped before a step was measured"));
      return;
    }
    place(timeline, 1, true);
    status_->setText(tr("Measured on this machine, %1 steps").arg(timeline->steps.size()));
  });
  connect(&execution_, &ExecutionJob::failed, this, [this, ended](const QString& message) {
    ended();
    say_error(message);
  });
}

void MainWindow::simulate() {
  SessionInputs inputs = layout_panel_->inputs();
  inputs.device = inputs.cluster == "this" ? device_file_.toStdString() : std::string();
  simulation_.request(inputs);
}

void MainWindow::run() {
  if (!result_ || execution_.busy()) return;
  progress_->setRange(0, 0);
  progress_->show();
  status_->setText(tr("Running: first step, not counted"));
  execution_.start(result_->plan, static_cast<uint32_t>(steps_->value()));
  update_run_action();
}

void MainWindow::show_result(std::shared_ptr<const SessionResult> result) {
  result_ = result;
  place(result->timeline, 0, true);
  status_->setText(tr("%1 tasks planned and simulated in %2 ms")
                       .arg(QString::fromStdString(format_count(result->tasks)))
                       .arg(result->milliseconds, 0, 'f', 1));
}

/// Memory of the fullest rank against the device's, in the panel and as a line of the memory track.
void MainWindow::show_memory() {
  const Bytes available = result_ ? result_->cluster.device.memory_bytes : 0;
  view_->set_memory_limit(available);
  memory_bar_->setVisible(available > 0);
  if (available == 0) return;
  const double share = static_cast<double>(result_->memory_needed) / static_cast<double>(available);
  memory_bar_->setValue(static_cast<int>(100 * std::min(1.0, share) + 0.5));
  QPalette colours = palette();
  if (share > 1) colours.setColor(QPalette::Highlight, QColor::fromRgb(view_->scene().theme().limit));
  memory_bar_->setPalette(colours);
  memory_bar_->setFormat(tr("%1 of %2 per rank")
                             .arg(QString::fromStdString(format_bytes(result_->memory_needed)),
                                  QString::fromStdString(format_bytes(available))));
}

void MainWindow::say_what_to_know() {
  if (result_ && !result_->does_not_fit.empty()) {
    message_bar_->say(MessageBar::Kind::warning, QString::fromStdString(result_->does_not_fit));
  } else if (const std::string& why_not = view_->scene().matcher().why_not(); !why_not.empty()) {
    message_bar_->say(MessageBar::Kind::information,
                      tr("The two timelines are of different plans, so their tasks cannot be matched: %1")
                          .arg(QString::fromStdString(why_not)));
  } else {
    message_bar_->hide();
  }
}

void MainWindow::place(std::shared_ptr<const Timeline> timeline, int side, bool keep_view) {
  timelines_[static_cast<size_t>(side)] = std::move(timeline);
  show_timelines(keep_view);
}

void MainWindow::show_timelines(bool keep_view) {
  view_->set_timelines(timelines_[0], timelines_[1], keep_view);
  step_table_->show_scene(view_->scene());
  details_->show_differences(view_->scene());
  details_->show_selection(view_->scene(), std::nullopt);
  for (size_t side = 0; side < 2; ++side) save_actions_[side]->setEnabled(timelines_[side] != nullptr);
  difference_action_->setEnabled(view_->scene().matcher().matched());
  view_->set_colour_mode(difference_action_->isChecked() && difference_action_->isEnabled() ? ColourMode::difference
                                                                                            : ColourMode::kind);
  show_memory();
  say_what_to_know();
  update_run_action();
}

void MainWindow::show_hover() {
  if (const auto spot = view_->hovered()) status_->setText(QString::fromStdString(view_->scene().text(*spot)));
}

void MainWindow::update_run_action() {
  const std::string reason = result_ ? why_not_runnable(*result_) : tr("Choose a layout first").toStdString();
  run_action_->setEnabled(!execution_.busy() && reason.empty());
  run_action_->setToolTip(reason.empty() ? tr("Train with this plan on the CPU backend and show what was measured (F6)")
                                         : QString::fromStdString(reason));
  stop_action_->setEnabled(execution_.busy());
}

void MainWindow::set_device_file(const QString& path) {
  device_file_ = path;
}

void MainWindow::set_colour_by_difference(bool on) {
  difference_action_->setChecked(on);
}

void MainWindow::show_critical_path(bool on) {
  path_action_->setChecked(on);
}

void MainWindow::say_error(const QString& message) {
  status_->clear();
  message_bar_->say(MessageBar::Kind::error, message);
}

}  // namespace pgram::gui
