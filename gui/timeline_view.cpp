#include "gui/timeline_view.h"

#include <QAbstractSpinBox>
#include <QEvent>
#include <QHelpEvent>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QScrollBar>
#include <QToolTip>
#include <QWheelEvent>
#include <cmath>

#include "gui/metrics.h"

namespace pgram::gui {

TimelineView::TimelineView(QWidget* parent) : QWidget(parent), scroll_bar_(new QScrollBar(Qt::Vertical, this)) {
  setAttribute(Qt::WA_OpaquePaintEvent);
  setFocusPolicy(Qt::StrongFocus);
  setMouseTracking(true);
  setAccessibleName(tr("Timelines"));
  setAccessibleDescription(tr("Simulated and measured timeline, one row for each rank and stream"));
  connect(scroll_bar_, &QScrollBar::valueChanged, this, [this](int value) {
    row_layout_.set_scroll(value);
    update();
  });
  apply_theme();
}

void TimelineView::set_timelines(std::shared_ptr<const Timeline> upper, std::shared_ptr<const Timeline> lower,
                                 bool keep_view) {
  const Picoseconds before = scene_.duration();
  const double from = axis_.from(), to = axis_.to();
  const bool fitted = before == 0 || !keep_view || axis_.span() >= axis_.extent();
  set_hover(std::nullopt, -1);
  select(std::nullopt);
  scene_.set_timelines(std::move(upper), std::move(lower));
  axis_.set_extent(static_cast<double>(scene_.duration()));
  arrange();
  if (fitted) {
    axis_.fit();
  } else {
    axis_.show(from, to);
  }
  update();
}

void TimelineView::set_colour_mode(ColourMode mode) {
  scene_.set_colours(scene_.theme(), mode);
  update();
}

void TimelineView::show_communication(bool shown) {
  set_hover(std::nullopt, -1);
  select(std::nullopt);
  scene_.show_communication(shown);
  arrange();
  update();
}

void TimelineView::show_critical_path(bool shown) {
  critical_path_ = shown;
  update();
}

void TimelineView::set_memory_limit(Bytes limit) {
  memory_limit_ = limit;
  update();
}

void TimelineView::apply_theme() {
  const bool dark = palette().color(QPalette::Window).lightnessF() < 0.5;
  scene_.set_colours(dark ? dark_theme() : light_theme(), scene_.colour_mode());
  update();
}

/// Divides the widget: ruler, a header and rows for each timeline, memory.
void TimelineView::arrange() {
  shown_sides_.clear();
  for (const int side : {0, 1}) {
    if (scene_.store(side)) shown_sides_.push_back(side);
  }
  const int bottom = height() - kMemoryHeight;
  const int panes = std::max<int>(1, static_cast<int>(shown_sides_.size()));
  const int rows_height = std::max(0, (bottom - kRulerHeight - panes * kHeaderHeight) / panes);
  std::vector<RowLayout::Band> bands;
  for (int pane = 0; pane < panes; ++pane) {
    bands.push_back({kRulerHeight + pane * (rows_height + kHeaderHeight) + kHeaderHeight, rows_height});
  }
  row_layout_.set(scene_.rows(), bands);

  const bool scrolls = row_layout_.maximum_scroll() > 0;
  const int bar = scrolls ? scroll_bar_->sizeHint().width() : 0;
  axis_.set_pixels(kGutterWidth, width() - kGutterWidth - bar);
  scroll_bar_->setVisible(scrolls);
  scroll_bar_->setGeometry(width() - bar, kRulerHeight, bar, bottom - kRulerHeight);
  scroll_bar_->setRange(0, row_layout_.maximum_scroll());
  scroll_bar_->setPageStep(row_layout_.page());
  scroll_bar_->setValue(row_layout_.scroll());
  memory_area_ = QRectF(kGutterWidth, bottom + kHeaderHeight, axis_.width(), kMemoryHeight - kHeaderHeight - 6);
  legend_area_ = QRectF(kGutterWidth, kRulerHeight, axis_.width() - 4, kHeaderHeight);
}

void TimelineView::view_moved() {
  scroll_bar_->setValue(row_layout_.scroll());
  update();
}

void TimelineView::fit() {
  axis_.fit();
  row_layout_.set_zoom(1);
  row_layout_.set_scroll(0);
  arrange();
  view_moved();
}

void TimelineView::zoom_to_selection() {
  if (!selected_) return;
  const Span& span = scene_.span(*selected_);
  const auto origin = scene_.store(selected_->side)->origin;
  const double middle = static_cast<double>(span.start - origin + span.end - origin) / 2;
  const double half = std::max(TimeAxis::kMinimumSpan, static_cast<double>(span.end - span.start)) * 2;
  axis_.show(middle - half, middle + half);
  view_moved();
}

void TimelineView::select(std::optional<Spot> spot) {
  if (spot == selected_) return;
  selected_ = spot;
  update();
  Q_EMIT selection_changed();
}

void TimelineView::set_hover(std::optional<Spot> spot, double x) {
  cursor_x_ = x >= kGutterWidth ? std::optional(x) : std::nullopt;
  update();
  if (spot == hovered_) return;
  hovered_ = spot;
  Q_EMIT hover_changed();
}

std::optional<Spot> TimelineView::spot_at(QPointF point) const {
  const auto place = row_layout_.place_at(point.y());
  if (!place || over_labels(point) || point.x() >= axis_.left() + axis_.width()) return std::nullopt;
  if (static_cast<size_t>(place->pane) >= shown_sides_.size()) return std::nullopt;
  return scene_.spot_at(shown_sides_[static_cast<size_t>(place->pane)], place->row, axis_.time_at(point.x()));
}

QString TimelineView::idle_text_at(QPointF point) const {
  const auto place = row_layout_.place_at(point.y());
  if (!place || over_labels(point) || point.x() >= axis_.left() + axis_.width()) return {};
  if (static_cast<size_t>(place->pane) >= shown_sides_.size()) return {};
  return QString::fromStdString(
      scene_.idle_text(shown_sides_[static_cast<size_t>(place->pane)], place->row, axis_.time_at(point.x())));
}

std::optional<QPointF> TimelineView::position_of(const Spot& spot) const {
  for (size_t pane = 0; pane < shown_sides_.size(); ++pane) {
    if (shown_sides_[pane] != spot.side) continue;
    const auto band = row_layout_.band(static_cast<int>(pane), spot.row);
    const Span& span = scene_.span(spot);
    const double middle =
        static_cast<double>(span.start + (span.end - span.start) / 2 - scene_.store(spot.side)->origin);
    return QPointF(axis_.x_of(middle), band.top + band.height / 2.0);
  }
  return std::nullopt;
}

void TimelineView::resizeEvent(QResizeEvent*) {
  arrange();
}

void TimelineView::wheelEvent(QWheelEvent* event) {
  // Alt turns a vertical wheel into a horizontal one, so either angle counts
  const double steps = (event->angleDelta().y() != 0 ? event->angleDelta().y() : event->angleDelta().x()) / 120.0;
  if (event->modifiers() & Qt::ControlModifier) {
    row_layout_.set_zoom(row_layout_.zoom() * std::pow(1.25, steps));
    arrange();
  } else if (event->modifiers() & Qt::ShiftModifier) {
    axis_.pan_by_share(-0.1 * steps);
  } else if (over_labels(event->position()) || event->modifiers() & Qt::AltModifier) {
    row_layout_.set_scroll(row_layout_.scroll() - static_cast<int>(steps * 48));
  } else {
    axis_.zoom_at(event->position().x(), std::pow(0.8, steps));
  }
  view_moved();
  set_hover(spot_at(event->position()), event->position().x());
  event->accept();
}

void TimelineView::mousePressEvent(QMouseEvent* event) {
  press_ = last_ = event->position();
  dragging_ = false;
}

void TimelineView::mouseMoveEvent(QMouseEvent* event) {
  const QPointF position = event->position();
  if (!(event->buttons() & (Qt::LeftButton | Qt::MiddleButton))) {
    set_hover(spot_at(position), position.x());
    return;
  }
  constexpr double kClickTolerance = 3;
  if (!dragging_ && (position - press_).manhattanLength() <= kClickTolerance) return;
  dragging_ = true;
  setCursor(Qt::ClosedHandCursor);
  axis_.pan_by_pixels(position.x() - last_.x());
  row_layout_.set_scroll(row_layout_.scroll() - static_cast<int>(std::lround(position.y() - last_.y())));
  last_ = position;
  view_moved();
}

void TimelineView::mouseReleaseEvent(QMouseEvent* event) {
  if (!dragging_ && event->button() == Qt::LeftButton) {
    const auto spot = spot_at(event->position());
    select(spot);
    if (const QString why = idle_text_at(event->position()); !spot && !why.isEmpty()) Q_EMIT idle_selected(why);
  }
  dragging_ = false;
  unsetCursor();
}

void TimelineView::mouseDoubleClickEvent(QMouseEvent* event) {
  select(spot_at(event->position()));
  zoom_to_selection();
}

/// W, A, S, D work where the pointer is, unless somebody is typing a number.
void TimelineView::enterEvent(QEnterEvent*) {
  if (!qobject_cast<QAbstractSpinBox*>(window()->focusWidget())) setFocus(Qt::MouseFocusReason);
}

void TimelineView::leaveEvent(QEvent*) {
  set_hover(std::nullopt, -1);
}

void TimelineView::keyPressEvent(QKeyEvent* event) {
  const double middle = axis_.left() + axis_.width() / 2;
  switch (event->key()) {
    case Qt::Key_W:
    case Qt::Key_Up:
      axis_.zoom_at(cursor_x_.value_or(middle), 0.8);
      break;
    case Qt::Key_S:
    case Qt::Key_Down:
      axis_.zoom_at(cursor_x_.value_or(middle), 1.25);
      break;
    case Qt::Key_A:
    case Qt::Key_Left:
      axis_.pan_by_share(-0.1);
      break;
    case Qt::Key_D:
    case Qt::Key_Right:
      axis_.pan_by_share(0.1);
      break;
    case Qt::Key_Home:
    case Qt::Key_F:
      fit();
      break;
    case Qt::Key_PageUp:
      row_layout_.set_scroll(row_layout_.scroll() - row_layout_.page());
      break;
    case Qt::Key_PageDown:
      row_layout_.set_scroll(row_layout_.scroll() + row_layout_.page());
      break;
    case Qt::Key_Escape:
      select(std::nullopt);
      break;
    default:
      QWidget::keyPressEvent(event);
      return;
  }
  view_moved();
}

void TimelineView::changeEvent(QEvent* event) {
  if (event->type() == QEvent::PaletteChange) apply_theme();
  QWidget::changeEvent(event);
}

bool TimelineView::event(QEvent* event) {
  if (event->type() == QEvent::ToolTip) {
    const auto* help = static_cast<QHelpEvent*>(event);
    const QString why = idle_text_at(help->pos()).toHtmlEscaped();  // inside a span it is that span's waiting
    if (const auto spot = spot_at(help->pos())) {
      QToolTip::showText(help->globalPos(), tooltip_of(*spot) + why, this);
    } else if (!why.isEmpty()) {
      QToolTip::showText(help->globalPos(), QStringLiteral("<p>%1</p>").arg(why), this);
    } else {
      QToolTip::hideText();
    }
    return true;
  }
  return QWidget::event(event);
}

QString TimelineView::tooltip_of(const Spot& spot) const {
  const auto html = [](const std::string& text) { return QString::fromStdString(text).toHtmlEscaped(); };
  QString text = QStringLiteral("<b>%1</b><table>").arg(html(scene_.text(spot)));
  for (const int side : {0, 1}) {
    const auto shown = side == spot.side ? std::optional(spot) : scene_.partner(spot);
    if (!shown) continue;
    const Span& span = scene_.span(*shown);
    text += QStringLiteral("<tr><td>%1&nbsp;</td><td>%2</td></tr>")
                .arg(html(scene_.title(side)), html(format_time(span.end - span.start)));
  }
  return text + QStringLiteral("</table>");
}

}  // namespace pgram::gui
