#include "gui/main_window.h"

#include <QAction>
#include <QCheckBox>
#include <QComboBox>
#include <QSignalSpy>
#include <QSpinBox>
#include <QTemporaryDir>
#include <fstream>

#include "gui/details_panel.h"
#include "gui/layout_panel.h"
#include "gui/message_bar.h"
#include "gui/step_table.h"
#include "gui/timeline_view.h"
#include "tests/gui/hand_made.h"
#include "tests/gui/window_test.h"

namespace pgram::gui {

using testing::make_plan_by_hand;
using testing::make_timeline_by_hand;
using testing::picture_difference;

class MainWindowTest : public QObject {
  Q_OBJECT

  QTemporaryDir folder_;

  /// A simulated and a measured timeline, 10 % slower, as files.
  QStringList write_pair() {
    const auto plan = make_plan_by_hand();
    auto measured = make_timeline_by_hand(plan, 1.1, 70 * testing::kMs);
    measured->source = TimelineSource::measured;
    const QStringList paths{folder_.filePath(QStringLiteral("a.timeline")),
                            folder_.filePath(QStringLiteral("b.timeline"))};
    write_timeline(*make_timeline_by_hand(plan), paths[0].toStdString());
    write_timeline(*measured, paths[1].toStdString());
    return paths;
  }

  static bool quiet(const MainWindow& window) {
    return QTest::qWaitFor([&] { return !window.busy(); }, 60'000);
  }

  /// The box of the layout panel whose label begins so.
  static QComboBox* box(const MainWindow& window, int index) {
    return window.layout_panel()->findChildren<QComboBox*>().at(index);
  }
  enum Box { kModel, kCluster, kSchedule, kPrecision, kSequence, kTp, kPp, kDp, kMicroBatch };

  static void choose(QComboBox* box, const QVariant& value) {
    const int index = box->findData(value);
    QVERIFY2(index >= 0, qPrintable(value.toString()));
    box->setCurrentIndex(index);
  }

  static void begin(MainWindow& window) {
    window.resize(1200, 760);
    window.layout_panel()->set_inputs({});
    window.simulate();
    window.show();
    QVERIFY(QTest::qWaitForWindowExposed(&window));
    QVERIFY(quiet(window));
  }

 private Q_SLOTS:
  void opensAPairAndFillsTheTable() {
    MainWindow window;
    window.open_files(write_pair());
    QVERIFY2(window.message_bar()->isHidden(), qPrintable(window.message_bar()->text()));
    QCOMPARE(window.view()->scene().title(0), std::string("Simulated"));
    QCOMPARE(window.view()->scene().title(1), std::string("Measured"));
    const StepTable& table = *window.step_table();
    QCOMPARE(table.item(0, 0)->text(), QStringLiteral("Step time"));
    QCOMPARE(table.item(0, 1)->text(), QStringLiteral("12.0 ms"));
    QCOMPARE(table.item(0, 2)->text(), QStringLiteral("13.2 ms"));
    QCOMPARE(table.item(0, 3)->text(), QStringLiteral("+10.0 %"));
    QCOMPARE(table.item(1, 3)->text(), QStringLiteral("+0.0 pp"));  // the bubble's share is the same
    QCOMPARE(table.item(3, 1)->text(), QStringLiteral("88.0 MiB"));
  }

  void twoOfOneKindAreCalledAAndB() {
    MainWindow window;
    const QStringList paths = write_pair();
    window.open_files({paths[0], paths[0]});
    QCOMPARE(window.view()->scene().title(0), std::string("A"));
    QCOMPARE(window.view()->scene().title(1), std::string("B"));
  }

  void oneMeasuredFileGoesBelow() {
    MainWindow window;
    window.open_files({write_pair()[1]});
    QVERIFY(!window.view()->scene().timeline(0));
    QVERIFY(window.view()->scene().timeline(1));
  }

  void brokenFilesAreSaidAndNothingElseChanges() {
    MainWindow window;
    window.open_files(write_pair());
    const Timeline* before = window.view()->scene().timeline(0);
    const QString broken = folder_.filePath(QStringLiteral("broken.timeline"));
    std::ofstream(broken.toStdString()) << "no timeline";
    window.open_files({broken});
    QVERIFY(!window.message_bar()->isHidden());
    QVERIFY2(window.message_bar()->text().contains(broken), qPrintable(window.message_bar()->text()));
    QVERIFY(window.view()->scene().timeline(0) == before);
    window.open_files({folder_.filePath(QStringLiteral("missing.timeline"))});
    QVERIFY(window.message_bar()->text().contains(QStringLiteral("missing.timeline")));
  }

  void clickShowsDetails() {
    MainWindow window;
    window.resize(1200, 760);
    window.open_files(write_pair());
    window.show();
    QVERIFY(QTest::qWaitForWindowExposed(&window));
    QVERIFY2(window.view()->scene().timeline(1), qPrintable(window.message_bar()->text()));
    const Spot spot{1, 0, window.view()->scene().track(1, 0)->span[0]};
    QTest::mouseClick(window.view(), Qt::LeftButton, {}, window.view()->position_of(spot)->toPoint());
    QCOMPARE(window.details()->title(), QString::fromStdString(window.view()->scene().text(spot)));
    QCOMPARE(window.details()->currentIndex(), 0);
    bool found = false;
    for (const Detail& detail : describe(window.view()->scene(), spot)) {
      if (detail.name != "Duration") continue;
      found = true;
      QCOMPARE(detail.upper, std::string("1.00 ms"));  // half of F0's 2 ms
      QCOMPARE(detail.lower, std::string("1.10 ms"));
    }
    QVERIFY(found);
  }

  void everyChangeSimulatesAgain() {
    MainWindow window;
    begin(window);
    const Timeline* first = window.view()->scene().timeline(0);
    QVERIFY(first);
    QCOMPARE(first->plan->mesh.ranks(), 4u);
    choose(box(window, kSchedule), QStringLiteral("gpipe"));
    QVERIFY(quiet(window));
    const Timeline* second = window.view()->scene().timeline(0);
    QVERIFY(second != first);
    QCOMPARE(second->plan->facts.at("schedule"), std::string("gpipe"));
    choose(box(window, kPp), 1);
    choose(box(window, kTp), 1);  // overtakes the one before
    QVERIFY(quiet(window));
    QCOMPARE(window.view()->scene().timeline(0)->plan->mesh.ranks(), 1u);
    QVERIFY2(window.message_bar()->isHidden(), qPrintable(window.message_bar()->text()));
  }

  void onlyValidValuesAreOffered() {
    MainWindow window;
    begin(window);
    choose(box(window, kTp), 1);
    QVERIFY(box(window, kDp)->findData(4) >= 0);  // 8 ranks at most, two stages
    QVERIFY(box(window, kDp)->findData(8) < 0);
    auto* batch = window.layout_panel()->findChild<QSpinBox*>();
    batch->setValue(6);
    QVERIFY(box(window, kDp)->findData(4) < 0);  // 4 does not divide 6
    QVERIFY(box(window, kDp)->findData(3) >= 0);
    QVERIFY(!window.layout_panel()->findChild<QCheckBox*>()->isEnabled());  // no sequence parallelism without tp
    QVERIFY(quiet(window));
    QVERIFY2(window.message_bar()->isHidden(), qPrintable(window.message_bar()->text()));
  }

  void runFillsTheLowerTimelineAndIsRefusedWithAReason() {
    MainWindow window;
    begin(window);
    QVERIFY(window.run_action()->isEnabled());
    window.run();
    QVERIFY(!window.run_action()->isEnabled());
    QVERIFY(quiet(window));
    QVERIFY2(window.message_bar()->isHidden(), qPrintable(window.message_bar()->text()));
    QVERIFY(window.view()->scene().timeline(1));
    QCOMPARE(window.view()->scene().title(1), std::string("Measured"));
    QVERIFY(window.view()->scene().matcher().matched());
    QCOMPARE(window.view()->scene().matcher().comparison()->only_a.size(), size_t{0});

    choose(box(window, kCluster), QStringLiteral("dgx-h100"));
    QVERIFY(quiet(window));
    QVERIFY(!window.run_action()->isEnabled());
    QVERIFY(window.run_action()->toolTip().contains(QStringLiteral("dgx-h100")));
  }

  void whatDoesNotFitIsSaid() {
    MainWindow window;
    begin(window);
    choose(box(window, kCluster), QStringLiteral("dgx-h100"));
    choose(box(window, kModel), QStringLiteral("llama-3.1-405b"));
    QVERIFY(quiet(window));
    QVERIFY(!window.message_bar()->isHidden());
    QVERIFY2(window.message_bar()->text().startsWith(QStringLiteral("Does not fit")),
             qPrintable(window.message_bar()->text()));
    QVERIFY(window.view()->scene().timeline(0));
  }

  void closesDuringARun() {
    MainWindow window;
    begin(window);
    window.run();
    window.close();  // the destructor stops the run and waits for its step
  }

  void exportsAPicture() {
    MainWindow window;
    window.resize(900, 600);
    window.open_files(write_pair());
    const QString path = folder_.filePath(QStringLiteral("window.png"));
    QVERIFY(window.export_picture(path));
    QCOMPARE(QImage(path).size(), window.size());
    QVERIFY(!window.export_picture(folder_.filePath(QStringLiteral("no/such/folder.png"))));
    QVERIFY(!window.message_bar()->isHidden());
  }

  void looksAsStored() {
    if (!testing::draws_like_the_references()) QSKIP("pictures are stored for Debian 12's Qt and fonts");
    MainWindow window;
    window.resize(1200, 760);
    window.open_files(write_pair());
    window.show();
    QVERIFY(QTest::qWaitForWindowExposed(&window));
    const QString problem = picture_difference(window.grab().toImage(), QStringLiteral("window"), 0.005);
    QVERIFY2(problem.isEmpty(), qPrintable(problem));
  }
};

}  // namespace pgram::gui

PGRAM_WINDOW_TEST_MAIN(pgram::gui::MainWindowTest)
#include "main_window_test.moc"
