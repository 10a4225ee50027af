#include "gui/timeline_view.h"

#include <QMouseEvent>
#include <QSignalSpy>
#include <QWheelEvent>

#include "tests/gui/hand_made.h"
#include "tests/gui/window_test.h"

namespace pgram::gui {

using testing::make_plan_by_hand;
using testing::make_timeline_by_hand;
using testing::picture_difference;

class TimelineViewTest : public QObject {
  Q_OBJECT

  static void show_both(TimelineView& view) {
    const auto plan = make_plan_by_hand();
    auto measured = make_timeline_by_hand(plan, 1.1, 70 * testing::kMs);
    measured->source = TimelineSource::measured;
    view.resize(900, 520);
    view.set_timelines(make_timeline_by_hand(plan), measured);
    view.show();
    QVERIFY(QTest::qWaitForWindowExposed(&view));
  }

  static void wheel(TimelineView& view, QPointF at, int delta, Qt::KeyboardModifiers modifiers = Qt::NoModifier) {
    QWheelEvent event(at, view.mapToGlobal(at), QPoint(), QPoint(0, delta), Qt::NoButton, modifiers, Qt::NoScrollPhase,
                      false);
    QApplication::sendEvent(&view, &event);
  }

  static void move(TimelineView& view, QPointF to, Qt::MouseButtons buttons = Qt::NoButton) {
    // QTest::mouseMove carries no buttons
    QMouseEvent event(QEvent::MouseMove, to, view.mapToGlobal(to), Qt::NoButton, buttons, Qt::NoModifier);
    QApplication::sendEvent(&view, &event);
  }

  /// A span of a side on the first row (rank 0, compute), by its index in the order of time.
  static Spot spot(const TimelineView& view, int side, size_t piece) {
    return Spot{side, 0, view.scene().track(side, 0)->span[piece]};
  }

 private Q_SLOTS:
  void wheelZoomsAboutTheCursor() {
    TimelineView view;
    show_both(view);
    const double under = view.axis().time_at(400), span = view.axis().span();
    wheel(view, QPointF(400, 60), 120);
    QVERIFY(qAbs(view.axis().time_at(400) - under) < 1e-6 * span);
    QVERIFY(qAbs(view.axis().span() / span - 0.8) < 1e-9);
    wheel(view, QPointF(400, 60), -120);
    QVERIFY(qAbs(view.axis().span() / span - 1) < 1e-9);
  }

  void shiftWheelPansAndControlWheelMakesRowsHigher() {
    TimelineView view;
    show_both(view);
    wheel(view, QPointF(400, 60), 1200);  // zoomed in, so that there is something to pan to
    const double from = view.axis().from(), span = view.axis().span();
    wheel(view, QPointF(400, 60), -120, Qt::ShiftModifier);
    QVERIFY(qAbs(view.axis().from() - from - 0.1 * span) < 1e-6 * span);
    const int height = view.layout_of_rows().band(0, 0).height;
    wheel(view, QPointF(400, 60), 120, Qt::ControlModifier);
    QVERIFY(view.layout_of_rows().band(0, 0).height > height);
  }

  void dragPansAndDoesNotSelect() {
    TimelineView view;
    show_both(view);
    const QPoint on_span = view.position_of(spot(view, 0, 0))->toPoint();
    const double time = view.axis().time_at(on_span.x());
    QTest::mousePress(&view, Qt::LeftButton, {}, on_span);
    move(view, on_span + QPointF(150, 0), Qt::LeftButton);
    QTest::mouseRelease(&view, Qt::LeftButton, {}, on_span + QPoint(150, 0));
    QVERIFY(qAbs(view.axis().time_at(on_span.x() + 150) - time) < view.axis().per_pixel());
    QVERIFY(!view.selected());
  }

  void clickSelectsAndEscapeDeselects() {
    TimelineView view;
    show_both(view);
    QSignalSpy changes(&view, &TimelineView::selection_changed);
    const Spot wanted = spot(view, 1, 3);
    QTest::mouseClick(&view, Qt::LeftButton, {}, view.position_of(wanted)->toPoint());
    QCOMPARE(changes.count(), 1);
    QVERIFY(view.selected() == wanted);
    QTest::keyClick(&view, Qt::Key_Escape);
    QVERIFY(!view.selected());
    QCOMPARE(changes.count(), 2);
  }

  void hoverLightsTheSameTaskInBoth() {
    TimelineView view;
    show_both(view);
    const Spot upper = spot(view, 0, 5);
    const QImage before = view.grab().toImage();
    move(view, *view.position_of(upper));
    QVERIFY(view.hovered() == upper);
    const auto lower = view.scene().partner(upper);
    QVERIFY(lower.has_value());
    QCOMPARE(lower->side, 1);
    QCOMPARE(view.scene().span(*lower).call, view.scene().span(upper).call);
    // the outline changes pixels around both, and nothing on another span
    const QImage after = view.grab().toImage();
    for (const Spot& lit : {upper, *lower}) {
      const QPoint point = view.position_of(lit)->toPoint() + QPoint(8, 6);
      QVERIFY(before.pixel(point) != after.pixel(point));
    }
    const QPoint other = view.position_of(spot(view, 1, 0))->toPoint() + QPoint(8, 6);
    QCOMPARE(before.pixel(other), after.pixel(other));
  }

  void keysZoomPanAndFit() {
    TimelineView view;
    show_both(view);
    const double span = view.axis().span();
    QTest::keyClick(&view, Qt::Key_W);
    QVERIFY(qAbs(view.axis().span() / span - 0.8) < 1e-9);
    const double from = view.axis().from();
    QTest::keyClick(&view, Qt::Key_D);
    QVERIFY(view.axis().from() > from);
    QTest::keyClick(&view, Qt::Key_A);
    QVERIFY(qAbs(view.axis().from() - from) < 1e-6 * span);
    QTest::keyClick(&view, Qt::Key_S);
    QVERIFY(qAbs(view.axis().span() / span - 1) < 1e-9);
    QTest::keyClick(&view, Qt::Key_W);
    QTest::keyClick(&view, Qt::Key_Home);
    QVERIFY(qAbs(view.axis().span() / span - 1) < 1e-9);
    QTest::keyClick(&view, Qt::Key_W);
    QTest::keyClick(&view, Qt::Key_F);
    QVERIFY(qAbs(view.axis().span() / span - 1) < 1e-9);
  }

  void doubleClickZoomsToTheTask() {
    TimelineView view;
    show_both(view);
    const Spot wanted = spot(view, 0, 2);
    QTest::mouseDClick(&view, Qt::LeftButton, {}, view.position_of(wanted)->toPoint());
    // the task takes a quarter of the window: 1 ms of 4
    QVERIFY(qAbs(view.axis().span() - 4e9) < 1e6);
    QVERIFY(view.selected() == wanted);
  }

  void bubblesAreHatchedAndBusyTimeIsNot() {
    TimelineView view;
    show_both(view);
    const QImage picture = view.grab().toImage();
    const auto band = view.layout_of_rows().band(0, 0);
    const QRgb hatch = view.scene().theme().hatch;
    const auto hatched = [&](double from_ms, double to_ms) {
      int found = 0;
      for (int x = static_cast<int>(view.axis().x_of(from_ms * 1e9)); x < view.axis().x_of(to_ms * 1e9); ++x) {
        found += picture.pixel(x, band.top + band.height / 2) == hatch;
      }
      return found;
    };
    QVERIFY(hatched(4.5, 7.5) > 20);  // rank 0 waits for its first backward from 4 to 8 ms
    QCOMPARE(hatched(0.1, 3.9), 0);
  }

  void newTimelinesKeepTheViewWhenAsked() {
    TimelineView view;
    show_both(view);
    QTest::keyClick(&view, Qt::Key_W);
    const double from = view.axis().from(), span = view.axis().span();
    view.set_timelines(make_timeline_by_hand(make_plan_by_hand()), nullptr, true);
    QVERIFY(qAbs(view.axis().from() - from) < 1e-6 * span && qAbs(view.axis().span() - span) < 1e-6 * span);
    QCOMPARE(view.layout_of_rows().panes().size(), size_t{1});
  }

  void nothingLoadedIsSaidAndNothingCrashes() {
    TimelineView view;
    view.resize(300, 200);
    QVERIFY(!view.grab().toImage().isNull());
    move(view, QPointF(200, 100));
    wheel(view, QPointF(200, 100), 120);
    QTest::mouseClick(&view, Qt::LeftButton, {}, QPoint(200, 100));
    QTest::keyClick(&view, Qt::Key_W);
    QVERIFY(!view.selected());
  }

  /// Rank 1's receive waits 2 of its 3 ms for rank 0's send; its compute stream ends a millisecond before the step.
  void gapsSayWhyTheyAreIdle() {
    TimelineView view;
    show_both(view);
    size_t compute = 0;
    while (view.scene().rows()[compute].rank != 1 || view.scene().rows()[compute].stream != Stream::compute) ++compute;
    const auto middle = view.position_of(Spot{0, compute, view.scene().track(0, compute)->span.back()});
    QVERIFY(middle);
    const QPointF gap(view.axis().x_of(11.5 * testing::kMs), middle->y());
    QVERIFY2(view.idle_text_at(gap).contains(QStringLiteral("pipeline bubble (drain)")),
             qPrintable(view.idle_text_at(gap)));
    QVERIFY(view.idle_text_at(*middle).isEmpty());
    QSignalSpy idle(&view, &TimelineView::idle_selected);
    QTest::mouseClick(&view, Qt::LeftButton, Qt::NoModifier, gap.toPoint());
    QCOMPARE(idle.count(), 1);
    QVERIFY(!view.selected());
  }

  /// The path is drawn along the bottom of the rows it is on, in the colour of the memory limit.
  void criticalPathIsShown() {
    TimelineView view;
    show_both(view);
    const QColor line = QColor::fromRgb(view.scene().theme().limit | 0xff000000u);
    const auto painted = [&] {
      const QImage picture = view.grab().toImage();
      int pixels = 0;
      for (int y = 0; y < picture.height(); ++y) {
        for (int x = 0; x < picture.width(); ++x) pixels += picture.pixelColor(x, y) == line;
      }
      return pixels;
    };
    const int before = painted();
    view.show_critical_path(true);
    // 8 of the upper's 12 ms, three pixels high; about as much below.
    QVERIFY(painted() > before + 2 * 8 / 14.0 * view.axis().width());
    view.show_critical_path(false);
    QCOMPARE(painted(), before);
  }

  void looksAsStored_data() {
    QTest::addColumn<bool>("dark");
    QTest::addColumn<bool>("difference");
    QTest::newRow("view-light") << false << false;
    QTest::newRow("view-dark-difference") << true << true;
  }
  void looksAsStored() {
    if (!testing::draws_like_the_references()) QSKIP("pictures are stored for Debian 12's Qt and fonts");
    QFETCH(bool, dark);
    QFETCH(bool, difference);
    TimelineView view;
    if (dark) view.setPalette(testing::dark_palette());
    view.set_colour_mode(difference ? ColourMode::difference : ColourMode::kind);
    show_both(view);
    view.select(spot(view, 0, 5));
    // text is drawn by the system's font engine: a little tolerance
    const QString problem =
        picture_difference(view.grab().toImage(), QString::fromLatin1(QTest::currentDataTag()), 0.002);
    QVERIFY2(problem.isEmpty(), qPrintable(problem));
  }
};

}  // namespace pgram::gui

PGRAM_WINDOW_TEST_MAIN(pgram::gui::TimelineViewTest)
#include "timeline_view_test.moc"
