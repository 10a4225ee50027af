// How TimelineView looks: rows go pixel by pixel into an image, text and outlines by QPainter over it.
#include <QPainter>
#include <QPainterPath>
#include <algorithm>
#include <cmath>

#include "gui/metrics.h"
#include "gui/timeline_view.h"

namespace pgram::gui {
namespace {

QColor colour(Pixel pixel) {
  return QColor::fromRgb(pixel | 0xff000000u);
}

/// "0", "250 us", "1.5 ms": exact for the round values of a ruler.
QString tick_text(double time, double distance) {
  static const std::array<std::pair<double, const char*>, 5> kUnits{
      {{1e12, "s"}, {1e9, "ms"}, {1e6, "us"}, {1e3, "ns"}, {1, "ps"}}};
  if (std::abs(time) < distance / 2) return QStringLiteral("0");
  for (const auto& [scale, unit] : kUnits) {
    if (std::abs(time) < scale && scale > 1) continue;
    const int decimals = std::clamp(static_cast<int>(std::ceil(-std::log10(distance / scale) - 1e-9)), 0, 9);
    return QStringLiteral("%1 %2").arg(time / scale, 0, 'f', decimals).arg(QLatin1String(unit));
  }
  return {};
}

QFont sized(QFont font, int pixels) {
  font.setPixelSize(pixels);
  return font;
}

}  // namespace

void TimelineView::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.fillRect(rect(), colour(scene_.theme().window));
  if (scene_.empty()) {
    painter.setPen(colour(scene_.theme().faint_text));
    painter.drawText(rect(), Qt::AlignCenter, tr("Choose a layout, or open a timeline (Ctrl+O)"));
    return;
  }
  const double ratio = devicePixelRatioF();
  for (size_t pane = 0; pane < shown_sides_.size(); ++pane) {
    const auto band = row_layout_.panes()[pane];
    const QSize pixels(static_cast<int>(axis_.width() * ratio), static_cast<int>(band.height * ratio));
    if (pixels.isEmpty()) continue;
    QImage image(pixels, QImage::Format_RGB32);
    image.setDevicePixelRatio(ratio);
    image.fill(scene_.theme().window);
    paint_rows(image, static_cast<int>(pane));
    painter.drawImage(QPointF(axis_.left(), band.top), image);
    paint_labels(painter, static_cast<int>(pane));
    paint_gutter(painter, static_cast<int>(pane));
    paint_pane(painter, static_cast<int>(pane));
  }
  paint_ruler(painter);
  paint_legend(painter, legend_area_);
  paint_memory(painter);
  paint_marks(painter);
}

void TimelineView::paint_ruler(QPainter& painter) const {
  const Theme& theme = scene_.theme();
  const double distance = tick_distance(90 * axis_.per_pixel());
  painter.setFont(sized(font(), 11));
  const int bottom = height() - 6;
  for (double tick = std::ceil(axis_.from() / distance) * distance; tick < axis_.to(); tick += distance) {
    const double x = std::floor(axis_.x_of(tick)) + 0.5;
    if (x < axis_.left()) continue;
    QColor line = colour(theme.grid);
    line.setAlpha(70);
    painter.setPen(line);
    painter.drawLine(QPointF(x, kRulerHeight), QPointF(x, bottom));
    painter.setPen(colour(theme.faint_text));
    painter.drawLine(QPointF(x, kRulerHeight - 5), QPointF(x, kRulerHeight));
    painter.drawText(QRectF(x + 4, 2, 120, kRulerHeight - 4), Qt::AlignVCenter, tick_text(tick, distance));
  }
  painter.setPen(colour(theme.grid));
  painter.drawLine(QPointF(0, kRulerHeight - 0.5), QPointF(width(), kRulerHeight - 0.5));
}

void TimelineView::paint_pane(QPainter& painter, int pane) const {
  const int side = shown_sides_[static_cast<size_t>(pane)];
  const Theme& theme = scene_.theme();
  const QRectF header(0, row_layout_.panes()[static_cast<size_t>(pane)].top - kHeaderHeight, width(), kHeaderHeight);
  const TrackStore& store = *scene_.store(side);
  painter.fillRect(header, colour(theme.window));
  QFont bold = sized(font(), 12);
  bold.setBold(true);
  painter.setFont(bold);
  painter.setPen(colour(theme.text));
  painter.drawText(header.adjusted(8, 0, 0, 0), Qt::AlignVCenter, QString::fromStdString(scene_.title(side)));
  QString text = QString::fromStdString(format_time(store.duration));
  const TrackStore* other = scene_.store(1 - side);
  if (other && side == 1) {
    text += QStringLiteral("   ") + QString::fromStdString(format_difference(static_cast<double>(store.duration),
                                                                             static_cast<double>(other->duration)));
  }
  const std::vector<Row>& rows = scene_.rows();
  const auto folded =
      std::count_if(rows.begin(), rows.end(), [](const Row& r) { return r.first_of_rank && r.stands_for > 1; });
  if (folded > 0) {
    const auto shown = std::count_if(rows.begin(), rows.end(), [](const Row& r) { return r.first_of_rank; });
    text += tr("   %1 ranks stand for %2 that behave alike")
                .arg(shown)
                .arg(QString::fromStdString(format_count(store.ranks())));
  }
  painter.setFont(sized(font(), 12));
  painter.drawText(header.adjusted(kGutterWidth, 0, 0, 0), Qt::AlignVCenter, text);
}

void TimelineView::paint_rows(QImage& image, int pane) const {
  const int side = shown_sides_[static_cast<size_t>(pane)];
  const Theme& theme = scene_.theme();
  const double ratio = image.devicePixelRatio();
  const int width = image.width(), height = image.height();
  const double step = axis_.span() / width;
  const int pane_top = row_layout_.panes()[static_cast<size_t>(pane)].top;
  const auto column = [&](double time) {
    return static_cast<int>(std::clamp((time - axis_.from()) / step, 0.0, static_cast<double>(width)));
  };
  Background background;
  background.from = column(0);
  background.to = column(static_cast<double>(scene_.store(side)->duration));
  background.hatch = theme.hatch;

  std::vector<Pixel> line(static_cast<size_t>(width));
  std::vector<std::vector<Pixel>> variants(kHatchPeriod, std::vector<Pixel>(static_cast<size_t>(width)));
  const auto [first, last] = row_layout_.visible(pane);
  for (size_t row = first; row < last; ++row) {
    const RowRaster* raster = scene_.raster(side, row);
    const auto band = row_layout_.band(pane, row);
    const int top = std::max(0, static_cast<int>((band.top - pane_top) * ratio));
    int bottom = std::min(height, static_cast<int>((band.top - pane_top + band.height) * ratio));
    if (band.height > 4) bottom -= static_cast<int>(ratio);  // a line between rows
    if (!raster || bottom <= top) continue;
    raster->render(axis_.from(), step, width, line.data());
    background.plain = theme.row_alternate;
    background.hatched = scene_.rows()[row].stream == Stream::compute;
    const int different = background.hatched ? std::min(kHatchPeriod, bottom - top) : 1;
    for (int y = 0; y < different; ++y)
      compose(line.data(), width, y, background, variants[static_cast<size_t>(y)].data());
    for (int y = top; y < bottom; ++y) {
      const auto& from = variants[static_cast<size_t>((y - top) % different)];
      std::copy(from.begin(), from.end(), reinterpret_cast<Pixel*>(image.scanLine(y)));
    }
  }
}

void TimelineView::paint_labels(QPainter& painter, int pane) const {
  const auto band = row_layout_.panes()[static_cast<size_t>(pane)];
  painter.save();
  painter.setClipRect(QRectF(axis_.left(), band.top, axis_.width(), band.height));
  const auto [first, last] = row_layout_.visible(pane);
  for (size_t row = first; row < last; ++row) paint_row_text(painter, pane, row);
  painter.restore();
}

/// Edges and names of pieces where they are wide enough, else those of the schedule's slots.
void TimelineView::paint_row_text(QPainter& painter, int pane, size_t row) const {
  constexpr double kEdgeFrom = 5, kNameFrom = 44, kBlockNameFrom = 15;
  constexpr size_t kMostPieces = 4096;
  const int side = shown_sides_[static_cast<size_t>(pane)];
  const Track* track = scene_.track(side, row);
  const auto band = row_layout_.band(pane, row);
  if (!track || band.height < 6) return;
  const bool names = band.height >= 12;
  painter.setFont(sized(font(), std::clamp(band.height - 6, 8, 11)));
  // text on one colour picks black or white; across several, or on a bubble, it brings a plate to stand on
  const auto prepare_ink = [&](double middle, double width) {
    const auto under = [&](double x) { return scene_.colour_at(side, row, axis_.time_at(x)); };
    const auto at_middle = under(middle);
    if (at_middle && at_middle == under(middle - width / 2) && at_middle == under(middle + width / 2)) {
      painter.setPen(colour(text_on(*at_middle)));
      return;
    }
    QColor plate = colour(scene_.theme().row);
    plate.setAlpha(180);
    painter.fillRect(QRectF(middle - width / 2 - 2, band.top + 1, width + 4, band.height - 3), plate);
    painter.setPen(colour(scene_.theme().text));
  };
  const auto draw = [&](Picoseconds start, Picoseconds end, const QString& text, bool cut) {
    const double left = std::max(axis_.left(), axis_.x_of(static_cast<double>(start)));
    const double right = std::min(axis_.left() + axis_.width(), axis_.x_of(static_cast<double>(end)));
    const double room = right - left - 3, needed = painter.fontMetrics().horizontalAdvance(text);
    if (needed > room && !(cut && room >= kNameFrom - 4)) return;
    prepare_ink((left + right) / 2, std::min(needed, room));
    painter.drawText(
        QRectF(left + 2, band.top, room, band.height - 1), Qt::AlignCenter,
        needed > room ? painter.fontMetrics().elidedText(text, Qt::ElideRight, static_cast<int>(room)) : text);
  };
  const auto edge = [&](Picoseconds start, int strength) {
    QColor line = colour(scene_.theme().row);
    line.setAlpha(strength);
    painter.fillRect(QRectF(std::floor(axis_.x_of(static_cast<double>(start))), band.top, 1, band.height - 1), line);
  };

  const size_t first = track->first_ending_after(axis_.from());
  const auto spans = scene_.store(side)->spans();
  const Plan& plan = *scene_.timeline(side)->plan;
  double named_until = axis_.from();
  for (size_t i = first; i < track->size() && i < first + kMostPieces; ++i) {
    if (static_cast<double>(track->start[i]) > axis_.to()) break;
    const double width = static_cast<double>(track->end[i] - track->start[i]) / axis_.per_pixel();
    if (width < kEdgeFrom) continue;
    edge(track->start[i], 110);
    if (width < kNameFrom || !names || track->kind[i] == kWaitingClass) continue;
    const Span& span = spans[track->span[i]];
    const Body& body = plan.bodies[plan.programs[plan.role(span.rank)].calls[span.call].body];
    draw(track->start[i], track->end[i], QString::fromStdString(short_name(plan, body, body.ops[span.op])), true);
    named_until = static_cast<double>(track->end[i]);
  }
  for (const Block& block : track->blocks) {
    if (static_cast<double>(block.end) < axis_.from() || static_cast<double>(block.start) > axis_.to()) continue;
    const double width = static_cast<double>(block.end - block.start) / axis_.per_pixel();
    if (width < kEdgeFrom) continue;
    edge(block.start, 255);
    const bool has_names = static_cast<double>(block.start) < named_until;
    if (names && width >= kBlockNameFrom && !has_names)
      draw(block.start, block.end, QString::fromStdString(block.label), false);
  }
}

void TimelineView::paint_gutter(QPainter& painter, int pane) const {
  const Theme& theme = scene_.theme();
  const auto pane_band = row_layout_.panes()[static_cast<size_t>(pane)];
  painter.save();
  painter.setClipRect(QRectF(0, pane_band.top, kGutterWidth, pane_band.height));
  const int side = shown_sides_[static_cast<size_t>(pane)];
  const Plan& plan = *scene_.timeline(side)->plan;
  const auto [first, last] = row_layout_.visible(pane);
  double free_from = -1e9;
  for (size_t index = first; index < last; ++index) {
    const Row& row = scene_.rows()[index];
    const auto band = row_layout_.band(pane, index);
    const QRectF area(8, band.top, kGutterWidth - 14, band.height - 1);
    if (row.first_of_rank && area.top() >= free_from - 2) {
      painter.setFont(sized(font(), std::clamp(band.height - 4, 9, 11)));
      painter.setPen(colour(theme.text));
      const QString text = tr("rank %1").arg(row.rank);
      const double height = std::max<double>(band.height - 1, 11);
      painter.drawText(QRectF(area.left(), area.top(), area.width(), height), Qt::AlignVCenter | Qt::AlignLeft, text);
      free_from = area.top() + height;
      if (plan.programs.size() > 1 && row.rank < plan.mesh.ranks() && band.height >= 10) {
        painter.setPen(colour(theme.faint_text));
        painter.drawText(area, Qt::AlignVCenter | Qt::AlignRight, tr("stage %1").arg(plan.role(row.rank)));
      }
    } else if (!row.first_of_rank && band.height >= 9) {
      painter.setFont(sized(font(), std::clamp(band.height - 1, 8, 10)));
      painter.setPen(colour(theme.faint_text));
      painter.drawText(area, Qt::AlignVCenter | Qt::AlignRight, QString::fromLatin1(name_of(row.stream)));
    }
  }
  painter.restore();
}

void TimelineView::paint_outline(QPainter& painter, const Spot& spot, QColor pen, double width) const {
  for (size_t pane = 0; pane < shown_sides_.size(); ++pane) {
    if (shown_sides_[pane] != spot.side) continue;
    const auto pane_band = row_layout_.panes()[pane];
    const auto band = row_layout_.band(static_cast<int>(pane), spot.row);
    const Span& span = scene_.span(spot);
    const auto origin = scene_.store(spot.side)->origin;
    const double left = axis_.x_of(static_cast<double>(span.start - origin));
    const double right = std::max(left + 3, axis_.x_of(static_cast<double>(span.end - origin)));
    painter.save();
    painter.setClipRect(QRectF(axis_.left() - 2, pane_band.top - 2, axis_.width() + 4, pane_band.height + 4));
    QColor inside = pen;
    inside.setAlpha(50);
    const double from = std::max(left, axis_.left() - 10), to = std::min(right, axis_.left() + axis_.width() + 10);
    painter.setPen(QPen(pen, width));
    painter.setBrush(inside);
    if (to > from) painter.drawRect(QRectF(from, band.top, to - from, std::max(2, band.height - 1)));
    painter.restore();
  }
}

/// Along the bottom of its rows, with a line from row to row where it goes on elsewhere.
void TimelineView::paint_critical_path(QPainter& painter, int pane) const {
  constexpr double kThick = 3;
  const auto pane_band = row_layout_.panes()[static_cast<size_t>(pane)];
  painter.save();
  painter.setClipRect(QRectF(axis_.left(), pane_band.top, axis_.width(), pane_band.height));
  painter.setPen(Qt::NoPen);
  painter.setBrush(colour(scene_.theme().limit));
  double before = -1;
  for (const PathPiece& piece : scene_.critical_path(shown_sides_[static_cast<size_t>(pane)])) {
    const auto band = row_layout_.band(pane, piece.row);
    const double left = axis_.x_of(static_cast<double>(piece.start)),
                 right = axis_.x_of(static_cast<double>(piece.end));
    const double y = band.top + band.height - kThick;
    painter.drawRect(QRectF(left, y, std::max(1.0, right - left), kThick));
    if (before >= 0 && before != y)
      painter.drawRect(QRectF(left - 0.5, std::min(before, y), 1.5, std::abs(before - y) + kThick));
    before = y;
  }
  painter.restore();
}

void TimelineView::paint_marks(QPainter& painter) const {
  for (size_t pane = 0; critical_path_ && pane < shown_sides_.size(); ++pane)
    paint_critical_path(painter, static_cast<int>(pane));
  const auto mark = [&](const std::optional<Spot>& spot, Pixel pixel, double width) {
    if (!spot) return;
    paint_outline(painter, *spot, colour(pixel), width);
    if (const auto other = scene_.partner(*spot)) paint_outline(painter, *other, colour(pixel), width);
  };
  mark(selected_, scene_.theme().selection, 2);
  mark(hovered_, scene_.theme().hover, 2);
  if (!cursor_x_ || *cursor_x_ >= axis_.left() + axis_.width()) return;
  const Theme& theme = scene_.theme();
  QColor line = colour(theme.text);
  line.setAlpha(90);
  painter.setPen(QPen(line, 1, Qt::DashLine));
  painter.drawLine(QPointF(*cursor_x_ + 0.5, kRulerHeight), QPointF(*cursor_x_ + 0.5, height() - 6));
  const QString text = QString::fromStdString(format_time(static_cast<Picoseconds>(axis_.time_at(*cursor_x_))));
  painter.setFont(sized(font(), 11));
  const double needed = painter.fontMetrics().horizontalAdvance(text) + 10;
  const double left = std::min(*cursor_x_ + 4, axis_.left() + axis_.width() - needed);
  painter.fillRect(QRectF(left, 2, needed, kRulerHeight - 5), colour(theme.text));
  painter.setPen(colour(theme.window));
  painter.drawText(QRectF(left, 2, needed, kRulerHeight - 5), Qt::AlignCenter, text);
}

/// Right-aligned in the first header: what the colours mean.
void TimelineView::paint_legend(QPainter& painter, QRectF area) const {
  const Theme& theme = scene_.theme();
  painter.setFont(sized(font(), 11));
  double right = area.right();
  const auto entry = [&](const QString& text, auto&& fill) {
    right -= painter.fontMetrics().horizontalAdvance(text);
    painter.setPen(colour(theme.text));
    painter.drawText(QRectF(right, area.top(), 400, area.height()), Qt::AlignVCenter, text);
    const QRectF box(right - 17, area.center().y() - 5, 12, 10);
    fill(box);
    right = box.left() - 12;
  };
  const auto solid = [&](Pixel pixel) {
    return [&painter, pixel](QRectF box) { painter.fillRect(box, colour(pixel)); };
  };
  entry(tr("bubble"), [&](QRectF box) {
    painter.fillRect(box, colour(theme.row_alternate));
    painter.setPen(QPen(colour(theme.hatch), 2));
    painter.setClipRect(box);
    for (double x = box.left(); x < box.right() + box.height(); x += 6) {
      painter.drawLine(QPointF(x, box.top()), QPointF(x - box.height(), box.bottom()));
    }
    painter.setClipping(false);
  });
  if (scene_.colour_mode() == ColourMode::difference) {
    entry(tr("waiting"), solid(theme.difference[kWaitingDifferenceClass]));
    entry(tr("unmatched"), solid(theme.difference[kUnmatchedClass]));
    entry(tr("20 % longer than the other"), solid(theme.difference[kDifferenceSteps - 1]));
    entry(tr("equal"), solid(theme.difference[kDifferenceSteps / 2]));
    entry(tr("20 % shorter"), solid(theme.difference[0]));
    return;
  }
  entry(tr("waiting"), solid(theme.kind[kWaitingClass]));
  for (const Category category : {Category::pipeline_comm, Category::data_comm, Category::tensor_comm,
                                  Category::optimizer, Category::backward, Category::forward}) {
    static const std::array<const char*, kCategories> kNames{
        QT_TR_NOOP("forward"), QT_TR_NOOP("backward"), QT_TR_NOOP("optimizer"), QT_TR_NOOP("tensor"),
        QT_TR_NOOP("data"),    QT_TR_NOOP("pipeline"), QT_TR_NOOP("other")};
    if (right < area.left() + (scene_.rows().empty() || scene_.rows()[0].stands_for == 1 ? 180 : 380))
      break;  // the pane's title stands there
    entry(tr(kNames[static_cast<size_t>(category)]), solid(theme.kind[static_cast<size_t>(category)]));
  }
}

void TimelineView::paint_memory(QPainter& painter) const {
  const Theme& theme = scene_.theme();
  painter.fillRect(QRectF(0, memory_area_.top() - kHeaderHeight, width(), kMemoryHeight), colour(theme.window));
  const uint32_t rank = selected_ ? scene_.rows()[selected_->row].rank : scene_.fullest_rank();
  int64_t highest = 0;
  for (const int side : shown_sides_) {
    for (const auto& [time, bytes] : scene_.memory(side, rank)) highest = std::max(highest, bytes);
  }
  QFont bold = sized(font(), 12);
  bold.setBold(true);
  painter.setFont(bold);
  painter.setPen(colour(theme.text));
  const QRectF header(8, memory_area_.top() - kHeaderHeight, width() - 8, kHeaderHeight);
  painter.drawText(header, Qt::AlignVCenter, tr("Memory"));
  painter.setFont(sized(font(), 12));
  painter.drawText(
      header.adjusted(kGutterWidth - 8, 0, 0, 0), Qt::AlignVCenter,
      highest > 0
          ? tr("rank %1, peak %2").arg(rank).arg(QString::fromStdString(format_bytes(static_cast<Bytes>(highest))))
          : tr("not recorded"));
  painter.setPen(colour(theme.grid));
  painter.drawLine(QPointF(0, header.top() + 0.5), QPointF(width(), header.top() + 0.5));
  if (highest <= 0) return;

  const double limit = static_cast<double>(memory_limit_);
  const bool limit_fits = limit > 0 && limit < 2.5 * static_cast<double>(highest);
  const double top_value = 1.08 * std::max(static_cast<double>(highest), limit_fits ? limit : 0);
  const auto y_of = [&](double value) { return memory_area_.bottom() - value / top_value * memory_area_.height(); };
  painter.setFont(sized(font(), 10));
  const auto label = [&](double value, const QString& text, Pixel pixel) {
    painter.setPen(colour(pixel));
    painter.drawText(QRectF(8, y_of(value) - 8, kGutterWidth - 14, 16), Qt::AlignVCenter | Qt::AlignRight, text);
  };
  label(static_cast<double>(highest), QString::fromStdString(format_bytes(static_cast<Bytes>(highest))),
        theme.faint_text);
  if (y_of(0) - y_of(static_cast<double>(highest)) > 20) label(0, QStringLiteral("0"), theme.faint_text);
  if (limit_fits) {
    painter.setPen(QPen(colour(theme.limit), 1, Qt::DashLine));
    painter.drawLine(QPointF(axis_.left(), y_of(limit)), QPointF(axis_.left() + axis_.width(), y_of(limit)));
    if (std::abs(y_of(static_cast<double>(highest)) - y_of(limit)) > 14) {
      label(limit, tr("limit %1").arg(QString::fromStdString(format_bytes(memory_limit_))), theme.limit);
    }
  }
  for (const int side : shown_sides_) paint_memory_curve(painter, side, memory_area_, top_value, rank);
}

void TimelineView::paint_memory_curve(QPainter& painter, int side, QRectF area, double top_value, uint32_t rank) const {
  const MemoryCurve& curve = scene_.memory(side, rank);
  if (curve.empty()) return;
  QPainterPath path;
  const auto y_of = [&](int64_t value) {
    return area.bottom() - static_cast<double>(value) / top_value * area.height();
  };
  path.moveTo(axis_.x_of(static_cast<double>(curve[0].first)), y_of(curve[0].second));
  for (const auto& [time, bytes] : curve) {
    const double x = axis_.x_of(static_cast<double>(time));
    path.lineTo(x, path.currentPosition().y());
    path.lineTo(x, y_of(bytes));
  }
  path.lineTo(axis_.x_of(static_cast<double>(scene_.store(side)->duration)), path.currentPosition().y());
  painter.save();
  painter.setClipRect(area.adjusted(0, -4, 0, 2));
  const bool lower = side == 1;
  painter.setPen(QPen(colour(lower ? scene_.theme().second_line : scene_.theme().first_line), 1.5,
                      lower ? Qt::DashLine : Qt::SolidLine));
  painter.setBrush(Qt::NoBrush);
  painter.drawPath(path);
  painter.restore();
}

}  // namespace pgram::gui
