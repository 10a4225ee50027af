// What the window's tests share: an application that looks the same everywhere, and pictures compared with stored ones.
#pragma once
#include <QApplication>
#include <QDir>
#include <QImage>
#include <QStyleFactory>
#include <QSysInfo>
#include <QTest>
#include <algorithm>
#include <cstdlib>

namespace pgram::gui::testing {

inline bool update_references = false;

inline void look_the_same_everywhere() {
  QApplication::setStyle(QStyleFactory::create(QStringLiteral("Fusion")));
  QApplication::setFont(QFont(QStringLiteral("DejaVu Sans"), 9));
}

inline QPalette dark_palette() {
  QPalette palette(QColor(48, 48, 52), QColor(38, 38, 42));
  palette.setColor(QPalette::Base, QColor(30, 30, 34));
  return palette;
}

inline bool draws_like_the_references() {
  return QSysInfo::productType() == QLatin1String("debian") && QSysInfo::productVersion() == QLatin1String("12");
}

/// Empty if `picture` looks like tests/gui/pictures/<name>.png: at most `share` of the pixels differ by more than 8 of
/// 255. Otherwise a message, with the picture saved beside the build. With --update-references the stored one is
/// replaced instead.
inline QString picture_difference(const QImage& picture, const QString& name, double share) {
  const QString reference_path = QStringLiteral(PGRAM_SOURCE_DIR "/tests/gui/pictures/%1.png").arg(name);
  const QImage got = picture.convertToFormat(QImage::Format_RGB32);
  if (update_references) {
    QDir().mkpath(QStringLiteral(PGRAM_SOURCE_DIR "/tests/gui/pictures"));
    return got.save(reference_path) ? QString() : QStringLiteral("cannot write ") + reference_path;
  }
  const QImage want = QImage(reference_path).convertToFormat(QImage::Format_RGB32);
  QString problem;
  if (want.isNull()) {
    problem = QStringLiteral("no reference ") + reference_path;
  } else if (want.size() != got.size()) {
    problem = QStringLiteral("sizes differ");
  } else {
    qint64 different = 0;
    for (int y = 0; y < got.height(); ++y) {
      for (int x = 0; x < got.width(); ++x) {
        const QRgb a = got.pixel(x, y), b = want.pixel(x, y);
        different +=
            std::max({std::abs(qRed(a) - qRed(b)), std::abs(qGreen(a) - qGreen(b)), std::abs(qBlue(a) - qBlue(b))}) > 8;
      }
    }
    const double found = static_cast<double>(different) / (static_cast<double>(got.width()) * got.height());
    if (found > share) problem = QStringLiteral("%1 % of the pixels differ").arg(100 * found);
  }
  if (problem.isEmpty()) return problem;
  const QString saved = QStringLiteral(PGRAM_BINARY_DIR "/%1.got.png").arg(name);
  got.save(saved);
  return problem + QStringLiteral("; see ") + saved;
}

}  // namespace pgram::gui::testing

/// `--update-references` stores new pictures (made on Debian 12, whose fonts and Qt the comparison expects).
#define PGRAM_WINDOW_TEST_MAIN(Class)                                                                        \
  int main(int argc, char** argv) {                                                                          \
    if (qEnvironmentVariableIsEmpty("QT_QPA_PLATFORM")) qputenv("QT_QPA_PLATFORM", "offscreen");             \
    QApplication application(argc, argv);                                                                    \
    pgram::gui::testing::look_the_same_everywhere();                                                         \
    QStringList arguments = QApplication::arguments();                                                       \
    pgram::gui::testing::update_references = arguments.removeAll(QStringLiteral("--update-references")) > 0; \
    Class test;                                                                                              \
    return QTest::qExec(&test, arguments);                                                                   \
  }
