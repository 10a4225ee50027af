// TimelineView: two timelines one above the other on one time axis, and the memory of one rank below.
#pragma once
#include <QImage>
#include <QWidget>
#include <optional>

#include "gui/model/geometry.h"
#include "gui/model/scene.h"

class QPainter;
class QScrollBar;

namespace pgram::gui {

class TimelineView : public QWidget {
  Q_OBJECT
 public:
  explicit TimelineView(QWidget* parent = nullptr);

  /// Keeps the visible time range where `keep_view` and the step's length allow it, else shows everything.
  void set_timelines(std::shared_ptr<const Timeline> upper, std::shared_ptr<const Timeline> lower,
                     bool keep_view = false);
  void set_colour_mode(ColourMode);
  void show_communication(bool);
  void show_critical_path(bool);
  void set_memory_limit(Bytes limit);  ///< 0 = unknown

  const Scene& scene() const { return scene_; }
  const TimeAxis& axis() const { return axis_; }
  const RowLayout& layout_of_rows() const { return row_layout_; }
  std::optional<Spot> hovered() const { return hovered_; }
  std::optional<Spot> selected() const { return selected_; }
  /// Why the row under a point is idle there; empty where it is busy.
  QString idle_text_at(QPointF) const;
  /// Centre of a span in widget coordinates, where it is visible.
  std::optional<QPointF> position_of(const Spot&) const;

  QSize sizeHint() const override { return {960, 620}; }
  QSize minimumSizeHint() const override { return {360, 240}; }

 public Q_SLOTS:
  void fit();
  void zoom_to_selection();
  void select(std::optional<pgram::gui::Spot> spot);

 Q_SIGNALS:
  void selection_changed();
  void hover_changed();
  void idle_selected(const QString& why);

 protected:
  void paintEvent(QPaintEvent*) override;
  void resizeEvent(QResizeEvent*) override;
  void wheelEvent(QWheelEvent*) override;
  void mousePressEvent(QMouseEvent*) override;
  void mouseMoveEvent(QMouseEvent*) override;
  void mouseReleaseEvent(QMouseEvent*) override;
  void mouseDoubleClickEvent(QMouseEvent*) override;
  void enterEvent(QEnterEvent*) override;
  void leaveEvent(QEvent*) override;
  void keyPressEvent(QKeyEvent*) override;
  void changeEvent(QEvent*) override;
  bool event(QEvent*) override;

 private:
  void arrange();
  void view_moved();
  void apply_theme();
  void set_hover(std::optional<Spot>, double x);
  std::optional<Spot> spot_at(QPointF) const;
  bool over_labels(QPointF p) const { return p.x() < axis_.left(); }
  QString tooltip_of(const Spot&) const;

  void paint_ruler(QPainter&) const;
  void paint_pane(QPainter&, int pane) const;
  void paint_rows(QImage&, int pane) const;
  void paint_labels(QPainter&, int pane) const;
  void paint_row_text(QPainter&, int pane, size_t row) const;
  void paint_gutter(QPainter&, int pane) const;
  void paint_outline(QPainter&, const Spot&, QColor, double width) const;
  void paint_marks(QPainter&) const;
  void paint_critical_path(QPainter&, int pane) const;
  void paint_legend(QPainter&, QRectF) const;
  void paint_memory(QPainter&) const;
  void paint_memory_curve(QPainter&, int side, QRectF area, double top_value, uint32_t rank) const;

  Scene scene_;
  TimeAxis axis_;
  RowLayout row_layout_;
  QScrollBar* scroll_bar_;
  std::optional<Spot> hovered_, selected_;
  std::optional<double> cursor_x_;
  Bytes memory_limit_ = 0;
  bool critical_path_ = false;
  QRectF memory_area_, legend_area_;
  std::vector<int> shown_sides_;

  QPointF press_, last_;
  bool dragging_ = false;
};

}  // namespace pgram::gui
