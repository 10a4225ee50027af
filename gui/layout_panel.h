// LayoutPanel: chooses what is planned. Offers only values that the planner accepts; changing one replaces those after
// it that would no longer be valid.
#pragma once
#include <QWidget>
#include <map>

#include "gui/model/session.h"

class QCheckBox;
class QComboBox;
class QSpinBox;

namespace pgram::gui {

class LayoutPanel : public QWidget {
  Q_OBJECT
 public:
  LayoutPanel(std::shared_ptr<Session> session, QWidget* parent = nullptr);

  const SessionInputs& inputs() const { return inputs_; }
  /// Takes the nearest valid inputs; emits nothing.
  void set_inputs(const SessionInputs&);

 Q_SIGNALS:
  void inputs_changed();
  void failed(const QString& message);

 private:
  void fill_lists();
  void read_widgets();
  void show_inputs();
  uint32_t devices();

  std::shared_ptr<Session> session_;
  SessionInputs inputs_;
  std::map<std::string, Model> models_;
  bool filling_ = false;
  QComboBox *model_, *cluster_, *schedule_, *precision_, *sequence_, *tp_, *pp_, *dp_, *micro_batch_;
  QSpinBox* global_batch_;
  QCheckBox* sequence_parallel_;
};

}  // namespace pgram::gui
