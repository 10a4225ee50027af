// MainWindow: the timelines in the middle, the layout and its results on the left, details below.
#pragma once
#include <QMainWindow>
#include <memory>

#include "gui/jobs.h"
#include "gui/model/session.h"

class QAction;
class QLabel;
class QProgressBar;
class QPushButton;
class QSpinBox;

namespace pgram::gui {

class DetailsPanel;
class LayoutPanel;
class MessageBar;
class StepTable;
class TimelineView;

class MainWindow : public QMainWindow {
  Q_OBJECT
 public:
  explicit MainWindow(QWidget* parent = nullptr);
  ~MainWindow() override;

  /// Timeline files as given on the command line; what cannot be read is said in the message bar.
  void open_files(const QStringList& paths);
  /// Device file for predictions on this machine.
  void set_device_file(const QString& path);
  void set_colour_by_difference(bool);
  void show_critical_path(bool);
  void simulate();
  void run();
  bool export_picture(const QString& path);

  TimelineView* view() const { return view_; }
  LayoutPanel* layout_panel() const { return layout_panel_; }
  StepTable* step_table() const { return step_table_; }
  DetailsPanel* details() const { return details_; }
  MessageBar* message_bar() const { return message_bar_; }
  QAction* run_action() const { return run_action_; }
  bool busy() const { return simulation_.busy() || execution_.busy(); }

 private:
  void make_docks();
  void make_actions();
  void make_file_menu();
  void make_view_menu();
  void make_help_menu();
  void connect_jobs();

  void place(std::shared_ptr<const Timeline>, int side, bool keep_view);
  void show_timelines(bool keep_view);
  void show_result(std::shared_ptr<const SessionResult>);
  void show_memory();
  void say_what_to_know();
  void show_hover();
  void update_run_action();
  void ask_open();
  void ask_save(int side);
  void ask_export();
  void say_error(const QString&);

  std::shared_ptr<Session> session_;
  SimulationJob simulation_;
  ExecutionJob execution_;
  std::array<std::shared_ptr<const Timeline>, 2> timelines_;
  std::shared_ptr<const SessionResult> result_;
  QString device_file_;

  TimelineView* view_;
  LayoutPanel* layout_panel_ = nullptr;
  StepTable* step_table_ = nullptr;
  DetailsPanel* details_ = nullptr;
  MessageBar* message_bar_;
  QProgressBar* memory_bar_ = nullptr;
  QLabel* status_ = nullptr;
  QProgressBar* progress_ = nullptr;
  QSpinBox* steps_ = nullptr;
  QAction *run_action_ = nullptr, *stop_action_ = nullptr, *difference_action_ = nullptr, *path_action_ = nullptr;
  std::array<QAction*, 2> save_actions_{};
};

}  // namespace pgram::gui
