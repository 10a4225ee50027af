// Processes that meet in the store: what they exchange, and what they say when they cannot.
#include "cuda_backend/processes.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <chrono>
#include <future>

#include "core/base/errors.h"
#include "cuda_backend/store_wire.h"
#include "tests/cuda_processes/meeting.h"
#include "tests/support/text.h"

namespace pgram::testing {
namespace {

using test::contains;
using Clock = std::chrono::steady_clock;

double seconds_of(const std::function<void()>& body) {
  const auto begin = Clock::now();
  body();
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

TEST(Processes, OneOpensNoSocket) {
  Processes alone(place(0, 1, 1));  // a port that only root may open
  EXPECT_EQ(alone.gather("a"), std::vector<std::string>{"a"});
  EXPECT_EQ(alone.broadcast("b"), "b");
  EXPECT_NO_THROW(alone.agree("NCCL", "2.28.9"));
  EXPECT_EQ(alone.clock().offset, 0);
  EXPECT_EQ(alone.failure(), "");
}

/// Every process brings its own text, 100 times; process 0 gets them in order and tells all what it got.
TEST(Processes, GatherAndBroadcastInOrder) {
  const uint16_t port = free_port();
  const auto errors = as_threads(5, [&](uint32_t i) {
    Processes processes(place(i, 5, port), seconds(20, 20));
    for (int round = 0; round < 100; ++round) {
      const std::string tail = "/" + std::to_string(round);
      const auto all = processes.gather(std::to_string(i) + tail);
      const std::vector<std::string> expected{"0" + tail, "1" + tail, "2" + tail, "3" + tail, "4" + tail};
      EXPECT_EQ(all, i == 0 ? expected : std::vector<std::string>{});
      EXPECT_EQ(processes.broadcast(i == 0 ? all[4] : "not heard"), "4" + tail);
    }
  });
  EXPECT_EQ(errors, std::vector<std::string>(5));
}

/// Longer than one message may be: chunks of 4 MiB, the last one a single byte. And nothing at all.
TEST(Processes, LongAndEmptyStringsTravelWhole) {
  const uint16_t port = free_port();
  std::string long_one((uint64_t{8} << 20) + 1, '\0');
  for (size_t i = 0; i < long_one.size(); i += 4093) long_one[i] = static_cast<char>(i * 31);
  const auto errors = as_threads(2, [&](uint32_t i) {
    Processes processes(place(i, 2, port), seconds(20, 60));
    const auto all = processes.gather(i == 0 ? "" : long_one);
    if (i == 0) {
      EXPECT_TRUE(all.at(1) == long_one);
    }
    EXPECT_EQ(processes.broadcast(""), "");
  });
  EXPECT_EQ(errors, std::vector<std::string>(2));
}

/// Both threads read one clock, so the true offset is 0: it must lie within what the measurement says of itself.
TEST(Processes, ClockOffsetIsWithinItsUncertainty) {
  const uint16_t port = free_port();
  as_threads(2, [&](uint32_t i) {
    Processes processes(place(i, 2, port), seconds(20, 20));
    const ClockOffset clock = processes.clock();
    EXPECT_LE(std::abs(clock.offset), clock.uncertainty);
    EXPECT_LT(clock.uncertainty, 10'000'000'000) << "10 ms on one machine";
    if (i == 1) {
      EXPECT_GT(clock.uncertainty, 0);
    }
    processes.broadcast("");
  });
}

TEST(Processes, AgreementNamesWhoDiffers) {
  const uint16_t port = free_port();
  const auto errors = as_threads(3, [&](uint32_t i) {
    Processes processes(place(i, 3, port), seconds(20, 20));
    processes.agree("plan", "abc");
    processes.agree("NCCL", i == 2 ? "2.27.3" : "2.28.9");
  });
  for (const std::string& error : errors) {
    EXPECT_EQ(error, "NCCL: rank 2 has 2.27.3, rank 0 has 2.28.9; all ranks need the same");
  }
}

/// Rank 0 says its last word and ends; the others ask for it only when they know that it has ended. They still hear it,
/// and what it did not say any more ends their wait at once.
TEST(Processes, TheLastWordIsHeardAfterTheEnd) {
  const uint16_t port = free_port();
  const double taken = seconds_of([&] {
    const auto errors = as_threads(3, [&](uint32_t i) {
      Processes processes(place(i, 3, port), seconds(20, 20));
      if (i != 0) std::this_thread::sleep_for(std::chrono::milliseconds(500));
      EXPECT_EQ(processes.broadcast("the last word"), "the last word");
      if (i != 0) processes.broadcast("");
    });
    EXPECT_EQ(errors, (std::vector<std::string>{"", "rank 0 has ended the run", "rank 0 has ended the run"}));
  });
  EXPECT_LT(taken, 4);
}

TEST(ProcessesStart, TheMissingAreNamedByAll) {
  const uint16_t port = free_port();
  const double taken = seconds_of([&] {
    const auto errors = as_threads(2, [&](uint32_t i) { Processes(place(2 * i, 5, port), seconds(1, 20)); });
    for (const std::string& error : errors) {
      EXPECT_TRUE(contains(error, "ranks 1, 3 and 4 of 5 did not come within 1 s")) << error;
    }
  });
  EXPECT_LT(taken, 10);
}

TEST(ProcessesStart, NobodyAnswers) {
  const uint16_t port = free_port();
  try {
    Processes processes(place(1, 2, port), seconds(0.5, 20));
    FAIL() << "there is no rank 0";
  } catch (const InputError& error) {
    EXPECT_EQ(error.field(), "MASTER_ADDR");
    EXPECT_TRUE(contains(error.what(), "127.0.0.1, port " + std::to_string(port))) << error.what();
    EXPECT_TRUE(contains(error.what(), "Connection refused")) << error.what();
  }
}

TEST(ProcessesStart, AddressThatNoNameServerKnows) {
  try {
    Processes processes(place(1, 2, free_port(), "no-such-host.invalid"), seconds(0.5, 20));
    FAIL() << "the name cannot be known";
  } catch (const InputError& error) {
    EXPECT_EQ(error.field(), "MASTER_ADDR");
    EXPECT_TRUE(contains(error.what(), "no-such-host.invalid")) << error.what();
  }
}

/// A socket of the test that listens on loopback.
class Listener {
 public:
  Listener() : port(free_port()), fd(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd, 8), 0);
  }
  ~Listener() { ::close(fd); }
  const uint16_t port;
  const int fd;
};

TEST(ProcessesStart, PortInUse) {
  const Listener listener;
  try {
    Processes processes(place(0, 2, listener.port), seconds(5, 20));
    FAIL() << "the port is taken";
  } catch (const InputError& error) {
    EXPECT_EQ(error.field(), "MASTER_PORT");
    EXPECT_TRUE(contains(error.what(), std::to_string(listener.port) + " is in use")) << error.what();
  }
}

/// Something that is no store answers at the port, or accepts and says nothing.
TEST(ProcessesStart, AnotherServerAtTheAddress) {
  const Listener listener;
  std::thread server([&] {
    const int fd = ::accept(listener.fd, nullptr, nullptr);
    const std::string text = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    EXPECT_EQ(::send(fd, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    ::close(fd);
  });
  try {
    Processes processes(place(1, 2, listener.port), seconds(5, 20));
    FAIL() << "that was no store";
  } catch (const InputError& error) {
    EXPECT_TRUE(contains(error.what(), "is not rank 0 of this run")) << error.what();
  }
  server.join();
}

TEST(ProcessesStart, CountsAndNumbersThatContradict) {
  uint16_t port = free_port();
  auto errors = as_threads(2, [&](uint32_t i) { Processes(place(i, i == 0 ? 2 : 4, port), seconds(10, 20)); });
  for (const std::string& error : errors) {
    EXPECT_TRUE(contains(error, "rank 1 was told of 4 processes, rank 0 of 2")) << error;
  }
  port = free_port();
  errors = as_threads(3, [&](uint32_t i) { Processes(place(i == 0 ? 0 : 1, 3, port), seconds(10, 20)); });
  EXPECT_TRUE(contains(errors[0], "two processes say that they are rank 1")) << errors[0];
}

TEST(ProcessesStart, AnotherRunIsTurnedAwayAndDisturbsNobody) {
  const uint16_t port = free_port();
  const auto errors = as_threads(3, [&](uint32_t i) {
    ProcessPlace mine = place(i == 0 ? 0 : 1, 2, port);
    mine.job = i == 1 ? "other" : "ours";
    if (i == 2) std::this_thread::sleep_for(std::chrono::milliseconds(300));
    Processes processes(mine, seconds(10, 20));
    processes.gather("");
  });
  EXPECT_EQ(errors[0], "");
  EXPECT_TRUE(contains(errors[1], "another run (ours) uses this port")) << errors[1];
  EXPECT_EQ(errors[2], "");
}

int connect_to_port(uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (int tries = 0; tries < 100; ++tries) {
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ADD_FAILURE() << "nobody listens";
  return fd;
}

/// A port scan, garbage, a greeting with a huge length, a cut-off one, half a head, and one that stays silent: the run
/// starts all the same.
TEST(ProcessesStart, StrangersHoldNobodyUp) {
  const uint16_t port = free_port();
  auto first = std::async(std::launch::async, [&] {
    Processes processes(place(0, 2, port), seconds(20, 20));
    return processes.gather("zero");
  });
  StoreMessage hello{StoreKind::hello, "", encode(StoreHello{1, 2, ""}), 0};
  std::string huge = encode(hello);
  huge[12] = huge[13] = huge[14] = huge[15] = '\xff';  // the length of the value
  const std::string cut = encode(StoreMessage{StoreKind::hello, "", "abc", 0});
  const std::string unasked = encode(StoreMessage{StoreKind::fail, "", "the end", 0});
  std::vector<int> strangers;
  for (const std::string& text : {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(100'000, 'x'), huge, cut, unasked,
                                  encode(hello).substr(0, 10), std::string()}) {
    strangers.push_back(connect_to_port(port));
    static_cast<void>(::send(strangers.back(), text.data(), text.size(), MSG_NOSIGNAL));
  }
  ::close(connect_to_port(port));
  {
    Processes second(place(1, 2, port), seconds(20, 20));
    second.gather("one");
  }
  EXPECT_EQ(first.get(), (std::vector<std::string>{"zero", "one"}));
  for (int fd : strangers) ::close(fd);
}

TEST(ProcessesFailure, IsToldToAllAtOnce) {
  const uint16_t port = free_port();
  std::atomic<int> told{0};
  const double taken = seconds_of([&] {
    const auto errors = as_threads(4, [&](uint32_t i) {
      Processes processes(place(i, 4, port), seconds(20, 60));
      processes.on_failure([&](const std::string& reason) {
        EXPECT_EQ(reason, "rank 2 layer.f(layer 0, mb 0).3:matmul: no memory");
        ++told;
      });
      processes.gather("");
      processes.broadcast("all listen");
      if (i == 2) {
        processes.fail("rank 2 layer.f(layer 0, mb 0).3:matmul: no memory");
        processes.fail("a later one");
      }
      processes.gather("");
      processes.broadcast("");
    });
    for (uint32_t i : {0, 1, 3}) EXPECT_EQ(errors[i], "rank 2 layer.f(layer 0, mb 0).3:matmul: no memory");
  });
  EXPECT_EQ(told, 3) << "all but the one that failed";
  EXPECT_LT(taken, 10);
}

TEST(ProcessesFailure, WhoDoesNotComeIsNamed) {
  const uint16_t port = free_port();
  std::promise<void> over;
  auto waiting = over.get_future().share();
  const auto errors = as_threads(3, [&](uint32_t i) {
    Processes processes(place(i, 3, port), seconds(20, i == 0 ? 0.5 : 20));
    if (i == 1) {
      waiting.wait();
      return;
    }
    try {
      processes.gather("");
      processes.broadcast("");
    } catch (...) {
      if (i == 0) over.set_value();
      throw;
    }
  });
  for (uint32_t i : {0, 2}) {
    EXPECT_TRUE(contains(errors[i], "rank 1 did not come")) << i << ": " << errors[i];
  }
}

/// Real processes: rank 1 of 3 is killed while the others wait in an exchange. They leave by themselves, naming it.
TEST(ProcessesFailure, AKilledProcessIsNamedByTheOthers) {
  const uint16_t port = free_port();
  const auto body = [port](uint32_t i) {
    return [port, i] {
      try {
        Processes processes(place(i, 3, port), seconds(20, 60));
        if (i == 1) ::pause();
        processes.gather("");
        processes.broadcast("");
      } catch (const RunError& error) {
        return contains(error.what(), "rank 1 was lost") ? 42 : 1;
      } catch (const std::exception&) {
        return 2;
      }
      return 3;
    };
  };
  Child zero(body(0)), one(body(1)), two(body(2));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  one.signal(SIGKILL);
  const double taken = seconds_of([&] {
    EXPECT_EQ(zero.wait(), 42);
    EXPECT_EQ(two.wait(), 42);
  });
  EXPECT_LT(taken, 5);
}

TEST(ProcessesFailure, AKilledProcess0IsNamedByTheOthers) {
  const uint16_t port = free_port();
  const auto body = [port](uint32_t i) {
    return [port, i] {
      try {
        Processes processes(place(i, 3, port), seconds(20, 60));
        if (i == 0) ::pause();
        processes.broadcast("");
      } catch (const RunError& error) {
        return contains(error.what(), "rank 0 was lost") ? 42 : 1;
      } catch (const std::exception&) {
        return 2;
      }
      return 3;
    };
  };
  Child zero(body(0)), one(body(1)), two(body(2));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  zero.signal(SIGKILL);
  EXPECT_EQ(one.wait(), 42);
  EXPECT_EQ(two.wait(), 42);
}

}  // namespace
}  // namespace pgram::testing
