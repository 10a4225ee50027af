// DetailsPanel: the selected task, and the kernels whose time differs most between the timelines.
#pragma once
#include <QTabWidget>

#include "gui/model/scene.h"

class QLabel;
class QTableWidget;

namespace pgram::gui {

class DetailsPanel : public QTabWidget {
  Q_OBJECT
 public:
  explicit DetailsPanel(QWidget* parent = nullptr);
  void show_selection(const Scene&, const std::optional<Spot>&);
  void show_idle(const QString& why);
  void show_differences(const Scene&);
  QString title() const;

 private:
  QLabel* title_;
  QTableWidget* selection_;
  QTableWidget* differences_;
};

}  // namespace pgram::gui
