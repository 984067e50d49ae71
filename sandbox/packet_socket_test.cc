// SPDX-License-Identifier: Apache-2.0
#include "sandbox/packet_socket.h"

#include <fcntl.h>

#include <doctest/doctest.h>

#include <thread>

#include "base/error.h"
#include "base/sys.h"

using namespace cbuild;
using namespace cbuild::sandbox;

TEST_CASE("messages of any size keep their bytes and their boundaries") {
  auto [a, b] = PacketSocket::pair();
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{32u << 10}, (std::size_t{32} << 10) + 1, std::size_t{3} << 20}) {
    std::string data(size, '\0');
    for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<char>(i * 7);
    a.send(data);
    a.send("next");
    const auto packet = b.receive();
    REQUIRE(packet);
    CHECK(packet->data == data);
    CHECK(packet->descriptors.empty());
    CHECK(b.receive()->data == "next");
  }
}

TEST_CASE("more descriptors than one message carries arrive in order and close-on-exec") {
  for (const std::size_t count : {1u, 249u, 250u, 251u, 600u}) {
    for (const std::size_t size : {std::size_t{10}, std::size_t{100'000}}) {
      auto [a, b] = PacketSocket::pair();
      std::vector<UniqueFd> pipes;
      std::vector<int> numbers;
      for (std::size_t i = 0; i < count; ++i) {
        // Each one recognisable by the bytes at its offset.
        const UniqueFd file = sys::open_at(AT_FDCWD, "/proc/self/cmdline", O_RDONLY);
        pipes.emplace_back(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0));
        numbers.push_back(i % 2 == 0 ? pipes.back().get() : 0);
      }
      std::thread sender([&a, &numbers, size] { a.send(std::string(size, 'x'), numbers); });
      const auto packet = b.receive();
      sender.join();
      REQUIRE(packet);
      CHECK(packet->data.size() == size);
      REQUIRE(packet->descriptors.size() == count);
      for (std::size_t i = 0; i < count; ++i) {
        CHECK(sys::stat_fd(packet->descriptors[i].get()).st_ino == sys::stat_fd(numbers[i]).st_ino);
        CHECK((::fcntl(packet->descriptors[i].get(), F_GETFD) & FD_CLOEXEC) != 0);
      }
    }
  }
}

TEST_CASE("the end of one side is seen by the other, and is not a signal") {
  auto [a, b] = PacketSocket::pair();
  a.send("last");
  a = PacketSocket();
  CHECK(b.receive()->data == "last");
  CHECK_FALSE(b.receive());
  CHECK_THROWS_AS(b.send("into the void"), Error);

  auto [c, d] = PacketSocket::pair();
  c.shut_down();
  CHECK_FALSE(d.receive());
}
